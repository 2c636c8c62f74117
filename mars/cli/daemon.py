"""``mars daemon``: fetches for applications that are not written in Python."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars import factory
from mars.cli.common import socks_option, state_option
from mars.commandline import json_option, safe
from mars.errors import StateError

if TYPE_CHECKING:
    from mars.daemon import Daemon

LOCK = "daemon"
WATCH = 3.0
"""Seconds after which a decision or a fetch by hand is seen at the latest."""


@click.command(short_help="Fetch for any number of applications, in the background.")
@click.argument(
    "apps", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@state_option(
    help="Folder with the client's state, of a single application without one of its own. "
    "[default: the platform's own, by product and channel]",
)
@socks_option
@json_option("Tell what happens, one JSON line an event.")
def daemon(apps: Path, state_dir: Path | None, socks: str | None, as_json: bool) -> None:
    """Fetch for the applications named in DIR until SIGTERM or Ctrl-C.

    Each application has a file NAME.toml there with trust = "trust.json", version = "1.2",
    and if wanted registry (what it declares), languages, locale, url, level, state (a folder) and
    output: the file in which it finds its news (else current.json beside its state). SIGHUP reads
    DIR again.

    What may be sent is decided by the user for each application: mars consent grant --product,
    or --state. That and what mars fetch brings is seen within seconds.

    DIR, these files, what they name and the folders on the way must be yours alone to write; on
    Windows, where files have no such rights, that is not looked at.

    Exit code: 0 at the end, 1 where another daemon of this user already runs.
    """
    from mars.daemon import Daemon, client

    factory.require_socks(socks)
    loop = _Loop(as_json)
    served = Daemon(
        apps,
        lambda entry, turned: client(entry, turned, socks=socks or ""),
        state_dir,
        loop.tell if as_json else None,
    )
    with contextlib.ExitStack() as held:
        _be_only(held, state_dir or Path(factory.state_root(factory.this_host())))
        loop.run(served)


def _be_only(held: contextlib.ExitStack, root: Path) -> None:
    """Takes the daemon's lock. Raises ``StateError`` (``locked``, ``state-unwritable``)."""
    try:
        held.enter_context(factory.folder(str(root)).lock(LOCK))
    except StateError as error:
        if error.reason != "locked":
            raise
        raise StateError(
            "locked",
            "Nothing to do: a daemon already runs for this user. To have it read its folder "
            f"again, send it SIGHUP; to replace it, end it first. Its lock lies in {root}.",
        ) from None


class _Loop:
    """Serves until a signal, or until nobody reads the events any more."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._ending = False
        self._reloading = True
        self._woken = threading.Event()
        self._writing = threading.Lock()

    def run(self, served: Daemon) -> None:
        for name in ("SIGTERM", "SIGINT"):
            signal.signal(getattr(signal, name), self._end)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._reload)
        try:
            while not self._ending:
                self._woken.clear()
                if self._reloading:
                    self._reloading = False
                    served.reload()
                    self._report(served)
                served.watch()
                self._woken.wait(WATCH)
        finally:
            served.stop()

    def tell(self, event: dict[str, Any]) -> None:
        """One line of JSON on stdout."""
        try:
            with self._writing:
                click.echo(json.dumps(event))
        except OSError:
            self._end()

    def _end(self, *_: object) -> None:
        self._ending = True
        self._woken.set()

    def _reload(self, *_: object) -> None:
        self._reloading = True
        self._woken.set()

    def _report(self, served: Daemon) -> None:
        if self._as_json:
            problems = {
                name: {**error.plain(), "message": safe(error.message)}
                for name, error in served.problems.items()
            }
            serving = sorted(served.serving)
            self.tell(
                {"event": "reload", "ok": not problems, "serving": serving, "problems": problems}
            )
            return
        for name, problem in served.problems.items():
            click.echo(f"mars daemon: {safe(name)}: {safe(str(problem))}", err=True)
        click.echo(f"mars daemon: serving {len(served.serving)} applications", err=True)
