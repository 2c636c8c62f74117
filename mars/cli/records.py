"""``mars journal`` and ``mars reset``: what is kept on this computer, shown and forgotten."""

from __future__ import annotations

import sys

import click

from mars import factory
from mars.channels.news import written
from mars.cli.common import Place, explained, where
from mars.commandline import done, emit_json, safe
from mars.errors import ConfigError, WireError
from mars.wire.times import parse_time


@click.command(short_help="Show what was sent, by which route, and what came back.")
@where
@click.option("--last", metavar="N", type=click.IntRange(1), help="Only the newest N entries.")
@click.option("--sent", is_flag=True, help="Show the bytes of each request too.")
@click.option("--delete", is_flag=True, help="Delete the journal.")
def journal(
    place: Place,
    last: int | None,
    sent: bool,
    delete: bool,
    as_json: bool,
) -> None:
    """Show every request of this installation: when, by which route, what came back.

    The journal never leaves this machine. It keeps the newest 200 entries. The reason "begun"
    stands with a request whose end nobody saw: it was sent, and the process ended before an answer
    was written down.

    Exit code: 0 when that is all of it, 1 when lines of it cannot be understood.
    """
    client, _ = place.client(changes=delete)
    if delete:
        client.delete_journal()
    entries, unreadable = client.journal()[-(last or 0) :], client.unreadable()
    if unreadable:
        click.echo(f"mars journal: {client.damage}", err=True)
    if as_json:
        emit_json({"ok": not unreadable, "entries": entries, "unreadable": unreadable})
    for entry in () if as_json else entries:
        click.echo(safe(_line(entry)))
        if sent:
            click.echo(safe(str(entry.get("sent", "")).replace("\r\n", "\n")))
    if unreadable:
        sys.exit(1)
    if not (entries or as_json):
        click.echo("Nothing was ever sent, or the journal was deleted.", err=True)


def _line(entry: dict[str, object]) -> str:
    when = written(entry.get("time")) or "unknown time"
    reason = entry.get("reason")
    came = explained(str(reason)) if reason else f"accepted {entry.get('serial')}"
    route = entry.get("route") or "not connected"
    return f"{when}  {entry.get('level')}  {entry.get('url')}  {route}  {came}"


@click.command(short_help="Change the installation date, or forget everything.")
@where
@click.option("--age", is_flag=True, help="The installation counts as made today.")
@click.option("--installed", metavar="DATE", help="It counts as made on DATE, as 2026-11-21.")
@click.option("--all", "everything", is_flag=True, help="Forget all that is kept, consent too.")
def reset(
    place: Place,
    age: bool,
    installed: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Change the installation date, of which only the age as a power of ten is ever sent.

    With --all everything is forgotten: consent, country, news, times, journal, current.json and
    the files of a Tor of our own. It is a new installation then, without consent. The memory of
    which news was seen goes too, so that an older document would be accepted again.
    """
    if (age, installed is not None, everything).count(True) != 1:
        raise click.UsageError("Choose one of --age, --installed DATE and --all.")
    client, _ = place.client(changes=True)
    if everything:
        client.forget(lambda: factory.clear(place.folder(client.ports.host)))
    else:
        now = client.ports.clock.now()
        client.set_installed(None if installed is None else _day(installed, now))
    said = "Everything is forgotten" if everything else "The installation date is set"
    with done(said):
        if as_json:
            emit_json({"ok": True, "reset": "all" if everything else "age"})
        else:
            click.echo(f"{said}.")


def _day(text: str, now: int) -> int:
    """Its first second, UTC. Raises ``ConfigError`` (``bad-time``)."""
    try:
        day = parse_time(f"{text}T00:00:00Z")
    except WireError:
        raise ConfigError("bad-time", "Write the date like this: --installed 2026-11-21.") from None
    if day > now:
        raise ConfigError(
            "bad-time", "That day has not begun yet (UTC); name a past one, or today by --age."
        )
    return day
