"""The one place that knows which adapter stands behind which port.

Network, tor and GnuPG are imported when they are used; files, clock and chance every client needs.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from mars.adapters import files, system
from mars.errors import MarsError
from mars.ports import Fetcher, OpenPGP, Store, Tor, TorProcess, TorSettings

system_clock, system_chance, this_host = system.SystemClock, system.SystemChance, system.this_host
clear, kept, read_small = files.clear, files.kept, files.read_small
state_folder, state_root = files.state_folder, files.state_root
file_fetcher = files.FileFetcher


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


def folder(path: str, missing: MarsError | None = None) -> Store:
    """The client's private folder at ``path``; made on the first write.

    Where ``path`` is empty, one of which every use raises ``missing``.
    """
    return files.Folder(path) if path or missing is None else files.Nowhere(missing)


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


def own_tor(settings: TorSettings, folder: str) -> TorProcess:
    """A tor of our own that has just begun. Raises ``TransportError`` (``tor-missing``,
    ``tor-start``) and ``ConfigError`` (``tor-folder``, ``bridge-invalid``)."""
    from mars.adapters.tor import launch

    return launch(settings, folder)


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
