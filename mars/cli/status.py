"""``mars status``: where things stand."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars.cli import common
from mars.console import emit_json, safe

_LABELS = (
    ("level", "Level"),
    ("decided_by", "Decided by"),
    ("variables", "Variables"),
    ("to_ask", "Not asked yet"),
    ("next", "Next fetch, at the earliest"),
    ("last", "Last try"),
    ("serial", "Serial"),
    ("expires", "Expires"),
    ("stale_since", "Stale since"),
    ("update", "Update"),
    ("newest_version", "Newest version"),
    ("installed", "Installed"),
)


@click.command(short_help="Show level, last fetch, next fetch and freshness.")
@common.where
@common.reports
def status(state_dir: Path | None, product: str | None, channel: str, as_json: bool) -> None:
    """Show where things stand: level, last fetch, next fetch, freshness of the news.

    Exit code: 0 when all is well, 1 when the last fetch failed or the news is stale.
    """
    from mars.status import status as of

    engine, _ = common.stored(state_dir, product, channel)
    table = of(engine)
    healthy = table["stale_since"] is None and not (table["last"] or {}).get("reason")
    if as_json:
        emit_json({"ok": healthy, **table})
    else:
        for name, label in _LABELS:
            if table[name] not in (None, "", []):
                click.echo(f"{label + ':':29}{safe(_text(table[name]))}")
    if not healthy:
        sys.exit(1)


def _text(value: object) -> str:
    if isinstance(value, dict):
        return f"{value['time']}, {value['reason'] or 'accepted'}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
