"""``mars report``: error reports, each seen, released, sent, deleted on its own."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.channels.news import NewsClient
from mars.channels.own_reports import ASKED, QUEUED, SENT, OwnReports
from mars.channels.queue import CROWD, DIRECT
from mars.cli import common
from mars.cli.common import OneOff, Place, registry_option, where
from mars.commandline import LazyGroup, done, emit_json, safe
from mars.consent import PLAIN
from mars.core.state import State
from mars.errors import ConfigError, MarsError
from mars.pinned import read_registry

MAX_TEXT = 8 * 1024 * 1024
"""Bytes of a traceback; of a longer text the end is read."""

_which = click.argument("which", metavar="N|GUID")
_ways = click.option(
    "--direct/--crowd",
    "direct",
    default=False,
    help="Read at once, with a GUID; or only once ten installations met the same fault.  "
    "[default: crowd]",
)
_message = click.option(
    "--message", metavar="TEXT", default="", help="Your own words; goes in a direct report alone."
)


@click.group(cls=LazyGroup, short_help="See, release, send and delete error reports.")
def report() -> None:
    """See, release, send and delete the error reports of this computer.

    A report says which exception it was, and which functions of the application it went through;
    no message of it, no value, no path. Unless you chose "always", none goes before you release it.
    """


@report.command("list", short_help="List the reports of this computer.")
@where
def list_(place: Place, as_json: bool) -> None:
    """List every report: queued, sent, or what became of it (open, resolved, known, deleted).

    Exit code: 0, also where there is none; 1 when what is kept cannot be read.
    """
    client, state = place.client()
    _print(client, state, OwnReports(client).listed(), as_json)


@report.command(short_help="Show one, with the exact text that is sealed.")
@_which
@_ways
@_message
@where
@registry_option
@common.trust_option(help="What the application pins; needed with --registry before any news came.")
def show(
    which: str,
    direct: bool | None,
    message: str,
    place: Place,
    registry_file: Path | None,
    trust_file: Path | None,
    as_json: bool,
) -> None:
    """Show one report, and the exact text that would be sealed if it were released this way.

    Exit code: 0 when there is such a report, 1 when not.
    """
    trust = common.trusted(trust_file) if trust_file else b""
    client, _ = place.client(registry=read_registry(registry_file), trust=trust)
    found = OwnReports(client).show(which)
    way = _way(direct) if found["state"] == QUEUED and not found["released"] else ""
    try:
        text, why = OwnReports(client).text(which, way, message or None), None
    except ConfigError:
        raise
    except MarsError as error:
        text, why = None, error
    if as_json:
        emit_json({"ok": True, **found, "text": text, "problem": why and why.plain()})
        return
    click.echo(safe(_line(found)))
    for name in ("types", "frames"):
        click.echo(f"{name}:")
        for one in found[name]:
            click.echo(safe(f"  {one}"))
    for line in _help(found):
        click.echo(safe(line))
    if text is not None:
        click.echo(safe(text))
    elif found["state"] == QUEUED:
        click.echo(safe(f"It cannot be sealed now: {why}"))
    else:
        click.echo("What was sealed: mars journal --sent")


@report.command(short_help="Have one go.")
@_which
@_ways
@_message
@where
def release(which: str, direct: bool, message: str, place: Place, as_json: bool) -> None:
    """Release a report: it goes at a time drawn at random within the next 7 days, through Tor.

    Exit code: 0 when that is kept, 1 when not.
    """
    client, _ = place.client(changes=True)
    found = OwnReports(client).release(which, _way(direct), message)
    with done("It is released"):
        if as_json:
            emit_json({"ok": True, **found})
            return
        click.echo(f"It goes within 7 days, as {found['way']}.")
        click.echo(_meaning(found["way"]))


@report.command(short_help="Delete one.")
@click.argument("which", metavar="N|GUID|FILE")
@where
def forget(which: str, place: Place, as_json: bool) -> None:
    """Remove a report; of a direct one that was sent, ask for its deletion.

    The request for that goes at a time drawn at random within the next 30 days, through Tor, also
    after you have taken back your consent. The next list of answers shows that it is gone.

    Exit code: 0 when that is kept, 1 when not.
    """
    client, _ = place.client(changes=True)
    own, before = OwnReports(client), None
    with contextlib.suppress(ConfigError):  # a damaged file is none, and can be removed
        before = own.show(which)
    what = own.forget(which)
    with done("That is kept"):
        if as_json:
            emit_json({"ok": True, "forgotten": what})
        else:
            click.echo(_forgotten(what, before))


@report.command(short_help="Read the answers to reports.")
@click.option(
    "--status",
    "status_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The signed answers, status.json. [default: those last fetched]",
)
@common.trust_option(help="What the application pins; needed with --status.")
@where
def status(status_file: Path | None, trust_file: Path | None, place: Place, as_json: bool) -> None:
    """Find what became of each report in the answers that are the same for everyone.

    With --status in that file, once it holds by what --trust pins; it is kept as if it had been
    fetched.

    Exit code: 0 when answers are known, 1 when they are not, or do not hold.
    """
    if (status_file is None) != (trust_file is None):
        raise click.UsageError("Name the file with --status together with --trust.")
    trust = common.trusted(trust_file) if trust_file else b""
    client, state = place.client(trust=trust)
    if status_file is not None:
        OwnReports(client).answer(_small(status_file))
        state = client.load()
    found = client.answers.current(state)
    if found is None:
        raise ConfigError("no-answers", "No answers are known yet; wait for them, or name a file.")
    _print(client, state, OwnReports(client).listed(), as_json, serial=found.serial)


@report.command(short_help="Write out all that is kept of them.")
@where
def export(place: Place, as_json: bool) -> None:
    """Write all that is kept of every report to standard output, as JSON.

    Exit code: 0, also where there is none; 1 when what is kept cannot be read.
    """
    del as_json  # it always is
    client, _ = place.client()
    emit_json({"ok": True, "reports": OwnReports(client).export()})


@report.command(short_help="Send a traceback, now.")
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@_ways
@_message
@click.option("--show", "look", is_flag=True, help="Show the exact text, and send nothing.")
@click.option(
    "--module",
    "modules",
    metavar="NAME",
    multiple=True,
    help="A package of the application; may be given several times.  [default: the product's name]",
)
@common.one_off
def send(
    file: Any,
    direct: bool,
    message: str,
    look: bool,
    modules: tuple[str, ...],
    once: OneOff,
    url: str | None,
    as_json: bool,
) -> None:
    """Send the last Python traceback in FILE (- for standard input) as one report now, through Tor:
    consent for this one alone.

    Of the text go the types of the exceptions and, of the functions of the application itself,
    module and name; which these are is told by the folder that is called like the product, or by
    --module. Look at it first, with --show.

    Exit code: 0 when the intake took it, or it was shown, 1 when nothing was sent or it was
    refused.
    """
    from mars.channels.one_fault import OneFault

    if message and not direct:
        raise click.UsageError("A crowd report says no message; send it with --direct.")
    client = once.client()
    fault = _fault(file, modules or _named_like(client.app.product))
    one = OneFault(client, fault, _way(direct), message)
    if look:
        one.plan(client.view(one, client.load()), url)
        if as_json:
            emit_json({"ok": True, "text": one.text, "bytes": one.size})
        else:
            click.echo(safe(one.text))
        return
    outcome = one.send(PLAIN, url)
    guid = one.report.guid if direct else None
    said = {"guid": guid, "text": one.text, "bytes": one.size}
    if outcome.ok and guid and not as_json:
        click.echo(f"TELEMETRY {guid}")
    common.say_sent("mars report send", outcome, one.size, said, as_json=as_json)


def _named_like(product: str) -> tuple[str, ...]:
    """Packages that a product of that name may have."""
    return tuple(dict.fromkeys((product, product.replace("-", "_"))))


def _fault(file: Any, modules: tuple[str, ...]) -> Any:
    """Raises ``ConfigError`` (``no-traceback``)."""
    from mars.faults.own import Own
    from mars.faults.text import faults

    text = file.read()[-MAX_TEXT:].decode("utf-8", "replace")
    found = faults(text, Own(modules))
    if not found:
        raise ConfigError(
            "no-traceback",
            "No Python traceback with a frame of the application is in that text; name another "
            "file, or by --module the package in whose folder it is.",
        )
    return found[-1]


def _forgotten(what: str, before: dict[str, Any] | None) -> str:
    if what == ASKED and before and before["deletion"] == SENT:
        return "The request for its deletion went already; the next answers say when it is gone."
    if what == ASKED:
        return "Its deletion is asked for; the request goes within 30 days."
    if before and before["sent"] and before["way"] == CROWD:
        return (
            "It is removed here. What was sent cannot be deleted, since nobody can tell whose it "
            "is: it goes 90 days after it came."
        )
    return "It is removed."


def _small(file: Path) -> bytes:
    """Raises ``ConfigError`` (``status-unreadable``)."""
    from mars.wire.reports.status import MAX_DOCUMENT  # late: it loads libsodium

    try:
        return factory.read_small(file, MAX_DOCUMENT)
    except OSError as error:
        raise ConfigError(
            "status-unreadable", f"{file} cannot be read ({error.strerror}); name another."
        ) from None


def _way(direct: bool | None) -> str:
    return DIRECT if direct else CROWD


def _meaning(way: str) -> str:
    from mars.channels.sealing import MEANING

    return MEANING[way]


def _print(
    client: NewsClient, state: State, found: list[dict[str, Any]], as_json: bool, **more: Any
) -> None:
    outstanding, damage = OwnReports(client).outstanding(), client.queue.damage
    mode = client.voice(state).reports
    if as_json:
        said = {"ok": damage is None, "mode": mode, "reports": found, "deletions": outstanding}
        emit_json({**said, "damaged": sorted(client.queue.damaged), **more})
    else:
        for one in found:
            click.echo(safe(_line(one)))
            for line in _help(one):
                click.echo(safe(f"    {line}"))
        if outstanding:
            many = "1 deletion was" if outstanding == 1 else f"{outstanding} deletions were"
            click.echo(
                f"{many} asked for and {'has' if outstanding == 1 else 'have'} not gone yet."
            )
        if not found:
            click.echo(f"mars report: there are none (error reports: {mode}).", err=True)
    if damage:
        click.echo(f"mars report: {safe(str(damage))}", err=True)
        sys.exit(1)


def _line(one: dict[str, Any]) -> str:
    where = next((f for f in reversed(one["frames"]) if f != "<other>"), "")
    released = f", goes not before {one['next']}" if one["released"] else ""
    deletion = f", deletion {one['deletion']}" if one["deletion"] else ""
    guid = f"  {one['guid']}" if one["guid"] else ""
    return (
        f"{one['number']:3}  {one['state']:9}{one['way']:7} {one['day'][:10]}  {one['release']:8}"
        f" {one['types'][0]} in {where or 'no own function'}{guid}{released}{deletion}"
    )


def _help(one: dict[str, Any]) -> list[str]:
    told = one["help"]
    if not told:
        return []
    fixed = f"Fixed in {told['release']}." if told["release"] else ""
    said = (told["summary"], told["how"], told["fix"], fixed)
    return [f"this is known: {' '.join(text for text in said if text)}"]
