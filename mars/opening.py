"""Opens the way for one request, as far as the plan allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mars import factory
from mars.plan import FILE

if TYPE_CHECKING:
    from mars.plan import Plan
    from mars.ports import Fetcher, TorSettings


def opener(settings: TorSettings) -> Callable[[Plan], Fetcher]:
    """For ``Ports.fetcher``: files without a network, all else through Tor.

    The direct way is open only where the plan's voices allow it. A SocksPort that was given is
    used without looking for another, and without a login of its own before the fetch.
    """

    def open_way(plan: Plan) -> Fetcher:
        if plan.url.startswith(FILE):
            return factory.file_fetcher()
        if settings.socks and not plan.voice.direct:
            return factory.fetcher(settings.socks)
        from mars.routed import Routed

        return Routed(settings, direct_allowed=plan.voice.direct)

    return open_way
