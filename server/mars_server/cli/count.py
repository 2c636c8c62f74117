"""``mars-server count``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars.console import emit_json, safe
from mars.factory import system_clock
from mars.wire.product import Product, parse_product
from mars.wire.query import AllowList
from mars_server.counting import formats
from mars_server.counting.drivers import Driver, driver
from mars_server.counting.inputs import expand
from mars_server.counting.progress import Progress
from mars_server.counting.run import Outcome, count_once, dry_run


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG…")
@click.option(
    "--product",
    "product_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="product.toml with the releases and languages that may be counted.",
)
@click.option("--db", "url", metavar="URL", help="sqlite:///PATH or postgresql://USER@HOST/NAME.")
@click.option("--dry-run", is_flag=True, help="Store nothing; print what the logs hold.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(formats.NAMES),
    default=formats.AUTO,
    show_default=True,
    help="How the logs are written; by default each log is looked at.",
)
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes on this machine.",
)
@click.option("--cluster", metavar="ADDR", help="Count on a Dask cluster, such as tcp://HOST:8786.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def count(
    logs: tuple[str, ...],
    product_file: Path,
    url: str | None,
    dry_run: bool,
    format_name: str,
    jobs: int,
    cluster: str | None,
    as_json: bool,
) -> int:
    """Count the MOTD's access logs by day and coarse metric.

    LOG is a file (plain, gzip, Zstandard, xz), a folder of such files, a glob, a URL, or - for
    standard input. With --db every line is counted once, however often and in whatever order this
    runs and however the logs are rotated. With --dry-run whatever the logs hold is counted.
    """
    if dry_run == (url is not None):
        raise click.UsageError("Give either --db URL or --dry-run.")
    product = parse_product(product_file.read_bytes(), str(product_file))
    paths = expand(logs)
    with driver(jobs, cluster) as chosen:
        if url is None:
            outcome = _dry(paths, product, chosen, format_name)
        else:
            outcome = _stored(paths, product, chosen, format_name, url)
    return report(outcome, as_json=as_json)


def _progress() -> Progress:
    return Progress(system_clock(), sys.stderr)


def _dry(paths: list[str], product: Product, chosen: Driver, format_name: str) -> Outcome:
    return dry_run(paths, AllowList.of(product), chosen, _progress(), format_name)


def _stored(
    paths: list[str], product: Product, chosen: Driver, format_name: str, url: str
) -> Outcome:
    from mars_server.storage import open_database
    from mars_server.storage.ledger import Ledger
    from mars_server.storage.lock import counting_lock

    engine = open_database(url)
    ledger = Ledger(engine)
    with counting_lock(engine, _say_waiting):
        ledger.bind(product.product, product.channel)
        now = system_clock().now
        allow = AllowList.of(product)
        return count_once(paths, allow, chosen, _progress(), ledger, now, format_name)


def _say_waiting() -> None:
    click.echo("Another counter is using this database; waiting for it.", err=True)


def report(outcome: Outcome, *, as_json: bool) -> int:
    """Prints it; 1 where a log could not be counted."""
    for note in outcome.notes:
        click.echo(safe(note), err=True)
    for reason, message in outcome.problems:
        click.echo(f"{safe(message)} [{reason}]", err=True)
    total = outcome.tally
    if as_json:
        emit_json(
            {
                "lines": total.lines,
                "hits": total.hits,
                "rejected": total.rejected,
                "late": outcome.late,
                "days": total.days(),
            }
        )
    else:
        late = f", {outcome.late} of the hits too late" if outcome.late else ""
        click.echo(f"{total.lines} lines, {total.hits} hits, {total.rejected} rejected{late}")
    return 1 if outcome.problems else 0
