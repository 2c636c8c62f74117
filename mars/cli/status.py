"""``mars status``: where things stand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.channels.motd import no_server
from mars.cli.common import Place, explained, where
from mars.commandline import emit_json, safe
from mars.errors import MarsError

_LABELS = (
    ("level", "Level"),
    ("decided_by", "Decided by"),
    ("variables", "Variables"),
    ("purposes", "Agreed to"),
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
        tables = _each()
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


def _each() -> list[dict[str, Any]]:
    """Of all products and channels of this user; one that cannot be read hides no other."""
    root = Path(factory.state_root(factory.this_host()))
    return [_of_one(place) for place in factory.kept(root, "*/*")]


def _of_one(place: Path) -> dict[str, Any]:
    try:
        return _of(Place(place))
    except MarsError as error:
        name = place.parent.name
        return {"ok": False, "product": name, "version": "", "problem": error.plain()}


def _print(table: dict[str, Any]) -> None:
    for name, label in _LABELS:
        if table.get(name) not in (None, "", []):
            click.echo(f"{label + ':':29}{safe(_text(table[name]))}")
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
