"""``mars preview``: the very bytes of the next request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars.cli import common
from mars.consent import PLAIN, TRACKED
from mars.console import emit_json, safe
from mars.switches import granted
from mars.wire.times import LAST, format_time
from mars.wire.variables import VARIABLES

if TYPE_CHECKING:
    from mars.engine import Engine
    from mars.plan import Plan
    from mars.state import State


@click.command(short_help="Show the exact bytes of the next request.")
@common.where
@click.option("--url", metavar="URL", help="Where the document lies. [default: as last used]")
@click.option("--app-version", metavar="V", help="Version of the application. [default: as last]")
@click.option(
    "--level",
    type=click.Choice([PLAIN, TRACKED]),
    help="Show what would be sent after mars consent grant LEVEL. [default: as decided]",
)
@common.choice
def preview(
    state_dir: Path | None,
    product: str | None,
    channel: str,
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
    engine, state = common.stored(state_dir, product, channel, version=app_version)
    if level is not None:
        state = granted(state, engine.ports.clock.now(), level, **chosen)
    elif any(value is not None for value in chosen.values()):
        raise click.UsageError("Name the level that goes with this choice: --level.")
    plan = engine.plan(state, engine.voice(state), url)
    if as_json:
        emit_json({"ok": True, **plain(engine, state, plan)})
        return
    click.echo(safe(plan.request.shown.replace("\r\n", "\n")), nl=False)
    click.echo(
        f"# to {safe(plan.url)}, {_way(plan)}; not before {_earliest(engine, state)}", err=True
    )
    if plan.direct is not None and plan.direct != plan.request:
        click.echo("# Directly it would be:", err=True)
        for line in plan.direct.shown.strip().splitlines():
            click.echo(f"#   {safe(line)}", err=True)
    for variable in VARIABLES:
        if variable.name in plan.values:
            value = f"{variable.name}={plan.values[variable.name]}"
            click.echo(f"# {value}: {variable.label}.", err=True)
            click.echo(f"#   {variable.description} {variable.reason}", err=True)


def plain(engine: Engine, state: State, plan: Plan) -> dict[str, Any]:
    """The preview for programs; ``bytes`` is the request as text with its CR LF, ``direct`` the
    one that goes where no Tor is."""
    return {
        "level": plan.level,
        "url": plan.url,
        "bytes": plan.request.shown,
        "direct": plan.direct.shown if plan.direct else None,
        "route": _way(plan),
        "earliest": _earliest(engine, state),
        "decided_by": plan.voice.by.name,
        "variables": [
            {
                "name": variable.name,
                "value": plan.values.get(variable.name),
                "label": variable.label,
                "description": variable.description,
                "reason": variable.reason,
            }
            for variable in VARIABLES
        ],
    }


def _way(plan: Plan) -> str:
    if plan.url.startswith("file:"):
        return "from a file"
    if plan.direct is None:
        return "through Tor"
    bare = ", without the data," if plan.values else ""
    return f"through Tor, or directly by https{bare} where there is no Tor"


def _earliest(engine: Engine, state: State) -> str:
    """A time further off than any schedule plans, as after a wrong clock, is not waited for."""
    from mars.schedule import FARTHEST

    if state.schedule is None:
        return "asked for"
    return format_time(min(state.schedule.due, engine.ports.clock.now() + FARTHEST, LAST))
