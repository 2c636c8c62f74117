"""``mars consent``: decide what may be sent, and see who decided."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars.cli import common
from mars.consent import LEVELS, OFF, PLAIN, TRACKED
from mars.console import LazyGroup, emit_json
from mars.metrics import DECLARED_NAMES

if TYPE_CHECKING:
    from mars.engine import Engine

_PLACES = {
    "grant": "mars.cli.consent:grant",
    "revoke": "mars.cli.consent:revoke",
    "explain": "mars.cli.consent:explain",
    "prove": "mars.cli.prove:prove",
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
@click.option(
    "--variable",
    "variables",
    metavar="NAME",
    multiple=True,
    type=click.Choice(DECLARED_NAMES),
    help="Send this variable; may be given several times. [default: v, os and ia]",
)
@click.option("--country", metavar="CODE", help="Your country, such as IS; it is never looked up.")
@click.option("--stats/--no-stats", default=None, help="Declared statistics, sent on their own.")
@click.option("--errors/--no-errors", default=None, help="Error reports, sent on their own.")
@click.option(
    "--direct/--no-direct", default=None, help="Plain news by https where no Tor is there."
)
@common.reports
def grant(
    level: str,
    state_dir: Path | None,
    product: str | None,
    channel: str,
    variables: tuple[str, ...],
    country: str | None,
    stats: bool | None,
    errors: bool | None,
    direct: bool | None,
    as_json: bool,
) -> None:
    """Agree to LEVEL from now on: plain sends no data, tracked the variables you name.

    Of lang, py and cc at most one rides in a request, drawn at random.
    """
    from mars.metrics import country_value

    if country is not None and country_value(country.upper()) is None:
        raise click.UsageError("A country is a code of ISO 3166-1, such as IS or DE.")
    chosen = variables or None
    _decide(state_dir, product, channel, as_json, level, chosen, stats, errors, direct, country)


@click.command(short_help="Send nothing any more.")
@common.where
@common.reports
def revoke(state_dir: Path | None, product: str | None, channel: str, as_json: bool) -> None:
    """Send nothing any more, from this moment on; your country is forgotten."""
    _decide(state_dir, product, channel, as_json, OFF, (), False, False, False, "")


@click.command(short_help="Show every layer and which one decided.")
@common.where
@click.option(
    "--require",
    type=click.Choice(LEVELS),
    help="Exit with 1 when automatic traffic may say more than this.",
)
@common.reports
def explain(
    state_dir: Path | None, product: str | None, channel: str, require: str | None, as_json: bool
) -> None:
    """Show what each layer allows for automatic traffic; the least of all holds."""
    engine, state = common.stored(state_dir, product, channel)
    voice = engine.voice(state)
    held = require is None or LEVELS.index(voice.level) <= LEVELS.index(require)
    if as_json:
        emit_json(_effective(engine, ok=held))
    else:
        _print(engine)
    if not held:
        sys.exit(1)


def _decide(
    state_dir: Path | None,
    product: str | None,
    channel: str,
    as_json: bool,
    *decision: Any,
) -> None:
    from mars.switches import granted

    engine, _ = common.stored(state_dir, product, channel)
    now = engine.ports.clock.now()
    engine.update(lambda state: granted(state, now, *decision))
    if as_json:
        emit_json(_effective(engine, ok=True))
    else:
        _print(engine)


def _effective(engine: Engine, *, ok: bool) -> dict[str, Any]:
    from mars.switches import explain as layers

    voice = engine.voice(engine.load())
    return {
        "ok": ok,
        "level": voice.level,
        "decided_by": voice.by.name,
        "variables": [name for name in DECLARED_NAMES if name in voice.variables],
        "stats": voice.stats,
        "errors": voice.errors,
        "direct": voice.direct,
        "layers": layers(voice),
    }


def _print(engine: Engine) -> None:
    table = _effective(engine, ok=True)
    for layer in table["layers"]:
        mark = "->" if layer["decided"] else "  "
        click.echo(f"{mark} {layer['layer']:14}{layer['level']:9}{layer['says']}")
    variables = f" ({', '.join(table['variables'])})" if table["variables"] else ""
    click.echo(f"Automatic traffic: {table['level']}{variables}")
