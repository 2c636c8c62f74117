"""Where the server listens: a unix socket or a loopback address, never anything public."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from mars.errors import ConfigError, StateError
from mars_server.common.config import owner, stamp

_BACKLOG = 4096
"""Connections the kernel may queue for us; it cuts this down to net.core.somaxconn."""
SOCKET_MODE = 0o660
"""The owner and the group (that of tor or the front server) may connect."""
_UNIX = "unix:"
_LONGEST_UNIX_PATH = 107
"""Bytes; sockaddr_un.sun_path holds 108 with its NUL (unix(7))."""


@dataclass(frozen=True)
class Bind:
    """``path`` for a unix socket, else ``host`` (an IP literal) and ``port``."""

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def family(self) -> socket.AddressFamily:
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def address(self) -> str | tuple[str, int]:
        """As sockets of ``family`` take it."""
        return self.path or (self.host, self.port)

    @property
    def target(self) -> str:
        """The same for tor, which runs in another folder."""
        return f"{_UNIX}{Path(self.path).absolute()}" if self.path else str(self)

    def __str__(self) -> str:
        if self.path:
            return _UNIX + self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_bind(text: str, option: str = "--bind") -> Bind:
    """``unix:PATH``, ``127.0.0.1:PORT``, ``[::1]:PORT`` or ``localhost:PORT`` (port 0: any free).

    ``option`` is what the messages call it.

    Raises ``ConfigError``: ``bind-invalid`` for another form, ``bind-public`` for an address that
    is not loopback.
    """
    if text.startswith(_UNIX):
        return Bind(path=_unix_path(text[len(_UNIX) :], option))
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    host = "127.0.0.1" if host == "localhost" else host
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(
            "bind-invalid", f"Write {option} as unix:/run/mars/motd.sock or 127.0.0.1:8080."
        )
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(
            "bind-invalid", f"{option} takes a unix socket or a loopback IP address, not a name."
        ) from None
    if not address.is_loopback:
        raise ConfigError(
            "bind-public",
            f"{option} takes no public address: clients come through the onion service, and what "
            "they send crosses no other network. Give a unix socket or 127.0.0.1.",
        )
    return Bind(host=str(address), port=int(port))


def parse_metrics(text: str, option: str = "metrics") -> Bind:
    """Where metrics are told: the path of a unix socket, or a loopback address as for ``bind``.

    Raises ``ConfigError`` as ``parse_bind``.
    """
    path = text.removeprefix(_UNIX)
    if "/" in path:
        return Bind(path=_unix_path(path, option))
    try:
        return parse_bind(text, option)
    except ConfigError as error:
        if error.reason != "bind-public":
            error = ConfigError(
                "bind-invalid",
                f"Write {option} as 127.0.0.1:9464 or as the path of a socket that can be made, "
                f"with its folder: /run/mars/metrics.sock, or ./NAME; {text!r} is neither.",
            )
        else:
            error = ConfigError(
                "bind-public",
                f"{option} takes no public address: whoever can ask may keep what he gets. Give "
                "127.0.0.1:9464, and let Prometheus or a proxy of yours ask there.",
            )
        raise error from None


def _unix_path(path: str, option: str) -> str:
    if not path or "\0" in path or len(path.encode()) > _LONGEST_UNIX_PATH:
        raise ConfigError("bind-invalid", f"{option}: a unix socket's path takes 1 to 107 bytes.")
    return path


def listen(bind: Bind, mode: int = SOCKET_MODE) -> socket.socket:
    """A listening, non-blocking socket, a unix socket's file with ``mode``. A dead socket file at
    the path is replaced.

    Raises ``StateError``: ``bind-busy`` when somebody answers there already, ``bind-failed`` when
    the path can hold no socket, or has one of another user's.
    """
    if bind.path:
        _make_room(Path(bind.path))
    sock = socket.socket(bind.family, socket.SOCK_STREAM)
    try:
        if not bind.path:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(bind.address)
    except OSError as error:
        sock.close()
        raise _unbound(bind, error) from None
    if bind.path:
        Path(bind.path).chmod(mode)
    sock.listen(_BACKLOG)
    sock.setblocking(False)
    return sock


def _make_room(path: Path) -> None:
    if not path.is_socket():
        return
    try:
        if _answers(str(path)):
            raise StateError("bind-busy", "Another server answers at this socket; stop it first.")
        path.unlink(missing_ok=True)
    except PermissionError:
        raise StateError(
            "bind-failed",
            f"The socket {path} belongs to {owner(path)}, and this user may not take its place; "
            "stop its server if one runs, else remove the file.",
        ) from None


def _unbound(bind: Bind, error: OSError) -> Exception:
    if bind.path:
        return StateError(
            "bind-failed",
            f"No socket can be made at {bind.path} ({error.strerror}); look at what is there.",
        )
    if error.errno == errno.EADDRINUSE:
        return StateError("bind-busy", f"Another program listens on {bind}.")
    return error


@contextmanager
def listening(bind: Bind, mode: int = SOCKET_MODE) -> Iterator[socket.socket]:
    """``listen``, and at the end no socket's file, but for that of a server which has taken over
    meanwhile."""
    with listen(bind, mode) as sock:
        path = Path(bind.path)
        mine = stamp(path)
        try:
            yield sock
        finally:
            if bind.path and stamp(path) == mine:
                path.unlink(missing_ok=True)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except PermissionError:  # says nothing of whether it is alive
            raise
        except OSError:  # its queue is full: alive all the same
            return True
    return True


def bound(bind: Bind, sock: socket.socket) -> Bind:
    """``bind`` with the port that the kernel chose where it was 0."""
    if bind.path:
        return bind
    return Bind(host=bind.host, port=sock.getsockname()[1])


# --- Which Host values are answered. A wrong one gets 404: nobody can probe for the onion ---

_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})
_NAME = re.compile(r"[a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\]", re.ASCII)


@dataclass(frozen=True)
class Hosts:
    """``names`` without port, lower case; ``None`` where no onion or server is configured: any."""

    names: frozenset[str] | None = None

    def admits(self, host: str) -> bool:
        """``host`` is the Host field as it was sent, with or without a port (RFC 9110 7.2)."""
        if self.names is None:
            return True
        name, colon, port = host.lower().rpartition(":")
        if not colon or not port.isdigit():
            name = host.lower()
        return _NAME.fullmatch(name) is not None and name in self.names


def allowed_hosts(
    servers: Iterable[str], bind: Bind, onion: bool = False, name: str | None = None
) -> Hosts:
    """``servers`` are URLs of product.toml or bare names.

    ``onion``: there is a service of ours; until its ``name`` is known only local names are.
    """
    names = {_host(server) for server in servers} | ({name} if name else set())
    if not names and not onion:
        return Hosts()
    here = f"[{bind.host}]" if ":" in bind.host else bind.host
    return Hosts(frozenset(names | _LOCAL | ({here} if here else set())))


def _host(server: str) -> str:
    return (urlsplit(server).hostname or "") if "://" in server else server.lower()
