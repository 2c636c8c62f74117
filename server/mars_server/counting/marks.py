"""What the database keeps to know a log again: its hashes under a key that is not in there. Pure.

The times of a log of few lines are few enough to be guessed one after another, so a bare hash
would tell them. Under a key of 256 random bits it tells nothing to who has the database alone.
Of our own logs, which are known by the random id in their first line, no hash is kept at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cached_property
from hashlib import blake2b

from mars_server.counting.identity import BLANK, Face

OWN = "own"
"""In the place of an own log's tail: a line ends there, and no more."""


class Marks:
    """Turns what is seen of a log into what the database knows of it."""

    def __init__(self, key: Callable[[], bytes]) -> None:
        """``key`` is asked for at the first log that is not our own; what it raises is raised."""
        self._find_key = key

    @cached_property
    def _key(self) -> bytes:
        return self._find_key()

    def face(self, face: Face) -> Face:
        return replace(
            face,
            ladder=self.ladder(face.own, face.ladder),
            tail_at=lambda position: self.tail(face.own, face.tail_at(position)),
            inode=self.inode(face.own, face.inode),
            blank=self.blank(face.own),
        )

    def blank(self, own: str | None) -> str:
        """``BLANK`` as it stands in the ladders of logs that are not our own."""
        return BLANK if own else self.ladder(None, (BLANK,))[0]

    def ladder(self, own: str | None, rungs: Iterable[str]) -> tuple[str, ...]:
        return () if own else tuple(self._sealed(b"rung", rung)[:16] for rung in rungs)

    def tail(self, own: str | None, tail: str) -> str:
        """Empty where ``tail`` is: no line ends there."""
        if own or not tail:
            return tail and OWN
        return self._sealed(b"tail", tail)

    def inode(self, own: str | None, inode: str | None) -> str | None:
        """Its time of birth may be that of the first request."""
        return None if own or inode is None else self._sealed(b"inode", inode)

    def archive(self, own: str | None, fingerprint: str | None) -> str | None:
        """An archive bears the time of its log's last line; that of our own logs tells nothing."""
        return fingerprint if own or fingerprint is None else self._sealed(b"archive", fingerprint)

    def _sealed(self, kind: bytes, value: str) -> str:
        return blake2b(value.encode(), digest_size=16, key=self._key, person=kind).hexdigest()
