"""The administrator account of a cluster's nodes."""

import secrets
from typing import TYPE_CHECKING, Final

from attrs import field, frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import checked_text, filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import UserAccountSettings

_PASSWORD_BYTES: Final = 24
PUBLIC_KEY_TYPES: Final = ("ssh-", "ecdsa-", "sk-")
"""As lines of an authorized_keys file begin: ssh-rsa, ecdsa-sha2-nistp256, sk-ssh-ed25519@..."""


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
            ConfigurationError: The name is empty, neither key nor password is given, the key is no
                public one, or the password is no text.

        Example:
            >>> AdminUser.checked("demo", password="hidden")
            AdminUser(name='demo', ssh_public_key=None)
        """
        filled_text("The admin user's name", name)
        if not ssh_public_key and not password:
            raise ConfigurationError(
                f"Admin user {name!r} could not log in: give an ssh public key or a password"
            )
        if ssh_public_key is not None:
            checked_text(f"The ssh public key of admin user {name!r}", ssh_public_key)
        if ssh_public_key and "PRIVATE KEY" in ssh_public_key:
            raise ConfigurationError(
                f"The ssh public key of admin user {name!r} is a private key: give the .pub file's"
            )
        if ssh_public_key and not ssh_public_key.strip().startswith(PUBLIC_KEY_TYPES):
            raise ConfigurationError(
                f"The ssh public key of admin user {name!r} is none, such as 'ssh-rsa ...': give "
                f"what the .pub file holds, as Path('~/.ssh/id_rsa.pub').expanduser().read_text()"
            )
        if password is not None:  # the contract has no reference to a Key Vault in its place
            checked_text(f"The password of admin user {name!r}", password)
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
