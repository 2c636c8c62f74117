"""Signed news for desktop applications over Tor; nothing heavy is imported here.

What is listed is what applications may use; everything else may change.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mars._version import __version__
from mars.errors import ConfigError, MarsError

if TYPE_CHECKING:
    from mars.channels.reading import Reading
    from mars.client import Mars
    from mars.consent import Decision
    from mars.consent.api import Consent
    from mars.core.channel import NextRequest
    from mars.failures.stream import Failure, Stream
    from mars.failures.subscription import Subscription
    from mars.ports import TorSettings
    from mars.providers import Plugin
    from mars.reports import Reports
    from mars.statistics import Statistics
    from mars.wire.targeting import Shown

__all__ = [
    "ConfigError",
    "Consent",
    "Decision",
    "Failure",
    "Mars",
    "MarsError",
    "NextRequest",
    "Plugin",
    "Reading",
    "Reports",
    "Shown",
    "Statistics",
    "Stream",
    "Subscription",
    "TorSettings",
    "__version__",
]

_HOMES = {
    "Consent": "mars.consent.api",
    "Decision": "mars.consent",
    "Failure": "mars.failures.stream",
    "Mars": "mars.client",
    "NextRequest": "mars.core.channel",
    "Plugin": "mars.providers",
    "Reading": "mars.channels.reading",
    "Reports": "mars.reports",
    "Shown": "mars.wire.targeting",
    "Statistics": "mars.statistics",
    "Stream": "mars.failures.stream",
    "Subscription": "mars.failures.subscription",
    "TorSettings": "mars.ports",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
