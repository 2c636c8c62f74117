"""Opens logs for reading: plain, gzip, Zstandard, xz, bzip2; a path, standard input or a URL."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import sys
import tarfile
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

from mars.errors import ConfigError, MarsError, StateError

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

_Buffered: TypeAlias = "io.BufferedReader[io.RawIOBase]"
_Pieces: TypeAlias = Generator[bytes, None, None]
_Decompressor: TypeAlias = bz2.BZ2Decompressor | lzma.LZMADecompressor | ZstdDecompressor
CHUNK = 128 * 1024
"""Bytes per read."""
STDIN = "-"

_WINDOW = DecompressionParameter.window_log_max
_XZ = b"\xfd7zXZ\x00"
_KIND = re.compile(
    rb"(?P<gz>\x1f\x8b)"
    rb"|(?P<zst>\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"  # a frame, or one to be skipped
    rb"|(?P<xz>" + re.escape(_XZ) + rb")"
    rb"|(?P<bz2>BZh[1-9](?:1AY&|\x17rE8))"
    # compress, lzma, lz4, 7z, zip: known only to be refused, since as text they hold no hit.
    rb"|(?P<unknown>\x1f[\x9d\xa0]|\x5d\x00\x00|\x04\x22\x4d\x18|7z\xbc\xaf|PK\x03\x04)"
)


PACKED = ("gz", "zst", "xz", "bz2")
"""The kinds that are read."""


_REFUSED = {
    "unknown": "packed in a way that is not known here; unpack it",
    "tar": "a tar archive; unpack it and count the logs that are in it",
}
KIND_BYTES = tarfile.BLOCKSIZE
"""As many of the first bytes tell what a file is."""


def compression(head: bytes) -> str:
    """``gz``, ``zst``, ``xz``, ``bz2``, ``tar``, ``unknown`` or ``""`` by the first ``KIND_BYTES``;
    names are not trusted."""
    match = _KIND.match(head)
    return (match and match.lastgroup) or ("tar" if _is_tar(head[:KIND_BYTES]) else "")


def _is_tar(head: bytes) -> bool:
    """By the checksum, and a NUL, which every header has and no line that a client can choose."""
    try:
        return b"\0" in head and bool(tarfile.TarInfo.frombuf(head, "utf-8", "replace"))
    except tarfile.HeaderError:
        return False


def is_url(path: str) -> bool:
    return "://" in path


_PLACE = re.compile(r"(?:[^/:]*|\[[0-9a-f:.]+\])(?::[0-9]+)?(?:/.*)?", re.DOTALL)
"""Host, port and path."""


def shown(path: str) -> str:
    """``path`` as a message may name it: a URL without user, password and query."""
    if not is_url(path):
        return path
    scheme, _, rest = path.partition("://")
    place = re.split("[?#]", rest)[0].rpartition("@")[2]
    # Where a password holds one of / ? # it is unclear where it ends: then nothing is shown.
    return f"{scheme}://{place if _PLACE.fullmatch(place) else '…'}"


@contextmanager
def open_raw(path: str) -> Iterator[IO[bytes]]:
    """The bytes as stored. Raises ``StateError`` (``log-unreadable``) where they cannot be had."""
    if path == STDIN:
        yield sys.stdin.buffer
    elif is_url(path):
        with _open_url(path) as remote:
            yield remote
    else:
        try:
            if Path(path).is_fifo():  # a log is read twice, and opening a pipe may wait for ever
                raise unreadable(path, "a pipe; give it as standard input, named -")
            local = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed below
        except OSError as error:
            raise refused(path, error) from error
        with local:
            yield cast("IO[bytes]", local)


def unreadable(path: str, why: str) -> StateError:
    sentence = f"{shown(path)} cannot be read ({why}); nothing of it was stored."
    return StateError("log-unreadable", sentence)


def refused(path: str, error: OSError) -> StateError:
    """Of a log that the system does not give."""
    step = "as a user who may read it" if isinstance(error, PermissionError) else "again later"
    return unreadable(path, f"{error.strerror or error}; count it {step}")


def unfinished(path: str) -> ConfigError:
    return ConfigError(
        "log-unfinished",
        f"{shown(path)} holds lines of a log that our server still writes, or wrote when it was "
        "copied; nothing of it is counted. They count once it is closed: count the log folder.",
    )


class Stream:
    """A log's uncompressed bytes from its start. ``cut_short``: a compressed file ended early."""

    def __init__(self, raw: IO[bytes], path: str) -> None:
        self.cut_short = False
        self._path = path
        source = cast("_Buffered", io.BufferedReader(cast("io.RawIOBase", raw), CHUNK))
        self._source = source
        self.kind = compression(source.peek(KIND_BYTES))
        self._unpacked = _uncompressed(source, self.kind)
        self._pieces = self._checked()
        self._nuls = 0
        self._peeked = b""

    def close(self) -> None:
        """Ends the decompressor; the file below belongs to the caller."""
        self._pieces.close()
        self._unpacked.close()
        self._source.detach()

    def head(self, most: int = sys.maxsize) -> bytes:
        """The first bytes after NULs, as many as one read gives; ``chunks`` gives all once more.

        Raises ``StateError`` (``log-unreadable``) where it begins with more than ``most`` NULs.
        """
        while not self._peeked and (piece := next(self._pieces, b"")):
            self._peeked = piece.lstrip(b"\0")
            self._nuls += len(piece) - len(self._peeked)
            if self._nuls > most:
                raise unreadable(self._path, f"it begins with more than {most} NULs; name a log")
        return self._peeked

    def chunks(self) -> Iterator[bytes]:
        """Pieces of at most ``CHUNK`` bytes. Raises ``StateError`` on damaged archives."""
        nuls, rest = divmod(self._nuls, CHUNK)
        first = (*repeat(bytes(CHUNK), nuls), bytes(rest), self._peeked)
        return chain(filter(None, first), self._pieces)

    def _checked(self) -> _Pieces:
        if self.kind in _REFUSED:
            raise unreadable(self._path, _REFUSED[self.kind])
        after_line = True
        try:
            for piece in self._unpacked:
                if self.kind and after_line and (inner := compression(piece)):
                    why = _REFUSED.get(inner, "packed twice; unpack it once")
                    raise unreadable(self._path, why)
                after_line = piece.endswith(b"\n")
                yield piece
        except EOFError:  # the end of the archive is missing
            self.cut_short = True
        except (OSError, lzma.LZMAError, zlib.error, ZstdError) as error:
            raise unreadable(self._path, "damaged archive") from error


def _uncompressed(source: _Buffered, kind: str) -> _Pieces:
    match kind:
        case "gz":
            return _gzip(source)
        case "xz":
            return _members(source, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), _after_padding)
        case "bz2":
            return _members(source, bz2.BZ2Decompressor)
        case "zst":
            return _members(source, _zstandard)
        case _:
            return _plain(source)


def _plain(source: _Buffered) -> _Pieces:
    while data := source.read(CHUNK):
        yield data


def _gzip(source: _Buffered) -> _Pieces:
    with gzip.GzipFile(fileobj=source) as file:
        while data := file.read1(CHUNK):  # read would lose what stands before a missing end
            yield data


def _members(
    source: _Buffered,
    make: Callable[[], _Decompressor],
    between: Callable[[bytes, _Buffered], bytes] = lambda rest, _: rest,
) -> _Pieces:
    """An archive is a row of members, and every byte of it belongs to one.

    ``LZMAFile``, ``BZ2File`` and ``ZstdFile`` end in silence at the first bytes after a member that
    begin no other, and what follows would be lost. Raises ``EOFError`` in a member's middle.
    """
    rest = source.read(CHUNK)
    while rest:
        one = make()
        while not one.eof:
            if one.needs_input and not (rest := rest or source.read(CHUNK)):
                raise EOFError
            data = one.decompress(rest, CHUNK)
            rest = b""
            if data:
                yield data
        rest = between(one.unused_data or source.read(CHUNK), source)


def _zstandard() -> ZstdDecompressor:
    """With windows as ``zstd --long=31`` makes them, which take that memory."""
    return ZstdDecompressor(options={_WINDOW: _WINDOW.bounds()[1]})


def _after_padding(rest: bytes, source: _Buffered) -> bytes:
    """Skips the NULs, in fours, that may stand between xz streams and after the last (the .xz
    format 1.2.1, section 2.2)."""
    padding = 0
    while rest:
        left = rest.lstrip(b"\0")
        padding += len(rest) - len(left)
        rest = left or source.read(CHUNK)
        if left:
            break
    if padding % 4 or not _XZ.startswith(rest[: len(_XZ)]):
        raise lzma.LZMAError
    return rest


# --- Logs named by URL (``s3://``, ``https://``, ``memory://`` …): the one home of fsspec ---

_BLOCK = 4 * 1024 * 1024
"""Bytes fetched at once."""


@contextmanager
def _open_url(url: str) -> Iterator[IO[bytes]]:
    """A seekable remote file.

    Raises ``ConfigError`` (``extra-missing``) without the extra ``cluster`` and ``StateError``
    (``log-unreadable``) where the file cannot be had, or no longer be read; the message quotes no
    server, and of the URL neither user, password nor query.
    """
    with _said_plainly(url):  # while it is read too, where a server shows what it can't do
        system, path = _fsspec().core.url_to_fs(url)
        with system.open(path, "rb", block_size=_BLOCK) as file:
            yield cast("IO[bytes]", file)


def expand_url(pattern: str) -> list[str]:
    """The URLs that a pattern with ``*`` means, sorted by name. Raises as ``_open_url`` does, and
    ``StateError`` (``log-missing``)."""
    with _said_plainly(pattern):
        system, path = _fsspec().core.url_to_fs(pattern)
        found = [str(system.unstrip_protocol(one)) for one in sorted(system.glob(path))]
    if not found:
        raise StateError("log-missing", f"There is no log {shown(pattern)}.")
    return found


def _fsspec() -> Any:
    try:
        import fsspec
    except ImportError:
        raise ConfigError(
            "extra-missing", "Logs are read by URL with fsspec: pip install 'fsspec[http]'."
        ) from None
    return fsspec


@contextmanager
def _said_plainly(url: str) -> Iterator[None]:
    try:
        yield
    except MarsError:
        raise
    except ImportError as error:  # fsspec names the package that a protocol needs
        raise ConfigError("extra-missing", f"{shown(url)} cannot be read: {error}.") from error
    except Exception as error:  # each protocol's library has errors of its own
        raise StateError(
            "log-unreadable",
            f"{shown(url)} cannot be read ({type(error).__name__}). Check the address, the rights "
            "that its protocol's library finds in the environment, and that a web server knows "
            "Range requests.",
        ) from error
