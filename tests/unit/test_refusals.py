"""What is said of what an Azure client raises."""

import pytest
import requests

from batchai_recipes import RequestError
from batchai_recipes.refusals import explained


def test_a_refusal_of_the_management_plane_is_not_about_the_storage_account(endpoint, connection):
    """A principal without a role is told what the answer says, and nothing about keys."""
    message = "The client does not have authorization to perform this"
    endpoint.on(
        "GET", "/workspaces", (403, {"error": {"code": "AuthorizationFailed", "message": message}})
    )

    with pytest.raises(RequestError, match=message) as raised, explained("list the workspaces"):
        list(connection.batchai.workspaces.list())
    assert "storage" not in str(raised.value)


def test_a_service_that_is_not_there_is_not_about_the_principal(endpoint, connection):
    """Not even where it is the token that could not be asked for."""
    endpoint.on("POST", "/token", requests.ConnectionError("Connection refused"))

    unreached = pytest.raises(RequestError, match="does the service run")
    with unreached as raised, explained("list the workspaces"):
        list(connection.batchai.workspaces.list())
    assert "AZURE_CLIENT_ID" not in str(raised.value)


def test_a_certificate_of_another_authority_is_not_about_the_principal(endpoint, connection):
    """It says which file has the authority."""
    endpoint.on("POST", "/token", requests.exceptions.SSLError("certificate verify failed"))

    unreached = pytest.raises(RequestError, match="BATCHAI_CA_FILE")
    with unreached as raised, explained("list the workspaces"):
        list(connection.batchai.workspaces.list())
    assert "AZURE_CLIENT_ID" not in str(raised.value)
