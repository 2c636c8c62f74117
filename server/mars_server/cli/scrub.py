"""``mars-server scrub``."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from mars.console import emit_json, safe
from mars.errors import MarsError
from mars.factory import system_clock
from mars_server.counting.inputs import expand
from mars_server.counting.retention import Fate, forgettable, judge, policy
from mars_server.counting.streams import shown

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
@click.option(
    "--forget-missing",
    is_flag=True,
    help="The logs named are all there are: forget old ones that something else removed.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def scrub(
    logs: tuple[str, ...],
    url: str,
    keep_days: int,
    forget_missing: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove logs that are counted and published, and what the database knows them by.

    Name the rotated logs, never one that a server still writes. A log goes only when all its lines
    are counted, all weeks it has hits of are published, and both its last hit and its last change
    are older than --keep-days. Exit 1 if a log that should be gone is still there, or a name means
    no log. Backups are yours to remove.
    """
    from mars_server.storage import open_database
    from mars_server.storage.forgetting import forget, known, open_weeks
    from mars_server.storage.ledger import Ledger
    from mars_server.storage.lock import counting_lock

    engine = open_database(url, create=False)
    problems: list[MarsError] = []
    with counting_lock(engine):
        logs_known = known(engine)
        rule = policy(open_weeks(engine), system_clock().now(), keep_days)
        fates = judge(expand(logs, problems.append), Ledger(engine), logs_known, rule)
        certain = not problems and all(fate.source is not None for fate in fates)
        gone: set[int] = set()
        if not dry_run:
            _remove(fates)
            gone = forgettable(fates, logs_known, rule, missing=forget_missing and certain)
            forget(engine, gone)
    for problem in problems:
        click.echo(safe(str(problem)), err=True)
    if forget_missing and not certain:
        click.echo("A log here is not known yet, so no missing one was forgotten.", err=True)
    return _report(fates, len(gone), dry_run=dry_run, as_json=as_json) or int(bool(problems))


def _remove(fates: list[Fate]) -> None:
    for fate in fates:
        if fate.reason is None:
            with contextlib.suppress(OSError):  # the report names what is left
                Path(fate.path).unlink(missing_ok=True)


def _report(fates: list[Fate], forgotten: int, *, dry_run: bool, as_json: bool) -> int:
    gone = [fate.path for fate in fates if fate.reason is None]
    left = [] if dry_run else [path for path in gone if Path(path).exists()]
    if as_json:
        emit_json(
            {
                "removed": [] if dry_run else [path for path in gone if path not in left],
                "would_remove": gone if dry_run else [],
                "kept": {
                    shown(fate.path): fate.reason for fate in fates if fate.reason is not None
                },
                "forgotten": forgotten,
                "left": left,
            }
        )
    else:
        for fate in fates:
            done = "would go" if dry_run else "removed"
            click.echo(
                f"{safe(shown(fate.path))}: {'kept, ' + fate.reason if fate.reason else done}"
            )
        click.echo(f"{forgotten} logs forgotten by the database")
    return 1 if left else 0
