"""``mars-server counts``: the exact figures, for the operator alone."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import click
from sqlalchemy import Engine

from mars.console import emit_json
from mars_server.storage import open_database, reading
from mars_server.storage.reading import Week

_db = click.option(
    "--db",
    "url",
    required=True,
    metavar="URL",
    help="sqlite:///PATH or postgresql://USER@HOST/NAME.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def counts() -> None:
    """Show what was counted. These figures are exact and not for publication."""


@counts.command()
@_db
@_json
def show(url: str, as_json: bool) -> None:
    """Totals, hits by day, and the hits that came too late for a published week."""
    engine = open_database(url)
    if as_json:
        emit_json(_document(engine))
        return
    total = reading.overview(engine)
    click.echo(f"{total.product or 'no product yet'} ({total.channel or 'no channel'})")
    click.echo(
        f"{total.logs} logs, {total.lines} lines = {total.hits} hits + {total.rejected} rejected"
    )
    click.echo(f"{total.late} hits came too late for a published week and were dropped")
    for day, levels in reading.levels(engine).items():
        parts = ", ".join(f"{n} {level}" for level, n in sorted(levels.items()))
        click.echo(f"{day}  {sum(levels.values()):>10}  ({parts})")


def _document(engine: Engine) -> dict[str, object]:
    total = reading.overview(engine)
    days: dict[str, dict[str, dict[str, int]]] = {}
    for day, variable, value, n in reading.cells(engine):
        days.setdefault(day, {}).setdefault(variable, {})[value] = n
    return {
        "product": total.product,
        "channel": total.channel,
        "logs": total.logs,
        "lines": total.lines,
        "hits": total.hits,
        "rejected": total.rejected,
        "late": total.late,
        "weeks": {week.week: _week(week) for week in reading.all_weeks(engine)},
        "days": days,
    }


def _week(week: Week) -> dict[str, object]:
    return {
        "days": week.days,
        "hits": week.hits,
        "published": None if week.published is None else _iso(week.published),
        "late": week.late,
    }


def _iso(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@counts.command()
@_db
@_json
def weeks(url: str, as_json: bool) -> None:
    """Each ISO week: days with hits, hits, when it was published, hits that came too late."""
    found = reading.all_weeks(open_database(url))
    if as_json:
        emit_json({week.week: _week(week) for week in found})
        return
    for week in found:
        state = "open" if week.published is None else f"published {_iso(week.published)}"
        late = f", {week.late} too late" if week.late else ""
        click.echo(f"{week.week}  {week.days} days  {week.hits:>10} hits  {state}{late}")


@counts.command()
@_db
@click.option("--day", metavar="DAY", help="Only this day, such as 2026-11-21.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True
)
def export(url: str, day: str | None, form: str) -> None:
    """All counts as CSV (day, variable, value, n) or JSON, on stdout."""
    rows = reading.cells(open_database(url), day)
    if form == "json":
        names = ("day", "variable", "value", "n")
        emit_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("day", "variable", "value", "n"))
    writer.writerows(rows)
    click.echo(text.getvalue(), nl=False)
