"""``mars-motd steering`` and ``release``: what rides beside the news, renewed alone; and the same
done on the way by ``sign`` and ``trust``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from mars.commandline import Command, json_option, safe, shown
from mars.commandline import options as together
from mars.errors import StateError, TrustError
from mars.wire import envelope as envelopes
from mars.wire.catalogue import digest
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import files, pairs, registry, riders
from mars_motd.cli import options
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.kinds import STEERING
from mars_motd.riders import D, Rider, Riders
from mars_motd.signatures import Judge, Passphrase, Pending, Remembering
from mars_motd.steering import signed_intake

NO_DOWNLOADS = "No downloads ride along."
_PATIENCE = 5
"""Seconds to wait for the clock to pass the last serial; one that is further behind is wrong."""


def issued_after(serial: int, now: int | None) -> int:
    """When the next document may be dated, Unix seconds: clients know two of one serial as forgery.

    Waits for the next second; a time that was given is taken plus that second.
    """
    moment = options.clock_or(now)
    if now is not None:
        return moment + 1 if moment == serial else moment
    while moment <= serial < moment + _PATIENCE:
        time.sleep(0.05)
        moment = options.clock_or(None)
    return moment


@dataclass(frozen=True)
class Renewal:
    """Signs anew what changed, as far as the keys at hand go; writes nothing."""

    place: Folder
    epochs: Epochs
    openpgp: Remembering
    asker: Passphrase
    now: int | None
    yes: bool

    def can_sign(self, rider: Rider[Any]) -> bool:
        """Whether enough keys of its role are on this machine."""
        return riders.has_enough_keys(rider.kind.role, self.epochs, self.place.keys)

    def both(self, found: Riders) -> Riders:
        """Raises ``StateError`` (``root-away``) where root is needed and not here."""
        return Riders(self.steering(found.steering), self.release(found.release))

    def steering(self, rider: Rider[Steering]) -> Rider[Steering]:
        """Raises ``StateError`` (``root-away``)."""
        if rider.is_current:
            return rider
        if not self.can_sign(rider):
            raise root_away(rider, self.place, self.epochs)
        self._show(rider)
        if rider.last is not None and not self.yes and sys.stdin.isatty():
            click.confirm("Shall root sign this?", abort=True, err=True)
        return self._signed(rider)

    def release(self, rider: Rider[Release]) -> Rider[Release]:
        """Where its keys are elsewhere, the last one stays."""
        if rider.is_current:
            return rider
        if self.can_sign(rider):
            self._show(rider)
            try:
                return self._signed(rider)
            except TrustError as error:
                if error.reason != "rollback":
                    raise
                click.echo(f"warning: {safe(error.message)} {NO_DOWNLOADS}", err=True)
                return rider.left_out()
        kept = "the last one rides along" if rider.last else "no downloads ride along"
        where = shown(self.place.root)
        click.echo(
            f"warning: downloads.toml has changed, and the keys of release are not here: {kept}. "
            f"Where they are: mars-motd release {where}",
            err=True,
        )
        return rider

    def _show(self, rider: Rider[Any]) -> None:
        """What its keys are about to sign."""
        click.echo(f"{shown(rider.path)} changes:", err=True)
        for line in (*rider.changes(), *_declared(self.place, rider, rider.wanted)):
            click.echo(f"  {safe(line)}", err=True)
        _warn_of_keys(self.place, rider, rider.wanted)

    def _signed(self, rider: Rider[D]) -> Rider[D]:
        """Dated no later than the clock, also where the news are: it is for all that follow."""
        clock = options.clock_or(None)
        now = self.now if self.now is None or self.now <= clock else None
        pending = begin(rider, self.epochs, now, self.openpgp)
        pending = pending.signed(self.place.keys, (), self.asker, partial=False)
        return rider.completed(pending, self.epochs, self.openpgp, options.clock_or(None))


def _declared(place: Folder, rider: Rider[Any], said: Any) -> Iterator[str]:
    """What a changed hash of the registry stands for, since root signs nothing else of it."""
    old = rider.last.said if rider.last is not None else None
    before = old.registry if old is not None and rider.kind is STEERING else ""
    if rider.kind is not STEERING or said.registry in ("", before):
        return
    found = registry.last(place)
    if found is None or digest(registry.document(place)) != said.registry:
        yield f"  registry.json here is another: ask for the one with the SHA-256 {said.registry}"
        return
    declared = registry.declared(found).items()
    yield from (f"  may be sent: {name}: {registry.label(one)}" for name, one in declared)


def _warn_of_keys(place: Folder, rider: Rider[Any], said: Any) -> None:
    """Whoever changes ``intake.json`` unseen reads what clients report."""
    if rider.kind is not STEERING:
        return
    last = {} if rider.last is None else rider.last.said.intake
    for doubt in pairs.doubts(place, {**signed_intake(place), **last}, said.intake):
        click.echo(f"WARNING: {safe(doubt)}", err=True)


def begin(rider: Rider[D], epochs: Epochs, now: int | None, openpgp: Remembering) -> Pending[D]:
    """The one that is wanted, unsigned and dated."""
    return rider.begin(epochs, issued_after(rider.serial, now), openpgp)


def root_away(rider: Rider[Any], place: Folder, epochs: Epochs) -> StateError:
    """Why news cannot be signed where root is elsewhere."""
    where = shown(place.root)
    if rider.last is None:
        said = f"There is no steering document of epoch {epochs.number} in {where}"
        other = "copy steering.json from where it was made"
    else:
        changed = ", ".join(line.partition(":")[0] for line in rider.changes())
        said = f"What steers clients has changed ({changed})"
        other = "take the change back"
    return StateError(
        "root-away",
        f"{said}, and only root signs it: carry root/ back into {where}, or {other}, or have "
        f"root's holders sign it with: mars-motd steering {where}",
    )


def tell_renewed(before: Riders, after: Riders) -> None:
    """On standard error, what was renewed on the way."""
    pairs: list[tuple[Rider[Any], Rider[Any]]]
    pairs = [(before.steering, after.steering), (before.release, after.release)]
    for old, new in pairs:
        if new.last is not old.last:
            click.echo(f"{shown(new.path)}: signed anew", err=True)


def _arguments(role: str) -> Callable[[Command], Command]:
    """Those of both commands."""
    return together(
        options.folder_argument,
        options.now_option("Issue and sign at this time. Default: now."),
        options.passphrase_option,
        options.key_option(f"Sign with this key of {role}. Default: all at hand."),
        options.file_option("--partial", "Where to write it while signatures are still missing."),
        options.file_option("--add-to", "Add signatures to this half-signed document."),
        json_option("Print one JSON object."),
    )


@click.command()
@_arguments("root")
def steering(folder: Path, **turn: Any) -> None:
    """Renew DIR/steering.json: servers, interval, links, registry and intake keys.

    All that changes what clients send, when and where; root signs it, so carry root/ back. Says
    what changes first, and does nothing where nothing does. It rides along from the next
    "mars-motd sign" on, which renews it by itself while root is at hand.
    """
    _renew(riders.load_steering, folder, **turn)


@click.command()
@_arguments("release")
def release(folder: Path, **turn: Any) -> None:
    """Renew DIR/release.json: the downloads of downloads.toml, signed by the role release.

    Says what changes first, and does nothing where nothing does. It rides along from the next
    "mars-motd sign" on, which renews it by itself while the keys of release are at hand.
    """
    _renew(riders.load_release, folder, **turn)


def _renew(
    load: Callable[[Folder, Epochs, Remembering, int], Rider[D]],
    folder: Path,
    now: int | None,
    passphrase_file: Path | None,
    keys: tuple[str, ...],
    partial: Path | None,
    add_to: Path | None,
    as_json: bool,
) -> None:
    place, openpgp, clock = Folder.at(folder), options.openpgp(), options.clock_or(None)
    epochs, moment = ep.load(place), options.near(now)
    rider = load(place, epochs, openpgp, clock)
    if partial is not None:
        place.require_output(partial, rider.kind.decode, passphrase_file)
    if add_to is None and rider.is_current:
        said = f"{shown(rider.path)}: nothing has changed" if rider.last else "nothing is declared"
        options.tell(as_json, _plain(rider, [], complete=True), [said])
        return
    if add_to is None:
        pending = begin(rider, epochs, now, openpgp)
    else:
        given = options.read_document(rider.kind, add_to)
        judge = Judge(openpgp, given.said.issued, max(moment, clock))
        pending = rider.resume(given, epochs, add_to, judge)
        for line in rider.differing(given.said):
            click.echo(f"warning: this folder says otherwise: {safe(line)}", err=True)
    changes = rider.changes(pending.said)
    for line in changes + list(_declared(place, rider, pending.said)):
        click.echo(safe(line), err=True)
    _warn_of_keys(place, rider, pending.said)
    if rider.kind is STEERING and not pending.can_sign(place.keys):
        raise root_away(rider, place, epochs)
    pending = pending.signed(
        place.keys, keys, options.asker(passphrase_file), partial=partial is not None
    )
    out = rider.path
    if pending.complete:
        rider = rider.completed(pending, epochs, openpgp, options.clock_or(None))
        ep.pin(place, epochs)
        rider.save()
    elif partial is not None:
        out = partial
        ep.pin(place, epochs)
        rider.keep_begun(pending)
        rider = replace(rider, last=pending)
        files.replace(partial, envelopes.encode(pending.envelope))
        issued_after(pending.said.serial, now)  # else another text could be begun in this second
    with options.telling():
        plain = _plain(rider, changes, complete=pending.complete)
        said = "complete" if pending.complete else "pass it on to the next holder"
        options.tell(as_json, plain, [f"{shown(out)}: {pending}: {said}"])


def _plain(rider: Rider[Any], changes: list[str], *, complete: bool) -> dict[str, object]:
    last = rider.last.said if rider.last is not None else None
    return {
        "ok": True,
        "complete": complete,
        "changed": changes,
        "serial": last.serial if last else None,
        "issued": format_time(last.issued) if last else None,
    }
