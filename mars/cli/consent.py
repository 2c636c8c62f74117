"""``mars consent``: decide what may be sent, and see who decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars.cli import common
from mars.consent import LEVELS, OFF, PLAIN, TRACKED
from mars.console import LazyGroup, emit_json
from mars.wire.variables import NAMES

if TYPE_CHECKING:
    from mars.engine import Engine

_PLACES = {
    "grant": "mars.cli.consent:grant",
    "revoke": "mars.cli.consent:revoke",
    "explain": "mars.cli.consent:explain",
    "prove": "mars.cli.prove:prove",
}

_SWITCHES = {
    "direct": "Plain news by https where no Tor is there",
    "stats": "Statistics",
    "errors": "Error reports",
}


@click.group(cls=LazyGroup, commands_in=_PLACES, short_help="Decide what may be sent.")
def consent() -> None:
    """Decide what may be sent, and see which layer decided.

    Undecided means off: not a byte leaves. Policy file, environment and application can only
    lower what you decide here.
    """


@click.command(short_help="Agree to a level.")
@click.argument("level", type=click.Choice([PLAIN, TRACKED]))
@common.where
@common.choice
@click.option("--new", is_flag=True, help="Decide for an application that has not run yet.")
def grant(
    level: str,
    state_dir: Path | None,
    product: str | None,
    channel: str,
    new: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Agree to LEVEL from now on: plain sends no data, tracked the variables you name.

    Of lang, py and cc at most one rides in a request, drawn at random.

    A name for which nothing is kept is refused where other applications are known, since it is
    then most likely misspelt. --new, or --state together with --product, says that it is meant.
    """
    new = new or (state_dir is not None and product is not None)
    engine, _ = common.stored(state_dir, product, channel, decides=True, new=new)
    engine.choose(level, **chosen)
    _print(engine, as_json)


@click.command(short_help="Send nothing any more.")
@common.where
def revoke(state_dir: Path | None, product: str | None, channel: str, as_json: bool) -> None:
    """Send nothing any more, from this moment on; your country is forgotten.

    Exit code: 0 when that is kept, 1 when not, or when nothing is known of that application.
    """
    engine, _ = common.stored(state_dir, product, channel, changes=True)
    engine.choose(OFF, (), stats=False, errors=False, direct=False, country="")
    _print(engine, as_json)


@click.command(short_help="Show every layer and which one decided.")
@common.where
@click.option(
    "--require",
    type=click.Choice(LEVELS),
    help="Exit with 1 when automatic traffic may say more than this.",
)
def explain(
    state_dir: Path | None, product: str | None, channel: str, require: str | None, as_json: bool
) -> None:
    """Show what each layer allows for automatic traffic; the least of all holds."""
    engine, state = common.stored(state_dir, product, channel)
    voice = engine.voice(state)
    held = require is None or LEVELS.index(voice.level) <= LEVELS.index(require)
    _print(engine, as_json, ok=held)
    if not held:
        sys.exit(1)


def _effective(engine: Engine, *, ok: bool) -> dict[str, Any]:
    from mars.switches import explain as layers

    state = engine.load()
    voice = engine.voice(state)
    return {
        "ok": ok,
        "level": voice.level,
        "decided_by": voice.by.name,
        "variables": [name for name in NAMES if name in voice.variables],
        "stats": voice.stats,
        "errors": voice.errors,
        "direct": voice.direct,
        "country": state.country,
        "layers": layers(voice),
    }


def _print(engine: Engine, as_json: bool, *, ok: bool = True) -> None:
    table = _effective(engine, ok=ok)
    if as_json:
        emit_json(table)
        return
    for layer in table["layers"]:
        mark = "->" if layer["decided"] else "  "
        click.echo(f"{mark} {layer['layer']:14}{layer['level']:9}{layer['says']}")
    variables = f" ({', '.join(table['variables'])})" if table["variables"] else ""
    click.echo(f"Automatic traffic: {table['level']}{variables}")
    for name, label in _SWITCHES.items():
        click.echo(f"{label}: {'yes' if table[name] else 'no'}")
    click.echo(f"Country: {table['country'] or 'none named'}")
