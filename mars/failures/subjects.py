"""Keyed hashes of subjects, by which a failure is known again without its subject. Pure.

The key is random and another one each week, so that hashes of two weeks have nothing in common. Who
has key and hashes, as whoever reads the client's folder does, can try guesses and no more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

KEY_BYTES, HASH_BYTES = 16, 8
MOST = 4_096
"""Hashes under one key."""
LONGEST = 64 * 1024
"""Characters or bytes of a subject: a longer one would keep its caller waiting."""

Subject = str | bytes | int
Counted = tuple[int, str]
"""Under which day (since 1970-01-01, UTC) and name a subject counts."""


def as_bytes(subject: object) -> bytes:
    """``subject`` with its type: ``1`` is not ``"1"``. What its class overrides is not called.

    Raises ``TypeError`` for no ``Subject``, ``ValueError`` for one that is longer than ``LONGEST``.
    """
    kind: Any = type(subject)
    given: Any = subject
    if issubclass(kind, str):
        _require(str.__len__(given))
        return b"s" + str.encode(given, "utf-8", "surrogatepass")
    if issubclass(kind, bytes):
        _require(bytes.__len__(given))
        return b"".join((b"b", given))
    if not issubclass(kind, int) or kind is bool:
        raise TypeError
    size = int.bit_length(given) // 8 + 1
    _require(size)
    return b"i" + int.to_bytes(given, size, "little", signed=True)


def _require(size: int) -> None:
    if size > LONGEST:
        raise ValueError


class Hashes:
    """Those under the key of one week that are known to count."""

    def __init__(self, week: int, key: bytes) -> None:
        from hashlib import blake2b  # late: it loads OpenSSL

        self.week = week
        """Its Monday, Unix time."""
        self.key = key
        self._keyed = blake2b(key=key, digest_size=HASH_BYTES)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self.gained: OrderedDict[bytes, Counted] = OrderedDict()
        """Those that nobody has written yet."""

    def of(self, data: bytes) -> bytes:
        """The hash of ``as_bytes``."""
        keyed = self._keyed.copy()
        keyed.update(data)
        return keyed.digest()

    def __contains__(self, one: bytes) -> bool:
        return one in self._known

    def add(self, one: bytes, counted: Counted) -> None:
        """Beyond ``MOST`` the oldest is forgotten."""
        self._put(self._known, one, None)
        self._put(self.gained, one, counted)

    def learn(self, hashes: Iterable[bytes]) -> None:
        """Such as others have counted."""
        for one in hashes:
            if one not in self._known:
                self._put(self._known, one, None)

    def regain(self, gained: Mapping[bytes, Counted | None]) -> None:
        """Those that were taken last and could not be written."""
        for one, counted in gained.items():
            if counted is not None:
                self._put(self.gained, one, counted)

    def taken(self) -> dict[bytes, Counted]:
        """What was gained since the last time."""
        gained, self.gained = self.gained, OrderedDict()
        return dict(gained)

    @staticmethod
    def _put(table: OrderedDict[bytes, Any], one: bytes, value: object) -> None:
        table[one] = value
        if len(table) > MOST:
            table.popitem(last=False)
