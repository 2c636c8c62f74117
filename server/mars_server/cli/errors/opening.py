"""``mars-server errors open``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from mars.commandline import json_option
from mars.errors import MarsError
from mars.factory import system_clock
from mars_server.cli import options
from mars_server.cli.errors import common
from mars_server.cli.settings import OPENING, TRIAGE, Configured
from mars_server.counting.inputs import expand, is_key_file
from mars_server.counting.progress import Progress
from mars_server.counting.streams import STDIN, is_url
from mars_server.storage.triage.deleting import Gone
from mars_server.triage import setup, upkeep
from mars_server.triage.reading import Outcome, Reading

_ANYWHERE = (
    "product.toml names no servers, so direct reports are taken whichever server they were meant "
    "for; name it there, or by --server."
)
_OPENS_NOTHING = (
    "No key that was given opens a line: are these the files of the intake's keys of the weeks in "
    "which the spools were written, and those of the releases?"
)

_OPENS_HALF = (
    "The intake's keys open lines, and no key that was given opens what is inside: name the files "
    "of the releases' keys, too."
)


@click.command("open", cls=Configured, settings={**TRIAGE, **OPENING, "spools": "spools"})
@click.argument("spools", nargs=-1, required=True, metavar="SPOOL…")
@options.keys_option("Files of secret keys: those of the intake, and those of the releases.")
@common.db
@common.product
@click.option(
    "--server",
    "servers",
    multiple=True,
    metavar="HOST",
    help="Another host of the intake, beside the servers of product.toml.",
)
@common.lists
@options.passphrase
@options.now_option("Keep and delete as of this time (2026-11-21T00:00:00Z) instead of now.")
@json_option()
def open_spools(
    spools: tuple[str, ...],
    keys: tuple[Path, ...],
    url: str,
    product_file: Path,
    servers: tuple[str, ...],
    lists_file: Path | None,
    passphrase_file: Path | None,
    now: int | None,
    as_json: bool,
) -> int:
    """Open the error reports in SPOOLs, each once, and put them into groups.

    SPOOL is a closed spool, a folder of such, a glob, a URL, or - for standard input. --keys names
    the files of the intake's secret keys and those of the releases; what is sealed to others waits.
    Direct reports can be read at once, crowd reports once ten installations have met the same
    fault. What is over its time, or beyond the quota, is deleted. The database is one of its own,
    not that of the counts.
    """
    named = [each for each in spools if is_key_file(each)]
    names = [each for each in spools if each not in named]
    if not names:
        raise click.UsageError("Name a spool beside the keys.")
    common.say_exposed([*keys, *named])
    ask = partial(options.passphrase_of, passphrase_file)
    opening = setup.load_opening(product_file, [*keys, *named], servers, ask)
    lists = setup.load_lists(product_file, lists_file)
    if isinstance(opening.recipient.servers, setup.Anywhere):
        options.say(_ANYWHERE)
    missing: list[MarsError] = []
    paths = expand(names, missing.append, options.say)
    if missing and not paths:
        raise missing[0]
    with common.locked(url, product_file, create=True) as engine:
        upkeep.regroup(engine, lists)
        progress = Progress(system_clock(), sys.stderr)
        reading = Reading(engine, opening, lists, progress, common.today(now))
        outcome = reading.run(paths, _size(paths))
        old, over = upkeep.tidy(engine, common.moment(now))
    outcome.problems[:0] = missing
    return _report(outcome, old, over, as_json=as_json)


def _size(paths: list[str]) -> int:
    here = (Path(path) for path in paths if path != STDIN and not is_url(path))
    return sum(path.stat().st_size for path in here if path.exists())


def _report(outcome: Outcome, old: Gone, over: Gone, *, as_json: bool) -> int:
    """Prints it; 1 where a spool could not be read."""
    for said in (*outcome.notes, *_doubts(outcome), *outcome.problems):
        options.say(str(said))
    stored = outcome.stored
    told: dict[str, Any] = {"ok": True, "spools": outcome.spools, "before": outcome.before}
    told |= {"lines": outcome.lines}
    told |= {kind: stored.kept[kind] for kind in ("direct", "crowd", "deletion")}
    told |= {"repeated": stored.repeated, "dropped": _reasons(outcome)}
    told |= {"waiting": outcome.waiting, "readable": outcome.readable}
    told |= {"expired": old._asdict(), "quota": over._asdict()}
    if outcome.problems:
        told |= {"ok": False, **outcome.problems[0].plain()}
        told["problems"] = [problem.plain() for problem in outcome.problems]
    options.answer(as_json, told, *_lines(outcome, old, over))
    return int(bool(outcome.problems))


def _reasons(outcome: Outcome) -> dict[str, int]:
    return {reason: n for reason, n in sorted(outcome.stored.dropped.items()) if n}


def _lines(outcome: Outcome, old: Gone, over: Gone) -> Iterator[str]:
    kept, reasons = outcome.stored.kept, _reasons(outcome)
    why = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
    before = f" ({options.number(outcome.before, 'spool')} read before)" if outcome.before else ""
    yield (
        f"{options.number(outcome.lines, 'report')} in {options.number(outcome.spools, 'spool')}"
        f"{before}: "
        f"{kept['direct']} direct, {kept['crowd']} of crowds, "
        f"{options.number(kept['deletion'], 'deletion')}, "
        f"{sum(reasons.values())} dropped{why and f' ({why})'}, "
        f"{outcome.stored.repeated} known before, {outcome.waiting} waiting for keys"
    )
    if outcome.readable:
        yield f"{options.number(outcome.readable, 'fault')} of crowds can be read now"
    if any(old):
        yield f"older than 90 days, and gone: {common.told(old)}"
    if any(over):
        yield f"the quota is full; gone: {common.told(over)}"


def _doubts(outcome: Outcome) -> Iterator[str]:
    known = outcome.stored.repeated + outcome.stored.kept.total()
    if outcome.waiting and not known and not _reasons(outcome):
        yield _OPENS_HALF if outcome.inside else _OPENS_NOTHING
