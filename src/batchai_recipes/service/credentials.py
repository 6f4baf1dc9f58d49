"""What a service calls itself: made once for a state directory, then kept."""

import json
import secrets
import uuid
from typing import Final

from attrs import asdict, field, frozen

from batchai_recipes.service.files.accounts import new_key
from batchai_recipes.service.state_directory import StateDirectory, write_private

ACCOUNT_NAME: Final = "batchairecipes"
_SECRET_BYTES: Final = 32


@frozen
class Credentials:
    """The service's own principal, subscription and storage account.

    Args:
        tenant_id: The only tenant.
        subscription_id: The only subscription.
        client_id: The service principal that the library uses.
        client_secret: Its secret; never shown.
        account_name: The storage account.
        account_key: Its first key, base64; never shown.
        second_account_key: Its second key, base64; never shown.
    """

    tenant_id: str
    subscription_id: str
    client_id: str
    client_secret: str = field(repr=False)
    account_name: str
    account_key: str = field(repr=False)
    second_account_key: str = field(repr=False)

    @classmethod
    def ensure(cls, state: StateDirectory) -> "Credentials":
        """Read the credentials of a state directory, making them on first use.

        Args:
            state: The state directory.

        Raises:
            ValueError: The file is damaged.
            OSError: The file cannot be read or written.
        """
        if state.credentials.exists():
            try:
                return cls(**json.loads(state.credentials.read_text(encoding="utf-8")))
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"{state.credentials} is damaged: restore it, or use another state directory"
                ) from error
        made = cls(
            tenant_id=str(uuid.uuid4()),
            subscription_id=str(uuid.uuid4()),
            client_id=str(uuid.uuid4()),
            client_secret=secrets.token_urlsafe(_SECRET_BYTES),
            account_name=ACCOUNT_NAME,
            account_key=new_key(),
            second_account_key=new_key(),
        )
        made.save(state)
        return made

    def save(self, state: StateDirectory) -> None:
        """Keep the credentials for the next service of a state directory.

        Args:
            state: The state directory.

        Raises:
            OSError: The file cannot be written.
        """
        write_private(state.credentials, json.dumps(asdict(self), indent=2))
