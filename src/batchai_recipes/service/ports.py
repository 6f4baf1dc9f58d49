"""The ports of a service: taken first, before anything else can go wrong, and kept from then on."""

import socket
from contextlib import ExitStack

from attrs import frozen

from batchai_recipes.service.listener import bind, reached_as


@frozen
class Ports:
    """The sockets that a service listens on.

    Args:
        management: For the management plane and tokens (https).
        files: For the file shares (http).
        secure_files: For the same file shares (https).
        host: The name or address by which clients reach them.
    """

    management: socket.socket
    files: socket.socket
    secure_files: socket.socket
    host: str

    @classmethod
    def bind(cls, host: str, *, management: int, files: int, secure_files: int) -> "Ports":
        """Take the ports.

        Args:
            host: The address to listen on.
            management: The port of the management plane and tokens; 0 for any.
            files: The port of the file shares by http; 0 for any.
            secure_files: The port of the file shares by https; 0 for any.

        Raises:
            PortInUseError: One is taken; then none is kept.
        """
        with ExitStack() as undo:
            sockets = []
            for port in (management, files, secure_files):
                sockets.append(bind(host, port))
                undo.callback(sockets[-1].close)
            undo.pop_all()
        return cls(sockets[0], sockets[1], sockets[2], reached_as(host))

    def close(self) -> None:
        """Give the ports back."""
        for each in (self.secure_files, self.files, self.management):
            each.close()

    @property
    def management_base(self) -> str:
        """The address of the management plane and of tokens."""
        return f"https://{self._authority(self.management)}"

    @property
    def files_base(self) -> str:
        """The address of the file shares by http."""
        return f"http://{self._authority(self.files)}"

    @property
    def secure_files_base(self) -> str:
        """The address of the file shares by https."""
        return f"https://{self._authority(self.secure_files)}"

    def _authority(self, taken: socket.socket) -> str:
        port = taken.getsockname()[1]
        return f"[{self.host}]:{port}" if ":" in self.host else f"{self.host}:{port}"
