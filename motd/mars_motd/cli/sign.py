"""``mars-motd sign`` and ``trust``: the next document, and what clients pin."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from mars import factory
from mars.commandline import safe, shown
from mars.errors import TrustError
from mars.wire import envelope as envelopes
from mars.wire.keys import TrustRoot
from mars.wire.motd import Motd
from mars.wire.times import format_time
from mars_motd import document, files
from mars_motd import epochs as ep
from mars_motd.cli import options
from mars_motd.document import NO_SERVER, Clients, News
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.kinds import NEWS
from mars_motd.signatures import Judge, Pending

_LATEST = "latest"


@click.command()
@options.folder_argument
@options.out_option
@options.now_option("Issue the document at this time, and sign at it. Default: now.")
@options.passphrase_option
@options.key_option("Sign with this key. Default: all at hand.")
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
    place.require_output(out, NEWS.decode, passphrase_file)
    epochs = ep.load(place)
    if add_to is None:
        news = _new(place, epochs, now)
        moment = news.said.issued
    else:
        news = _half_signed(add_to, place, epochs)
        moment = options.clock_or(now)
    judge = Judge(options.openpgp(), news.said.issued, moment)
    sets = {f"epoch {epochs.number}": epochs.keys.signing(NEWS.role)}
    pending = Pending(news.envelope, news.said, sets, judge)
    asker = options.asker(passphrase_file)
    pending = pending.signed(place.keys, keys, asker, partial=partial)
    pending = replace(pending, envelope=epochs.riding(pending.envelope))
    data = envelopes.encode(pending.envelope)
    if pending.complete:
        Clients(epochs, moment, judge.openpgp).accepted(data)
    newest = document.newest(place)  # may fail, so before anything is written
    ep.pin(place, epochs)
    document.record(place, pending)
    files.replace(out, data)
    with options.telling():
        _report(out, newest, pending, epochs)


def _new(place: Folder, epochs: Epochs, now: int | None) -> News:
    motd = document.draft(place, epochs.number, options.clock_or(now))
    return NEWS.unsigned(_free(place, motd, now is None))


def _free(place: Folder, motd: Motd, wait: bool) -> Motd:
    """``motd`` with a serial under which nothing else was signed.

    A second signing in the same second waits for the next one; where the time was given, it is
    taken as given plus the seconds that such waiting would take.
    """
    while document.taken(place, motd):
        if wait:
            time.sleep(0.05)
        issued = factory.system_clock().now() if wait else motd.issued + 1
        lifetime = motd.expires - motd.issued
        motd = replace(motd, serial=issued, issued=issued, expires=issued + lifetime)
    return motd


def _half_signed(path: Path, place: Folder, epochs: Epochs) -> News:
    """The document that others have signed, if it is for this product and epoch."""
    news = options.read_document(NEWS, path)
    epochs.require_ours(news.said, epochs.number, path)
    for said in document.strange_settings(news.said, place.product):
        click.echo(f"warning: {safe(said)}", err=True)
    return news


def _report(out: Path, newest: News | None, pending: Pending[Motd], epochs: Epochs) -> None:
    motd = pending.said
    click.echo(f"{shown(out)}: serial {motd.serial}, {len(motd.messages)} messages", err=True)
    click.echo(f"issued {format_time(motd.issued)}, expires {format_time(motd.expires)}", err=True)
    said = "complete" if pending.complete else "not complete: pass it on to the next holder"
    click.echo(f"{pending}: {said}", err=True)
    riding, steps = len(pending.envelope.x_keys), len(epochs.steps)
    if steps:
        older = f"; clients older than epoch {epochs.number - riding} need keys.json"
        said = older if riding < steps else ""
        click.echo(f"{riding} of {steps} keys documents ride along{said}", err=True)
    if newest is not None and newest.said.serial > motd.serial:
        click.echo(
            f"note: serial {newest.said.serial} was signed before and is newer; clients that have "
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
