"""Keeps the onion service in a running tor, whatever becomes of that tor."""

from __future__ import annotations

from pathlib import Path

from mars.errors import ConfigError
from mars_server.onion.control import Tor, connected
from mars_server.onion.settings import OnionSettings, holds, options, with_service


def ensure(
    settings: OnionSettings, control: str, password_file: Path | None = None
) -> tuple[bool, bool]:
    """(whether the service had to be added, whether it has the proof-of-work defence).

    Safe to call again and again: a tor that restarted has forgotten the service and gets it
    anew, with the same key from the same folder. Raises ``ConfigError`` and ``TransportError``
    as ``control.connected``.
    """
    with connected(control, password_file) as tor:
        existing = tor.services()
        for defended in (True, False):
            wanted = options(settings, defended)
            if holds(existing, wanted):
                return False, defended
        return True, _add(tor, settings)


def _add(tor: Tor, settings: OnionSettings) -> bool:
    existing = tor.services()
    try:
        tor.configure(with_service(existing, options(settings)))
    except ConfigError as error:
        if error.reason != "tor-option":
            raise
        tor.configure(with_service(existing, options(settings, pow_defence=False)))
        return False
    return True
