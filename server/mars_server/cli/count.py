"""``mars-server count``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from mars.commandline import json_option
from mars.errors import MarsError
from mars.factory import system_clock
from mars.wire.catalogue import Catalogue
from mars.wire.product import Product
from mars.wire.query import AllowList
from mars.wire.times import DAY
from mars_server.cli import options
from mars_server.cli.settings import COUNTS, OPENING, Configured
from mars_server.common.config import load_product
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.count_pass import dry_run as dry
from mars_server.counting.executors import driver
from mars_server.counting.foreign.same_file import this_boot
from mars_server.counting.inputs import expand, is_key_file, until_signal
from mars_server.counting.inputs import follow as follow_logs
from mars_server.counting.progress import Progress
from mars_server.counting.reports import Reports
from mars_server.counting.streams import STDIN, is_url
from mars_server.counting.tasks import Driver

_WAITING = "Another counter is using this database; waiting for it."


@click.command(
    cls=Configured,
    settings={**COUNTS, **OPENING, "logs": "logs"},
    needs=("url",),
    instead={"url": "dry_run"},
)
@options.logs
@options.product
@click.option("--db", "url", metavar="URL", help=options.DB)
@click.option("--dry-run", is_flag=True, help="Store nothing; print what the logs hold.")
@options.log_format("How the logs are written; by default each log is looked at.")
@click.option(
    "--new",
    is_flag=True,
    help="Count logs that only begin like a known one as logs of their own.",
)
@options.keys
@options.passphrase
@options.jobs
@click.option("--cluster", metavar="ADDR", help="Count on a Dask cluster, such as tcp://HOST:8786.")
@click.option(
    "--follow", is_flag=True, help="Keep counting what is added, until SIGTERM or Ctrl-C."
)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, DAY),
    default=5.0,
    show_default=True,
    help="Seconds between two looks with --follow.",
)
@json_option()
def count(
    logs: tuple[str, ...],
    product_file: Path,
    url: str | None,
    dry_run: bool,
    format_name: str,
    new: bool,
    keys: tuple[Path, ...],
    passphrase_file: Path | None,
    jobs: int,
    cluster: str | None,
    follow: bool,
    interval: float,
    as_json: bool,
) -> int:
    """Count the MOTD's access logs by day and coarse metric, and open the intake's spools.

    LOG is a file (plain, gzip, Zstandard, xz, bzip2), a folder of such files, a glob, a URL, or -
    for standard input. With --db every line is counted once, however often this runs and however
    the logs are rotated. With --dry-run whatever the logs hold is counted.

    Spools are known by their first line, and opened with the secret keys that --keys names; what
    metrics.toml and errors.toml beside --product declare may count. What is sealed to other keys
    waits.

    Bare, it counts what server.toml names.
    """
    named = [name for name in logs if is_key_file(name)]
    logs = tuple(name for name in logs if name not in named)
    if not logs:
        raise click.UsageError("Name a log beside the keys.")
    if dry_run == (url is not None):
        raise click.UsageError("Give either --db URL or --dry-run.")
    if follow and (url is None or any(name == STDIN or is_url(name) for name in logs)):
        raise click.UsageError("--follow needs --db and local logs.")
    product = load_product(product_file)
    opening = options.opening(product_file, [*keys, *named], passphrase_file)
    with driver(jobs, cluster, options.say) as chosen:
        told: dict[str, Any] = {"format_name": format_name, "opening": opening}
        store = None if url is None else _into(url, product, chosen, new=new, **told)
        if follow and store:
            with until_signal():
                follow_logs(
                    logs,
                    lambda paths: _say_new(store(paths), opening.catalogue, as_json),
                    interval,
                    options.say,
                )
            return 0
        missing: list[MarsError] = []
        notes: list[str] = []
        paths = expand(logs, missing.append, notes.append)
        if missing and not paths:
            for error in missing[1:]:
                options.say(str(error))
            raise missing[0]
        if store:
            found = store(paths)
        else:
            found = dry(paths, AllowList.of(product), chosen, _progress(), **told)
        found.notes[:0] = notes
        found.problems[:0] = missing
        declared, keyed = opening.catalogue, bool(opening.keys)
        return report(found, declared, as_json=as_json, keyed=keyed)


def _into(
    url: str, product: Product, chosen: Driver, **told: Any
) -> Callable[[list[str]], Counted]:
    """Counts into the database at ``url``; its lock is held for one pass at a time."""
    from mars_server.storage import open_database
    from mars_server.storage.database import counting_lock
    from mars_server.storage.ledger import Ledger, note_run

    # Where a name was mistyped all would count once more.
    made = "Made a new database, {}, which knows no log yet."
    engine = open_database(url, made=lambda where: options.say(made.format(where)))
    ledger, allow, now = Ledger(engine), AllowList.of(product), system_clock().now
    ledger.bind(product.product, product.channel)

    def count_paths(paths: list[str]) -> Counted:
        with counting_lock(engine, partial(options.say, _WAITING)):
            using = (allow, chosen, _progress(), ledger, now)
            found = count_once(paths, *using, boot=this_boot(), **told)
            note_run(engine, "count", now())
            return found

    return count_paths


def _progress() -> Progress:
    return Progress(system_clock(), sys.stderr)


def _say_new(outcome: Counted, declared: Catalogue, as_json: bool) -> None:
    if outcome.tally.lines or outcome.problems or outcome.notes or outcome.reports.counted:
        report(outcome, declared, as_json=as_json)
        sys.stdout.flush()


_REFUSED = ("undeclared", "unknown-release")
_OTHER_REGISTRY = (
    "More than half of the reports were dropped as undeclared or of an unknown release: is "
    "metrics.toml or errors.toml beside --product, or product.toml, missing or an older one? With "
    "the right ones the same spools are read again."
)


_OPENS_NOTHING = (
    "No key that was given opens a line: are these the key files of the weeks in which the spools "
    "were written, and of this product?"
)
_ALL_STALE = (
    "All reports are stale: their keys are of other weeks than the spools. Either somebody plays "
    "old reports back, a clock was wrong, or the weeks in a key file were changed."
)


def _doubts(reports: Reports, waiting: int, *, keyed: bool) -> Iterator[str]:
    """What may be wrong with what spools were opened with."""
    reasons, counted = reports.reasons(), reports.counted.total()
    if sum(reasons.get(reason, 0) for reason in _REFUSED) > counted:
        yield _OTHER_REGISTRY
    if reasons.get("stale", 0) and reasons.keys() == {"stale"} and not counted:
        yield _ALL_STALE
    if keyed and waiting and not (counted or reasons.keys() - {"bad-body"} or reports.repeated):
        yield _OPENS_NOTHING


def report(outcome: Counted, declared: Catalogue, *, as_json: bool, keyed: bool = False) -> int:
    """Prints it; 1 where a log could not be counted. ``declared`` says what is an error event;
    ``keyed``: keys were given."""
    outcome.notes += _doubts(outcome.reports, outcome.tally.waiting, keyed=keyed)
    for said in (*outcome.notes, *outcome.problems):
        options.say(str(said))
    total = outcome.tally
    told: dict[str, object] = {name: getattr(total, name) for name in ("lines", "hits", "rejected")}
    told["days"] = total.days()
    told |= outcome.reports.by_purpose(declared)
    told["dropped"] = outcome.reports.reasons()
    told |= {"repeated": outcome.reports.repeated, "waiting": total.waiting}
    told["for_triage"] = total.passed
    if outcome.problems:
        told |= {"ok": False, **outcome.problems[0].plain()}
        told["problems"] = [problem.plain() for problem in outcome.problems]
    if outcome.notes:
        told["notes"] = outcome.notes
    if outcome.late is not None:
        told["late"] = outcome.late
    late = f", {outcome.late} of the hits too late" if outcome.late else ""
    lines, hits = options.number(total.lines, "line"), options.number(total.hits, "hit")
    line = f"{lines}, {hits}, {total.rejected} rejected{late}"
    options.answer(as_json, told, line, *_of_reports(outcome))
    return int(bool(outcome.problems))


def _of_reports(outcome: Counted) -> list[str]:
    """What a run that saw a spool says."""
    found, waiting, passed = outcome.reports, outcome.tally.waiting, outcome.tally.passed
    if not (found.counted or found.dropped or found.repeated or waiting or passed):
        return []
    dropped = options.dropped(found.reasons())
    counted = f"{options.number(found.counted.total(), 'report')} counted"
    waits = "1 waits for its key" if waiting == 1 else f"{waiting} wait for their keys"
    line = f"{counted}, {dropped}, {found.repeated} counted before, {waits}"
    triage = f"{options.number(passed, 'error report')} for triage (mars-server errors open)"
    return [line, triage] if passed else [line]
