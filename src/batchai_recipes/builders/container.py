"""The container image that a job asks for."""

from typing import TYPE_CHECKING

from attrs import field, frozen

from batchai_recipes.builders.key_vault import KeyVaultSecret

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import ContainerSettings, PrivateRegistryCredentials


@frozen
class Container:
    """A container image and how to fetch it.

    Args:
        image: The image's name with its tag.
        server_url: The registry; None for the public one.
        username: The registry's user, for a private image.
        password: The user's password, or where to read it; a password is never shown.
        shm_size: The size of ``/dev/shm``, as Docker takes it.
    """

    image: str
    server_url: str | None = None
    username: str | None = None
    password: str | KeyVaultSecret | None = field(default=None, repr=False)
    shm_size: str | None = None

    def model(self) -> "ContainerSettings":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.ContainerSettings(
            image_source_registry=models.ImageSourceRegistry(
                image=self.image, server_url=self.server_url, credentials=self._credentials()
            ),
            shm_size=self.shm_size,
        )

    def _credentials(self) -> "PrivateRegistryCredentials | None":
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        if not self.username:
            return None
        if isinstance(self.password, KeyVaultSecret):
            return models.PrivateRegistryCredentials(
                username=self.username, password_secret_reference=self.password.reference()
            )
        return models.PrivateRegistryCredentials(username=self.username, password=self.password)
