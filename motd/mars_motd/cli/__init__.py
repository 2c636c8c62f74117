"""The ``mars-motd`` command. Each subcommand lives in a module of its own, loaded when used."""

from __future__ import annotations

import click

from mars import __version__
from mars.commandline import LazyGroup, run

_PLACES = {
    "init": "mars_motd.cli.init:init",
    "key": "mars_motd.cli.key:key",
    "new": "mars_motd.cli.new:new",
    "check": "mars_motd.cli.check:check",
    "preview": "mars_motd.cli.preview:preview",
    "sign": "mars_motd.cli.sign:sign",
    "verify": "mars_motd.cli.verify:verify",
    "deploy": "mars_motd.cli.deploy:deploy",
    "status": "mars_motd.cli.status:status",
    "trust": "mars_motd.cli.trust:trust",
}


@click.group(
    cls=LazyGroup, commands_in=_PLACES, needs="motd", context_settings={"max_content_width": 96}
)
@click.version_option(__version__)
def cli() -> None:
    """Write the message of the day, sign it offline, rotate keys."""


def main() -> None:
    run(cli, "mars-motd")
