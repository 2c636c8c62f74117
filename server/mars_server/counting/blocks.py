"""Cuts a stream of bytes into blocks of whole lines, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from mars_server.counting.identity import HEAD, WINDOW

LF = b"\n"
LINE_BOUND = 256 * 1024
"""Bytes of an unfinished line that are kept; servers cap a request line at some 8 KiB."""


class Lines:
    """Takes pieces of a log, gives back *framed* blocks: an LF, then whole lines.

    A line that grows beyond ``LINE_BOUND`` is replaced by ``shorten(line)``, which must be as
    much a hit as the line itself, whatever follows (see ``Format.shorten``).
    """

    def __init__(self, shorten: Callable[[bytes], bytes]) -> None:
        self._shorten = shorten
        self._rest = LF

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that ``chunk`` completes, framed; empty when it has no LF."""
        end = chunk.rfind(LF)
        if end >= 0:
            block = b"".join((self._rest, memoryview(chunk)[: end + 1]))
            self._rest = chunk[end:]  # that LF once more, as the next block's frame
            return block
        self._rest += chunk
        if len(self._rest) > LINE_BOUND:
            self._rest = LF + self._shorten(self._rest[1:])
        return b""


def frame(block: bytes) -> bytes:
    """The whole lines of ``block``, framed; empty when it has no LF."""
    return Lines(bytes).feed(block)


def blocks(chunks: Iterable[bytes], shorten: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """The whole lines of ``chunks`` in framed blocks; what follows the last LF is left out."""
    lines = Lines(shorten)
    return (block for chunk in chunks if (block := lines.feed(chunk)))


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
        self.head = b""
        """The first ``HEAD`` bytes, of an unfinished line too."""
        self._recent = before
        self._last = (b"", before, len(before))

    @property
    def tail(self) -> bytes:
        """The last ``WINDOW`` bytes up to ``whole``."""
        return _window(*self._last)

    def see(self, chunk: bytes) -> None:
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]
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
