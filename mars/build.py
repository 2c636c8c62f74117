"""The one place where a client is put together: for the library, the commands and the daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mars import factory
from mars.core.channel import NextRequest
from mars.core.records import Ports
from mars.errors import ConfigError, MarsError
from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store, TorSettings
from mars.routes import opener


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
    )


def _no_network(_ready: object) -> Fetcher:
    """For the commands that only look."""
    raise ConfigError("no-network", "This command sends nothing.")
