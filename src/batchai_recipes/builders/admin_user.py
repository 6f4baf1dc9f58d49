"""The administrator account of a cluster's nodes."""

import secrets
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import UserAccountSettings

_PASSWORD_BYTES: Final = 24


@frozen
class AdminUser:
    """The administrator account of each node.

    Args:
        name: The account's name.
        ssh_public_key: The public key that may log in.
        password: The password; never shown.
    """

    name: str
    ssh_public_key: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def checked(
        cls, name: str, *, ssh_public_key: str | None = None, password: str | None = None
    ) -> "AdminUser":
        """Return the account if somebody could log in with it.

        Args:
            name: The account's name.
            ssh_public_key: A public key in OpenSSH's format (``ssh-rsa ...``).
            password: A password.

        Raises:
            ConfigurationError: The name is empty, neither key nor password is given, or a private
                key is given in place of the public one.

        Example:
            >>> AdminUser.checked("demo", password="hidden")
            AdminUser(name='demo', ssh_public_key=None)
        """
        if not name.strip():
            raise ConfigurationError("The admin user's name is empty")
        if not ssh_public_key and not password:
            raise ConfigurationError(
                f"Admin user {name!r} could not log in: give an ssh public key or a password"
            )
        if ssh_public_key and "PRIVATE KEY" in ssh_public_key:
            raise ConfigurationError(
                f"The ssh public key of admin user {name!r} is a private key: give the .pub file's"
            )
        return cls(name, ssh_public_key, password)

    @classmethod
    def generated(cls) -> "AdminUser":
        """Return an account with a random password, for nodes that nobody logs in to."""
        return cls("batchai", password=secrets.token_urlsafe(_PASSWORD_BYTES))

    def model(self) -> "UserAccountSettings":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.UserAccountSettings(
            admin_user_name=self.name,
            admin_user_ssh_public_key=self.ssh_public_key,
            admin_user_password=self.password,
        )
