"""Opens logs for reading: plain, gzip, Zstandard, xz; a path, standard input or a URL."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

CHUNK = 1024 * 1024
"""Bytes per read."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_XZ = b"\xfd7zXZ\x00"


def compression(head: bytes) -> str:
    """``gz``, ``zst``, ``xz`` or ``""`` by the first bytes; names are not trusted."""
    for magic, name in ((_GZIP, "gz"), (_ZSTD, "zst"), (_XZ, "xz")):
        if head.startswith(magic):
            return name
    return ""


@contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """The bytes as stored, buffered by us alone."""
    if path == "-":
        yield sys.stdin.buffer
        return
    with Path(path).open("rb", buffering=0) as file:
        yield cast("IO[bytes]", file)


def decompressed(raw: IO[bytes], kind: str) -> IO[bytes]:
    if kind == "gz":
        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if kind == "xz":
        return cast("IO[bytes]", lzma.LZMAFile(raw))
    if kind == "zst":
        import zstandard

        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return cast("IO[bytes]", io.BufferedReader(cast("io.RawIOBase", reader), CHUNK))
    return raw


def chunks(stream: IO[bytes], size: int | None = None) -> Iterator[bytes]:
    """At most ``size`` bytes of ``stream`` (None: all), in pieces of at most ``CHUNK``."""
    left = size
    while left is None or left > 0:
        data = stream.read(CHUNK if left is None else min(CHUNK, left))
        if not data:
            return
        if left is not None:
            left -= len(data)
        yield data
