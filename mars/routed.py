"""One fetch by the way that the URL and the user allow: a file, Tor, or the direct one.

The way is chosen for each fetch: a tor that runs today may be gone in a week. A tor of our own
is started for the fetch and ended after it, so that none idles for days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mars import factory
from mars.errors import TransportError
from mars.ports import Fetcher, Request, Response, Tor, TorSettings
from mars.route import Via, ways, without_metrics

NO_TOR = frozenset({"tor-unavailable", "tor-missing"})
"""Reasons after which the direct way is taken, where the user allowed it: nothing listens where a
Tor may be, and none can be started, since it is not installed or may not be. Whatever is there and
fails is no reason: it may be Tor."""


class Routed:
    """``mars.ports.Fetcher``. Without Tor nothing is sent unless ``direct_allowed``."""

    def __init__(
        self,
        settings: TorSettings,
        *,
        direct_allowed: bool = False,
        find: Callable[[TorSettings], Tor] = factory.find_tor,
    ) -> None:
        self._settings = settings
        self._direct_allowed = direct_allowed
        self._find = find

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``; an answer by the direct way never had a query string."""
        plain = replace(request, url=without_metrics(request.url))
        if ways(request.url) == (Via.FILE,):
            return factory.file_fetcher().fetch(request)
        try:
            tor = self._find(self._settings)
        except TransportError as error:
            may = ways(plain.url, direct_allowed=self._direct_allowed)
            if error.reason not in NO_TOR or Via.DIRECT not in may:
                raise
            return factory.direct_fetcher().fetch(plain)
        return _through(tor, request)


def _through(tor: Tor, request: Request) -> Response:
    try:
        fetcher: Fetcher = factory.fetcher(tor.socks, given=tor.how == "given")
        return fetcher.fetch(request)
    finally:
        tor.close()
