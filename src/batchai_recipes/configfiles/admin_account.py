"""``userAccountSettings`` of a configuration file."""

from pathlib import Path

from batchai_recipes.builders.admin_user import PUBLIC_KEY_TYPES, AdminUser
from batchai_recipes.configfiles.section import Section


def admin_account(user: Section | None) -> AdminUser | None:
    """Return the account of a file; None where it has neither key nor password.

    The service shows neither, so that a cluster that it shows reads, too.

    Args:
        user: The settings; None where there are none.

    Raises:
        ConfigFileError: The public key is neither one nor a file that has one, or nobody could log
            in with it.
    """
    if user is None:
        return None
    key, password = user.text("adminUserSshPublicKey"), user.text("adminUserPassword")
    if not key and not password:
        return None
    if key and not key.strip().startswith(PUBLIC_KEY_TYPES):
        key = _key_in(user, key)
    with user.at():
        return AdminUser.checked(
            user.required("adminUserName"), ssh_public_key=key, password=password
        )


def _key_in(user: Section, named: str) -> str:
    """Return the key in a file, by a path as Azure's command line took it in place of a key."""
    try:
        path = Path(named).expanduser()
        key = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        problem = (
            f"{named!r} is neither a public key, such as 'ssh-rsa ...', nor the path of one: "
            f"{error.strerror}"
        )
        raise user.error("adminUserSshPublicKey", problem) from error
    except (ValueError, RuntimeError) as error:  # no text, a NUL in the path, an unknown home
        problem = f"{named!r} is neither a public key, such as 'ssh-rsa ...', nor the path of one"
        raise user.error("adminUserSshPublicKey", problem) from error
    if not key.startswith(PUBLIC_KEY_TYPES) and "PRIVATE KEY" not in key:
        raise user.error(
            "adminUserSshPublicKey", f"{path} has no public key, such as 'ssh-rsa ...'"
        )
    return key
