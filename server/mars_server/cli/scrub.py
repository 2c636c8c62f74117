"""``mars-server scrub``."""

from __future__ import annotations

import click

from mars.commandline import json_option
from mars.errors import MarsError
from mars.factory import system_clock
from mars_server.cli import options
from mars_server.cli.settings import Configured
from mars_server.counting.inputs import expand
from mars_server.counting.scrub import Fate, forgettable, judge, policy, remove
from mars_server.counting.streams import shown

_KEEP_DAYS = 14
"""Days after the last hit: long enough to recount a week that looks wrong."""
_STILL_THERE = (
    "Another program reads the database, whose files may still hold what was forgotten: "
    "run scrub again when it has ended."
)


@click.command(cls=Configured, settings={"url": "db"})
@options.logs
@options.db
@click.option(
    "--keep-days",
    type=click.IntRange(0, 3650),
    default=_KEEP_DAYS,
    show_default=True,
    help="Days for which a log stays after its last hit and its last change.",
)
@click.option(
    "--forget-missing",
    is_flag=True,
    help="The logs named are all there are: forget old ones that something else removed.",
)
@click.option("--dry-run", is_flag=True, help="Say what would go; remove nothing.")
@json_option()
def scrub(
    logs: tuple[str, ...],
    url: str,
    keep_days: int,
    forget_missing: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Remove logs that are counted and published, and what the database knows them by.

    Name the rotated logs, never one that a server still writes. A log goes only when this database
    counted all its lines, all weeks it has hits of are published, and both its last hit and its
    last change are older than --keep-days. What was never counted stays, whatever it is, and so
    does a file of which not all names (hard links) are given. Exit 1 if a log that should be gone
    is still there, or a name means no log. Backups are yours to remove.
    """
    from mars_server.storage import open_database
    from mars_server.storage.database import counting_lock
    from mars_server.storage.ledger import Ledger, forget, open_weeks, wipe

    engine = open_database(url, create=False)
    problems: list[MarsError] = []
    with counting_lock(engine):
        ledger = Ledger(engine)
        known = ledger.sources()
        rule = policy(open_weeks(engine), system_clock().now(), keep_days)
        judged = judge(expand(logs, problems.append, options.say, links=True), ledger, rule)
        fates = list(judged) if dry_run else [remove(fate) for fate in judged]
        unknown = [fate for fate in fates if fate.unknown]
        gone: set[int] = set()
        if not dry_run:
            missing = forget_missing and not unknown and not problems
            gone = forgettable(fates, known, rule, missing=missing)
            forget(engine, gone)
            if not wipe(engine):
                options.say(_STILL_THERE)
    for problem in problems:
        options.say(str(problem))
    if forget_missing:
        _say_unknown(unknown, problems)
    return _report(fates, len(gone), dry_run=dry_run, as_json=as_json) or int(bool(problems))


def _say_unknown(fates: list[Fate], problems: list[MarsError]) -> None:
    if fates:
        first, more = fates[0], f" (and {len(fates) - 1} more)" if fates[1:] else ""
        options.say(
            f"{shown(first.path)} is not known yet, {first.reason}{more}, so no missing log "
            "was forgotten: count it, or move it away."
        )
    elif problems:
        options.say("A name means no log, so no missing one was forgotten.")


def _report(fates: list[Fate], forgotten: int, *, dry_run: bool, as_json: bool) -> int:
    gone = [fate.path for fate in fates if fate.reason is None]
    left = [fate.path for fate in fates if fate.left]
    told = {
        "removed": [] if dry_run else [path for path in gone if path not in left],
        "would_remove": gone if dry_run else [],
        "kept": {shown(fate.path): fate.reason for fate in fates if fate.reason is not None},
        "forgotten": forgotten,
        "left": left,
    }
    lines = [f"{shown(fate.path)}: {_said(fate, dry_run=dry_run)}" for fate in fates]
    options.answer(as_json, told, *lines, f"{forgotten} logs forgotten by the database")
    return int(bool(left))


def _said(fate: Fate, *, dry_run: bool) -> str:
    if fate.reason is not None:
        return f"kept, {fate.reason}"
    if fate.left:
        return "still there, it cannot be removed"
    return "would go" if dry_run else "removed"
