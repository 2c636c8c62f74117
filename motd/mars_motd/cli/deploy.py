"""``mars-motd deploy``: puts the signed document where the server reads it."""

from __future__ import annotations

from pathlib import Path

import click

from mars import factory
from mars.commandline import safe
from mars.errors import StateError, naming
from mars.wire import envelope as envelopes
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import files, publish
from mars_motd.cli.options import FILE, clock_or, folder_argument, now_option, read
from mars_motd.deploy import MIN_DAYS, require_deployable
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.verdicts import Remembering


@click.command()
@folder_argument
@click.argument("destination", metavar="DEST", type=FILE)
@click.option("--file", type=FILE, metavar="F", help="Deploy F. Default: the newest signed here.")
@click.option(
    "--min-days",
    type=click.IntRange(0, 60),
    default=MIN_DAYS,
    show_default=True,
    metavar="N",
    help="Refuse a document that expires within N days.",
)
@now_option("Judge at this time. Default: now.")
def deploy(
    folder: Path, destination: Path, file: Path | None, min_days: int, now: int | None
) -> None:
    """Put the signed document at DEST (a file, or a folder for motd.json) in one step.

    Refused, with exit code 1: what a new client or one that accepted the file now at DEST would
    refuse (so also a lower serial), and what expires soon.
    """
    place = Folder.at(folder)
    epochs = ep.load(place, place.product())
    moment = clock_or(now)
    target = destination / "motd.json" if destination.is_dir() else destination
    data = read(file, "The document") if file is not None else _newest(place, epochs, moment)
    deployed = read(target, "The deployed document") if target.exists() else None
    with naming(file or target):
        motd = require_deployable(data, deployed, epochs, moment, factory.openpgp(), min_days)
    files.replace(target, data)
    click.echo(f"{safe(str(target))}: serial {motd.serial}, expires {format_time(motd.expires)}")


def _newest(place: Folder, epochs: Epochs, now: int) -> bytes:
    is_complete = publish.completeness(epochs, now, Remembering(factory.openpgp()))
    document = publish.newest(place, is_complete)
    if document is None:
        raise StateError("nothing-signed", "No complete document was signed here yet.")
    return envelopes.encode(document.envelope)
