"""``mars consent prove``: a year of this installation, played on a network that only counts."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from mars.cli import common
from mars.console import emit_json

_DAYS = 365


@click.command(short_help="Prove that nothing is sent: play a year with a counting network.")
@common.where
@click.option("--days", type=click.IntRange(1, 3650), default=_DAYS, show_default=True)
def prove(
    state_dir: Path | None, product: str | None, channel: str, days: int, as_json: bool
) -> None:
    """Play DAYS of this installation under the settings and environment of this moment.

    The client itself runs, with a clock of its own and a network that only counts. Nothing is
    sent and nothing is stored. For packagers and for CI.

    Exit code: 0 when no request would have been sent, 1 when one would.
    """
    from mars.testing.memory import rehearse

    engine, state = common.stored(state_dir, product, channel)
    requests = rehearse(engine, days)
    voice = engine.voice(state)
    if as_json:
        emit_json(
            {
                "ok": not requests,
                "days": days,
                "requests": len(requests),
                "level": voice.level,
                "decided_by": voice.by.name,
            }
        )
    else:
        click.echo(
            f"{len(requests)} requests tried in {days} days (level {voice.level}, decided by "
            f"{voice.by.name}: {voice.by.says})."
        )
    if requests:
        sys.exit(1)
