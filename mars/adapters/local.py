"""A document from a ``file:`` URL: for tests, and for news that is carried on a disk."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mars.adapters.files import read_regular
from mars.errors import TransportError
from mars.ports import Request, Response


class FileFetcher:
    """``mars.ports.Fetcher`` on a regular file of this machine; opens no socket."""

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``: ``url-invalid``, ``file-unreadable``, ``too-large``."""
        try:
            data = read_regular(_path(request.message.url), request.limit + 1)
        except OSError:
            raise TransportError(
                "file-unreadable", "The file cannot be read; check its path and rights."
            ) from None
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
