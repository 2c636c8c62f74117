"""``mars-motd sign`` and ``trust``: the next document, and what clients pin."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from mars import factory
from mars.commandline import safe, shown
from mars.errors import ConfigError, StateError, TrustError
from mars.wire import envelope as envelopes
from mars.wire.envelope import MOTD_TYPE, Envelope
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.times import format_time
from mars_motd import document, files, signatures
from mars_motd import epochs as ep
from mars_motd.cli import options
from mars_motd.document import NO_SERVER, Clients, Document
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.signatures import Judge, Progress

_LATEST = "latest"


@click.command()
@options.folder_argument
@options.out_option
@options.now_option("Issue the document at this time, and sign at it. Default: now.")
@options.passphrase_option
@click.option(
    "--key", "keys", multiple=True, metavar="NAME", help="Sign with this key. Default: all at hand."
)
@options.file_option(
    "--add-to", "Add signatures to this half-signed document instead of making a new one."
)
@click.option(
    "--partial",
    is_flag=True,
    help="Write the file although signatures are still missing, for the next holder.",
)
def sign(
    folder: Path,
    out: Path,
    now: int | None,
    passphrase_file: Path | None,
    keys: tuple[str, ...],
    add_to: Path | None,
    partial: bool,
) -> None:
    """Sign the news in the product folder DIR.

    The result is judged by the client's own rules before it is written: what a client would
    refuse is not written, and the exit code is 1. Needs no network.
    """
    place = Folder.at(folder)
    place.require_output(out, Document.decode, passphrase_file)
    epochs = ep.load(place)
    if add_to is None:
        content = place.content()
        content.require()
        motd = _free(
            place,
            document.compose(place.product, content, epochs.number, options.clock_or(now)),
            now is None,
        )
        envelope = document.unsigned(motd, epochs)
    else:
        envelope, motd = _half_signed(add_to, epochs)
        for said in document.strange_settings(motd, place.product):
            click.echo(f"warning: {safe(said)}", err=True)
    moment = options.clock_or(now) if add_to is not None else motd.issued
    records = signatures.at_hand(place.keys, [epochs.keys], keys)
    asker = options.Asker(passphrase_file)
    judge = Judge(options.openpgp(), motd.issued, moment)
    envelope = signatures.add_signatures(envelope, [epochs.keys], place.keys, records, judge, asker)
    state = signatures.progress(envelope, epochs.keys, judge)
    if state.complete:
        Clients(epochs, moment, judge.openpgp).accepted(envelopes.encode(envelope))
    elif not partial or not envelope.signatures:
        hint = "Use --partial to pass it on to the next holder. " if records else ""
        said = f"The document has {state}. {hint}Nothing was written."
        raise StateError("signatures-missing", said)
    newest = document.newest(place)  # may fail, so before anything is written
    ep.pin(place, epochs)
    document.record(place, envelope, motd)
    files.replace(out, envelopes.encode(envelope))
    with options.telling():
        _report(out, newest, motd, state)


def _free(place: Folder, motd: Motd, wait: bool) -> Motd:
    """``motd`` with a serial under which nothing else was signed.

    A second signing in the same second waits for the next one; where the time was given, it is
    taken as given plus the seconds that such waiting would take.
    """
    while document.taken(place, motd):
        if wait:
            time.sleep(0.05)
            issued = factory.system_clock().now()
        else:
            issued = motd.issued + 1
        lifetime = motd.expires - motd.issued
        motd = replace(motd, serial=issued, issued=issued, expires=issued + lifetime)
    return motd


def _half_signed(path: Path, epochs: Epochs) -> tuple[Envelope, Motd]:
    """The document that others have signed, if it is for this product and epoch."""
    given = options.read_as(Document.decode, path, "The document")
    motd = given.motd
    if given.envelope.payload_type != MOTD_TYPE:
        raise ConfigError("wrong-payload-type", f"{path} is not a document of news.")
    epochs.require_ours(motd, epochs.number, path)
    return given.envelope, motd


def _report(out: Path, newest: Document | None, motd: Motd, state: Progress) -> None:
    click.echo(f"{shown(out)}: serial {motd.serial}, {len(motd.messages)} messages", err=True)
    click.echo(f"issued {format_time(motd.issued)}, expires {format_time(motd.expires)}", err=True)
    said = "complete" if state.complete else "not complete: pass it on to the next holder"
    click.echo(f"{state}: {said}", err=True)
    if newest is not None and newest.motd.serial > motd.serial:
        click.echo(
            f"note: serial {newest.motd.serial} was signed before and is newer; clients that have "
            f"seen it refuse this one",
            err=True,
        )


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
