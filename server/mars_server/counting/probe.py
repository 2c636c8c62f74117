"""A first look at a log: what it is and how long, before anything is counted."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from typing import IO

from mars_server.counting import formats
from mars_server.counting.identity import (
    HEAD,
    WINDOW,
    Face,
    digest,
    is_timeless,
    ladder,
    own_id,
)
from mars_server.counting.streams import STDIN, Stream, compression, open_raw
from mars_server.counting.work import Span

_EDGE = 4096
"""Bytes at both ends of a compressed file that, with its size, tell it from others: the end holds
a checksum of the whole content (RFC 1952 2.3.1; xz and zstd likewise)."""


@dataclass(frozen=True)
class Probe:
    """What a first look shows. No byte of the log is kept."""

    path: str
    format: str
    own: str | None = None
    ladder: tuple[str, ...] = ()
    timeless: bool = False
    size: int = 0
    """Bytes as stored; 0 where unknown."""
    length: int | None = None
    """Bytes up to the last LF of a plain file; None where only reading it all will tell."""
    inode: str | None = None
    fingerprint: str | None = None
    """Of a compressed file, as it is stored."""

    @property
    def family(self) -> str:
        """Logs of one family may be one source, so they are looked at one after another."""
        return self.own or (self.ladder[0] if self.ladder else self.path)

    def face(self) -> Face:
        """Of a plain file alone."""
        return Face(
            own=self.own,
            ladder=self.ladder,
            timeless=self.timeless,
            length=self.length or 0,
            tail_at=lambda position: tail_at(self.path, position),
            inode=self.inode,
        )


def probe(path: str, format_name: str = formats.AUTO) -> Probe:
    """Raises ``StateError`` (``log-unreadable``) and ``OSError``."""
    if path == STDIN:
        return Probe(path, format_name)
    with open_raw(path) as raw:
        size = raw.seek(0, os.SEEK_END)
        raw.seek(0)
        kind = compression(raw.read(8))
        raw.seek(0)
        if kind:
            return _compressed(path, format_name, raw, size)
        return _plain(path, format_name, raw, size)


def _plain(path: str, format_name: str, raw: IO[bytes], size: int) -> Probe:
    length = _end_of_lines(raw, size)
    raw.seek(0)
    head = _read(raw, min(HEAD, length))
    return Probe(
        path,
        _format(format_name, head),
        own_id(head),
        ladder(head),
        is_timeless(head),
        size,
        length,
        _inode(raw),
    )


def _compressed(path: str, format_name: str, raw: IO[bytes], size: int) -> Probe:
    first = _read(raw, _EDGE)
    raw.seek(max(0, size - _EDGE))
    fingerprint = digest(b"%d\n" % size + first + _read(raw, _EDGE))
    raw.seek(0)
    head = b""
    with closing(Stream(raw, path)) as stream:
        for chunk in stream.chunks():
            head += chunk
            if len(head) >= HEAD:
                break
    head = head[:HEAD] if len(head) >= HEAD else head[: head.rfind(b"\n") + 1]
    return Probe(
        path,
        _format(format_name, head),
        own_id(head),
        ladder(head),
        is_timeless(head),
        size,
        fingerprint=fingerprint,
    )


def _format(name: str, head: bytes) -> str:
    return formats.detect(head) if name == formats.AUTO else name


def _inode(raw: IO[bytes]) -> str | None:
    """None for remote files, and for those that are removed while we look."""
    try:
        status = os.fstat(raw.fileno())
    except (OSError, AttributeError):
        return None
    return f"{status.st_dev}:{status.st_ino}" if stat.S_ISREG(status.st_mode) else None


def _end_of_lines(raw: IO[bytes], size: int) -> int:
    """The position after the last LF before ``size``."""
    end = size
    while end > 0:
        start = max(0, end - WINDOW)
        raw.seek(start)
        found = _read(raw, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _read(raw: IO[bytes], size: int) -> bytes:
    data = b""
    while len(data) < size and (more := raw.read(size - len(data))):
        data += more
    return data


def tail_at(path: str, position: int) -> str:
    """The hash of the ``WINDOW`` bytes of a plain log before ``position``."""
    with open_raw(path) as raw:
        start = max(0, position - WINDOW)
        raw.seek(start)
        return digest(_read(raw, position - start))


def spans(found: Probe, start: int, size: int, end: int | None = None) -> list[Span]:
    """``start`` to ``end`` (None: the last LF) of a plain log, in spans of about ``size`` bytes."""
    length = (found.length or 0) if end is None else end
    marks = [start]
    with open_raw(found.path) as raw:
        while length - marks[-1] > size + size // 2:
            marks.append(_after_lf(raw, marks[-1] + size, length))
    if marks[-1] < length:
        marks.append(length)
    return [Span(found.path, found.format, a, b) for a, b in pairwise(marks)]


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
