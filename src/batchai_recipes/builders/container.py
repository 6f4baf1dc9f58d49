"""The container image that a job asks for."""

from attrs import field, frozen


@frozen
class Container:
    """A container image and how to fetch it.

    Args:
        image: The image's name with its tag.
        server_url: The registry; None for the public one.
        username: The registry's user, for a private image.
        password: The user's password; never shown.
    """

    image: str
    server_url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
