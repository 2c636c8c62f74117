"""``mars-motd key rotate``, ``revoke``, ``refresh`` and ``chain``: from one epoch to the next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from mars.commandline import json_option, safe, shown
from mars.commandline import options as together
from mars.errors import StateError, TrustError, naming
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.keys import KEYS_LIFETIME_DAYS
from mars.wire.times import format_time
from mars_motd import epochs as ep
from mars_motd import files, rotation
from mars_motd.cli import options
from mars_motd.cli.key import state
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import KEYS
from mars_motd.preview import unknown
from mars_motd.rotation import Step
from mars_motd.signatures import Judge

_turn = together(
    options.folder_argument,
    options.now_option("Issue and sign at this time. Default: now."),
    options.passphrase_option,
    options.key_option("Sign with this key only."),
    click.option(
        "--days",
        type=click.IntRange(rotation.MIN_DAYS, rotation.MAX_DAYS),
        default=KEYS_LIFETIME_DAYS,
        show_default=True,
        help="Days until the keys document expires.",
    ),
    options.file_option(
        "--partial", "Where to write the keys document while signatures are still missing."
    ),
    json_option("Print one JSON object."),
)
"""The options of whatever makes a keys document."""


@click.command()
@_turn
@options.file_option("--add-to", "Add signatures to this half-signed keys document.")
@options.file_option("--show", "Only show what the keys document F changes; sign nothing.")
def rotate(
    folder: Path,
    now: int | None,
    days: int,
    add_to: Path | None,
    show: Path | None,
    as_json: bool,
    **turn: Any,
) -> None:
    """Begin a new epoch with all keys of DIR that are not revoked.

    New keys join, [policy] of product.toml takes effect, and the date of expiry moves on. The
    keys document is signed by root, old and new, so carry root/ back; from the next "mars-motd
    sign" on it travels with the news, so that clients need no extra fetch. Look at what others
    made before you sign it: --show F says which keys join and leave.
    """
    place = Folder.at(folder)
    epochs = ep.load(place)
    moment, records = _moment(now), place.keys.records()
    given = show or add_to
    if given is not None:
        half = options.read_document(KEYS, given)
        with naming(given):
            step = rotation.resume(half, epochs, records, given, moment, options.openpgp())
    else:
        step = rotation.begin(place, epochs, records, (), _judge(moment), days)
    if show is not None:
        lines = _changes(step, place, epochs)
        options.tell(as_json, _plain(step, [], [], changes=lines), [*lines, str(step)])
        return
    _carry_on(step, place, epochs, as_json=as_json, **turn)


@click.command()
@_turn
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
def revoke(
    folder: Path,
    names: tuple[str, ...],
    now: int | None,
    days: int,
    as_json: bool,
    **turn: Any,
) -> None:
    """Take keys away: begin a new epoch without NAME....

    For a lost or stolen key, of whatever role; root signs, so carry root/ back. The secret of the
    revoked key is not needed: of root itself as long as the others reach the threshold and one of
    its OpenPGP keys is at hand. Before the first document is signed, the key simply goes; so does
    one that waits, in your folder alone. A token that another key here has too stays in use: name
    that key as well where the token itself is lost.
    """
    place = Folder.at(folder)
    epochs, records = ep.load(place), place.keys.records()
    gone = [place.keys.record(name) for name in names]
    _tell_shared(records, gone)
    if not epochs.pinned:
        ep.key_set(records, place.product, {record.ed25519 for record in gone})
    elif any(state(record, epochs) == "signing" for record in gone):
        judge = _judge(_moment(now))
        step = rotation.begin(place, epochs, records, gone, judge, days)
        _carry_on(step, place, epochs, avoid=names, as_json=as_json, **turn)
        return
    place.keys.revoke(names)
    with options.telling():
        _tell_records(as_json, epochs, revoked=list(names))
        if epochs.pinned:
            click.echo(f"No new epoch: epoch {epochs.number} holds none of these keys.", err=True)


@click.command()
@_turn
def refresh(folder: Path, now: int | None, days: int, as_json: bool, **turn: Any) -> None:
    """Take up OpenPGP keys that were prolonged, or got a new subkey, in the home of their holder.

    Reads the keys of DIR that "key new --openpgp-home" named anew, shows what changed, and begins
    an epoch in which clients know them so; root signs it. Before the first document is signed the
    records simply change. Fails where nothing changed and the home of a key is not there.
    """
    place = Folder.at(folder)
    epochs, records = ep.load(place), place.keys.records()
    missing: list[StateError] = []
    fresh = [_refreshed(record, place, missing) for record in records]
    renewed = [new for old, new in zip(records, fresh, strict=True) if new != old]
    if renewed and epochs.pinned:
        step = rotation.begin(place, epochs, fresh, (), _judge(_moment(now)), days)
        _carry_on(step, place, epochs, renewed=renewed, as_json=as_json, **turn)
        return
    if missing and not renewed:
        raise missing[0]
    for record in renewed:
        place.keys.save(record)
    with options.telling():
        _tell_records(as_json, epochs, refreshed=[record.name for record in renewed])
        if not renewed:
            click.echo("No OpenPGP key of a home that is known here has changed.", err=True)


def _refreshed(record: KeyRecord, place: Folder, missing: list[StateError]) -> KeyRecord:
    """As it is now, or as it was where its home is ``missing``: a lost token is no reason to let
    another key end."""
    try:
        return place.keys.refreshed(record)
    except StateError as error:
        click.echo(f"warning: {record.name} stays as it is: {safe(error.message)}", err=True)
        missing.append(error)
        return record


def _tell_shared(records: Sequence[KeyRecord], gone: Sequence[KeyRecord]) -> None:
    staying = [it for it in records if it not in gone and not it.revoked]
    for lost in gone:
        for kept in staying:
            for token in lost.openpgp.keys() & kept.openpgp.keys():
                click.echo(
                    f"warning: the OpenPGP key {token} of {lost.name} stays in use, since "
                    f"{kept.name} has it too: revoke that as well where it is lost",
                    err=True,
                )


def _moment(now: int | None) -> int:
    """When to sign. Raises ``TrustError`` (``future``): clients refuse what is dated more than a
    day ahead, and no news can be signed beside it until then."""
    moment, clock = options.clock_or(now), options.clock_or(None)
    if moment > clock + FUTURE:
        raise TrustError(
            "future",
            f"--now {format_time(moment)} is more than a day ahead of this computer's clock "
            f"({format_time(clock)}); clients would refuse the keys until then.",
        )
    return moment


def _judge(moment: int) -> Judge:
    return Judge(options.openpgp(), moment, moment)


def _carry_on(
    step: Step,
    place: Folder,
    epochs: Epochs,
    *,
    keys: tuple[str, ...],
    passphrase_file: Path | None,
    partial: Path | None,
    as_json: bool,
    avoid: tuple[str, ...] = (),
    renewed: Sequence[KeyRecord] = (),
) -> None:
    if partial is not None:
        place.require_output(partial, KEYS.decode, passphrase_file)
    changes, refreshed = _changes(step, place, epochs), [record.name for record in renewed]
    click.echo("\n".join(changes), err=True)
    rotation.require_root(place)
    asker = options.asker(passphrase_file)
    step = step.signed(place.keys, keys, asker, avoid, partial=partial is not None)
    for record in renewed:
        place.keys.save(record)
    place.keys.revoke(avoid)  # also what no epoch has had, and where another holder finishes
    if step.complete:
        out = dict.fromkeys((*rotation.finish(step, place, epochs), *avoid))
        with options.telling():
            lines = [f"epoch {step.said.epoch}: {len(ep.by_key(step.said.keys))} keys"]
            lines += _lines(out, refreshed)
            options.tell(as_json, _plain(step, out, refreshed, changes=changes), lines)
            click.echo(
                f'Now tell clients: mars-motd sign "{shown(place.root)}" --out motd.json. Leave '
                f"root/ here until then: it signs the steering document of the new epoch",
                err=True,
            )
    elif partial is not None:
        files.replace(partial, envelopes.encode(step.envelope))
        with options.telling():
            click.echo(f"{shown(partial)}: {step}: pass it on to the next holder", err=True)
            options.tell(as_json, _plain(step, avoid, refreshed, changes=changes), [])


def _changes(step: Step, place: Folder, epochs: Epochs) -> list[str]:
    """What its signers are to see: also what this version does not understand."""
    strange = [f"  {safe(it)}: unknown to clients of this version" for it in unknown(step.envelope)]
    return [*rotation.describe(step, place, epochs).splitlines(), *strange]


def _lines(revoked: Iterable[str], refreshed: Iterable[str]) -> list[str]:
    return [*(f"revoked {it}" for it in revoked), *(f"refreshed {it}" for it in refreshed)]


def _tell_records(
    as_json: bool, epochs: Epochs, revoked: Sequence[str] = (), refreshed: Sequence[str] = ()
) -> None:
    """What changed in the records alone."""
    plain: dict[str, object] = {"ok": True, "complete": True, "epoch": epochs.number}
    plain |= {"revoked": list(revoked), "refreshed": list(refreshed), "changes": []}
    options.tell(as_json, plain, _lines(revoked, refreshed))


def _plain(
    step: Step, revoked: Iterable[str], refreshed: Iterable[str], *, changes: list[str]
) -> dict[str, object]:
    return {
        "ok": True,
        "complete": step.complete,
        "epoch": step.said.epoch,
        "revoked": list(revoked),
        "refreshed": list(refreshed),
        "changes": changes,
    }


@click.command()
@options.folder_argument
@options.out_option
def chain(folder: Path, out: Path) -> None:
    """Write all keys documents of DIR as one file, keys.json.

    For clients that were away for more epochs than ride along with the news: the server serves it
    as /motd/keys.json. "mars-motd deploy" writes it beside the news.
    """
    place = Folder.at(folder)
    place.require_output(out, envelopes.decode_chain)
    epochs = ep.load(place)
    files.replace(out, epochs.chain)
    with options.telling():
        click.echo(f"{shown(out)}: {len(epochs.steps)} keys documents", err=True)
