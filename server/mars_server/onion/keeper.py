"""Keeps the onion service in a running tor, whatever becomes of that tor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mars.errors import ConfigError
from mars_server.onion.control import Tor, connected
from mars_server.onion.folder import hostname, obstacle
from mars_server.onion.settings import (
    OB_CONFIG,
    OnionSettings,
    Option,
    holds,
    options,
    with_service,
    without_service,
)

UNDEFENDED = "this tor has no proof-of-work module; the service runs without that defence"
"""What to tell the operator of such a service."""


def announced(folder: str) -> str:
    """What to tell the operator of a service that was added."""
    if (name := hostname(folder)) is not None:
        return f"onion service http://{name}"
    return f"onion service added to tor, but {unnamed(folder)}"


def unnamed(folder: str) -> str:
    """What a service whose address we cannot read means, and what to do."""
    return (
        f"its address is not known, and requests to it get 404: {obstacle(folder)}. Be in tor's "
        f"group and let it in (DataDirectoryGroupReadable 1 in torrc; chmod g+rx {folder}; chmod "
        f"g+r {folder}/hostname), or name the address in servers of product.toml or in hosts"
    )


def for_publisher(name: str) -> str:
    """The line by which clients come to know the address."""
    return f'for the publisher\'s product.toml: servers = ["http://{name}"]'


def ensure(
    settings: OnionSettings, control: str, password_file: str | Path = ""
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
    if not settings.balanced:
        return _set(tor, existing, settings)
    try:
        # A running service that becomes a backend answers nobody until its next descriptor, up
        # to a day away (tor 0.4.9, get_subcredential_for_handling_intro2_cell): make it anew.
        tor.configure(without_service(existing, settings.folder))
        return _set(tor, existing, settings)
    except ConfigError as error:
        tor.configure(existing)
        if error.reason != "tor-refused":
            raise
        raise ConfigError(
            "tor-refused",
            f"{error.message} A backend needs {settings.folder}/{OB_CONFIG} first; "
            "mars-server onion balance prints its line.",
        ) from None


def _set(tor: Tor, existing: Sequence[Option], settings: OnionSettings) -> bool:
    try:
        tor.configure(with_service(existing, options(settings)))
    except ConfigError as error:
        if error.reason != "tor-option":
            raise
        tor.configure(with_service(existing, options(settings, pow_defence=False)))
        return False
    return True
