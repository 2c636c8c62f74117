"""``mars-motd key …``: makes, shows, hands over, rotates and revokes keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.commandline import LazyGroup, json_option, shown
from mars.errors import ConfigError, naming
from mars.wire import envelope as envelopes
from mars.wire.keys import KEYS_LIFETIME_DAYS
from mars.wire.product import is_name
from mars_motd import epochs as ep
from mars_motd import expiry, files
from mars_motd.cli import options
from mars_motd.epochs import Epochs, Step
from mars_motd.folder import Folder
from mars_motd.keystore import OPENPGP_CREATED, KeyRecord
from mars_motd.kinds import KEYS
from mars_motd.signatures import pem


@click.group(cls=LazyGroup)
def key() -> None:
    """Make, list, hand over, rotate and revoke keys."""


@key.command()
@options.folder_argument
@click.option("--name", metavar="NAME", help="The holder's or the key's name. Default: key-1, …")
@options.passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Store the secrets in the clear (0600).")
@options.file_option(
    "--openpgp-home",
    "Use a key of this GnuPG home (a hardware token's, say) instead of making one.",
    metavar="HOME",
)
@click.option("--openpgp-key", default="", metavar="FPR", help="Which key of HOME.")
@click.option(
    "--openpgp-created",
    type=options.as_time,
    default=OPENPGP_CREATED,
    metavar="T",
    help="Creation date written into the OpenPGP key. Default: 2020-01-01, so that computers "
    "whose clock is behind do not refuse it.",
)
def new(
    folder: Path,
    name: str | None,
    passphrase_file: Path | None,
    no_passphrase: bool,
    openpgp_home: Path | None,
    openpgp_key: str,
    openpgp_created: int,
) -> None:
    """Make one Ed25519 and one OpenPGP key in the product folder DIR.

    Both are used by "mars-motd sign". Before the first document is signed, new keys simply join;
    later they wait for "mars-motd key rotate". Make a second key, keep it on another medium.
    """
    if no_passphrase and passphrase_file is not None:
        raise click.UsageError("Give --passphrase-file or --no-passphrase, not both.")
    place = Folder.at(folder)
    product = place.product
    name = name if name is not None else place.keys.free_name()
    if not is_name(name):
        raise click.UsageError("--name takes 1-40 characters of a-z, 0-9 and inner hyphens.")
    pinned = ep.is_pinned(place)
    phrase = None if no_passphrase else options.new_passphrase(passphrase_file)
    now = options.clock_or(None)
    record = place.keys.create(
        name,
        f"{product.product} {product.channel} news ({name})",
        phrase,
        factory.system_chance(),
        now=now,
        openpgp=product.policy.openpgp != "off",
        given=(openpgp_home, openpgp_key) if openpgp_home is not None else None,
        created=openpgp_created,
    )
    with options.telling():
        _tell(record)
        blocks = {record.fingerprint: record.block} if record.block else {}
        for ending in expiry.ending_soon(blocks, now):
            click.echo(f"warning: {ending}", err=True)
        if pinned:
            click.echo(f"Clients learn of it by: mars-motd key rotate {shown(folder)}", err=True)


def _tell(record: KeyRecord) -> None:
    click.echo(f"{record.name}  ed25519 {record.ed25519}")
    if record.fingerprint:
        click.echo(f"{record.name}  openpgp {record.fingerprint}")


@key.command("list")
@options.folder_argument
@json_option("Print a JSON list.")
def list_keys(folder: Path, as_json: bool) -> None:
    """List the keys of DIR: their state, and whether their secret is on this machine.

    "signing": clients accept it; "waiting": it joins by "mars-motd key rotate"; "revoked".
    """
    place = Folder.at(folder)
    records, epochs = place.keys.records(), _current(place)
    rows = [
        {
            "name": record.name,
            "state": _state(record, epochs),
            "secret": place.keys.has_secret(record),
            "keyid": record.keyid,
            "ed25519": record.ed25519,
            "openpgp": record.fingerprint or None,
        }
        for record in records
    ]
    options.tell(as_json, rows, (line for row in rows for line in _key_lines(row)))
    if not rows and not as_json:
        click.echo(f'No keys yet. Make one: mars-motd key new "{shown(folder)}"', err=True)


def _key_lines(row: dict[str, Any]) -> Iterator[str]:
    yield f"{row['name']}  {row['state']}, secret {'here' if row['secret'] else 'elsewhere'}"
    yield f"    ed25519 {row['ed25519']}  keyid {row['keyid']}"
    if row["openpgp"]:
        yield f"    openpgp {row['openpgp']}"


def _current(place: Folder) -> Epochs | None:
    """None while the keys there are do not make an epoch (none, or too few for the threshold)."""
    try:
        return ep.load(place)
    except ConfigError as error:
        if error.reason not in ("no-keys", "policy-invalid"):
            raise
        return None


def _state(record: KeyRecord, epochs: Epochs | None) -> str:
    if epochs and record.ed25519 in epochs.keys.ed25519.values():
        return "signing"
    return "revoked" if record.revoked or (epochs and record.ed25519 in epochs.left) else "waiting"


@key.command()
@options.folder_argument
@click.argument("name", metavar="NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(["record", "pem", "openpgp"]),
    default="record",
    show_default=True,
    help="The public record, or one key alone: Ed25519 as PEM for openssl, OpenPGP armoured.",
)
@options.file_option("--out", "Write to F instead of standard output.")
def export(folder: Path, name: str, form: str, out: Path | None) -> None:
    """Write the public half of the key NAME. Secrets are never exported."""
    place = Folder.at(folder)
    record = place.keys.record(name)
    if form == "openpgp" and not record.block:
        raise ConfigError("no-openpgp", f"The key {name!r} has no OpenPGP half.")
    data = {
        "record": record.encode(),
        "pem": pem(record.ed25519),
        "openpgp": record.block.encode("ascii"),
    }[form]
    if out is None:
        click.echo(data.decode("ascii"), nl=False)
    else:
        place.require_output(out, _exported)
        files.replace(out, data)


def _exported(data: bytes) -> None:
    """Raises ``StateError`` where ``data`` was not written by ``export``, in whatever form."""
    if not data.startswith(b"-----BEGIN P"):
        KeyRecord.decode(data, "")


@key.command("import")
@options.folder_argument
@click.argument("file", metavar="F", type=options.FILE)
def import_key(folder: Path, file: Path) -> None:
    """Add another holder's public record F, as written by "key export", to DIR.

    Compare the printed fingerprints with the holder's by another way (telephone, in person).
    """
    place = Folder.at(folder)
    record = KeyRecord.decode(options.read(file, "The key record"), file)
    if any(record.name == it.name or record.ed25519 == it.ed25519 for it in place.keys.records()):
        raise ConfigError(
            "key-exists", f"There is this key, or one named {record.name!r}, already."
        )
    place.keys.save(record)
    with options.telling():
        _tell(record)


_now_option = options.now_option("Issue and sign at this time. Default: now.")
_key_option = options.key_option("Sign with this key only.")
_days_option = click.option(
    "--days",
    type=click.IntRange(30, 3650),
    default=KEYS_LIFETIME_DAYS,
    show_default=True,
    help="Days until the keys document expires.",
)
_partial_option = options.file_option(
    "--partial", "Where to write the keys document while signatures are still missing."
)


@key.command()
@options.folder_argument
@_now_option
@options.passphrase_option
@_key_option
@_days_option
@_partial_option
@options.file_option("--add-to", "Add signatures to this half-signed keys document.")
@options.file_option("--show", "Only show what the keys document F changes; sign nothing.")
def rotate(
    folder: Path, now: int | None, days: int, add_to: Path | None, show: Path | None, **turn: Any
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
        half, records = options.read_document(KEYS, given), place.keys.records()
        with naming(given):
            step = ep.resume_step(half, epochs, records, given, moment, options.openpgp())
    else:
        step = ep.begin_step(place, epochs, (), moment, options.openpgp(), days)
    if show is not None:
        click.echo(ep.describe_step(step, place))
        click.echo(str(step))
        return
    _carry_on(step, place, epochs, **turn)


@key.command()
@options.folder_argument
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_now_option
@options.passphrase_option
@_key_option
@_days_option
@_partial_option
def revoke(folder: Path, names: tuple[str, ...], now: int | None, days: int, **turn: Any) -> None:
    """Take keys away: begin a new epoch without NAME....

    For a lost or stolen key. The secret of the revoked key is not needed as long as the others
    reach the threshold and an OpenPGP key of the epoch is at hand. Before the first document is
    signed, the key simply goes; so does one that waits, in your folder alone.
    """
    place = Folder.at(folder)
    epochs, gone = ep.load(place), [place.keys.record(name) for name in names]
    if not epochs.pinned:
        ep.key_set(place.keys.records(), place.product, {record.ed25519 for record in gone})
    elif any(_state(record, epochs) == "signing" for record in gone):
        moment = options.clock_or(now)
        step = ep.begin_step(place, epochs, gone, moment, options.openpgp(), days)
        _carry_on(step, place, epochs, avoid=names, **turn)
        return
    place.keys.revoke(names)
    with options.telling():
        for name in names:
            click.echo(f"revoked {name}")
        if epochs.pinned:
            click.echo(f"No new epoch: epoch {epochs.number} holds none of these keys.", err=True)


def _carry_on(
    step: Step,
    place: Folder,
    epochs: Epochs,
    *,
    keys: tuple[str, ...],
    passphrase_file: Path | None,
    partial: Path | None,
    avoid: tuple[str, ...] = (),
) -> None:
    if partial is not None:
        place.require_output(partial, KEYS.decode, passphrase_file)
    click.echo(ep.describe_step(step, place), err=True)
    asker = options.asker(passphrase_file)
    step = step.signed(place.keys, keys, asker, avoid, partial=partial is not None)
    place.keys.revoke(avoid)  # also what no epoch has had, and where another holder finishes
    if step.complete:
        out = dict.fromkeys((*ep.finish_step(step, place, epochs), *avoid))
        with options.telling():
            click.echo(f"epoch {step.said.epoch}: {len(step.said.keys.ed25519)} keys")
            for name in out:
                click.echo(f"revoked {name}")
            click.echo(
                f'Now tell clients: mars-motd sign "{shown(place.root)}" --out motd.json', err=True
            )
    elif partial is not None:
        files.replace(partial, envelopes.encode(step.envelope))
        with options.telling():
            click.echo(f"{shown(partial)}: {step}: pass it on to the next holder", err=True)
