"""A first look at a log: what it is and how long, before anything is counted."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import accumulate, pairwise
from typing import IO

from mars.errors import StateError
from mars_server.counting import formats
from mars_server.counting.blocks import NUL
from mars_server.counting.foreign.identity import (
    HEAD,
    WINDOW,
    Beginning,
    Face,
    beginning,
    sealed_tail,
    tail,
)
from mars_server.counting.foreign.same_file import Seen, inode, read, stamp
from mars_server.counting.streams import (
    KIND_BYTES,
    PACKED,
    STDIN,
    Stream,
    compression,
    open_raw,
    shown,
    unfinished,
)
from mars_server.counting.tasks import Span
from mars_server.daylog.format import is_unfinished


class LogMovedError(StateError):
    """The log has another name by now, or another place in its file, or is being packed."""

    def __init__(
        self,
        path: str,
        why: str = "was rotated while it was read; what is left of it counts next time.",
    ) -> None:
        super().__init__("log-moved", f"{shown(path)} {why}")


@dataclass(frozen=True, kw_only=True)
class Probe(Beginning):
    """What a first look shows."""

    path: str
    format: str
    size: int = 0
    """Bytes as stored; 0 where unknown."""
    length: int | None = None
    """Bytes up to the last LF of a plain file; None where only reading it all will tell."""
    seen: Seen | None = None
    """Of a plain file."""
    stamp: tuple[int, int] | None = None
    fingerprint: str | None = None
    """Of a compressed local file: by inode, size and time, since its bytes would tell of lines."""
    packed: bool = False
    """Whether an archive begins after a plain file's last LF."""

    @property
    def inode(self) -> str | None:
        """Of a plain local file."""
        return self.seen.inode if self.seen else None

    @property
    def family(self) -> str | None:
        """Logs of one family may be one source, so they are looked at one after another; a stream
        (None) may be any."""
        if self.path == STDIN:
            return None
        return self.own or (self.ladder[0] if self.ladder else self.path)

    def face(self) -> Face:
        """Of a plain file alone."""
        return Face(
            own=self.own,
            ladder=self.ladder,
            timeless=self.timeless,
            length=self.length or 0,
            tail_at=self._tail_at,
            inode=self.inode,
            start=self.seen.start if self.seen else 0,
        )

    def _tail_at(self, position: int) -> str:
        """Raises ``LogMovedError``."""
        with open_raw(self.path) as raw:
            if self.seen is None or not self.seen.is_still(raw):
                raise LogMovedError(self.path)
            start = max(0, position - WINDOW)
            raw.seek(start)
            data = read(raw, position - start)
            return sealed_tail(data) if self.day else tail(data)


def probe(path: str, format_name: str = formats.AUTO) -> Probe:
    """Raises ``StateError`` (``log-unreadable``), ``ConfigError`` (``log-unfinished``) and
    ``OSError``."""
    found = Probe(path=path, format=format_name)
    if path == STDIN:
        return found
    with open_raw(path) as raw:
        found = replace(found, size=raw.seek(0, os.SEEK_END))
        raw.seek(0)
        if compression(read(raw, KIND_BYTES)):
            raw.seek(0)
            head = _unpacked(raw, path)
            found = replace(found, stamp=stamp(raw), fingerprint=_fingerprint(raw))
        else:
            length = _end_of_lines(raw, found.size)
            raw.seek(length)
            packed = compression(raw.read(8)) in PACKED
            start = _first(raw, length)
            raw.seek(start)
            head = read(raw, min(HEAD, length - start))
            found = replace(found, length=length, packed=packed, seen=Seen.of(raw, head, start))
    if is_unfinished(head):
        raise unfinished(path)
    if format_name == formats.AUTO:
        found = replace(found, format=formats.detect(head))
    return replace(found, **vars(beginning(head)))


def _unpacked(raw: IO[bytes], path: str) -> bytes:
    """The whole lines of an archive's first ``HEAD`` bytes, or all these bytes."""
    head = b""
    with closing(Stream(raw, path)) as stream:
        for chunk in stream.chunks():
            head = (head + chunk).lstrip(NUL)
            if len(head) >= HEAD:
                return head[:HEAD]
    return head[: head.rfind(b"\n") + 1]


def is_longer(path: str, size: int) -> bool:
    """Whether an archive holds more than ``size`` bytes. Raises ``StateError``."""
    with open_raw(path) as raw, closing(Stream(raw, path)) as stream:
        return any(total > size for total in accumulate(map(len, stream.chunks())))


def _fingerprint(raw: IO[bytes]) -> str | None:
    """None where nothing tells a file from another that takes its place."""
    if (number := inode(raw)) is None:
        return None
    named = f"{number} {stamp(raw)}".encode()
    return blake2b(named, digest_size=16, person=b"mars-archive").hexdigest()


def _first(raw: IO[bytes], end: int) -> int:
    """The position of the first byte before ``end`` that is no NUL."""
    raw.seek(0)
    at = 0
    while at < end and (data := raw.read(min(WINDOW, end - at))):
        rest = data.lstrip(NUL)
        if rest:
            return at + len(data) - len(rest)
        at += len(data)
    return at


def _end_of_lines(raw: IO[bytes], size: int) -> int:
    """The position after the last LF before ``size``."""
    end = size
    while end > 0:
        start = max(0, end - WINDOW)
        raw.seek(start)
        found = read(raw, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def spans(
    found: Probe, start: int, size: int, end: int | None = None, *, empty: bool = False
) -> list[Span]:
    """``start`` to ``end`` (None: the last LF) of a plain log, in spans of about ``size`` bytes;
    with ``empty`` one span where there is nothing."""
    if found.seen is None:
        return []
    length = (found.length or 0) if end is None else end
    marks = [start]
    with open_raw(found.path) as raw:
        while length - marks[-1] > size + size // 2:
            marks.append(_after_lf(raw, marks[-1] + size, length))
    if marks[-1] < length or (empty and marks == [length]):
        marks.append(length)
    return [
        Span(found.path, found.format, a, b, found.seen, found.releases, found.day)
        for a, b in pairwise(marks)
    ]


def written_on(found: Probe, position: int) -> int:
    """Where whole lines begin that do not stand before ``position``: after an LF, or where NULs are
    in the place of what a power cut took. At most the log's length."""
    length = found.length or 0
    if position >= length:
        return length
    with open_raw(found.path) as raw:
        raw.seek(max(0, position - 2))
        return position if read(raw, 2) == NUL * 2 else _after_lf(raw, position, length)


def _after_lf(raw: IO[bytes], position: int, length: int) -> int:
    """The first position not before ``position`` that stands after an LF."""
    at = position - 1
    raw.seek(at)
    while at < length and (data := raw.read(WINDOW)):
        found = data.find(b"\n")
        if found >= 0:
            return min(length, at + found + 1)
        at += len(data)
    return length
