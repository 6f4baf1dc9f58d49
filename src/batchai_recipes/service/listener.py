"""A web server on one socket, in a thread of its own."""

import ipaddress
import logging
import socket
import threading
from typing import Final

import uvicorn
from attrs import frozen
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from batchai_recipes.service.whole_answers import WholeAnswersProtocol

START_TIMEOUT_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 2

_logger = logging.getLogger(__name__)


class PortInUseError(Exception):
    """Another program listens on the port that was asked for."""


class ListenerError(Exception):
    """A web server did not start; the log says why."""


@frozen
class TlsFiles:
    """What an https listener needs.

    Args:
        certificate: The server's certificate (PEM).
        key: Its private key (PEM).
    """

    certificate: str
    key: str


def bind(host: str, port: int) -> socket.socket:
    """Take a port and keep it.

    Args:
        host: The address to listen on.
        port: The port; 0 for any free one.

    Returns:
        The socket, not yet listening.

    Raises:
        PortInUseError: The port is taken or may not be used.
    """
    # With the protocol named, asyncio sends small answers at once (TCP_NODELAY); without it, each
    # could wait 40 ms for the acknowledgement of the one before.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((host, port))
        taken.listen()
    except (OSError, OverflowError) as error:
        taken.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise PortInUseError(
            f"Cannot listen on {host}:{port}: {reason}; name another port, or 0 for any free one"
        ) from error
    return taken


def is_loopback(host: str) -> bool:
    """Tell whether only programs on this machine reach an address.

    Args:
        host: An address to listen on, or a name.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def reached_as(host: str) -> str:
    """Return the name or address by which clients reach who listens on an address.

    Args:
        host: An address to listen on, or a name; for one that means all addresses of this machine,
            it is the machine's own name.

    Example:
        >>> reached_as("127.0.0.1")
        '127.0.0.1'
    """
    try:
        everywhere = ipaddress.ip_address(host).is_unspecified
    except ValueError:
        everywhere = not host
    return socket.gethostname() if everywhere else host


class _Server(uvicorn.Server):
    """A uvicorn server that says when it accepts connections.

    It runs in a thread, where uvicorn leaves signals to the main one; see `process`.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A client that keeps an idle connection open would be waited for, since TLS wants both
        # sides to say goodbye. What is under way is still finished.
        for connection in tuple(self.server_state.connections):
            if isinstance(connection, HttpToolsProtocol) and _is_idle(connection):
                connection.transport.abort()
        await super().shutdown(sockets)


def _is_idle(connection: HttpToolsProtocol) -> bool:
    # uvicorn declares the attribute as always set; it is None before the first request.
    cycle: RequestResponseCycle | None = connection.cycle
    return cycle is None or cycle.response_complete


class Listener:
    """Serves an application on a socket until it is stopped.

    Args:
        application: The application.
        taken: A socket from :func:`bind`.
        tls: The certificate for https; None for http.
    """

    def __init__(
        self,
        application: ASGIApp,
        taken: socket.socket,
        *,
        tls: TlsFiles | None = None,
    ) -> None:
        self._socket = taken
        self._server = _Server(
            uvicorn.Config(
                application,
                http=WholeAnswersProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                # No proxy stands before it: whoever claims to be one may not name the client.
                proxy_headers=False,
                date_header=True,
                timeout_graceful_shutdown=_GRACE_SECONDS,
                ssl_certfile=tls.certificate if tls else None,
                ssl_keyfile=tls.key if tls else None,
            )
        )
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        """Serve; returns when connections are accepted.

        Raises:
            ListenerError: The server did not start; its log says why.
        """
        host, port = self._socket.getsockname()[:2]
        self._thread.start()
        if not self._server.settled.wait(START_TIMEOUT_SECONDS) or not self._server.started:
            self._server.should_exit = True
            raise ListenerError(
                f"The web server on {host}:{port} did not start within "
                f"{START_TIMEOUT_SECONDS:.0f} s: see what the log says before this, and try again"
            )

    def stop(self) -> None:
        """Finish the requests under way, within a short time, and stop."""
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            _logger.exception("The web server has ended")
        finally:
            self._server.settled.set()
