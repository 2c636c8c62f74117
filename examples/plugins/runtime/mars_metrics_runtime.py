"""What a Python application runs on: implementation, 64 bit, frozen or not, and the way to Tor.

The module is a plug-in of three entries, found by its entry point; ``Route`` is one of a fourth,
which needs the application's journal: ``mars.statistics.register(Route(mars.journal))``. They are
declared in ``metrics.toml`` of whoever wants them.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

PROJECT = "mars-runtime"
_FACTS: dict[str, Callable[[], bool | str]] = {
    "implementation": lambda: _one_of(platform.python_implementation(), "cpython", "pypy"),
    "bits64": lambda: sys.maxsize > 2**32,
    "frozen": lambda: bool(getattr(sys, "frozen", False)),
}
_PORTS = {"9050": "system", "9150": "browser"}


def info() -> Mapping[str, Any]:
    """The entries that this plug-in has values of."""
    return {"project": PROJECT, "keys": list(_FACTS)}


def data(key: str) -> bool | str:
    """The value of one of them."""
    return _FACTS[key]()


def _one_of(name: str, *known: str) -> str:
    return name.lower() if name.lower() in known else "other"


class Route:
    """By which way the last request went: a system's tor, Tor Browser's, another, or directly."""

    def __init__(self, journal: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        self._journal = journal

    def info(self) -> Mapping[str, Any]:
        return {"project": PROJECT, "keys": ["route"]}

    def data(self, key: str) -> str:
        """``none`` before the first request. Raises ``KeyError`` for any other key."""
        routes = [str(entry["route"]) for entry in self._journal() if entry.get("sent")]
        return {"route": kind(routes[-1] if routes else "")}[key]


def kind(route: str) -> str:
    """Of a route as the journal has it: ``tor 127.0.0.1:9050``, ``direct`` or nothing."""
    if not route.startswith("tor "):
        return {"direct": "direct", "": "none"}.get(route, "other")
    return _PORTS.get(route.rpartition(":")[2], "other")
