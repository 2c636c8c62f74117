"""``mars preview``: the very bytes of the next request."""

from __future__ import annotations

from typing import Any

import click

from mars.channels.memory import Memory
from mars.channels.news import NewsClient
from mars.cli.common import Place, choice, where
from mars.commandline import emit_json, safe
from mars.consent import PLAIN, TRACKED
from mars.core.channel import NextRequest
from mars.core.schedule import FARTHEST
from mars.core.state import State
from mars.wire.times import LAST, format_time
from mars.wire.variables import VARIABLES


@click.command(short_help="Show the exact bytes of the next request.")
@where
@click.option("--url", metavar="URL", help="Where the document lies. [default: as last used]")
@click.option("--app-version", metavar="V", help="Version of the application. [default: as last]")
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
    level: str | None,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Show the exact bytes of the next request, where they would go, and why. Sends nothing.

    With --level as if the user now chose so, with the options that mars consent grant takes:
    what it then keeps is what is shown here. For a consent screen.

    Exit code: 0 when a request would be sent, 1 when nothing would.
    """
    client, state = place.client(version=app_version)
    if level is not None:
        state = client.chosen(state, level, **chosen)
    elif any(value is not None for value in chosen.values()):
        raise click.UsageError("Name the level that goes with this choice: --level.")
    ready = client.plan(state, client.voice(state), url)
    if as_json:
        emit_json({"ok": True, **plain(client, state, ready)})
        return
    click.echo(safe(ready.request.shown.replace("\r\n", "\n")), nl=False)
    click.echo(
        f"# to {safe(ready.url)}, {_way(ready)}; not before {_earliest(client, state)}", err=True
    )
    if ready.direct is not None and ready.direct != ready.request:
        click.echo("# Directly it would be:", err=True)
        for line in ready.direct.shown.strip().splitlines():
            click.echo(f"#   {safe(line)}", err=True)
    for variable in VARIABLES:
        if variable.name in ready.values:
            value = f"{variable.name}={ready.values[variable.name]}"
            click.echo(f"# {value}: {variable.label}.", err=True)
            click.echo(f"#   {variable.description} {variable.reason}", err=True)


def plain(client: NewsClient, state: State, ready: NextRequest) -> dict[str, Any]:
    """The preview for programs; ``bytes`` is the request as text with its CR LF, ``direct`` the
    one that goes where no Tor is."""
    return {
        "level": ready.level,
        "url": ready.url,
        "bytes": ready.request.shown,
        "direct": ready.direct.shown if ready.direct else None,
        "route": _way(ready),
        "earliest": _earliest(client, state),
        "decided_by": ready.voice.by.name,
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


def _earliest(client: NewsClient, state: State) -> str:
    """A time further off than any schedule plans, as after a wrong clock, is not waited for."""
    schedule = Memory.of(state).schedule
    if schedule is None:
        return "asked for"
    return format_time(min(schedule.due, client.ports.clock.now() + FARTHEST, LAST))
