"""A secret in Azure Key Vault, in the place of its value."""

from typing import TYPE_CHECKING

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import KeyVaultSecretReference


def _vault_id(text: str) -> str:
    if "/vaults/" not in text:
        raise ConfigurationError(
            f"{text!r} is no resource id of a Key Vault: it is "
            f"'/subscriptions/.../resourceGroups/.../providers/Microsoft.KeyVault/vaults/NAME'"
        )
    return text


def _secret_url(text: str) -> str:
    if not text.startswith("https://") or "/secrets/" not in text:
        raise ConfigurationError(
            f"{text!r} is no URL of a secret: it is 'https://VAULT.vault.azure.net/secrets/NAME'"
        )
    return text


@frozen
class KeyVaultSecret:
    """A secret that the service reads from Azure Key Vault by itself.

    It stands for the key of a storage account, a registry's password, the value of a secret and the
    instrumentation key of App Insights. The contract has no reference for an admin user's password.

    Args:
        vault_id: The resource id of the vault.
        secret_url: The secret's URL.

    Raises:
        ConfigurationError: One of them does not look like what it should be.

    Example:
        >>> vault = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/demo"
        >>> secret = KeyVaultSecret(vault, "https://demo.vault.azure.net/secrets/token")
        >>> secret.reference().secret_url
        'https://demo.vault.azure.net/secrets/token'
    """

    vault_id: str = field(converter=_vault_id)
    secret_url: str = field(converter=_secret_url)

    def reference(self) -> "KeyVaultSecretReference":
        """Return the official model of the reference."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.KeyVaultSecretReference(
            source_vault=models.ResourceId(id=self.vault_id), secret_url=self.secret_url
        )
