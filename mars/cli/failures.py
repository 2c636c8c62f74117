"""``mars failures``: what is counted of failures on this computer, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mars.channels import declared
from mars.channels.domains import domains
from mars.channels.news import NO_REGISTRY
from mars.cli.common import Place, held_back, registry_option, where
from mars.commandline import LazyGroup, emit_json, safe
from mars.consent import EVENTS
from mars.pinned import read_registry
from mars.wire.events import LATE_KEY


@click.group(cls=LazyGroup, short_help="See what is counted of failures.")
def failures() -> None:
    """See what is counted of failures here, and what is told of them.

    A domain of failures is agreed to as a whole: mars stats consent on 'DOMAIN/*'. Only how often
    each declared cause occurred is counted, and told in coarse ranges; nothing of a single failure.
    """


@failures.command(short_help="Show the counts of each domain, and what would be told.")
@where
@registry_option
def show(place: Place, registry_file: Path | None, as_json: bool) -> None:
    """Show every declared domain of failures: whether it is on, how often each cause occurred in
    the last seven complete days and today, what would be told of that, what was sent and when.

    Nothing is counted where you neither agreed to the domain nor have what is collected shown.

    Exit code: 0, also where nothing is declared; 1 when what is kept cannot be read.
    """
    client, state = place.client(registry=read_registry(registry_file))
    catalogue, view = client.shown_registry(state), client.view(client.statistics, state)
    kept = client.counted.read()
    found = domains(view, catalogue, client.statistics, kept, client.journal())
    if client.counted.damage:
        click.echo(f"mars failures show: {client.counted.damage}", err=True)
    if as_json:
        emit_json({"ok": True, **declared.standing(client, state, EVENTS), "domains": found})
        return
    for line in (line for one in found for line in _lines(one)):
        click.echo(safe(line))
    if not found:
        none = "no domain of failures is declared." if catalogue else NO_REGISTRY
        click.echo(f"mars failures show: {none}", err=True)


def _lines(domain: dict[str, Any]) -> Iterator[str]:
    mark = "on " if domain["on"] else "off"
    yield f"{mark}  {domain['name']:32} {domain['description']}{held_back(domain)}"
    if not domain["counted"]:
        yield "       nothing is counted"
        return
    yield f"       since {domain['counted'][:10]}; told is what seven complete days after that had"
    entries = {one["name"]: one for one in domain["entries"]}
    for name in domain["names"]:
        told = entries.pop(f"{domain['domain']}/{name['name']}")
        expected = " (expected)" if name["expected"] else ""
        yield f"       {name['name'] + expected:30} {_counted(name)}{_told(told)}"
    late = entries.pop(f"{domain['domain']}/{LATE_KEY}")
    yield f"       {'resolved late':30} {_counted(domain['resolved_late'])}{_told(late)}"
    yield f"       {'worked':30} {_counted(domain['succeeded'])}"
    for name, told in entries.items():
        yield f"       {name.partition('/')[2]:30} {_told(told).removeprefix(', ')}".rstrip()


def _counted(one: dict[str, Any]) -> str:
    return f"{one['week']} in seven days, {one['today']} today"


def _told(entry: dict[str, Any]) -> str:
    last = entry["last"]
    value = entry["value"] or "nothing yet"
    went = f", sent {last['value']} on {last['time'][:10]}" if last else ""
    return f", would tell {value}{went}"
