"""``mars-motd status``: for people and for monitoring."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from mars.commandline import emit_json, json_option
from mars_motd import document as doc
from mars_motd import epochs as ep
from mars_motd.cli import options
from mars_motd.folder import Folder
from mars_motd.status import NO_SERVER, WARN_DAYS, Status, judge


@click.command()
@options.folder_argument
@options.file_option("--file", "Judge F. Default: the newest signed here.")
@click.option(
    "--days",
    type=click.IntRange(0, 60),
    default=WARN_DAYS,
    show_default=True,
    metavar="N",
    help="Complain when the document expires within N days.",
)
@options.now_option("Default: this computer's clock.")
@json_option("Print one JSON object.")
def status(folder: Path, file: Path | None, days: int, now: int | None, as_json: bool) -> None:
    """Say how the news of DIR stands; exit code 1 if something is to be done.

    Days to expiry, epoch, who has signed, which signatures are missing. Reads no secret.
    """
    place = Folder.at(folder)
    found = _judged(place, file, options.clock_or(now), days)
    warnings = [] if place.product.servers else [NO_SERVER]
    if as_json:
        emit_json({"ok": found.ok, **asdict(found), "warnings": warnings})
    else:
        _print(found)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    sys.exit(0 if found.ok else 1)


def _judged(place: Folder, file: Path | None, now: int, days: int) -> Status:
    clients = doc.Clients(ep.load(place), now, options.openpgp())
    if file is None:
        document = doc.newest(place)
    else:
        document = options.read_as(doc.Document.decode, file, "The document")
    return judge(document, clients, place.keys.records(), days)


def _print(found: Status) -> None:
    if found.serial is not None:
        click.echo(f"serial {found.serial}, issued {found.issued}")
        click.echo(f"expires {found.expires} ({found.days_left} days)")
        click.echo(f"signed by {', '.join(found.signed_by) or 'nobody'}")
        click.echo(f"OpenPGP signature {'present' if found.openpgp else 'missing'}")
    keys = "" if found.keys_days_left is None else f", keys expire in {found.keys_days_left} days"
    click.echo(f"epoch {found.epoch}, threshold {found.threshold}{keys}")
    if found.missing:
        click.echo(f"missing {found.missing}; could sign: {', '.join(found.could_sign)}")
    for problem in found.problems:
        click.echo(f"TO DO: {problem}")
    if found.ok:
        click.echo("ok")
