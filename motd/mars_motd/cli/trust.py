"""``mars-motd trust``: what a client pins."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from mars.console import shown
from mars.errors import TrustError
from mars.wire.keys import TrustRoot
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import files
from mars_motd.cli import options
from mars_motd.document import Clients
from mars_motd.folder import Folder
from mars_motd.status import NO_SERVER

_LATEST = "latest"


def _as_serial(value: str) -> str:
    """``latest`` or a whole number of Unix seconds."""
    if value != _LATEST and not (value.isascii() and value.isdigit() and len(value) < 13):
        raise click.BadParameter("takes a serial (Unix seconds) or the word latest.")
    return value


@click.command()
@options.folder_argument
@options.out_option
@click.option(
    "--minimum-serial",
    type=_as_serial,
    default="0",
    metavar="N|latest",
    help="Documents older than this are refused even by a new installation. For a release, take "
    '"latest". Default: 0.',
)
@click.option(
    "--built",
    type=options.as_time,
    default=0,
    metavar="T",
    help="When the release was made, if known.",
)
@options.now_option("The time to judge the latest document by. Default: now.")
def trust(folder: Path, out: Path, minimum_serial: str, built: int, now: int | None) -> None:
    """Write what a client pins: keys, thresholds, policy, servers.

    The file is public. Ship it with the application; "mars fetch --trust" and the library read it.
    """
    place = Folder.at(folder)
    place.require_output(out, TrustRoot.decode)
    epochs, moment = ep.load(place), options.clock_or(now)
    if minimum_serial == _LATEST:
        floor = Clients(epochs, moment, options.openpgp()).minimum_serial(place)
    else:
        floor = int(minimum_serial)
    if max(floor, built) > moment:
        raise TrustError(
            "future",
            f"--minimum-serial and --built may not be later than now, {format_time(moment)}: new "
            f"installations would refuse every document until then.",
        )
    epochs = ep.pin(place, epochs)
    root = replace(
        epochs.root_at(epochs.number),
        minimum_serial=floor,
        built=built,
        servers=place.product.servers,
    )
    files.replace(out, root.encode())
    with options.telling():
        click.echo(f"{shown(out)}: {root.product} {root.channel}, epoch {root.epoch}", err=True)
        if not root.servers:
            click.echo(f"warning: {NO_SERVER}", err=True)
