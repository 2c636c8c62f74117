"""``mars status``, ``mars journal`` and ``mars reset``: what is kept on this computer, shown and
forgotten."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.channels.motd import no_server
from mars.channels.reading import written
from mars.cli.common import Place, explained, where
from mars.commandline import done, emit_json, safe
from mars.errors import ConfigError, MarsError, WireError
from mars.wire.times import parse_time

_LABELS = (
    ("level", "Level"),
    ("decided_by", "Decided by"),
    ("variables", "Variables"),
    ("says", "At level tracked"),
    ("purposes", "Agreed to"),
    ("unserved", "Agreed to, not shown here"),
    ("direct", "Directly where there is no Tor"),
    ("country", "Country"),
    ("to_ask", "Not asked yet"),
    ("server", "Server"),
    ("next", "Next fetch, at the earliest"),
    ("last", "Last try"),
    ("serial", "Serial"),
    ("expires", "Expires"),
    ("stale_since", "Stale since"),
    ("update", "Update"),
    ("newest_version", "Newest version"),
    ("installed", "Installed"),
    ("running", "A client is running"),
    ("problem", "Problem"),
)


@click.command(short_help="Show level, last fetch, next fetch and freshness.")
@where
def status(place: Place, as_json: bool) -> None:
    """Show where things stand: level, last fetch, next fetch, freshness of the news.

    Without --product and --state: of every application of this user.

    Exit code: 0 when all is well, 1 when a last fetch failed, news is stale, or what is
    kept cannot be read.
    """
    if place.state_dir is not None or place.product is not None:
        table = _of(place)
        if as_json:
            emit_json(table)
        else:
            _print(table)
        healthy = table["ok"]
    else:
        root = Path(factory.state_root(factory.this_host()))
        tables = [_of_one(kept) for kept in factory.kept(root, "*/*")]
        healthy = all(table["ok"] for table in tables)
        if as_json:
            emit_json({"ok": healthy, "applications": tables})
        for table in () if as_json else tables:
            click.echo(f"{safe(str(table['product']))} {safe(str(table['version']))}")
            _print(table)
            click.echo()
    if not healthy:
        sys.exit(1)


def _of(place: Place) -> dict[str, Any]:
    client, _ = place.client()
    table = client.status()
    healthy = not (table["stale_since"] or table["problem"] or (table["last"] or {}).get("reason"))
    return {"ok": healthy, **table, "running": client.is_served()}


def _of_one(place: Path) -> dict[str, Any]:
    """One that cannot be read hides no other."""
    try:
        return _of(Place(place))
    except MarsError as error:
        name = place.parent.name
        return {"ok": False, "product": name, "version": "", "problem": error.plain()}


def _print(table: dict[str, Any]) -> None:
    for name, label in _LABELS:
        if table.get(name) not in (None, "", [], {}):
            click.echo(f"{label + ':':28} {safe(_text(table[name]))}")
    if table.get("server", "unknown") is None:
        click.echo(f"mars status: {no_server()}", err=True)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and "message" in value:
        return f"{value['message']} [{value['reason']}]"
    if isinstance(value, dict) and "reason" not in value:
        return ", ".join(f"{name} since {at}" for name, at in value.items() if at) or "nothing"
    if isinstance(value, dict):
        reason = value["reason"]
        return f"{value['time']}, {explained(str(reason)) if reason else 'accepted'}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


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
    was written down. What was wrong with a value of statistics stands there too, with nothing sent.

    Exit code: 0 when that is all of it, 1 when lines of it cannot be understood.
    """
    client, _ = place.client(changes=delete, unread=True)
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
    came = explained(str(reason)) if reason else f"accepted {entry.get('serial') or ''}".rstrip()
    route = entry.get("route") or "not connected"
    about = f"{entry.get('channel', 'motd')}  {entry.get('level')}  {entry.get('url')}"
    notes = entry.get("notes")
    beside = f"  ({', '.join(map(str, notes))})" if isinstance(notes, list) and notes else ""
    return f"{when}  {about}  {route}  {came}{beside}"


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
    which news was seen goes too, so that an older document would be accepted again; and the keys by
    which error reports that were sent could be deleted.
    """
    if (age, installed is not None, everything).count(True) != 1:
        raise click.UsageError("Choose one of --age, --installed DATE and --all.")
    client, _ = place.client(changes=True, unread=True)
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
