"""A document from a ``file:`` URL: for tests, and for news that is carried on a disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mars.errors import TransportError
from mars.ports import Request, Response


class FileFetcher:
    """``mars.ports.Fetcher`` on a regular file of this machine; opens no socket."""

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``: ``url-invalid``, ``file-unreadable``, ``too-large``."""
        data = _read(_path(request.message.url), request.limit + 1)
        if len(data) > request.limit:
            raise TransportError(
                "too-large",
                f"The file is larger than {request.limit} bytes, so it is no news; check its path.",
            )
        return Response(200, data, "file")


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or "\0" in url:
        raise TransportError(
            "url-invalid", "This is not a file URL; write it like file:///folder/motd.json."
        )
    return Path(url2pathname(parts.path))


def _read(path: Path, size: int) -> bytes:
    """Opens without waiting, so that a pipe in the file's place cannot hang the caller."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with os.fdopen(descriptor, "rb") as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return file.read(size)
    except OSError:
        pass
    raise TransportError("file-unreadable", "The file cannot be read; check its path and rights.")
