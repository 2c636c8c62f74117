"""``mars-server count``."""

from __future__ import annotations

from pathlib import Path

import click

from mars.console import emit_json
from mars.wire.product import parse_product
from mars.wire.query import AllowList
from mars_server.counting.inputs import expand
from mars_server.counting.tally import Rules, Tally
from mars_server.counting.work import count_whole


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
@click.option("--jobs", type=click.IntRange(1, 64), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def count(
    logs: tuple[str, ...],
    product_file: Path,
    url: str | None,
    dry_run: bool,
    jobs: int,  # noqa: ARG001
    as_json: bool,
) -> None:
    """Count the MOTD's access logs by day and coarse metric, each line once."""
    if dry_run == (url is not None):
        raise click.UsageError("Give either --db URL or --dry-run.")
    product = parse_product(product_file.read_bytes(), str(product_file))
    rules = Rules(AllowList.of(product))
    total = Tally()
    for path in expand(logs):
        total.add(count_whole(path, rules))
    if url is not None:
        from mars_server.storage import open_database
        from mars_server.storage.ledger import store

        with open_database(url).begin() as connection:
            store(connection, total)
    if as_json:
        emit_json(document(total))
    else:
        click.echo(f"{total.lines} lines, {total.hits} hits, {total.rejected} rejected")


def document(total: Tally) -> dict[str, object]:
    return {
        "lines": total.lines,
        "hits": total.hits,
        "rejected": total.rejected,
        "days": total.days(),
    }
