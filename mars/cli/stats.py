"""``mars stats``: declared statistics, each shown, agreed to and sent on its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mars.channels import declared
from mars.channels.news import NO_REGISTRY, NewsClient, undeclared
from mars.cli import common
from mars.cli.common import OneOff, Place, registry_option, where
from mars.commandline import LazyGroup, done, emit_json, safe
from mars.consent import OFF, PLAIN, STATISTICS, Choice
from mars.consent.checks import require_kept
from mars.consent.entries import outgrown, purpose_of
from mars.core.state import State
from mars.errors import ConfigError, ConsentError
from mars.pinned import read_registry

_STORED = "The decision is stored"


@click.group(cls=LazyGroup, short_help="See and choose the statistics that may be sent.")
def stats() -> None:
    """See, preview and choose the statistics that an application declares.

    Each is a consent of its own, undecided means no, and nothing that is not declared is ever
    sent. Values come from the application itself, so that they are seen there; here is seen what is
    declared, agreed to, sealed to go next, and what went.
    """


@stats.command("list", short_help="List everything that is declared.")
@where
@registry_option
def list_(place: Place, registry_file: Path | None, as_json: bool) -> None:
    """List every declared statistic: whether it is on, what it says next, what was sent and when.

    Exit code: 0, also where nothing is declared; 1 when what is kept cannot be read.
    """
    client, state = _client(place, registry_file)
    catalogue, found = client.shown_registry(state), _entries(client, state)
    if as_json:
        emit_json({"ok": True, **declared.standing(client, state), "entries": found})
        return
    for one in found:
        click.echo(safe(_line(one)))
    if not found:
        none = "no statistic is declared; mars failures show lists what is counted of failures."
        click.echo(f"mars stats list: {none if catalogue else NO_REGISTRY}", err=True)


@stats.command(short_help="Show all about one of them.")
@click.argument("name", metavar="NAME")
@where
@registry_option
def show(name: str, place: Place, registry_file: Path | None, as_json: bool) -> None:
    """Show what NAME (project/key) says, why, who answers for it, and what was sent of it.

    Exit code: 0 when it is declared, 1 when not.
    """
    client, state = _client(place, registry_file)
    name = client.full(name)
    found = {one["name"]: one for one in _entries(client, state)}.get(name)
    if found is None:
        raise undeclared([name], is_known=client.shown_registry(state) is not None)
    if as_json:
        emit_json({"ok": True, **found})
        return
    for member, value in found.items():
        if value not in (None, [], ""):
            click.echo(safe(f"{member + ':':14}{_text(value)}"))


@stats.command(short_help="Show the next report as it stands now.")
@where
@registry_option
def preview(place: Place, registry_file: Path | None, as_json: bool) -> None:
    """Show the report that goes next, as it is sealed now, and the request around it.

    Sends nothing. Where its value, the release or the week changes before it goes, it is sealed
    anew; mars journal shows what went.

    Exit code: 0 when a report is drawn for a time to come, 1 when none is.
    """
    client, state = _client(place, registry_file)
    ready = client.planned(client.statistics, state, client.voice(state))
    body = ready.request.body or b""
    if as_json:
        said = {"text": ready.request.sealed, "bytes": len(body), "shown": ready.request.shown}
        emit_json({"ok": True, "url": ready.url, "values": dict(ready.values), **said})
        return
    click.echo(safe(ready.request.shown.replace("\r\n", "\n")), nl=False)
    click.echo(f"# to {safe(ready.url)}, through Tor, at a time drawn at random", err=True)


@stats.command(short_help="Agree to statistics, or take that back.")
@click.argument("answer", type=click.Choice(["on", "off"]))
@click.argument("names", metavar="[NAME]...", nargs=-1)
@where
@registry_option
def consent(
    answer: str,
    names: tuple[str, ...],
    place: Place,
    registry_file: Path | None,
    as_json: bool,
) -> None:
    """Say yes (on) or no (off) to each NAME (project/key, or a key of the application's own; or
    DOMAIN/*, all of a domain of failures).

    Without a NAME to all statistics that are declared now; an answer to some leaves the others as
    they are.

    Statistics come with the news: agree to these first, by mars consent grant. What is declared
    later is off until you say yes to it.

    Exit code: 0 when the decision is kept, 1 when not.
    """
    client, state = _client(place, registry_file, decides=True)
    known, on = client.declared(state), answer == "on"
    _require_news(state)
    if not (known or names) and on:
        raise ConfigError("undeclared", f"Nothing was agreed to: {NO_REGISTRY}")
    wanted = [client.full(name) for name in names]
    client.require_entries(state, wanted)
    both = known if on else (*known, *state.decision.entries) if state.decision else ()
    all_now = [name for name in both if purpose_of(name) is STATISTICS]
    stats = False if not (on or names) else None
    choice = Choice(None, stats=stats, entries=dict.fromkeys(wanted or all_now, on))
    client.choose(choice)
    _require_news(client.load())
    require_kept(choice, client.load().decision)
    with done(_STORED):
        after = client.load().decision
        agreed = sorted(after.entries.keys() - outgrown(after, known)) if after else []
        if as_json:
            emit_json({"ok": True, "entries": agreed})
        else:
            click.echo(f"On: {', '.join(agreed) or 'none'}")


@stats.command(short_help="Send one report, now.")
@click.argument("name", metavar="PROJECT/KEY")
@click.argument("value", metavar="VALUE")
@common.one_off
def send(name: str, value: str, once: OneOff, url: str | None, as_json: bool) -> None:
    """Send one report of PROJECT/KEY now, through Tor: consent for this one alone.

    VALUE is the raw one, such as 57 of a bucket. Where the entry has an epsilon, a random value may
    be sent in its place, as in any report. Nothing is drawn or repeated. Hooks of the application
    and what the user has coarsened are not asked: you name the value yourself. The administrator's
    policy holds, and may have less said of it.

    Exit code: 0 when the intake took it, 1 when nothing was sent or it was refused.
    """
    from mars.channels.one_report import OneReport

    client = once.client()
    report = OneReport(client.known, name, value, client.ports.chance)
    outcome = client.send(report, asked=PLAIN, url=url)
    common.say_sent(
        "mars stats send", outcome, report.size, {"bytes": report.size}, as_json=as_json
    )


def _client(
    place: Place, registry_file: Path | None, *, decides: bool = False
) -> tuple[NewsClient, State]:
    return place.client(decides=decides, registry=read_registry(registry_file))


def _entries(client: NewsClient, state: State) -> list[dict[str, Any]]:
    catalogue = client.shown_registry(state)
    view = client.view(client.statistics, state)
    return declared.entries(view, catalogue, client.statistics, client.journal())


def _require_news(state: State) -> None:
    if state.decision is None or state.decision.level == OFF:
        raise ConsentError(
            "level-off",
            "These come with the news; choose those first: mars consent grant plain.",
        )


def _line(one: dict[str, Any]) -> str:
    mark = "on " if one["on"] else "off"
    said = f", next: {one['said']}" if one["next"] else ""
    last = one["last"]
    went = f", sent {last['value']} on {last['time'][:10]}" if last else ""
    return f"{mark}  {one['name']:32} {one['label']}{common.held_back(one)}{said}{went}"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one is not None)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
