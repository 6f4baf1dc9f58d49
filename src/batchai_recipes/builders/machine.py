"""What nodes and file servers share: the virtual machine that each is."""

from attrs import evolve, field, frozen
from typing_extensions import Self

from batchai_recipes.builders.admin_user import AdminUser
from batchai_recipes.builders.subnet import checked_subnet_id
from batchai_recipes.builders.vm_size import checked_vm_size
from batchai_recipes.notebook import described


# A class with slots of its own can have but one base with others, and a cluster has two bases.
@frozen(slots=False)
class MachineBuilder:
    """The base of builders of virtual machines."""

    size: str | None = field(default=None, kw_only=True)
    admin: AdminUser | None = field(default=None, kw_only=True)
    subnet_id: str | None = field(default=None, kw_only=True)

    def _repr_html_(self) -> str:
        """Return what it was given as a table, for notebooks."""
        return described(self)

    def vm_size(self, size: str) -> Self:
        """Set the size of the virtual machines.

        Args:
            size: A size by its Azure name, such as ``STANDARD_NC6``. One that is not known here
                is passed on as it is, with an :class:`UnknownVmSizeWarning`.

        Raises:
            ConfigurationError: The size is empty.
        """
        return evolve(self, size=checked_vm_size(size))

    def admin_user(
        self, name: str, *, ssh_public_key: str | None = None, password: str | None = None
    ) -> Self:
        """Set the administrator account of each virtual machine.

        Args:
            name: The account's name.
            ssh_public_key: A public key in OpenSSH's format (``ssh-rsa ...``).
            password: A password.

        Raises:
            ConfigurationError: The name is empty, neither key nor password is given, the key is no
                public one, or the password is no text.
        """
        admin = AdminUser.checked(name, ssh_public_key=ssh_public_key, password=password)
        return evolve(self, admin=admin)

    def subnet(self, subnet_id: str) -> Self:
        """Put the virtual machines into a virtual network.

        Args:
            subnet_id: The resource id of the subnet.

        Raises:
            ConfigurationError: It is none.
        """
        return evolve(self, subnet_id=checked_subnet_id(subnet_id))
