"""``mars show``: the last accepted news."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from mars.cli.common import Place, where
from mars.commandline import emit_json
from mars.errors import StateError

if TYPE_CHECKING:
    from mars.channels.news import Reading

_UPDATES = {
    "up-to-date": "This application is up to date.",
    "update": "Version {newest} is available.",
    "security-update": "Version {newest} is available and closes a security hole.",
}


@click.command(short_help="Show the news that was last accepted.")
@where
@click.option("--new", "only_new", is_flag=True, help="Only messages not shown before; marks them.")
def show(place: Place, only_new: bool, as_json: bool) -> None:
    """Show the news that was last fetched and accepted. Sends nothing.

    Exit code: 0 when there is news to show, 1 when there is none yet or it has expired.
    """
    client, state = place.client()
    reading = client.reading(state)
    if reading is None:
        raise StateError(
            "no-news",
            "No news was fetched yet: agree to it by mars consent grant and wait for the "
            "application, or run mars fetch --trust FILE with the trust.json that it ships.",
        )
    if only_new:
        from mars.channels.memory import Memory
        from mars.channels.news import unseen

        reading = replace(
            reading, messages=unseen(reading.messages, Memory.of(state).seen), news=""
        )
        client.mark_seen(reading.messages)
    if as_json:
        emit_json({"ok": reading.stale_since is None, **reading.plain()})
    else:
        print_reading(reading)
    if reading.stale_since is not None:
        sys.exit(1)


def print_reading(reading: Reading | None) -> None:
    """Plain text on stdout. Everything in a ``Reading`` is already safe on a terminal."""
    from mars.wire.times import format_time

    if reading is None:
        return
    if reading.stale_since is not None:
        click.echo(f"The information is stale since {format_time(reading.stale_since)}.")
        return
    if reading.news:
        click.echo(reading.news)
    for message in reading.messages:
        mark = "" if message.severity == "info" else f"[{message.severity}] "
        click.echo(f"\n{mark}{message.title}")
        for part in (message.text, message.url):
            if part:
                click.echo(part)
    update = _UPDATES.get(reading.update)
    if update:
        click.echo(f"\n{update.format(newest=reading.newest_version)}")
