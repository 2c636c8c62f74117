"""Opens logs for reading: plain, gzip, Zstandard, xz; a path, standard input or a URL."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias, cast

from mars.errors import StateError

if sys.version_info >= (3, 14):
    from compression.zstd import ZstdError, ZstdFile
else:
    from backports.zstd import ZstdError, ZstdFile

Buffered: TypeAlias = "io.BufferedReader[io.RawIOBase]"
CHUNK = 128 * 1024
"""Bytes per read."""
STDIN = "-"

_MAGICS = ((b"\x1f\x8b", "gz"), (b"\x28\xb5\x2f\xfd", "zst"), (b"\xfd7zXZ\x00", "xz"))


def compression(head: bytes) -> str:
    """``gz``, ``zst``, ``xz`` or ``""`` by the first bytes; names are not trusted."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), "")


def is_url(path: str) -> bool:
    return "://" in path


@contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """The bytes as stored. Raises ``StateError`` (``log-unreadable``) where they cannot be had."""
    if path == STDIN:
        yield sys.stdin.buffer
    elif is_url(path):
        from mars_server.counting.remote import open_url

        with open_url(path) as remote:
            yield remote
    else:
        try:
            local = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed below
        except OSError as error:
            raise unreadable(path, error.strerror or "cannot be opened") from error
        with local:
            yield cast("IO[bytes]", local)


def unreadable(path: str, why: str) -> StateError:
    return StateError("log-unreadable", f"{path} cannot be read ({why}); nothing of it was stored.")


class Stream:
    """A log's uncompressed bytes from its start. ``cut_short``: a compressed file ended early."""

    def __init__(self, raw: IO[bytes], path: str) -> None:
        self.cut_short = False
        self._path = path
        source = cast("Buffered", io.BufferedReader(cast("io.RawIOBase", raw), CHUNK))
        self._source = source
        self.kind = compression(source.peek(8)[:8])
        self._pipe = _decompressed(source, self.kind)
        self._peeked = b""

    def close(self) -> None:
        """Ends the decompressor; the file below belongs to the caller."""
        if self._pipe is not self._source:
            self._pipe.close()
        self._source.detach()

    def head(self) -> bytes:
        """The first bytes, as many as one read gives; ``chunks`` gives them once more."""
        self._peeked = self._peeked or next(self.chunks(), b"")
        return self._peeked

    def chunks(self) -> Iterator[bytes]:
        """Pieces of at most ``CHUNK`` bytes. Raises ``StateError`` on damaged archives."""
        if self._peeked:
            first, self._peeked = self._peeked, b""
            yield first
        while True:
            try:
                data = self._pipe.read(CHUNK)
            except EOFError:  # the end of the archive is missing
                self.cut_short = True
                return
            except (OSError, lzma.LZMAError, zlib.error, ZstdError) as error:
                raise unreadable(self._path, "damaged archive") from error
            if not data:
                return
            yield data


def _decompressed(source: Buffered, kind: str) -> IO[bytes]:
    match kind:
        case "gz":
            return cast("IO[bytes]", gzip.GzipFile(fileobj=source))
        case "xz":
            return cast("IO[bytes]", lzma.LZMAFile(source))
        case "zst":
            return cast("IO[bytes]", ZstdFile(source))
        case _:
            return source
