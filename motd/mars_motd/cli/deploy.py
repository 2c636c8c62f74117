"""``mars-motd deploy``: puts the signed document where the server reads it."""

from __future__ import annotations

from pathlib import Path

import click

from mars.console import shown
from mars.errors import StateError, naming
from mars.wire import envelope as envelopes
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import files
from mars_motd.cli import options
from mars_motd.document import MIN_DAYS, Clients, Document
from mars_motd.folder import Folder


@click.command()
@options.folder_argument
@click.argument("destination", metavar="DEST", type=options.FILE)
@options.file_option("--file", "Deploy F. Default: the newest signed here.")
@click.option(
    "--min-days",
    type=click.IntRange(0, 60),
    default=MIN_DAYS,
    show_default=True,
    metavar="N",
    help="Refuse a document that expires within N days.",
)
@options.now_option("Judge at this time. Default: now.")
def deploy(
    folder: Path, destination: Path, file: Path | None, min_days: int, now: int | None
) -> None:
    """Put the signed document at DEST (a file, or a folder for motd.json) in one step.

    Refused, with exit code 1: what a new client or one that accepted the file now at DEST would
    refuse (so also a lower serial), and what expires soon.
    """
    place = Folder.at(folder)
    clients = Clients(ep.load(place), options.clock_or(now), options.openpgp())
    target = destination / "motd.json" if destination.is_dir() else destination
    place.require_output(target, Document.decode)
    data = _newest(place, clients) if file is None else options.read(file, "The document")
    deployed = options.read(target, "The deployed document") if target.exists() else None
    with naming(shown(file or target)):
        motd = clients.deployable(data, deployed, min_days)
    files.replace(target, data)
    told = f"{shown(target)}: serial {motd.serial}, expires {format_time(motd.expires)}"
    with options.telling():
        click.echo(told)


def _newest(place: Folder, clients: Clients) -> bytes:
    document = clients.newest(place)
    if document is None:
        raise StateError("nothing-signed", "No complete document was signed here yet.")
    return envelopes.encode(document.envelope)
