"""Operations on the security descriptors of a share."""

import json
from typing import Final

from batchai_recipes.service.files.addressing import share_name
from batchai_recipes.service.files.answer import Answer
from batchai_recipes.service.files.call import AdmittedCall
from batchai_recipes.service.files.errors import ErrorCode, FileServiceError
from batchai_recipes.service.files.nouns import Nouns

_KEY: Final = "x-ms-file-permission-key"


def create_permission(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Keep a security descriptor and tell its key.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    address = admitted.address
    key = nouns.permissions.create(
        address.account, share_name(address.share), _permission(bytes(admitted.body))
    )
    return Answer(201, ((_KEY, key),))


def get_permission(nouns: Nouns, admitted: AdmittedCall) -> Answer:
    """Return the security descriptor of a key.

    Args:
        nouns: The nouns of the service.
        admitted: The request.
    """
    address = admitted.address
    permission = nouns.permissions.get(
        address.account, share_name(address.share), admitted.call.header(_KEY)
    )
    document = json.dumps({"permission": permission}).encode()
    return Answer(200, (("Content-Type", "application/json"),), document)


def _permission(body: bytes) -> str:
    # The newer clients send JSON, the old one the bare text.
    try:
        text = body.decode()
        document = json.loads(text) if text.startswith("{") else {"permission": text}
        permission = document.get("permission")
        if isinstance(permission, str) and permission.encode():
            return permission
    except (ValueError, RecursionError) as error:
        raise _invalid() from error
    raise _invalid()


def _invalid() -> FileServiceError:
    return FileServiceError(
        ErrorCode.FILE_INVALID_PERMISSION,
        'The body must be {"permission": "SDDL"} in JSON, or the SDDL itself.',
    )
