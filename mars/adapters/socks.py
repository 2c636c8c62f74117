"""Dials through a SOCKS5 proxy, Tor's SocksPort. Asks no resolver: only IP literals are dialled."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mars.adapters.deadline import Deadline, late
from mars.adapters.owners import require_trusted
from mars.errors import ConfigError, TransportError
from mars.ports import Chance, Clock
from mars.wire import socks5

GREETING_SECONDS = 10.0
"""A tor on this machine answers the greeting in milliseconds."""
CREDENTIAL_BYTES = 16
"""Of randomness, for user name and password each; sent as hex digits."""


@dataclass(frozen=True)
class Proxy:
    """The address of a SocksPort: an IP literal and a port."""

    host: str
    port: int
    given: bool = True
    """Whether somebody named it. Where it was merely found, whoever listens there must be Tor's
    user, root or ours (``tor-foreign``)."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_proxy(text: str, *, given: bool = True) -> Proxy:
    """Reads ``HOST:PORT``, ``[IPv6]:PORT``, ``localhost:PORT``, each also after ``socks5h://``.

    Raises ``ConfigError``: ``socks-scheme`` for any other scheme (``socks5://`` would resolve
    names on this machine), ``socks-address`` where HOST is a name, since asking a resolver for it
    would already be a packet outside Tor.
    """
    scheme, separator, rest = text.rpartition("://")
    if separator and scheme != "socks5h":
        raise ConfigError(
            "socks-scheme",
            "Write the proxy as socks5h:// (names are resolved by Tor) or HOST:PORT.",
        )
    host, colon, port = rest.rpartition(":")
    if host == "localhost":
        host = "127.0.0.1"
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
        fits = bracketed == (address.version == 6) and "%" not in host
    except ValueError:
        fits = False
    if not (fits and colon and port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ConfigError(
            "socks-address", "Give Tor's SOCKS port as IP-ADDRESS:PORT, for example 127.0.0.1:9050."
        )
    return Proxy(str(address), int(port), given)


def dial(proxy: Proxy, host: str, port: int, chance: Chance, deadline: Deadline) -> socket.socket:
    """A connection to ``host:port`` through ``proxy`` on a circuit of its own.

    Raises ``TransportError``: ``tor-unavailable`` where nothing listens, ``tor-silent``,
    ``tor-foreign``, ``not-socks``, ``socks-auth``, ``timeout`` and the reasons of
    ``mars.wire.socks5.failure``.
    """
    sock = log_in(proxy, chance, deadline)
    with closed_on_error(sock):
        sock.settimeout(deadline.remaining())
        _ask_for(sock, host, port)
    return sock


def log_in(
    proxy: Proxy, chance: Chance, deadline: Deadline, seconds: float = GREETING_SECONDS
) -> socket.socket:
    """The exchange up to the login, which shows that a SocksPort with authentication is there."""
    sock = socket.socket(socket.AF_INET6 if ":" in proxy.host else socket.AF_INET)
    with closed_on_error(sock):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(min(seconds, deadline.remaining()))
        try:
            sock.connect((proxy.host, proxy.port))
            deadline.watch(sock)
            _authenticate(sock, chance)
        except ConnectionRefusedError:
            raise TransportError(
                "tor-unavailable",
                f"No Tor answers at {proxy}; start Tor or Tor Browser, or give its SOCKS port.",
            ) from None
        except OSError:  # one that hangs, or one on another machine that cannot be reached
            raise TransportError(
                "tor-silent",
                f"Tor does not answer at {proxy}, though it should be there; restart it, or give "
                "the address of another.",
            ) from None
        if not proxy.given:
            require_trusted(sock, str(proxy))
    return sock


def _authenticate(sock: socket.socket, chance: Chance) -> None:
    """Logs in as nobody in particular: fresh credentials are a fresh circuit."""
    try:
        sock.sendall(socks5.GREETING)
        answer = _exactly(sock, len(socks5.ACCEPTED))
        if answer == socks5.ACCEPTED:
            user, password = (
                chance.token(CREDENTIAL_BYTES).hex().encode("ascii") for _ in range(2)
            )
            sock.sendall(socks5.login(user, password))
            answer = _exactly(sock, len(socks5.LOGGED_IN))
            if answer == socks5.LOGGED_IN:
                return
        elif answer[:1] != b"\x05":
            raise _not_socks()
    except ConnectionError:
        raise _not_socks() from None
    raise TransportError(
        "socks-auth",
        "The proxy refuses the SOCKS login that gives each fetch a circuit of its own; "
        "use Tor's own SocksPort.",
    )


def _not_socks() -> TransportError:
    return TransportError(
        "not-socks", "What answers there is not a SOCKS5 proxy; check that the port is Tor's."
    )


def _ask_for(sock: socket.socket, host: str, port: int) -> None:
    """Reads the whole reply: tor's later bytes belong to the server's answer."""
    sock.sendall(socks5.connect(host, port))
    version, code, _, kind = _exactly(sock, 4)
    if version != 5:
        raise _not_socks()
    if code:
        raise socks5.failure(code, host)
    size = socks5.ADDRESS_SIZE.get(kind)
    if kind == socks5.NAME_TYPE:
        size = _exactly(sock, 1)[0]
    if size is None:
        raise _not_socks()
    _exactly(sock, size + 2)


def _exactly(sock: socket.socket, size: int) -> bytes:
    """``size`` bytes, and not one more. Raises ``ConnectionError`` where they end early."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data


@contextmanager
def closed_on_error(sock: socket.socket) -> Iterator[None]:
    """Closes ``sock`` when the block fails, and names the fault."""
    try:
        yield
    except BaseException as error:
        sock.close()
        if isinstance(error, TimeoutError):
            raise late() from None
        if not isinstance(error, OSError):
            raise
        raise TransportError(
            "tor-closed", "Tor closed the connection; is it still running? Try again."
        ) from None


def probe(proxy: Proxy, chance: Chance, clock: Clock, seconds: float) -> None:
    """Raises ``TransportError`` unless a SocksPort with authentication answers in time."""
    with Deadline(2 * seconds, clock) as deadline:
        log_in(proxy, chance, deadline, seconds).close()
