"""``mars-motd key rotate`` and ``key revoke``: the next epoch of keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from mars.console import shown
from mars.errors import StateError, naming
from mars.wire import envelope as envelopes
from mars.wire.keys import KEYS_LIFETIME_DAYS, KeysDocument
from mars_motd import epochs as ep
from mars_motd import files, rotation
from mars_motd.cli import options
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.rotation import Step

F = TypeVar("F", bound=Callable[..., Any])


def _options(command: F) -> F:
    """What both commands take."""
    for option in reversed(
        [
            options.now_option("Issue and sign at this time. Default: now."),
            options.passphrase_option,
            click.option(
                "--key", "keys", multiple=True, metavar="NAME", help="Sign with this key only."
            ),
            click.option(
                "--days",
                type=click.IntRange(30, 3650),
                default=KEYS_LIFETIME_DAYS,
                show_default=True,
                help="Days until the keys document expires.",
            ),
            options.file_option(
                "--partial", "Where to write the keys document while signatures are still missing."
            ),
        ]
    ):
        command = option(command)
    return command


@click.command()
@options.folder_argument
@_options
@options.file_option("--add-to", "Add signatures to this half-signed keys document.")
@options.file_option("--show", "Only show what the keys document F changes; sign nothing.")
def rotate(
    folder: Path,
    now: int | None,
    passphrase_file: Path | None,
    keys: tuple[str, ...],
    days: int,
    partial: Path | None,
    add_to: Path | None,
    show: Path | None,
) -> None:
    """Begin a new epoch with all keys of DIR that are not revoked.

    New keys join, [policy] of product.toml takes effect, and the date of expiry moves on. The
    keys document is signed by old and new keys; from the next "mars-motd sign" on it travels with
    the news, so that clients need no extra fetch. Look at what others made before you sign it:
    --show F says which keys join and leave.
    """
    place = Folder.at(folder)
    epochs = ep.load(place)
    moment = options.clock_or(now)
    given = show or add_to
    if given is not None:
        data, records = options.read(given, "The keys document"), place.keys.records()
        with naming(shown(given)):
            step = rotation.resume(data, epochs, records, shown(given), moment, options.openpgp())
    else:
        step = rotation.begin(place, epochs, (), moment, options.openpgp(), days)
    if show is not None:
        click.echo(rotation.describe(step, place))
        click.echo(str(step))
        return
    _carry_on(step, place, keys, passphrase_file, partial, ())


@click.command()
@options.folder_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_options
def revoke(
    folder: Path,
    names: tuple[str, ...],
    now: int | None,
    passphrase_file: Path | None,
    keys: tuple[str, ...],
    days: int,
    partial: Path | None,
) -> None:
    """Take keys away: begin a new epoch without NAME....

    For a lost or stolen key. The secret of the revoked key is not needed as long as the others
    reach the threshold and an OpenPGP key of the epoch is at hand. Before the first document is
    signed, the key simply goes.
    """
    place = Folder.at(folder)
    epochs = ep.load(place)
    if not epochs.pinned:
        _drop(place, names)
        return
    step = rotation.begin(place, epochs, names, options.clock_or(now), options.openpgp(), days)
    _carry_on(step, place, keys, passphrase_file, partial, names)


def _drop(place: Folder, names: tuple[str, ...]) -> None:
    gone = [replace(place.keys.record(name), revoked=True) for name in names]
    stay = [record for record in place.keys.records() if record.name not in names]
    ep.key_set([*stay, *gone], place.product)
    for record in gone:
        place.keys.save(record)
    with options.telling():
        _tell_revoked(gone)


def _tell_revoked(gone: Sequence[KeyRecord]) -> None:
    for record in gone:
        click.echo(f"revoked {record.name}")


def _decode(data: bytes) -> KeysDocument:
    return KeysDocument.decode(envelopes.decode(data).payload)


def _carry_on(
    step: Step,
    place: Folder,
    keys: tuple[str, ...],
    passphrase_file: Path | None,
    partial: Path | None,
    avoid: tuple[str, ...],
) -> None:
    if partial is not None:
        place.require_output(partial, _decode, passphrase_file)
    click.echo(rotation.describe(step, place), err=True)
    asker = options.Asker(passphrase_file)
    step = rotation.add_signatures(step, place, keys, asker, avoid)
    if step.complete:
        gone = rotation.finish(step, place)
        with options.telling():
            click.echo(f"epoch {step.document.epoch}: {len(step.document.keys.ed25519)} keys")
            _tell_revoked(gone)
            click.echo(
                f'Now tell clients: mars-motd sign "{shown(place.root)}" --out motd.json', err=True
            )
        return
    if partial is None or not step.envelope.signatures:
        raise StateError(
            "signatures-missing",
            f"{step}. Nothing was written; --partial F keeps it for the next holder.",
        )
    files.replace(partial, envelopes.encode(step.envelope))
    told = f"{shown(partial)}: {step}: pass it on to the next holder"
    with options.telling():
        click.echo(told, err=True)
