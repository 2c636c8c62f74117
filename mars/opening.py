"""Opens the way for one request, as far as the plan allows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mars import factory
from mars.plan import FILE

if TYPE_CHECKING:
    from mars.plan import Plan
    from mars.ports import Fetcher

USUAL_PORT = "127.0.0.1:9050"
"""Where a system's tor listens."""


def opener(socks: str) -> Callable[[Plan], Fetcher]:
    """For ``Ports.fetcher``: through Tor at ``socks`` (``HOST:PORT``); files without a network."""

    def open_way(plan: Plan) -> Fetcher:
        if plan.url.startswith(FILE):
            return factory.file_fetcher()
        return factory.fetcher(socks or USUAL_PORT)

    return open_way
