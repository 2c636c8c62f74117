"""``mars-server errors``: triage of error reports, a module for each part of it."""

from __future__ import annotations

import click

from mars.commandline import LazyGroup

_PLACES = {
    "open": "mars_server.cli.errors.opening:open_spools",
    "list": "mars_server.cli.errors.desk:list_groups",
    "show": "mars_server.cli.errors.desk:show",
    "resolve": "mars_server.cli.errors.answering:resolve",
    "note": "mars_server.cli.errors.answering:note",
    "rules": "mars_server.cli.errors.answering:rules",
    "delete": "mars_server.cli.errors.answering:delete",
    "console": "mars_server.cli.errors.console:console",
    "stats": "mars_server.cli.errors.giving:stats",
    "retain": "mars_server.cli.errors.giving:retain",
    "status": "mars_server.cli.errors.giving:status",
}


@click.group(cls=LazyGroup, commands_in=_PLACES, needs="server")
def errors() -> None:
    """Open error reports, group and answer them. What is shown is for the operator alone."""
