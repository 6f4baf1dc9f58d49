"""Environment variables of a configuration file."""

from batchai_recipes.builders.key_vault import KeyVaultSecret
from batchai_recipes.configfiles.section import Section


def named_variables(owner: Section, key: str) -> dict[str, str]:
    """Return environment variables of a file by name.

    Args:
        owner: What has them.
        key: The property that they are in.

    Raises:
        ConfigFileError: One stands twice.
    """
    found: dict[str, str] = {}
    for one in owner.sections(key):
        name = one.required("name")
        if name in found:
            raise one.error("name", f"{name!r} is set twice")
        found[name] = one.text("value") or ""
    return found


def named_secrets(owner: Section, key: str) -> dict[str, str | KeyVaultSecret]:
    """Return environment variables with secret values of a file by name.

    Args:
        owner: What has them.
        key: The property that they are in.

    Raises:
        ConfigFileError: One stands twice or has no value.
    """
    found: dict[str, str | KeyVaultSecret] = {}
    for one in owner.sections(key):
        name = one.required("name")
        value = one.secret("value", "valueSecretReference")
        if name in found:
            raise one.error("name", f"{name!r} is set twice")
        if value is None:
            raise one.error("value", "missing: give it, or 'valueSecretReference'")
        found[name] = value
    return found
