"""``mars preview``: the very bytes of the next request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars.cli import common
from mars.consent import PLAIN, TRACKED
from mars.console import emit_json, safe
from mars.metrics import DECLARED
from mars.wire.times import format_time

if TYPE_CHECKING:
    from mars.plan import Plan
    from mars.state import State


@click.command(short_help="Show the exact bytes of the next request.")
@common.where
@click.option("--url", metavar="URL", help="Where the document lies. [default: as last used]")
@click.option("--app-version", metavar="V", help="Version of the application. [default: as last]")
@click.option(
    "--level",
    type=click.Choice([PLAIN, TRACKED]),
    help="Show what this level would send. [default: as decided]",
)
@common.reports
def preview(
    state_dir: Path | None,
    product: str | None,
    channel: str,
    url: str | None,
    app_version: str | None,
    level: str | None,
    as_json: bool,
) -> None:
    """Show the exact bytes of the next request, where they would go, and why. Sends nothing.

    Exit code: 0 when a request would be sent, 1 when nothing would.
    """
    engine, state = common.stored(state_dir, product, channel, version=app_version)
    plan = engine.plan(state, engine.voice(state, asked=level), url)
    if as_json:
        emit_json({"ok": True, **plain(state, plan)})
        return
    click.echo(plan.bytes.decode("ascii").replace("\r\n", "\n"), nl=False)
    click.echo(f"# to {safe(plan.url)}, {_way(plan)}; not before {_earliest(state)}", err=True)
    for variable in DECLARED:
        if variable.name in plan.values:
            value = f"{variable.name}={plan.values[variable.name]}"
            click.echo(f"# {value}: {variable.label}.", err=True)
            click.echo(f"#   {variable.description} {variable.reason}", err=True)


def plain(state: State, plan: Plan) -> dict[str, Any]:
    """The preview for programs; ``bytes`` is the request as ASCII text with its CR LF."""
    return {
        "level": plan.level,
        "url": plan.url,
        "bytes": plan.bytes.decode("ascii"),
        "route": _way(plan),
        "earliest": _earliest(state),
        "decided_by": plan.voice.by.name,
        "variables": [
            {
                "name": variable.name,
                "value": plan.values.get(variable.name),
                "label": variable.label,
                "description": variable.description,
                "reason": variable.reason,
            }
            for variable in DECLARED
        ],
    }


def _way(plan: Plan) -> str:
    return "from a file" if plan.url.startswith("file:") else "through Tor"


def _earliest(state: State) -> str:
    return format_time(state.schedule.due) if state.schedule else "asked for"
