"""Cuts a stream of bytes into blocks of whole lines, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

LINE_BOUND = 256 * 1024
"""Bytes of an unfinished line that are kept; servers cap a request line at some 8 KiB."""


def blocks(chunks: Iterable[bytes], shorten: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """Blocks that end with LF, together the whole lines of ``chunks``; the rest is left out.

    A line that grows beyond ``LINE_BOUND`` is replaced by ``shorten(line)``, which must be as
    much a hit as the line itself, whatever follows (see ``Format.shorten``).
    """
    rest = b""
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest += chunk
        if len(rest) > LINE_BOUND:
            rest = shorten(rest)
