"""The one place that knows which adapter stands behind which port. Everything is imported late."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mars.errors import MarsError
from mars.ports import Chance, Clock, Fetcher, OpenPGP, Platform, Store, Tor, TorSettings


def system_clock() -> Clock:
    from mars.adapters.system import SystemClock

    return SystemClock()


def system_chance() -> Chance:
    from mars.adapters.system import SystemChance

    return SystemChance()


def fetcher(socks: str, *, given: bool = True) -> Fetcher:
    """Fetches through the SocksPort at ``socks`` (``HOST:PORT``, an IP literal) and no other way.

    An address that nobody has ``given`` is used only where no other user listens. Raises
    ``ConfigError`` where ``socks`` is not such an address.
    """
    from mars.adapters.http import TorFetcher
    from mars.adapters.socks import parse_proxy

    return TorFetcher(parse_proxy(socks, given=given), system_clock(), system_chance())


def require_socks(socks: str | None) -> None:
    """Raises ``ConfigError`` where ``socks`` is given and no address of a SocksPort."""
    if socks is not None:
        from mars.adapters.socks import parse_proxy

        parse_proxy(socks)


def direct_fetcher() -> Fetcher:
    """Without Tor: https only, no query string, no onion; for users who explicitly allowed it."""
    from mars.adapters.http import DirectFetcher

    return DirectFetcher(system_clock())


def file_fetcher() -> Fetcher:
    """For ``file:`` URLs: tests, and news that is carried on a disk."""
    from mars.adapters.http import FileFetcher

    return FileFetcher()


def folder(path: str, missing: MarsError | None = None) -> Store:
    """The client's private folder at ``path``; made on the first write.

    Where ``path`` is empty, one of which every use raises ``missing``.
    """
    from mars.adapters.files import Folder, Nowhere

    return Folder(path) if path or missing is None else Nowhere(missing)


def kept(path: Path, pattern: str) -> list[Path]:
    """The folders below ``path`` that match ``pattern`` and in which a client keeps a state."""
    from mars.adapters.files import kept as kept_in

    return kept_in(path, pattern)


def clear(path: str) -> None:
    """Removes from the client's folder what is ours and neither state nor journal."""
    from mars.adapters.files import clear as clear_folder

    clear_folder(path)


def read_small(path: str | os.PathLike[str]) -> bytes:
    """The content of a regular file of at most 64 KiB; never waits. Raises ``OSError``."""
    from mars.adapters.files import read_small as read

    return read(path)


def state_folder(host: Platform, product: str, channel: str) -> str:
    """Where the state of one product and channel lies by default on ``host``.

    Raises ``ConfigError`` (``no-home``, ``name-invalid``).
    """
    from mars.adapters.files import state_folder as folder_on

    return folder_on(host.system, host.environ, product, channel)


def state_root(host: Platform) -> str:
    """The folder above all of them on ``host``. Raises ``ConfigError`` (``no-home``)."""
    from mars.adapters.files import state_root as root_on

    return root_on(host.system, host.environ)


def this_host() -> Platform:
    """The machine we run on."""
    from mars.adapters.system import this_host

    return this_host()


def openpgp() -> OpenPGP:
    """Verifies by the gpgv or gpg on the PATH."""
    from mars.adapters.gpg import GnuPG

    return GnuPG()


def gpg_home(
    scratch: Path, prefix: str, end: Callable[[Path], None]
) -> AbstractContextManager[Path]:
    """A folder below ``scratch`` that only its owner can use, while it is used; then ``end`` ends
    what runs there, and it is removed. So are those that killed runs have left."""
    from mars.adapters.gpg import short_lived_home

    return short_lived_home(scratch, prefix, end)


def find_tor(settings: TorSettings) -> Tor:
    """The tor that was given, else a running one, else Tor Browser's, else one of our own.

    Raises ``TransportError``: ``tor-unavailable`` or ``tor-missing`` where there is none, the
    reason of one that is there and fails. stem is imported only for a tor of our own and for
    ``Tor.status``.
    """
    from mars.adapters.tor import find_tor as find

    return find(settings, system_clock(), system_chance())


def tor_control(control: str, password: str | None, seconds: float) -> AbstractContextManager[Any]:
    """A session (stem's ``Controller``) at tor's control port, ``HOST:PORT`` or ``unix:PATH``, for
    ``seconds`` at most. A ``password`` that is given must be right, also where a cookie would do.

    Raises ``TransportError``: ``control-unavailable``, ``control-auth``.
    """
    from mars.adapters.control import session

    return session(control, password, seconds, fallback=False)


def reach(socks: str, host: str, port: int, seconds: float) -> None:
    """Connects once through Tor and hangs up without a word. Raises ``TransportError``."""
    from mars.adapters.deadline import Deadline
    from mars.adapters.socks import dial, parse_proxy

    with Deadline(seconds, system_clock()) as deadline:
        dial(parse_proxy(socks), host, port, system_chance(), deadline).close()
