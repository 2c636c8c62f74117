"""``mars reset``: the installation date, or everything."""

from __future__ import annotations

from pathlib import Path

import click

from mars.cli import common
from mars.console import emit_json
from mars.wire.times import parse_time


@click.command(short_help="Change the installation date, or forget everything.")
@common.where
@click.option("--age", is_flag=True, help="The installation counts as made today.")
@click.option("--installed", metavar="DATE", help="It counts as made on DATE, as 2026-11-21.")
@click.option("--all", "everything", is_flag=True, help="Forget consent, news, times and journal.")
@common.reports
def reset(
    state_dir: Path | None,
    product: str | None,
    channel: str,
    age: bool,
    installed: str | None,
    everything: bool,
    as_json: bool,
) -> None:
    """Change the installation date, of which only the age as a power of ten is ever sent.

    With --all everything is forgotten: it is a new installation then, without consent. The memory
    of which news was seen goes too, so that an older document would be accepted again.
    """
    if (age, installed is not None, everything).count(True) != 1:
        raise click.UsageError("Choose one of --age, --installed DATE and --all.")
    engine, _ = common.stored(state_dir, product, channel)
    if everything:
        engine.forget()
    else:
        engine.set_installed(None if installed is None else parse_time(f"{installed}T00:00:00Z"))
    if as_json:
        emit_json({"ok": True, "reset": "all" if everything else "age"})
    else:
        click.echo("Everything is forgotten." if everything else "The installation date is set.")
