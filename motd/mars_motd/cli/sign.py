"""``mars-motd sign``: the next document."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import click

from mars import factory
from mars.commandline import emit_json, json_option, safe, shown
from mars.errors import MarsError
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.motd import Motd
from mars.wire.times import day_of, format_time
from mars_motd import document, files, issued, registry, riders
from mars_motd import epochs as ep
from mars_motd.cli import options
from mars_motd.cli.riders import NO_DOWNLOADS, Renewal, root_away, tell_renewed
from mars_motd.document import Clients
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.issued import News
from mars_motd.kinds import NEWS, RELEASE
from mars_motd.riders import Rider, Riders
from mars_motd.signatures import Judge, Pending, Remembering


@click.command()
@options.folder_argument
@options.out_option
@options.now_option("Issue the document at this time, and sign at it. Default: now.")
@options.passphrase_option
@options.key_option("Sign with this key. Default: all at hand.")
@options.file_option(
    "--add-to", "Add signatures to this half-signed document instead of making a new one."
)
@options.yes_option
@json_option("Print one JSON object.")
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
    yes: bool,
    as_json: bool,
) -> None:
    """Sign the news in the product folder DIR.

    What rides beside them, the steering and the release document, is signed anew where it changed
    and the keys are at hand; the last ones ride along else. What changes is shown first, and asked
    for at a terminal where it steers clients. The result is judged by the client's
    own rules before it is written: what a client would refuse or pass over is not written, and the
    exit code is 1. Needs no network.
    """
    place = Folder.at(folder)
    place.require_output(out, NEWS.decode, passphrase_file)
    epochs, asker, openpgp = ep.load(place), options.asker(passphrase_file), options.openpgp()
    clock = options.clock_or(None)
    found = _riders(place, epochs, openpgp, clock)
    _tell_stale(place, clock)
    if add_to is None:
        renewed = Renewal(place, epochs, openpgp, asker, now, yes).both(found)
        news = _new(place, epochs, now)
        moment = news.said.issued
    else:
        moment = options.clock_or(now)
        news = _half_signed(add_to, place, epochs, moment)
        renewed = found.or_newer(news.envelope, epochs, openpgp, clock).carried(news.envelope)
        if renewed.steering.last is None:
            raise root_away(found.steering, place, epochs)
    document.require_keys_outlast(news.said, epochs, moment)
    judge = Judge(openpgp, news.said.issued, moment)
    sets = {f"epoch {epochs.number}": epochs.keys.signing(NEWS.role)}
    pending = Pending(news.envelope, news.said, sets, judge)
    pending = pending.signed(place.keys, keys, asker, partial=partial)
    pending = replace(pending, envelope=epochs.riding(renewed.beside(pending.envelope)))
    data = envelopes.encode(pending.envelope)
    if pending.complete:
        behind = any(moment + FUTURE < it for it in renewed.dates)
        Clients(epochs, moment, openpgp).accepted(data, behind=behind)
    newest = issued.newest(place, max(moment, clock) + FUTURE)  # may fail: before all is written
    ep.pin(place, epochs)
    if add_to is None:
        renewed.save(found)
    issued.record(place, pending)
    files.replace(out, data)
    with options.telling():
        if add_to is None:
            tell_renewed(found, renewed)
        _report(out, newest, pending, epochs)
        if as_json:
            emit_json(_facts(pending))


def _riders(place: Folder, epochs: Epochs, openpgp: Remembering, clock: int) -> Riders:
    """Both, as clients believe them at ``clock``. News must not wait for a download: a release
    document that does not hold stays behind."""
    steering = riders.load_steering(place, epochs, openpgp, clock)
    try:
        return Riders(steering, riders.load_release(place, epochs, openpgp, clock))
    except MarsError as error:
        if error.reason not in ("rider-invalid", "wrong-document"):
            raise
        click.echo(f"warning: {safe(error.message)} {NO_DOWNLOADS}", err=True)
        return Riders(steering, Rider(RELEASE, place.root / "release.json", None, None))


def _tell_stale(place: Folder, clock: int) -> None:
    """News wait for no statistic: what is wrong of them otherwise is told by ``check``."""
    with suppress(MarsError):
        if told := registry.stale(registry.read(place, day_of(clock)), registry.document(place)):
            click.echo(f"warning: {told}, or clients do not hear of it", err=True)


def _new(place: Folder, epochs: Epochs, now: int | None) -> News:
    motd = document.draft(place, epochs.number, options.clock_or(now))
    return NEWS.unsigned(_free(place, motd, now is None))


def _free(place: Folder, motd: Motd, wait: bool) -> Motd:
    """``motd`` with a serial under which nothing else was signed.

    A second signing in the same second waits for the next one; where the time was given, it is
    taken as given plus the seconds that such waiting would take.
    """
    while issued.taken(place, motd):
        if wait:
            time.sleep(0.05)
        dated = factory.system_clock().now() if wait else motd.issued + 1
        lifetime = motd.expires - motd.issued
        motd = replace(motd, serial=dated, issued=dated, expires=dated + lifetime)
    return motd


def _half_signed(path: Path, place: Folder, epochs: Epochs, now: int) -> News:
    """The document that others have signed, if it is for this product and epoch and for now."""
    news = options.read_document(NEWS, path)
    epochs.require_ours(news.said, epochs.number, path)
    document.require_timely(news, path, now)
    for said in document.strange_settings(news.said, place.product):
        click.echo(f"warning: {safe(said)}", err=True)
    return news


def _facts(pending: Pending[Motd]) -> dict[str, object]:
    motd = pending.said
    return {
        "ok": True,
        "complete": pending.complete,
        "serial": motd.serial,
        "epoch": motd.epoch,
        "issued": format_time(motd.issued),
        "expires": format_time(motd.expires),
    }


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
