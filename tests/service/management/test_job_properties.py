"""What a request for a job may say."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchai_recipes.service.management import job_properties
from batchai_recipes.service.management.bodies import read_body
from batchai_recipes.service.management.errors import ManagementError


def _body(**properties: object) -> dict:
    return {
        "properties": {
            "cluster": {"id": "/subscriptions/S/x"},
            "nodeCount": 1,
            "customToolkitSettings": {"commandLine": "true"},
            "stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/afs",
            **properties,
        }
    }


def _refused(body: object) -> ManagementError:
    with pytest.raises(ManagementError) as caught:
        read_body(job_properties.CREATE, body)
    assert caught.value.status == 400
    return caught.value


def test_a_configuration_file_alone_is_brain_script():
    """As in Batch AI's own recipes."""
    settings = {"configFilePath": "a.cntk"}
    body = _body(customToolkitSettings=None, cntkSettings=settings)
    read = read_body(job_properties.CREATE, body)
    assert read["properties"]["cntkSettings"] == settings


@pytest.mark.parametrize(
    ("properties", "target"),
    [
        ({"nodeCount": 0}, "nodeCount"),
        ({"nodeCount": "1"}, "nodeCount"),
        ({"cluster": "id"}, "cluster"),
        ({"schedulingPriority": "urgent"}, "schedulingPriority"),
        ({"stdOutErrPathPrefix": "$AZ_BATCHAI_MOUNT_ROOT/../up"}, "stdOutErrPathPrefix"),
        ({"stdOutErrPathPrefix": "a\0b"}, "stdOutErrPathPrefix"),
        ({"constraints": {"maxWallClockTime": "a week"}}, "constraints.maxWallClockTime"),
        ({"constraints": {"maxWallClockTime": "PT0S"}}, "constraints.maxWallClockTime"),
        (
            {"outputDirectories": [{"id": "stdOutErr", "pathPrefix": "x"}]},
            "outputDirectories[0].id",
        ),
        ({"outputDirectories": [{"id": "A B", "pathPrefix": "x"}]}, "outputDirectories[0].id"),
        (
            {"outputDirectories": [{"id": "A", "pathPrefix": "x", "pathSuffix": "/etc"}]},
            "outputDirectories[0].pathSuffix",
        ),
        (
            {"inputDirectories": [{"id": "A", "path": "x"}, {"id": "A", "path": "y"}]},
            "inputDirectories[1].id",
        ),
        (
            {"environmentVariables": [{"name": "AZ_BATCHAI_X", "value": "x"}]},
            "environmentVariables[0].name",
        ),
        ({"secrets": [{"name": "AZ_BATCH_X", "value": "x"}]}, "secrets[0].name"),
        ({"secrets": [{"name": "X", "valueSecretReference": {"a": 1}}]}, "secrets[0].valueSecret"),
        (
            {
                "environmentVariables": [{"name": "X", "value": "x"}],
                "secrets": [{"name": "X", "value": "x"}],
            },
            "secrets[0].name",
        ),
        ({"mountVolumes": {"azureBlobFileSystems": [{}]}}, "mountVolumes.azureBlobFileSystems"),
        ({"cntkSettings": {"pythonScriptFilePath": "a.py"}}, ""),
        ({"customToolkitSettings": None}, ""),
        (
            {"customToolkitSettings": None, "cntkSettings": {"languageType": "Python"}},
            "cntkSettings.pythonScriptFilePath",
        ),
        (
            {
                "customToolkitSettings": None,
                "cntkSettings": {
                    "languageType": "brainscript",
                    "configFilePath": "a.cntk",
                    "pythonScriptFilePath": "a.py",
                },
            },
            "cntkSettings.pythonScriptFilePath",
        ),
        ({"customToolkitSettings": None, "caffeSettings": {}}, "caffeSettings"),
    ],
)
def test_mistakes_are_named(properties: dict, target: str) -> None:
    """The error says which property is wrong."""
    error = _refused(_body(**properties))
    assert error.target is not None
    assert error.target.startswith(f"properties.{target}".rstrip("."))


def test_no_secret_reaches_a_message() -> None:
    """Not even when it is what is wrong."""
    error = _refused(_body(secrets=[{"name": "X", "value": {"password": "hush"}}]))
    assert error.target == "properties.secrets[0].value"
    assert "hush" not in error.message


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("P7D", "P7D"),
        ("PT1H30M", "PT1H30M"),
        ("7.00:00:00", "P7DT0H0M0S"),
        ("01:30:00", "P0DT1H30M0S"),
    ],
)
def test_durations(given: str, normal: str) -> None:
    """ISO 8601 is kept; the form that the contract's default has is turned into it."""
    body = read_body(job_properties.CREATE, _body(constraints={"maxWallClockTime": given}))
    assert body["properties"]["constraints"] == {"maxWallClockTime": normal}


def test_the_tool_type_follows_from_the_settings() -> None:
    """A GET names the toolkit."""
    body = read_body(
        job_properties.CREATE,
        _body(customToolkitSettings=None, pyTorchSettings={"pythonScriptFilePath": "a.py"}),
    )
    assert job_properties.shown(body["properties"], "e", "s")["toolType"] == "pytorch"


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["properties", "cluster", "id", "nodeCount", "secrets", "name", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@given(_JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    """Whatever is sent, reading it raises nothing but a refusal."""
    with suppress(ManagementError):
        read_body(job_properties.CREATE, document)
