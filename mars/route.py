"""By which ways a URL may be fetched. Pure; the adapters refuse the forbidden ways once more."""

from __future__ import annotations

from enum import StrEnum

from mars.wire.url import parse_url

FILE_SCHEME = "file:"


class Via(StrEnum):
    """A way to a document. ``FILE`` is for tests and for news that is carried on a disk."""

    FILE = "file"
    TOR = "tor"
    DIRECT = "direct"


def ways(url: str, *, direct_allowed: bool = False) -> tuple[Via, ...]:
    """The ways that may be tried for ``url``, the first one first. Tor always comes first.

    ``DIRECT`` is among them only where the user allowed it, for https, without a query string
    and never for an onion address. Raises ``TransportError`` (``url-invalid``).
    """
    if url.startswith(FILE_SCHEME):
        return (Via.FILE,)
    location = parse_url(url)
    plain = location.scheme == "https" and not location.has_query and not location.is_onion
    return (Via.TOR, Via.DIRECT) if plain and direct_allowed else (Via.TOR,)


def without_metrics(url: str) -> str:
    """``url`` as it may go directly: the query string is cut off, whatever the consent says."""
    return url.partition("?")[0]
