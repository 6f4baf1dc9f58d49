"""The operating system of a cluster's nodes."""

from typing import TYPE_CHECKING

from attrs import frozen

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import filled_text

if TYPE_CHECKING:
    from azure.mgmt.batchai.models import VirtualMachineConfiguration


@frozen
class VmImage:
    """An image of Azure's marketplace, or one made from it.

    Args:
        publisher: The image's publisher.
        offer: The publisher's offer.
        sku: The offer's variant.
        version: Its version; None for the latest.
        custom_image_id: The resource id of an image of one's own that was made from it.
    """

    publisher: str
    offer: str
    sku: str
    version: str | None = None
    custom_image_id: str | None = None

    @classmethod
    def checked(
        cls,
        publisher: str,
        offer: str,
        sku: str,
        version: str | None,
        custom_image_id: str | None,
    ) -> "VmImage":
        """Return the image if it is named in full.

        Args:
            publisher: The image's publisher.
            offer: The publisher's offer.
            sku: The offer's variant.
            version: Its version; None for the latest.
            custom_image_id: The resource id of an image that was made from it.

        Raises:
            ConfigurationError: A name is empty, or the id is none of an image.

        Example:
            >>> VmImage.checked("Canonical", "UbuntuServer", "16.04-LTS", None, None).offer
            'UbuntuServer'
        """
        for noun, name in (("publisher", publisher), ("offer", offer), ("sku", sku)):
            filled_text(f"The {noun} of the virtual machine image", name)
        if custom_image_id is not None and "/images/" not in custom_image_id:
            raise ConfigurationError(
                f"{custom_image_id!r} is no resource id of an image: it ends in "
                f"'/providers/Microsoft.Compute/images/NAME'"
            )
        return cls(publisher, offer, sku, version, custom_image_id)

    def model(self) -> "VirtualMachineConfiguration":
        """Return the official model."""
        from azure.mgmt.batchai import models  # noqa: PLC0415 - loaded on first use

        return models.VirtualMachineConfiguration(
            image_reference=models.ImageReference(
                publisher=self.publisher,
                offer=self.offer,
                sku=self.sku,
                version=self.version,
                virtual_machine_image_id=self.custom_image_id,
            )
        )
