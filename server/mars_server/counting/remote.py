"""Logs named by URL (``s3://``, ``https://``, ``memory://`` …): the one home of fsspec."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from mars.errors import ConfigError, StateError

_BLOCK = 4 * 1024 * 1024
"""Bytes fetched at once."""


@contextmanager
def open_url(url: str) -> Iterator[IO[bytes]]:
    """A seekable remote file.

    Raises ``ConfigError`` (``extra-missing``) without the extra ``cluster`` and ``StateError``
    (``log-unreadable``) where the file cannot be had; the message never quotes the server.
    """
    try:
        import fsspec
    except ImportError:
        raise ConfigError(
            "extra-missing", "Logs are read by URL only with: pip install 'mars[cluster]'."
        ) from None
    try:
        with fsspec.open(url, "rb", block_size=_BLOCK) as file:
            yield cast("IO[bytes]", file)
    except (FileNotFoundError, ValueError, ImportError, OSError) as error:
        raise StateError(
            "log-unreadable", f"{url} cannot be read ({type(error).__name__})."
        ) from error
