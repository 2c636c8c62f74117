"""``mars daemon``: fetches for applications that are not written in Python."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mars import factory
from mars.console import safe
from mars.errors import MarsError, StateError

if TYPE_CHECKING:
    from mars.daemon import Daemon

LOCK = "daemon"


@click.command(short_help="Fetch for any number of applications, in the background.")
@click.argument(
    "apps", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
@click.option(
    "--state",
    "state_dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for all state, one folder each in it. [default: the platform's own]",
)
@click.option("--socks", metavar="HOST:PORT", help="Tor's SOCKS port. [default: found by itself]")
@click.option("--json", "as_json", is_flag=True, help="Report on stdout, one JSON line each time.")
def daemon(apps: Path, state_dir: Path | None, socks: str | None, as_json: bool) -> None:
    """Fetch for the applications named in DIR until SIGTERM or Ctrl-C.

    Each application has a file NAME.toml there with trust = "trust.json", version = "1.2",
    and if wanted languages, locale, url, level and output: the file in which it finds its news
    (else current.json beside its state). SIGHUP reads DIR again.

    What may be sent is decided by the user for each application: mars consent grant --product.

    Exit code: 0 at the end, 1 where another daemon of this user already runs.
    """
    from mars.daemon import Daemon, Entry, client

    host = factory.this_host()

    def folder(entry: Entry) -> str:
        product, channel = entry.pinned.product, entry.pinned.channel
        if state_dir is not None:
            return str(state_dir / product / channel)
        return factory.state_folder(host, product, channel)

    root = state_dir or Path(factory.state_root(host))
    served = Daemon(apps, lambda entry: client(entry, folder(entry), socks=socks or ""))
    try:
        with _only(root):
            _serve(served, as_json)
    except MarsError as error:
        if not as_json:
            raise
        click.echo(
            json.dumps({"ok": False, "reason": error.reason, "message": safe(error.message)})
        )
        sys.exit(1)


@contextlib.contextmanager
def _only(root: Path) -> Iterator[None]:
    """Holds the daemon's lock. Raises ``StateError`` (``locked``, ``state-unwritable``)."""
    with contextlib.ExitStack() as held:
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
        yield


def _serve(served: Daemon, as_json: bool) -> None:
    ending, reloading = threading.Event(), threading.Event()
    woken = threading.Event()

    def end(*_: object) -> None:
        ending.set()
        woken.set()

    def reload(*_: object) -> None:
        reloading.set()
        woken.set()

    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), end)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, reload)
    reloading.set()
    try:
        while not ending.is_set():
            woken.clear()
            if reloading.is_set():
                reloading.clear()
                served.reload()
                _report(served, as_json)
            woken.wait()
    finally:
        served.stop()


def _report(served: Daemon, as_json: bool) -> None:
    if as_json:
        problems = {name: error.reason for name, error in served.problems.items()}
        table = {"ok": not problems, "serving": sorted(served.serving), "problems": problems}
        click.echo(json.dumps(table))
        return
    for name, problem in served.problems.items():
        click.echo(f"mars daemon: {safe(name)}: {safe(str(problem))}", err=True)
    click.echo(f"mars daemon: serving {len(served.serving)} applications", err=True)
