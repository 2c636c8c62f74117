"""The ``mars-motd`` command. Its subcommands are loaded when used."""

from __future__ import annotations

import click

from mars import __version__
from mars.commandline import LazyGroup, run

_PLACES = {
    "init": "mars_motd.cli.drafts:init",
    "key": "mars_motd.cli.key:key",
    "new": "mars_motd.cli.drafts:new",
    "check": "mars_motd.cli.drafts:check",
    "preview": "mars_motd.cli.drafts:preview",
    "sign": "mars_motd.cli.sign:sign",
    "verify": "mars_motd.cli.signed:verify",
    "deploy": "mars_motd.cli.signed:deploy",
    "status": "mars_motd.cli.signed:status",
    "trust": "mars_motd.cli.trust:trust",
    "registry": "mars_motd.cli.registry:registry",
    "generate": "mars_motd.cli.registry:generate",
    "steering": "mars_motd.cli.riders:steering",
    "release": "mars_motd.cli.riders:release",
}


@click.group(
    cls=LazyGroup, commands_in=_PLACES, needs="motd", context_settings={"max_content_width": 96}
)
@click.version_option(__version__)
def cli() -> None:
    """Write the message of the day, sign it offline, rotate keys."""


def main() -> None:
    run(cli, "mars-motd")
