"""The one place where a client is put together: for the library, the commands and the daemon.

The way of a request is chosen for each fetch, a file, Tor, or the direct one: a tor that runs today
may be gone in a week. A tor of our own is started for the fetch and ended after it, so that none
idles for days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mars import factory
from mars.core.channel import NextRequest
from mars.core.records import Ports
from mars.errors import ConfigError, MarsError, TransportError
from mars.ports import (
    Chance,
    Clock,
    Fetcher,
    OpenPGP,
    Platform,
    Request,
    Response,
    Store,
    Tor,
    TorSettings,
)
from mars.wire.request import HTTPRequest


def ports(
    place: str,
    tor: TorSettings | None = None,
    missing: MarsError | None = None,
    *,
    store: Store | None = None,
    host: Platform | None = None,
    clock: Clock | None = None,
    chance: Chance | None = None,
    fetcher: Callable[[NextRequest], Fetcher] | None = None,
    openpgp: Callable[[], OpenPGP] | None = None,
) -> Ports:
    """What the system provides to a client whose folder is ``place``, but for what is given.

    Without ``tor`` nothing can be sent. Where ``place`` is empty, every use of it raises
    ``missing``. A tor of our own, started only where none runs, has its files in ``place``.
    """
    if tor is not None and place and tor.folder is None:
        tor = replace(tor, folder=str(Path(place) / "tor"))
    return Ports(
        store=store or factory.folder(place, missing),
        host=host or factory.this_host(),
        clock=clock or factory.system_clock(),
        chance=chance or factory.system_chance(),
        fetcher=fetcher or (_no_network if tor is None else opener(tor)),
        openpgp=openpgp or factory.openpgp,
        is_own_fetcher=fetcher is not None,
    )


def _no_network(_ready: object) -> Fetcher:
    """For the commands that only look."""
    raise ConfigError("no-network", "This command sends nothing.")


NO_TOR = frozenset({"tor-unavailable", "tor-missing"})
"""Reasons after which the direct way is taken, where the user allowed it: nothing listens where a
Tor may be, and none can be started, since it is not installed or may not be. Whatever is there and
fails is no reason: it may be Tor."""


class Routed:
    """``mars.ports.Fetcher``. Where no Tor is, ``direct`` goes in the request's place, if any."""

    def __init__(
        self,
        settings: TorSettings,
        direct: HTTPRequest | None = None,
        find: Callable[[TorSettings], Tor] = factory.find_tor,
    ) -> None:
        self._settings = settings
        self._direct = direct
        self._find = find

    def fetch(self, request: Request) -> Response:
        """Raises ``TransportError``."""
        try:
            tor = self._find(self._settings)
        except TransportError as error:
            if error.reason not in NO_TOR or self._direct is None:
                raise
            return factory.direct_fetcher().fetch(replace(request, message=self._direct))
        return _through(tor, request)


def _through(tor: Tor, request: Request) -> Response:
    try:
        fetcher: Fetcher = factory.fetcher(tor.socks, given=tor.how == "given")
        return fetcher.fetch(request)
    finally:
        tor.close()


def opener(settings: TorSettings) -> Callable[[NextRequest], Fetcher]:
    """For ``Ports.fetcher``: files without a network, all else through Tor.

    A SocksPort that was given is used without looking for another, and without a login of its own
    before the fetch, where nothing may go directly.
    """

    def open_way(ready: NextRequest) -> Fetcher:
        if ready.is_file:
            return factory.file_fetcher()
        if settings.socks and ready.direct is None:
            return factory.fetcher(settings.socks)
        return Routed(settings, ready.direct)

    return open_way
