"""Whether the server that root's steering document names is asked, or the built-in one. Pure.

It goes by what is offered now, never by what of it is accepted, nor by what was offered before:
whoever showed one client newer news than all others would else know it again by where it asks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mars.core.state import App, flag, table, text, time
from mars.wire.times import DAY
from mars.wire.url import is_onion_server

LOST_PERIODS = 3
QUIET = 30 * DAY
"""After either, with nothing newer offered, the client turns to the built-in server, and as long
after back."""


@dataclass(frozen=True)
class Server:
    """How it went with the server that steering names, where that is not the built-in one."""

    url: str
    since: int
    """Unix time of the first try, or of the last turn."""
    failures: int = 0
    """Periods in a row that brought nothing that the keys of our epoch have signed."""
    given_up: bool = False
    """Whether the built-in one is asked in its place."""


def is_built_in(server: str, app: App) -> bool:
    """Whether the bare ``server`` is the application's own, or none."""
    return server in ("", app.server) or app.url.startswith(f"{server}/")


def tried(server: Server | None, named: str, now: int, offered: int | None) -> Server | None:
    """How it stands after a period in which ``named`` was to be asked. ``offered`` is when the news
    were made that came (Unix seconds, 0 for none), None where the period is lost."""
    if not named:
        return None
    if server is None or server.url != named:
        server = Server(named, now)
    elif server.given_up and (offered or 0) > server.since:  # one more lost period turns it again
        return Server(named, now, failures=LOST_PERIODS - 1)
    failures = server.failures + 1 if offered is None else 0
    quiet = offered is not None and now - max(server.since, offered) > QUIET
    if failures >= LOST_PERIODS or quiet:
        return Server(named, now, given_up=not server.given_up)
    return replace(server, since=min(server.since, now), failures=failures)


def read(value: object) -> Server:
    """As the state has it: only what a steering document could have named. Raises ``ValueError``,
    ``TypeError`` or ``LookupError``."""
    said = table(value)
    if not is_onion_server(text(said["url"])):
        raise ValueError
    return Server(said["url"], time(said["since"]), time(said["failures"]), flag(said["given_up"]))
