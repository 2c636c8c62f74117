"""``mars consent``: decide what may be sent, see who decided, and prove that nothing is sent."""

from __future__ import annotations

import sys
from typing import Any

import click

from mars.channels.news import NewsClient
from mars.cli.common import Place, choice, where
from mars.commandline import LazyGroup, done, emit_json
from mars.consent import LEVELS, OFF, PLAIN, SWITCHES, TRACKED, require_offered
from mars.consent.api import explain as layers
from mars.consent.api import since, switches
from mars.errors import ConfigError
from mars.wire.variables import NAMES

_PLACES = {name: f"mars.cli.consent:{name}" for name in ("grant", "revoke", "explain", "prove")}
_DAYS = 365
_STORED = "The decision is stored"


@click.group(cls=LazyGroup, commands_in=_PLACES, short_help="Decide what may be sent.")
def consent() -> None:
    """Decide what may be sent, and see which layer decided.

    Undecided means off: not a byte leaves. Policy file, environment and application can only
    lower what you decide here.
    """


@click.command(short_help="Agree to a level.")
@click.argument("level", type=click.Choice([PLAIN, TRACKED]))
@where
@choice
@click.option("--new", is_flag=True, help="Decide for an application that has not run yet.")
def grant(level: str, place: Place, new: bool, as_json: bool, **chosen: Any) -> None:
    """Agree to LEVEL from now on: plain sends no data, tracked the variables you name.

    Of lang, py and cc at most one rides in a request, drawn at random.

    A name for which nothing is kept is refused where other applications are known, since it is
    then most likely misspelt. --new, or --state together with --product, says that it is meant.
    """
    new = new or (place.state_dir is not None and place.product is not None)
    client, _ = place.client(decides=True, new=new)
    client.choose(level, **chosen)
    with done(_STORED):
        _print(client, as_json)
    try:
        require_offered(client.offered, chosen["stats"], chosen["errors"])
    except ConfigError as error:
        click.echo(f"mars consent grant: {error}", err=True)


@click.command(short_help="Send nothing any more.")
@where
def revoke(place: Place, as_json: bool) -> None:
    """Send nothing any more, from this moment on; your country is forgotten.

    Exit code: 0 when that is kept, 1 when not, or when nothing is known of that application.
    """
    client, _ = place.client(changes=True)
    client.choose(OFF, (), direct=False, country="")
    with done(_STORED):
        _print(client, as_json)


@click.command(short_help="Show every layer and which one decided.")
@where
@click.option(
    "--require",
    type=click.Choice(LEVELS),
    help="Exit with 1 when automatic traffic may say more than this.",
)
def explain(place: Place, require: str | None, as_json: bool) -> None:
    """Show what each layer allows for automatic traffic; the least of all holds."""
    client, state = place.client()
    level = client.voice(state).level
    held = require is None or LEVELS.index(level) <= LEVELS.index(require)
    _print(client, as_json, ok=held)
    if not held:
        sys.exit(1)


@click.command(short_help="Prove that nothing is sent: play a year with a counting network.")
@where
@click.option("--days", type=click.IntRange(1, 3650), default=_DAYS, show_default=True)
def prove(place: Place, days: int, as_json: bool) -> None:
    """Play DAYS of this installation under the settings and environment of this moment.

    The client itself runs, with a clock of its own and a network that only counts. Nothing is
    sent and nothing is stored. For packagers and for CI.

    Exit code: 0 when no request would have been sent, 1 when one would.
    """
    from mars.testing.memory import rehearse

    client, state = place.client()
    requests = len(rehearse(client, days))
    voice = client.voice(state)
    if as_json:
        told = {"level": voice.level, "decided_by": voice.by.name}
        emit_json({"ok": not requests, "days": days, "requests": requests, **told})
    else:
        click.echo(
            f"{requests} requests tried in {days} days (level {voice.level}, decided by "
            f"{voice.by.name}: {voice.by.says})."
        )
    if requests:
        sys.exit(1)


def _print(client: NewsClient, as_json: bool, *, ok: bool = True) -> None:
    state = client.load()
    voice = client.voice(state)
    variables = [name for name in NAMES if name in voice.variables]
    if as_json:
        emit_json(
            {
                "ok": ok,
                "level": voice.level,
                "decided_by": voice.by.name,
                "variables": variables,
                **switches(lambda purpose: purpose.name in voice.purposes),
                "direct": voice.direct,
                "country": state.country,
                "purposes": since(client.offered, voice, state.decision),
                "layers": layers(voice),
            }
        )
        return
    for layer in layers(voice):
        mark = "->" if layer["decided"] else "  "
        click.echo(f"{mark} {layer['layer']:14}{layer['level']:9}{layer['says']}")
    named = f" ({', '.join(variables)})" if variables else ""
    click.echo(f"Automatic traffic: {voice.level}{named}")
    dates = since(client.offered, voice, state.decision)
    for purpose in client.offered:
        at = dates[purpose.name]
        click.echo(f"{purpose.label}: {f'yes, since {at}' if at else 'no'}")
    click.echo(f"Plain news by https where no Tor is there: {'yes' if voice.direct else 'no'}")
    for purpose in SWITCHES.values():
        if purpose.name not in dates:
            click.echo(f"{purpose.label}: no")
    click.echo(f"Country: {state.country or 'none named'}")
