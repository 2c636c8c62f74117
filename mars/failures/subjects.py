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
"""Bytes of a subject: a longer one would keep its caller waiting."""

Subject = str | bytes | int
Counted = tuple[int, str]
"""Under which day (since 1970-01-01, UTC) and name a subject counts."""


def as_bytes(subject: object) -> bytes:
    """``subject`` with its type: ``1`` is not ``"1"``. What its class overrides is not called.

    Raises ``TypeError`` for no ``Subject``, ``ValueError`` for more than ``LONGEST`` bytes.
    """
    if type(subject) is str and len(subject) <= LONGEST // 4:
        return b"s" + subject.encode("utf-8", "surrogatepass")
    kind = type(subject)
    text = issubclass(kind, str)
    if text or issubclass(kind, bytes):
        size = str.__len__(subject) if text else bytes.__len__(subject)  # type: ignore[arg-type]
        if size > LONGEST:  # before any copy is made of it
            raise ValueError
    if text:
        data = b"s" + str.encode(subject, "utf-8", "surrogatepass")  # type: ignore[arg-type]
    elif issubclass(kind, bytes):
        data = b"".join((b"b", subject))  # type: ignore[arg-type]
    elif issubclass(kind, int) and kind is not bool:
        size = int.bit_length(subject) // 8 + 1  # type: ignore[arg-type]
        if size > LONGEST:
            raise ValueError
        data = b"i" + int.to_bytes(subject, size, "little", signed=True)  # type: ignore[arg-type]
    else:
        raise TypeError
    if len(data) > LONGEST:
        raise ValueError
    return data


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
