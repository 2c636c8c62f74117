"""``mars-motd key …``: makes, shows and hands over keys. Rotation lies in ``rotate``."""

from __future__ import annotations

import click

from mars.commandline import LazyGroup

_PLACES = {
    "new": "mars_motd.cli.key_new:new",
    "list": "mars_motd.cli.key_list:list_keys",
    "export": "mars_motd.cli.key_share:export",
    "import": "mars_motd.cli.key_share:import_key",
    "rotate": "mars_motd.cli.key_rotate:rotate",
    "revoke": "mars_motd.cli.key_rotate:revoke",
}


@click.group(cls=LazyGroup, commands_in=_PLACES)
def key() -> None:
    """Make, list, hand over, rotate and revoke keys."""
