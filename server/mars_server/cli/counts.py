"""``mars-server counts``: the exact figures, for the operator alone."""

from __future__ import annotations

import contextlib
import csv
import io
from dataclasses import asdict
from datetime import date
from pathlib import Path

import click

from mars.commandline import emit_json, json_option
from mars.errors import ConfigError, StateError
from mars.wire.catalogue import Catalogue
from mars.wire.query import AllowList
from mars.wire.times import format_time
from mars_server.cli import options
from mars_server.cli.settings import COUNTS, Configured
from mars_server.common.config import load_catalogue, load_product
from mars_server.counting.streams import STDIN
from mars_server.storage import Engine, open_database, reading
from mars_server.storage.reading import Week

_json = json_option()
_TOTALS = ("product", "channel", "logs", "lines", "hits", "rejected", "late")


@click.group()
def counts() -> None:
    """Show what was counted. These figures are exact and not for publication."""


@counts.command(cls=Configured, settings=COUNTS)
@options.db
@click.option(
    "--product",
    "product_file",
    type=options.HERE,
    help="product.toml, beside which errors.toml says what is an error event and no statistic.",
)
@_json
def show(url: str, product_file: Path | None, as_json: bool) -> None:
    """Totals, hits by day, and what came too late for a published week; opened reports by week."""
    engine = open_database(url, create=False, write=False)
    if as_json:
        declared = load_catalogue(product_file) if product_file else Catalogue("", "")
        emit_json(_document(engine, declared))
        return
    total = reading.totals(engine)
    options.show(f"{total.product or 'no product yet'} ({total.channel or 'no channel'})")
    options.show(
        f"{total.logs} logs, {total.lines} lines = {total.hits} hits + {total.rejected} rejected"
    )
    options.show(f"{total.late} hits came too late for a published week and were dropped")
    if gone := sum(week.hits for week in reading.all_weeks(engine) if week.left_out):
        options.show(f"{gone} hits lie too far back to be real and are left out (counts weeks)")
    _show_reports(engine)
    for day, levels in reading.levels(engine).items():
        parts = ", ".join(f"{n} {level}" for level, n in sorted(levels.items()))
        options.show(f"{day}  {sum(levels.values()):>10}  ({parts})")


def _show_reports(engine: Engine) -> None:
    """Nothing where no spool was ever counted."""
    found, waiting = reading.reports(engine), reading.waiting(engine)
    if not (found.counted or found.dropped or waiting):
        return
    options.show(
        f"{found.counted.total()} reports, {options.dropped(found.reasons())}, "
        f"{waiting} wait for keys that were not given"
    )
    for (week, name, release, value), n in sorted(found.counted.items()):
        options.show(f"{week}  {n:>10}  {name} is {value} in {release}")


def _document(engine: Engine, declared: Catalogue) -> dict[str, object]:
    total = reading.totals(engine)
    reports = reading.reports(engine)
    days: dict[str, dict[str, dict[str, int]]] = {}
    for day, variable, value, n in reading.cells(engine):
        days.setdefault(day, {}).setdefault(variable, {})[value] = n
    return {
        **{name: getattr(total, name) for name in _TOTALS},
        "weeks": {week.week: _week(week) for week in reading.all_weeks(engine)},
        "days": days,
        **reports.by_purpose(declared),
        "dropped": reports.reasons(),
        "dropped_weeks": reports.reasons_by_week(),
        "waiting": reading.waiting(engine),
    }


def _week(week: Week) -> dict[str, object]:
    told = asdict(week) | {
        "published": None if week.published is None else format_time(week.published)
    }
    return {name: value for name, value in told.items() if name != "week"}


@counts.command(cls=Configured, settings=COUNTS)
@options.db
@_json
def weeks(url: str, as_json: bool) -> None:
    """Each ISO week: days with hits, hits, when it was published, hits that came too late.

    A week is left out where a wrong clock dated it: before 2020, or a few hits more than half a
    year before all others.
    """
    found = reading.all_weeks(open_database(url, create=False, write=False))
    options.answer(as_json, {week.week: _week(week) for week in found}, *map(_line, found))


def _line(week: Week) -> str:
    state = "open" if week.published is None else f"published {format_time(week.published)}"
    state = "left out, too far back" if week.left_out else state
    late = f", {week.late} too late" if week.late else ""
    return f"{week.week}  {week.days} days  {week.hits:>10} hits  {state}{late}"


@counts.command(cls=Configured, settings=COUNTS)
@options.db
@click.option("--day", metavar="DAY", help="Only this day, such as 2026-11-21.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True
)
def export(url: str, day: str | None, form: str) -> None:
    """All counts as CSV (day, variable, value, n) or JSON, on stdout."""
    if day is not None:
        _check_day(day, "--day")
    rows = reading.cells(open_database(url, create=False, write=False), day)
    if form == "json":
        names = ("day", "variable", "value", "n")
        emit_json([dict(zip(names, row, strict=True)) for row in rows])
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("day", "variable", "value", "n"))
    writer.writerows(rows)
    click.echo(text.getvalue(), nl=False)


@counts.command(cls=Configured, settings={**COUNTS, "logs": "logs"})
@click.argument("day")
@options.logs
@options.db
@options.product
@options.log_format("How the logs are written: the same as when they were counted.")
@options.jobs
@click.option("--allow-empty", is_flag=True, help="Also where no hit of the day is left.")
@_json
def recount(
    day: str,
    logs: tuple[str, ...],
    url: str,
    product_file: Path,
    format_name: str,
    jobs: int,
    allow_empty: bool,
    as_json: bool,
) -> None:
    """Count DAY (such as 2026-11-21) anew from all its logs.

    For a day whose counts were made with an outdated list of releases. Lines that were never
    counted stay uncounted. A day of a published week is refused, and so is a day that had hits and
    would have none.
    """
    from mars_server.counting.executors import driver
    from mars_server.counting.inputs import expand
    from mars_server.counting.recount import recount as count_again
    from mars_server.storage.database import counting_lock
    from mars_server.storage.ledger import Ledger

    _check_day(day, "DAY")
    if STDIN in logs:
        raise click.UsageError("A day is counted anew from files; standard input is read once.")
    product = load_product(product_file)
    engine = open_database(url, create=False)
    ledger = Ledger(engine)
    with driver(jobs) as chosen, counting_lock(engine):
        ledger.bind(product.product, product.channel)
        allow = AllowList.of(product)
        paths = expand(logs)
        found = count_again(day, paths, allow, chosen, ledger, format_name)
        if not (found.hits or allow_empty) and day in reading.levels(engine):
            raise StateError(
                "day-emptied",
                f"{day} has hits, and none was found now, so nothing was changed: "
                "give the --format of these logs, or --allow-empty.",
            )
        ledger.replace_day(day, found)
    told = {"day": day, "hits": found.hits, "days": found.days()}
    options.answer(as_json, told, f"{day}: {found.hits} hits")


def _check_day(text: str, what: str) -> None:
    """Raises ``ConfigError`` (``day-invalid``) unless ``text`` is an ISO day that exists."""
    with contextlib.suppress(ValueError):
        if date.fromisoformat(text).isoformat() == text:
            return
    raise ConfigError("day-invalid", f"{what} must be a date such as 2026-11-21.")
