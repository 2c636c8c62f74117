"""What the pure parts need from the outside world. Implementations live in ``mars.adapters``.

Times are whole seconds since 1970-01-01T00:00:00Z unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

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
    """One GET. ``url`` is ``http(s)://host[:port]/path[?query]``, ASCII, without userinfo."""

    url: str
    deadline: float = 180.0
    """Total seconds from the first connect to the last byte."""
    limit: int = 64 * 1024
    """Bytes of body after which the answer is refused."""
    expect: frozenset[int] | None = frozenset({200})
    """The statuses that count as an answer, None for any; others raise ``http-status``."""


@dataclass(frozen=True)
class Response:
    """A complete answer."""

    status: int
    body: bytes
    route: str
    """How it went, for the journal: ``tor 127.0.0.1:9050`` or ``direct``."""


class Fetcher(Protocol):
    """Sends one request over one fresh circuit and connection; no retries, no redirects.

    Raises ``TransportError`` with a reason code; never falls back to another route.
    """

    def fetch(self, request: Request) -> Response: ...


@dataclass(frozen=True)
class OpenPGPVerdict:
    """What gpg or gpgv says of one detached signature over one message.

    ``reason`` is None when the signature is good, else a reason code:
    ``openpgp-bad``, ``openpgp-unavailable``, ``openpgp-absent`` (no executable), ``clock``.
    ``fingerprint`` is the *primary* key's, 40 upper-case hex digits; ``created`` is Unix time.
    """

    reason: str | None
    fingerprint: str = ""
    created: int = 0


class OpenPGP(Protocol):
    """Verifies detached OpenPGP signatures in a home of its own; bounded in time."""

    def verify(self, signature: bytes, message: bytes, keys: Sequence[str]) -> OpenPGPVerdict:
        """``keys`` are armoured public key blocks; nothing else is trusted."""
        ...


class Store(Protocol):
    """One private folder of small files for one product and channel of one user."""

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None where it is missing, a link, another user's or unreadable."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Replaces the file at once. Raises ``StateError`` (``state-unwritable``)."""
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
