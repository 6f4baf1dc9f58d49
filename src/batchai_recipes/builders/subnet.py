"""Subnets of virtual networks, by their resource ids."""

from batchai_recipes.errors import ConfigurationError


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
    if "/subnets/" not in subnet_id:
        raise ConfigurationError(
            f"{subnet_id!r} is no resource id of a subnet: it ends in "
            f"'/virtualNetworks/NETWORK/subnets/NAME'"
        )
    return subnet_id
