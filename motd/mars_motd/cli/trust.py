"""``mars-motd trust``: what clients pin."""

from __future__ import annotations

from pathlib import Path

import click

from mars import factory
from mars.commandline import emit_json, json_option, shown
from mars.errors import TrustError
from mars.trust.signatures import FUTURE
from mars.wire.keys import TrustRoot
from mars.wire.product import CROWD, MAXCROWD
from mars.wire.steering import Steering
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import expiry, files, riders, trust_file
from mars_motd.cli import options
from mars_motd.cli.riders import Renewal
from mars_motd.document import NO_SERVER, Clients
from mars_motd.folder import Folder
from mars_motd.riders import Rider
from mars_motd.rotation import require_followed

_LATEST = "latest"
_PATIENCE = 10.0
"""Seconds to wait for another command that makes a trust file."""


def _as_serial(value: str) -> str:
    """``latest`` or a whole number of Unix seconds."""
    if value != _LATEST and not (value.isascii() and value.isdigit() and len(value) < 13):
        raise click.BadParameter("takes a serial (Unix seconds) or the word latest.")
    return value


def _as_crowd(value: str | None) -> int | None:
    """A power of ten from 100 on, or 0."""
    if value is not None and not (CROWD.fullmatch(value) and int(value) <= MAXCROWD):
        raise click.BadParameter("takes 0 or a power of ten from 100 on.")
    return None if value is None else int(value)


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
    "--crowd",
    type=_as_crowd,
    metavar="N",
    help="For this file alone: how many installations send metrics. Default: as in product.toml.",
)
@click.option(
    "--built",
    type=options.as_time,
    metavar="T",
    help="When the release was made, no later than now: clients believe no clock before it. "
    "Default: now where a crowd is named, which lasts for 400 days from it; else nothing.",
)
@options.now_option("The time to judge the latest document by. Default: now.")
@options.passphrase_option
@options.yes_option
@json_option("Print one JSON object.")
def trust(
    folder: Path,
    out: Path,
    minimum_serial: str,
    crowd: int | None,
    built: int | None,
    now: int | None,
    passphrase_file: Path | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Write what a client pins: keys, thresholds, policy, servers, the steering document.

    Make it anew for each release: of two files clients follow the one with the greater "gen",
    which grows each time. The steering document is signed anew where it changed, so root must be
    here then. The file is public. Ship it with the application; "mars fetch --trust" and the
    library read it.
    """
    place = Folder.at(folder)
    place.require_output(out, TrustRoot.decode, passphrase_file)
    epochs, moment, openpgp = ep.load(place), options.near(now), options.openpgp()
    clock = options.clock_or(None)
    require_followed(epochs, openpgp, clock)
    if minimum_serial == _LATEST:
        floor = Clients(epochs, moment, openpgp).minimum_serial(place, clock + FUTURE)
    else:
        floor = int(minimum_serial)
    crowd = place.product.crowd if crowd is None else crowd
    if built is None:
        built = moment if crowd else 0
    if max(floor, built) > moment:
        raise TrustError(
            "future",
            f"--minimum-serial and --built may not be later than now, {format_time(moment)}: new "
            f"installations would refuse every document until then.",
        )
    found = riders.load_steering(place, epochs, openpgp, clock)
    renewal = Renewal(place, epochs, openpgp, options.asker(passphrase_file), now, yes)
    for block in epochs.keys.openpgp.values():
        expiry.require_usable(block, moment)
    rider = _steering(found, renewal)
    place.trust.mkdir(exist_ok=True)
    # Held until the number is written down: two commands at once would take the same.
    with factory.folder(str(place.trust)).lock("gen", _PATIENCE):
        gen = trust_file.next_gen(place, min(moment, clock))
        trust_file.require_near(place, gen, clock)
        root = trust_file.compose(
            place,
            epochs,
            gen=gen,
            floor=floor,
            built=built,
            crowd=crowd,
            steering=rider.riding,
        )
        data = root.encode()
        TrustRoot.decode(data)  # also whether it is small enough
        ep.pin(place, epochs)
        if rider is not found:
            rider.save()
        trust_file.record_gen(place, gen)  # first, so that no other file ever gets it
    files.replace(out, data)
    with options.telling():
        _report(out, root, place, rider)
        if as_json:
            emit_json(_facts(root))
        for ending in expiry.ending_soon(root.keys.openpgp, moment):
            click.echo(f"warning: {ending}", err=True)


def _steering(found: Rider[Steering], renewal: Renewal) -> Rider[Steering]:
    """Renewed where it changed. The very first trust file may be made without root, and then pins
    bare servers. Raises ``StateError`` (``root-away``) where clients pin something already: nobody
    but root moves them to other servers."""
    first = found.last is None and not renewal.epochs.pinned
    waits = first and not renewal.can_sign(found)
    return found if waits else renewal.steering(found)


def _facts(root: TrustRoot) -> dict[str, object]:
    facts = {name: getattr(root, name) for name in ("epoch", "gen", "crowd", "minimum_serial")}
    steering = root.steering.serial or None
    built = format_time(root.built) if root.built else None
    return {"ok": True, **facts, "built": built, "steering": steering}


def _report(out: Path, root: TrustRoot, place: Folder, rider: Rider[Steering]) -> None:
    click.echo(f"{shown(out)}: {root.product} {root.channel}, epoch {root.epoch}", err=True)
    click.echo(f"gen {root.gen}, crowd {root.crowd}", err=True)
    warnings = [] if root.servers else [NO_SERVER]
    if rider.last is None:
        warnings.append(
            "root is not here, so there is no steering document: clients know the servers alone "
            "until one comes with the news"
        )
    if root.crowd != place.product.crowd:
        warnings.append(
            f"crowd is {root.crowd} here, but {place.product.crowd} in product.toml, by which the "
            f"operator publishes"
        )
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
