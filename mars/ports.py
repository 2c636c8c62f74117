"""What the pure parts need from the outside world. Implementations live in ``mars.adapters``.

Times are whole seconds since 1970-01-01T00:00:00Z unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from mars.wire.request import HTTPRequest

T = TypeVar("T")


class Clock(Protocol):
    """The wall clock and a clock that never steps back."""

    def now(self) -> int:
        """Wall clock: Unix time in whole seconds, UTC. May be wrong and may step."""
        ...

    def monotonic(self) -> float:
        """Seconds since an unspecified start; never steps back. Stands still or not in suspend."""
        ...


class Chance(Protocol):
    """A source of randomness, cryptographically strong in the shipped adapter."""

    def uniform(self, low: float, high: float) -> float:
        """A number drawn uniformly from [low, high]."""
        ...

    def choice(self, items: Sequence[T]) -> T:
        """One of ``items`` (not empty), each with the same probability."""
        ...

    def token(self, size: int) -> bytes:
        """``size`` random bytes."""
        ...


@dataclass(frozen=True)
class Request:
    """One request to be sent exactly as it is, and what is expected of its answer."""

    message: HTTPRequest
    deadline: float = 180.0
    """Total seconds from the first connect to the last byte."""
    limit: int = 64 * 1024
    """Bytes of body after which the answer is refused."""
    expect: frozenset[int] | None = frozenset({200})
    """The statuses that count as an answer, None for any; others raise ``http-status``."""
    leaving: Callable[[HTTPRequest, str], None] | None = field(default=None, compare=False)
    """Called with the very request that goes and the route when all is connected, just before its
    first byte. Where it raises (``MarsError``), nothing is sent: consent may have fallen while the
    circuit was built. Once it has returned, the request counts as gone, whatever comes of it."""


@dataclass(frozen=True)
class Response:
    """A complete answer."""

    status: int
    body: bytes
    route: str
    """How it went, for the journal: ``tor 127.0.0.1:9050`` or ``direct``."""


class Fetcher(Protocol):
    """Sends one request over one fresh circuit and connection; no retries, no redirects.

    Calls ``request.leaving`` last before the first byte, after TCP, SOCKS and TLS: what fails until
    then was not sent and is tried again within hours. Raises ``TransportError`` with a reason code;
    never falls back to another route.
    """

    def fetch(self, request: Request) -> Response: ...


@dataclass(frozen=True)
class TorSettings:
    """What the user or the application says about Tor; the defaults look for one that runs."""

    socks: str | None = None
    """``HOST:PORT`` of a SocksPort. Where it is given, no other tor is looked for."""
    control: str | None = None
    """Its control port, ``HOST:PORT`` or ``unix:PATH``. The cookie's place is asked from it."""
    password: str | None = None
    """For the control port; without one the cookie is used."""
    launch: bool = True
    """Whether a tor of its own may be started when none runs; needs ``folder``."""
    binary: str | None = None
    """The tor to start; without it, the one on the PATH."""
    folder: str | None = None
    """Of the tor of its own. Kept, because it remembers the entry guards."""
    bridges: tuple[str, ...] = ()
    """Bridge lines, as Tor's bridge page gives them."""
    transports: tuple[str, ...] = ()
    """ClientTransportPlugin lines, such as ``obfs4 exec /usr/bin/obfs4proxy``."""
    extra: tuple[str, ...] = ()
    """Further torrc lines for the tor of its own; tests name their private network here."""
    patience: float = 120.0
    """Seconds that the tor of its own has until it is connected."""


@dataclass(frozen=True)
class TorStatus:
    """What a control port says."""

    version: str
    progress: int
    """Percent of the bootstrap; 100 is connected."""
    summary: str
    """Tor's own words for the step it is at."""
    circuits: int
    """Circuits that are built at this moment."""
    clock_skew: int | None = None
    """Seconds by which this machine's clock is ahead, where Tor complained of it."""


class Tor(Protocol):
    """A SocksPort that has answered. Close it after use."""

    socks: str
    """``HOST:PORT``."""
    how: str
    """``given``, ``system``, ``browser`` or ``own``."""

    def status(self) -> TorStatus:
        """Raises ``TransportError`` (``control-…``) where no control port answers us."""
        ...

    def close(self) -> None:
        """Ends the tor of our own; leaves any other as it is."""
        ...


class TorProcess(Protocol):
    """A tor of our own, connected or not. It ends with ``close`` or with our process."""

    def is_running(self) -> bool: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class OpenPGPVerdict:
    """What gpg or gpgv says of one detached signature over one message.

    ``reason`` is None when the signature is good, else a reason code:
    ``openpgp-bad``, ``openpgp-unavailable``, ``openpgp-absent`` (no executable), ``clock``.
    Whether the key had ended when it signed is not part of it: gpg judges that by today's clock,
    the trust rules by ``created``.
    """

    reason: str | None
    fingerprint: str = ""
    """Of the *primary* key, 40 upper-case hex digits (64 for later versions of OpenPGP)."""
    created: int = 0
    """When the signature says that it was made, in Unix seconds."""
    signer: str = ""
    """Fingerprint of the key that signed: a subkey's, or the primary's again."""


class OpenPGP(Protocol):
    """Verifies detached OpenPGP signatures in a home of its own; bounded in time."""

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        """``keys`` are armoured public key blocks; nothing else is trusted."""
        ...


class Store(Protocol):
    """One private folder of small files for one product and channel of one user."""

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None where there is none.

        Raises ``StateError`` (``state-unreadable``) where that cannot be told or read, and for a
        link, which is not followed.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replaces the file at once. Raises ``StateError`` (``state-unwritable``)."""
        ...

    def names(self, prefix: str) -> tuple[str, ...]:
        """The names of files that begin with ``prefix``, sorted; none where there is no folder.

        Raises ``StateError`` (``state-unreadable``).
        """
        ...

    def delete(self, name: str) -> None:
        """Removes the file if it is there. Raises ``StateError`` (``state-unwritable``)."""
        ...

    def lock(self, name: str, wait: float = 0.0) -> AbstractContextManager[None]:
        """Holds ``name`` against all other processes and threads of this user.

        Waits ``wait`` seconds. Raises ``StateError``: ``locked``, ``state-unwritable``.
        """
        ...


@dataclass(frozen=True)
class Platform:
    """What the machine says of itself. Replace it to see another one in a test."""

    system: str
    """``linux``, ``windows``, ``macos`` or what ``platform.system()`` says in lower case."""
    python: str
    """``3.11``."""
    environ: Mapping[str, str]
    locale: str
    """Such as ``is_IS.UTF-8``; empty where it is not set."""
    policy: Callable[[], bytes | None]
    """Reads the system policy file; None where there is none, ``OSError`` where unreadable."""
