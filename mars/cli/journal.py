"""``mars journal``: the user's own record of what was sent."""

from __future__ import annotations

import sys

import click

from mars.cli.common import Place, explained, where
from mars.commandline import emit_json, safe
from mars.wire.times import LAST, format_time


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
    time = entry.get("time")
    known = type(time) is int and 0 <= time <= LAST
    when = format_time(time) if known and isinstance(time, int) else "unknown time"
    reason = entry.get("reason")
    came = explained(str(reason)) if reason else f"accepted {entry.get('serial')}"
    route = entry.get("route") or "not connected"
    return f"{when}  {entry.get('level')}  {entry.get('url')}  {route}  {came}"
