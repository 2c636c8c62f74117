"""Cuts a stream of bytes into blocks of whole lines, in bounded memory. Pure."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterable, Iterator, Sequence

from mars_server.counting.foreign.identity import HEAD, WINDOW
from mars_server.daylog.format import UNFINISHED, UNFINISHED_SPOOL

LF = b"\n"
LINE_BOUND = 256 * 1024
"""Bytes of an unfinished line that are kept; servers cap a request line at some 8 KiB."""
NUL = b"\0"
_SKIPPED = re.compile(rb"\n(?:[^\n]*\0)?\0")
_UNFINISHED = re.compile(
    rb"\n(?:%b)?(?:%b|%b)\r?\n"
    % (BOM_UTF8, re.escape(UNFINISHED.rstrip()), re.escape(UNFINISHED_SPOOL.rstrip()))
)


class Lines:
    """Takes pieces of a log, gives back *framed* blocks: an LF, then whole lines.

    Of a line only what follows its last run of NULs is kept (``without_nuls``).

    A line that grows beyond ``LINE_BOUND`` is replaced by ``shorten(line)``, which must be as
    much a hit as the line itself, whatever follows (see ``Format.shorten``).
    """

    def __init__(self, shorten: Callable[[bytes], bytes]) -> None:
        self._shorten = shorten
        self._rest = LF
        self.archive = False
        """Whether an archive began in the place of a line: what follows are no lines."""
        self.unfinished = False
        """Whether lines of our own server's open log are among them, which come again."""

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that ``chunk`` completes, framed; empty when it has no LF."""
        end = chunk.rfind(LF)
        if end >= 0:
            block = b"".join((self._rest, memoryview(chunk)[: end + 1]))
            self._rest = chunk[end:]  # that LF once more, as the next block's frame
            self.archive |= _begins_archive(block)
            self.unfinished |= b"#" in block and _UNFINISHED.search(block) is not None
            return without_nuls(block)
        self._rest += chunk
        if len(self._rest) > LINE_BOUND:
            self._rest = self._shortened(without_nuls(self._rest))
        return b""

    def _shortened(self, rest: bytes) -> bytes:
        if len(rest) <= LINE_BOUND:
            return rest
        line = rest[1:].removesuffix(NUL)  # which may be the first of a run
        return LF + self._shorten(line) + rest[1 + len(line) :]


def without_nuls(block: bytes) -> bytes:
    """A framed block without the NULs that a power cut leaves where lines were lost, and
    ``copytruncate`` before the next line of a server that does not append.

    What stands before two or more NULs is the rest of a lost line. A single one is an ordinary
    byte, unless it begins a line.
    """
    return _SKIPPED.sub(LF, block) if NUL in block else block


# Each holds one of the two bytes that ``_begins_archive`` looks for: bzip2 in what it packs.
_ARCHIVE = re.compile(rb"\n(?:\x1f\x8b\x08|\x28\xb5\x2f\xfd|\xfd7zXZ\0|BZh[1-9]1AY&SY)")


def _begins_archive(block: bytes) -> bool:
    """Whether in a framed block an archive begins in the place of a line."""
    return (b"\x8b" in block or b"\xfd" in block) and _ARCHIVE.search(block) is not None


def cut(chunks: Iterable[bytes], positions: Sequence[int]) -> Iterator[bytes]:
    """``chunks`` with a boundary at each of ``positions`` (sorted, in bytes from the start)."""
    marks = iter(positions)
    mark = next(marks, None)
    at = 0
    for chunk in chunks:
        rest = chunk
        while mark is not None and mark <= at + len(rest):
            if mark > at:
                yield rest[: mark - at]
                rest, at = rest[mark - at :], mark
            mark = next(marks, None)
        if rest:
            yield rest
            at += len(rest)


class Watch:
    """Keeps what identity needs of a log that passes by: head, position and tail."""

    def __init__(self, before: bytes = b"") -> None:
        """``before``: up to ``WINDOW`` bytes that stand before the first piece."""
        self.seen = 0
        """Bytes."""
        self.whole = 0
        """Bytes up to and with the last LF."""
        self._head = b""
        self._nuls = 0
        """Bytes before the first that is no NUL."""
        self._recent = before
        self._last = (b"", before, len(before))

    @property
    def tail(self) -> bytes:
        """The last ``WINDOW`` bytes up to ``whole``."""
        return _window(*self._last)

    @property
    def head(self) -> bytes:
        """The whole lines of the first ``HEAD`` bytes, or all these bytes; NULs before the first
        line have no part in it."""
        return self._head[: max(0, self.whole - self._nuls)]

    def see(self, chunk: bytes) -> None:
        if len(self._head) < HEAD:
            head = chunk if self._head else chunk.lstrip(NUL)
            self._nuls += 0 if self._head else len(chunk) - len(head)
            self._head += head[: HEAD - len(self._head)]
        end = chunk.rfind(LF) + 1
        if end:
            self._last = (self._recent, chunk, end)  # the window is cut when it is asked for
            self.whole = self.seen + end
        big = len(chunk) >= WINDOW
        self._recent = chunk if big else _window(self._recent, chunk, len(chunk))
        self.seen += len(chunk)


def _window(before: bytes, chunk: bytes, end: int) -> bytes:
    """The last ``WINDOW`` bytes of ``before + chunk[:end]``."""
    if end >= WINDOW:
        return chunk[end - WINDOW : end]
    return before[max(0, len(before) + end - WINDOW) :] + chunk[:end]
