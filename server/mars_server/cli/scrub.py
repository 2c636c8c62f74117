"""``mars-server scrub``."""

from __future__ import annotations

from pathlib import Path

import click

from mars.console import emit_json, safe
from mars.factory import system_clock
from mars_server.counting.inputs import expand
from mars_server.counting.retention import Fate, judge, policy

KEEP_DAYS = 14
"""Days after the last hit: long enough to recount a week that looks wrong."""


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG…")
@click.option(
    "--db",
    "url",
    required=True,
    metavar="URL",
    help="sqlite:///PATH or postgresql://USER@HOST/NAME.",
)
@click.option(
    "--keep-days",
    type=click.IntRange(0, 3650),
    default=KEEP_DAYS,
    show_default=True,
    help="Days for which a log stays after its last hit and its last change.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def scrub(logs: tuple[str, ...], url: str, keep_days: int, dry_run: bool, as_json: bool) -> int:
    """Remove logs that are counted and published, and what the database knows them by.

    Name the rotated logs, never one that a server still writes. A log goes only when all its lines
    are counted, all weeks it has hits of are published, and both its last hit and its last change
    are older than --keep-days. Exit 1 if a log that should be gone is still there. Backups are
    yours to remove.
    """
    from mars_server.storage import open_database
    from mars_server.storage.forgetting import forget, known, open_weeks
    from mars_server.storage.ledger import Ledger
    from mars_server.storage.lock import counting_lock

    engine = open_database(url)
    with counting_lock(engine):
        rule = policy(open_weeks(engine), system_clock().now(), keep_days)
        fates = judge(expand(logs), Ledger(engine), known(engine), rule)
        if not dry_run:
            _remove(fates)
        forgotten = 0 if dry_run else forget(engine, rule)
    return _report(fates, forgotten, dry_run=dry_run, as_json=as_json)


def _remove(fates: list[Fate]) -> None:
    for fate in fates:
        if fate.reason is None:
            Path(fate.path).unlink(missing_ok=True)


def _report(fates: list[Fate], forgotten: int, *, dry_run: bool, as_json: bool) -> int:
    gone = [fate.path for fate in fates if fate.reason is None]
    left = [] if dry_run else [path for path in gone if Path(path).exists()]
    if as_json:
        emit_json(
            {
                "removed": [] if dry_run else [path for path in gone if path not in left],
                "would_remove": gone if dry_run else [],
                "kept": {fate.path: fate.reason for fate in fates if fate.reason is not None},
                "forgotten": forgotten,
                "left": left,
            }
        )
    else:
        for fate in fates:
            done = "would go" if dry_run else "removed"
            click.echo(f"{safe(fate.path)}: {'kept, ' + fate.reason if fate.reason else done}")
        click.echo(f"{forgotten} logs forgotten by the database")
    return 1 if left else 0
