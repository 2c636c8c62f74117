"""The one place that knows which adapter stands behind which port. Everything is imported late."""

from __future__ import annotations

from mars.ports import Chance, Clock, Fetcher


def system_clock() -> Clock:
    from mars.adapters.system import SystemClock

    return SystemClock()


def system_chance() -> Chance:
    from mars.adapters.system import SystemChance

    return SystemChance()


def fetcher(socks: str, clock: Clock | None = None, chance: Chance | None = None) -> Fetcher:
    """Fetches through the SocksPort at ``socks`` (``HOST:PORT``, an IP literal) and no other way.

    Raises ``ConfigError`` where ``socks`` is not such an address.
    """
    from mars.adapters.http import TorFetcher
    from mars.adapters.socks import parse_proxy

    return TorFetcher(parse_proxy(socks), clock or system_clock(), chance or system_chance())


def direct_fetcher(clock: Clock | None = None) -> Fetcher:
    """Without Tor: https only, no query string, no onion; for users who explicitly allowed it."""
    from mars.adapters.http import DirectFetcher

    return DirectFetcher(clock or system_clock())
