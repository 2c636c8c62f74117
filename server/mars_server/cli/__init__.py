"""The ``mars-server`` command. A subcommand's module is loaded when it is used."""

from __future__ import annotations

import click

from mars import __version__
from mars.commandline import LazyGroup, run

_PLACES = {
    "up": "mars_server.cli.up:up",
    "serve": "mars_server.cli.serve:serve",
    "onion": "mars_server.cli.onion:onion",
    "init": "mars_server.cli.serve:init",
    "check": "mars_server.cli.serve:check",
    "status": "mars_server.cli.operate:status",
    "doctor": "mars_server.cli.operate:doctor",
    "retain": "mars_server.cli.operate:retain",
    "count": "mars_server.cli.count:count",
    "counts": "mars_server.cli.counts:counts",
    "scrub": "mars_server.cli.scrub:scrub",
    "db": "mars_server.cli.db:db",
    "errors": "mars_server.cli.errors:errors",
    "publish": "mars_server.cli.publish:publish",
}


@click.group(
    cls=LazyGroup, commands_in=_PLACES, needs="server", context_settings={"max_content_width": 96}
)
@click.version_option(__version__)
def cli() -> None:
    """Serve the message of the day, count the access logs, publish floored figures."""


def main() -> None:
    run(cli, "mars-server")
