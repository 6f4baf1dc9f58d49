"""What a signature permits, and what an operation needs."""

from collections.abc import Mapping
from typing import Literal, Protocol

from attrs import frozen

from batchai_recipes.service.files.errors import (
    EMPTY,
    ErrorCode,
    FileServiceError,
    invalid_header,
    missing_header,
)

ResourceType = Literal["s", "c", "o"]
Noun = Literal["service", "share", "directory", "file"]


@frozen
class Needs:
    """What an operation needs of a SAS.

    Args:
        noun: What the operation is about.
        resource_type: The resource type that an account SAS must include: service, container (a
            share) or object (a directory or file).
        letters: Permissions, any one of which is enough.
        token: Whether nothing but a bearer token will do.

    Source:
        https://learn.microsoft.com/rest/api/storageservices/create-account-sas
        https://learn.microsoft.com/rest/api/storageservices/create-service-sas
    """

    noun: Noun
    resource_type: ResourceType
    letters: str
    token: bool = False


class Grant(Protocol):
    """What a valid signature permits."""

    @property
    def overrides(self) -> Mapping[str, str]:
        """Headers that replace those of an answer with a file's content."""
        ...

    def allows(self, letter: str) -> bool:
        """Tell whether a permission is granted.

        Args:
            letter: The permission: r, c, w, d or l.
        """
        ...

    def check(self, needs: Needs) -> None:
        """Make sure that an operation is permitted.

        Args:
            needs: What the operation needs.

        Raises:
            FileServiceError: It is not.
        """
        ...


@frozen
class AccountKeyGrant:
    """Everything in the account: the request was signed with one of its keys."""

    overrides: Mapping[str, str] = EMPTY

    def allows(self, letter: str) -> bool:
        """Tell whether a permission is granted: each one is.

        Args:
            letter: The permission.
        """
        return bool(letter)

    def check(self, needs: Needs) -> None:
        """Permit everything but what takes a token.

        Args:
            needs: What the operation needs.

        Raises:
            FileServiceError: It takes a token.
        """
        _check_token(needs)


@frozen
class TokenGrant:
    """Everything in the account: the request bears a token of a principal of the service.

    Args:
        tenant_id: The principal's tenant.
        object_id: The principal's object in it.
        intent: What the request says in ``x-ms-file-request-intent``.
        overrides: None of them; a token has no such headers.
    """

    tenant_id: str
    object_id: str
    intent: str | None
    overrides: Mapping[str, str] = EMPTY

    def allows(self, letter: str) -> bool:
        """Tell whether a permission is granted: each one is.

        Args:
            letter: The permission.
        """
        return bool(letter)

    def check(self, needs: Needs) -> None:
        """Make sure that the request says what it means to do with all these rights, as in Azure.

        Args:
            needs: What the operation needs.

        Raises:
            FileServiceError: It does not.
        """
        if needs.token:
            return
        if self.intent is None:
            raise missing_header("x-ms-file-request-intent")
        if self.intent.lower() != "backup":
            raise invalid_header(
                "x-ms-file-request-intent", self.intent, "with a token, it must be 'backup'"
            )


@frozen
class ServiceSasGrant:
    """The files of one share, or one file.

    Args:
        resource: ``s`` for the share, ``f`` for the file.
        permissions: The letters granted.
        overrides: Headers that replace those of an answer with a file's content.
    """

    resource: Literal["s", "f"]
    permissions: str
    overrides: Mapping[str, str]

    def allows(self, letter: str) -> bool:
        """Tell whether a permission is granted.

        Args:
            letter: The permission.
        """
        return letter in self.permissions

    def check(self, needs: Needs) -> None:
        """Make sure that an operation is permitted.

        Args:
            needs: What the operation needs.

        Raises:
            FileServiceError: It is about something that the signature does not cover, or takes a
                permission that it does not grant.
        """
        _check_token(needs)
        covered = {"file"} if self.resource == "f" else {"directory", "file"}
        if needs.noun not in covered:
            raise FileServiceError(
                ErrorCode.AUTHORIZATION_RESOURCE_TYPE_MISMATCH,
                f"A service SAS with sr={self.resource} covers no operation on a {needs.noun}; use "
                "an account SAS or the account key.",
            )
        _check_letters(self, needs)


@frozen
class AccountSasGrant:
    """Operations on some types of resources in the whole account.

    Args:
        resource_types: The types: s, c, o.
        permissions: The letters granted.
        overrides: None of them; an account SAS has no such headers.
    """

    resource_types: str
    permissions: str
    overrides: Mapping[str, str] = EMPTY

    def allows(self, letter: str) -> bool:
        """Tell whether a permission is granted.

        Args:
            letter: The permission.
        """
        return letter in self.permissions

    def check(self, needs: Needs) -> None:
        """Make sure that an operation is permitted.

        Args:
            needs: What the operation needs.

        Raises:
            FileServiceError: The signature lacks its resource type or permission.
        """
        _check_token(needs)
        if needs.resource_type not in self.resource_types:
            raise FileServiceError(
                ErrorCode.AUTHORIZATION_RESOURCE_TYPE_MISMATCH,
                f"The operation needs the resource type {needs.resource_type} in srt; the "
                f"signature has {self.resource_types!r}.",
            )
        _check_letters(self, needs)


def _check_token(needs: Needs) -> None:
    if needs.token:
        raise FileServiceError(
            ErrorCode.AUTHENTICATION_FAILED,
            "The operation takes a bearer token, by https.",
            details={"AuthenticationErrorDetail": "Only authentication scheme Bearer is supported"},
        )


def _check_letters(grant: ServiceSasGrant | AccountSasGrant, needs: Needs) -> None:
    if not needs.letters:
        raise FileServiceError(
            ErrorCode.AUTHORIZATION_PERMISSION_MISMATCH,
            "No SAS permits this operation; sign it with an account key.",
        )
    if not any(grant.allows(letter) for letter in needs.letters):
        raise FileServiceError(
            ErrorCode.AUTHORIZATION_PERMISSION_MISMATCH,
            f"The operation needs the permission {' or '.join(needs.letters)} in sp; the signature "
            f"has {grant.permissions!r}.",
        )
