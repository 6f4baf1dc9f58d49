"""Subnets of virtual networks, by their resource ids."""

from batchai_recipes.errors import ConfigurationError
from batchai_recipes.text import checked_text


def checked_subnet_id(subnet_id: str) -> str:
    """Return a resource id if it is one of a subnet.

    Args:
        subnet_id: The resource id.

    Raises:
        ConfigurationError: It is none.

    Example:
        >>> checked_subnet_id("/subscriptions/s/virtualNetworks/n/subnets/default")
        '/subscriptions/s/virtualNetworks/n/subnets/default'
    """
    if not checked_text("The subnet's resource id", subnet_id).partition("/subnets/")[2]:
        raise ConfigurationError(
            f"{subnet_id!r} is no resource id of a subnet: it ends in "
            f"'/virtualNetworks/NETWORK/subnets/NAME'"
        )
    return subnet_id
