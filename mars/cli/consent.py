"""``mars consent`` and ``mars preview``: decide what may be sent, see who decided, and see what
would be sent, or that nothing is."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import click

from mars.channels import declared
from mars.channels.memory import Memory
from mars.channels.motd import Motd
from mars.channels.news import NewsClient
from mars.channels.own_reports import OwnReports
from mars.channels.reading import written
from mars.channels.statistics import asked_as
from mars.cli.common import Place, choice, where
from mars.commandline import LazyGroup, done, emit_json, safe
from mars.consent import (
    DELETIONS,
    EVENTS,
    LEVELS,
    OFF,
    PLAIN,
    REPORTS,
    STATISTICS,
    SWITCHES,
    TRACKED,
    Choice,
    effective,
)
from mars.consent.api import explain as layers
from mars.consent.api import since, switches
from mars.consent.checks import require_offered, unserved
from mars.consent.entries import outgrown, purpose_of
from mars.core.channel import Channel, NextRequest
from mars.core.schedule import FARTHEST
from mars.core.state import State
from mars.errors import ConfigError, MarsError, StateError
from mars.wire.times import LAST, format_time
from mars.wire.variables import NAMES, VARIABLES

_DAYS = 365
_STORED = "The decision is stored"
_NOTHING_DECLARED = (
    "What the application declares of {} is not known here yet, so no single one was agreed to; "
    "name its registry: mars stats consent on NAME --registry FILE."
)
_ASKS_ANEW = (
    "off, since it asks something else, or more, than you agreed to; see mars stats list, or mars "
    "failures show"
)
_VETOED = "off, since the policy file or a rule of yours has nothing said of it"
LEFT_OUT = "What is switched off or unknown is left out, and nothing else said in its place."


@click.group(cls=LazyGroup, short_help="Decide what may be sent.")
def consent() -> None:
    """Decide what may be sent, and see which layer decided.

    Undecided means off: not a byte leaves. Policy file, environment and application can only
    lower what you decide here.
    """


@consent.command(short_help="Agree to a level.")
@click.argument("level", type=click.Choice([PLAIN, TRACKED]))
@where
@choice
@click.option("--new", is_flag=True, help="Decide for an application that has not run yet.")
def grant(level: str, place: Place, new: bool, as_json: bool, **chosen: Any) -> None:
    """Agree to LEVEL from now on: plain sends no data, tracked the variables you name.

    A request says a part of them, drawn at random: how much, by how many installations say it, as
    the application's trust file has it. mars preview shows the rule and the next request.

    A name for which nothing is kept is refused where other applications are known, since it is
    then most likely misspelt. --new, or --state together with --product, says that it is meant.
    A decision is about one application: a folder that does not yet say whose it is needs both.
    """
    new = new or (place.state_dir is not None and place.product is not None)
    client, _ = place.client(decides=True, new=new)
    choice = Choice(level, **chosen)
    client.choose(choice)
    with done(_STORED):
        _print(client, as_json)
    made = client.load().decision
    try:
        require_offered(client.offered, choice, made)
    except ConfigError as error:
        click.echo(f"mars consent grant: {error}", err=True)
    agreed = {purpose_of(name) for name in made.entries} if made else set()
    for purpose in (STATISTICS, EVENTS):
        kept = made is not None and purpose.name in made.purposes
        if kept and choice.wanted().get(purpose.name) and purpose not in agreed:
            said = _NOTHING_DECLARED.format(purpose.label.lower())
            click.echo(f"mars consent grant: {said}", err=True)


@consent.command(short_help="Send nothing any more.")
@where
def revoke(place: Place, as_json: bool) -> None:
    """Send nothing any more, from this moment on; your country is forgotten.

    What you asked to be deleted of your error reports still is: that request goes all the same.

    Exit code: 0 when that is kept, 1 when not, or when nothing is known of that application.
    """
    client, _ = place.client(changes=True)
    client.choose(Choice(OFF, (), direct=False, country=""))
    with done(_STORED):
        _print(client, as_json)
        _tell_outstanding(client)


@consent.command(short_help="Show every layer and which one decided.")
@where
@click.option(
    "--require",
    type=click.Choice(LEVELS),
    help="Exit with 1 when automatic traffic may say more than this.",
)
def explain(place: Place, require: str | None, as_json: bool) -> None:
    """Show what each layer allows for automatic traffic; the least of all holds.

    What an application serves beside its news is named, too, where it was agreed to; a yes to it
    is more than any level of --require.
    """
    client, state = place.client()
    known = (*client.offered, *unserved(client.offered, state.decision))
    held = require is None or not client.voice(state).is_beyond(require, known)
    _print(client, as_json, ok=held)
    if not held:
        sys.exit(1)


@consent.command(short_help="Prove that nothing is sent: play a year with a counting network.")
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
    voice = client.voice(state)
    deletions = OwnReports(client).outstanding() if voice.allows(DELETIONS) else 0
    requests = len(rehearse(client, days)) + deletions
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
    hidden = unserved(client.offered, state.decision)
    changed = outgrown(state.decision, client.declared(state))
    vetoed = vetoed_names(client, state)
    held = {**dict.fromkeys(vetoed, _VETOED), **dict.fromkeys(changed, _ASKS_ANEW)}
    agreed = {name: at for name, at in voice.entries.items() if name not in held}
    if as_json:
        emit_json(
            {
                "ok": ok,
                "level": voice.level,
                "decided_by": voice.by.name,
                "variables": variables,
                "says": client.says(),
                **switches(voice.allows),
                "reports": voice.reports,
                "direct": voice.direct,
                "country": state.country,
                "purposes": since(client.offered, voice, state.decision),
                "unserved": since(hidden, None, state.decision),
                "entries": {name: written(at) for name, at in agreed.items()},
                "layers": layers(voice),
            }
        )
        return
    for layer in layers(voice):
        mark = "->" if layer["decided"] else "  "
        click.echo(f"{mark} {layer['layer']:15}{layer['level']:9}{layer['says']}")
        click.echo("".join(f"{'':27}{safe(limit)}\n" for limit in limits(layer)), nl=False)
    named = f" ({', '.join(variables)})" if variables else ""
    click.echo(f"Automatic traffic: {voice.level}{named}")
    if voice.level == TRACKED:
        click.echo(f"{client.says()} {LEFT_OUT}")
    dates = since(client.offered, voice, state.decision)
    for purpose in client.offered:
        at = dates[purpose.name]
        mode = f" ({voice.reports})" if purpose is REPORTS else ""
        click.echo(f"{purpose.label}: {f'yes{mode}, since {at}' if at else 'no'}")
    for name, began in voice.entries.items():
        click.echo(f"  {name}: {held.get(name) or f'yes, since {written(began)}'}")
    click.echo(f"Plain news by https where no Tor is there: {'yes' if voice.direct else 'no'}")
    for purpose in SWITCHES.values():
        if purpose not in (*client.offered, *hidden):
            click.echo(f"{purpose.label}: no")
    more = since(hidden, None, state.decision)
    for purpose in hidden:
        allowed = voice.allows(purpose)
        now = "this command cannot show what it sends" if allowed else "nothing is sent for it now"
        click.echo(f"{safe(purpose.label)}: agreed on {more[purpose.name]} and kept; {now}")
    click.echo(f"Country: {state.country or 'none named'}")


def vetoed_names(client: NewsClient, state: State) -> list[str]:
    """Of what is known to be declared, and where it is not, nothing is sent."""
    try:
        catalogue = client.shown_registry(state)
    except MarsError:  # declared() has told it
        return []
    if catalogue is None:
        return []
    view = client.view(client.statistics, state)
    told = {asked_as(one) for one in catalogue.entries if not declared.is_vetoed(view, one)}
    return [name for name in catalogue.questions if name not in told]


def _tell_outstanding(client: NewsClient) -> None:
    count = OwnReports(client).outstanding()
    if count:
        click.echo(
            f"Of your error reports {count} {'is' if count == 1 else 'are'} still to be deleted, "
            "as you asked; those requests go within 30 days of that, see mars report list.",
            err=True,
        )


def limits(layer: dict[str, Any]) -> Iterator[str]:
    """What it lowers beside the level, where that leaves anything to lower."""
    if layer["level"] == TRACKED and layer["variables"] is not None:
        yield f"variables: {', '.join(layer['variables']) or 'none'}"
    if layer["refused"]:
        yield f"refused: {', '.join(layer['refused'])}"
    if layer["level"] != OFF and not layer["direct"]:
        yield "through Tor alone"


@click.command(short_help="Show the exact bytes of the next request.")
@where
@click.option("--url", metavar="URL", help="Where the document lies. [default: as last used]")
@click.option("--app-version", metavar="V", help="Version of the application. [default: as last]")
@click.option(
    "--request",
    "name",
    metavar="NAME",
    default=Motd.name,
    show_default=True,
    help="Whose next request, as the journal names it: motd, registry, "
    "statistics, status or reports.",
)
@click.option(
    "--level",
    type=click.Choice([PLAIN, TRACKED]),
    help="Show what would be sent after mars consent grant LEVEL. [default: as decided]",
)
@choice
def preview(
    place: Place,
    url: str | None,
    app_version: str | None,
    name: str,
    level: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Show the exact bytes of the next request, where they would go, and why. Sends nothing.

    With --level as if the user now chose so, with the options that mars consent grant takes:
    what it then keeps is what is shown here, and so is what was drawn for it, which is stored. For
    a consent screen.

    Exit code: 0 when a request would be sent, 1 when nothing would.
    """
    client, state = place.client(version=app_version)
    if level is not None:
        state = client.chosen(state, Choice(level, **chosen))
    elif any(value is not None for value in chosen.values()):
        raise click.UsageError("Name the level that goes with this choice: --level.")
    channel = _channel(client, name)
    ready = client.planned(channel, state, client.voice(state), url)
    if Memory.of(state).pick == client.pick and ready.level == TRACKED:
        with contextlib.suppress(StateError):  # then no choice can be kept either
            client.update(lambda now: (now, None))
    if as_json:
        emit_json({"ok": True, **plain(client, state, ready, channel)})
        return
    earliest = _earliest(client, state, channel)
    click.echo(safe(ready.request.shown.replace("\r\n", "\n")), nl=False)
    click.echo(f"# to {safe(ready.url)}, {_way(ready)}; not before {earliest}", err=True)
    if ready.direct is not None and ready.direct != ready.request:
        click.echo("# Directly it would be:", err=True)
        for line in ready.direct.shown.strip().splitlines():
            click.echo(f"#   {safe(line)}", err=True)
    if ready.level == TRACKED:
        click.echo(f"# {client.says()} {LEFT_OUT}", err=True)
    for variable in VARIABLES:
        if variable.name in ready.values:
            value = f"{variable.name}={ready.values[variable.name]}"
            click.echo(f"# {value}: {variable.label}.", err=True)
            click.echo(f"#   {variable.description} {variable.reason}", err=True)


def _channel(client: NewsClient, name: str) -> Channel:
    """Raises ``click.UsageError``."""
    found = {one.name: one for one in client.channels}
    if name not in found:
        raise click.UsageError(f"Nothing here asks under that name; choose of {', '.join(found)}.")
    return found[name]


def plain(client: NewsClient, state: State, ready: NextRequest, channel: Channel) -> dict[str, Any]:
    """The preview for programs; ``bytes`` is the request as text with its CR LF, ``direct`` the
    one that goes where no Tor is."""
    return {
        "level": ready.level,
        "url": ready.url,
        "bytes": ready.request.shown,
        "direct": ready.direct.shown if ready.direct else None,
        "route": _way(ready),
        "earliest": _earliest(client, state, channel),
        "says": client.says(),
        "decided_by": effective([*client.voice(state).layers, *ready.lowered]).by.name,
        "variables": [
            {"name": one.name, "value": ready.values.get(one.name)}
            | {text: getattr(one, text) for text in ("label", "description", "reason")}
            for one in VARIABLES
        ],
    }


def _way(ready: NextRequest) -> str:
    if ready.is_file:
        return "from a file"
    if ready.direct is None:
        return "through Tor"
    bare = ", without the data," if ready.values else ""
    return f"through Tor, or directly by https{bare} where there is no Tor"


def _earliest(client: NewsClient, state: State, channel: Channel) -> str:
    """A time further off than any schedule plans, as after a wrong clock, is not waited for."""
    due = channel.due(state)
    if due is None:
        return "asked for"
    return format_time(min(due, client.ports.clock.now() + FARTHEST, LAST))
