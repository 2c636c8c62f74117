"""Logs named by URL (``s3://``, ``https://``, ``memory://`` …): the one home of fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from mars.errors import ConfigError, MarsError, StateError
from mars_server.counting.streams import shown

_BLOCK = 4 * 1024 * 1024
"""Bytes fetched at once."""


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
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
    """The URLs that a pattern with ``*`` means, sorted by name. Raises as ``open_url`` does, and
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
        raise _unreadable(url, error) from error


def _unreadable(url: str, error: Exception) -> StateError:
    return StateError(
        "log-unreadable",
        f"{shown(url)} cannot be read ({type(error).__name__}). Check the address, the rights that "
        "its protocol's library finds in the environment, and that a web server knows Range "
        "requests.",
    )
