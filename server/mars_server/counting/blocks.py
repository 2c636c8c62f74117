"""Cuts a stream of bytes into blocks of whole lines, in bounded memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from mars_server.counting.identity import HEAD, WINDOW

LINE_BOUND = 256 * 1024
"""Bytes of an unfinished line that are kept; servers cap a request line at some 8 KiB."""


class Lines:
    """Takes pieces of a log, gives back whole lines.

    A line that grows beyond ``LINE_BOUND`` is replaced by ``shorten(line)``, which must be as
    much a hit as the line itself, whatever follows (see ``Format.shorten``).
    """

    def __init__(self, shorten: Callable[[bytes], bytes]) -> None:
        self._shorten = shorten
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """The whole lines that ``chunk`` completes; empty when it has no LF."""
        end = chunk.rfind(b"\n") + 1
        block = self._rest + chunk[:end] if end else b""
        self._rest = chunk[end:] if end else self._rest + chunk
        if len(self._rest) > LINE_BOUND:
            self._rest = self._shorten(self._rest)
        return block


def blocks(chunks: Iterable[bytes], shorten: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """The whole lines of ``chunks`` in blocks; what follows the last LF is left out."""
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
        self.tail = before
        """The last ``WINDOW`` bytes up to ``whole``."""
        self.head = b""
        """The first ``HEAD`` bytes, of an unfinished line too."""
        self._recent = before

    def see(self, chunk: bytes) -> None:
        if len(self.head) < HEAD:
            self.head += chunk[: HEAD - len(self.head)]
        end = chunk.rfind(b"\n") + 1
        if end:
            self.tail = _last(self._recent, chunk, end)
            self.whole = self.seen + end
        self._recent = _last(self._recent, chunk, len(chunk))
        self.seen += len(chunk)


def _last(before: bytes, chunk: bytes, end: int) -> bytes:
    """The last ``WINDOW`` bytes of ``before + chunk[:end]``."""
    if end >= WINDOW:
        return chunk[end - WINDOW : end]
    return before[max(0, len(before) + end - WINDOW) :] + chunk[:end]
