"""``mars-motd key …``: makes, shows and hands over keys. Rotation lies in ``rotate``."""

from __future__ import annotations

from pathlib import Path

import click

from mars import factory
from mars.console import LazyGroup, emit_json, json_option, shown
from mars.errors import ConfigError
from mars.wire.keys import KeySet
from mars.wire.product import is_name
from mars_motd import epochs as ep
from mars_motd import files
from mars_motd.cli import options
from mars_motd.folder import Folder
from mars_motd.keystore import OPENPGP_CREATED, KeyRecord
from mars_motd.signatures import pem

_PLACES = {
    "new": "mars_motd.cli.key:new",
    "list": "mars_motd.cli.key:list_keys",
    "export": "mars_motd.cli.key:export",
    "import": "mars_motd.cli.key:import_key",
    "rotate": "mars_motd.cli.rotate:rotate",
    "revoke": "mars_motd.cli.rotate:revoke",
}


@click.group(cls=LazyGroup, commands_in=_PLACES)
def key() -> None:
    """Make, list, hand over, rotate and revoke keys."""


@click.command()
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
    record = place.keys.create(
        name,
        f"{product.product} {product.channel} news ({name})",
        phrase,
        factory.system_chance(),
        openpgp=product.policy.openpgp != "off",
        given=(openpgp_home, openpgp_key) if openpgp_home is not None else None,
        created=openpgp_created,
    )
    with options.telling():
        _tell(record)
        if pinned:
            click.echo(f"Clients learn of it by: mars-motd key rotate {shown(folder)}", err=True)


def _tell(record: KeyRecord) -> None:
    click.echo(f"{record.name}  ed25519 {record.ed25519}")
    if record.fingerprint:
        click.echo(f"{record.name}  openpgp {record.fingerprint}")


@click.command("list")
@options.folder_argument
@json_option("Print a JSON list.")
def list_keys(folder: Path, as_json: bool) -> None:
    """List the keys of DIR: their state, and whether their secret is on this machine.

    "signing": clients accept it; "waiting": it joins by "mars-motd key rotate"; "revoked".
    """
    place = Folder.at(folder)
    records = place.keys.records()
    keys = _current(place)
    rows = [
        {
            "name": record.name,
            "state": _state(record, keys),
            "secret": place.keys.has_secret(record),
            "keyid": record.keyid,
            "ed25519": record.ed25519,
            "openpgp": record.fingerprint or None,
        }
        for record in records
    ]
    if as_json:
        emit_json(rows)
        return
    for row in rows:
        here = "secret here" if row["secret"] else "secret elsewhere"
        click.echo(f"{row['name']}  {row['state']}, {here}")
        click.echo(f"    ed25519 {row['ed25519']}  keyid {row['keyid']}")
        if row["openpgp"]:
            click.echo(f"    openpgp {row['openpgp']}")
    if not rows:
        click.echo(f'No keys yet. Make one: mars-motd key new "{shown(folder)}"', err=True)


def _current(place: Folder) -> KeySet | None:
    """None while the keys there are do not make an epoch (none, or too few for the threshold)."""
    try:
        return ep.load(place).keys
    except ConfigError as error:
        if error.reason not in ("no-keys", "policy-invalid"):
            raise
        return None


def _state(record: KeyRecord, keys: KeySet | None) -> str:
    if keys is not None and record.ed25519 in keys.ed25519.values():
        return "signing"
    return "revoked" if record.revoked else "waiting"


@click.command()
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


@click.command("import")
@options.folder_argument
@click.argument("file", metavar="F", type=options.FILE)
def import_key(folder: Path, file: Path) -> None:
    """Add another holder's public record F, as written by "key export", to DIR.

    Compare the printed fingerprints with the holder's by another way (telephone, in person).
    """
    place = Folder.at(folder)
    record = KeyRecord.decode(options.read(file, "The key record"), shown(file))
    if any(record.name == it.name or record.ed25519 == it.ed25519 for it in place.keys.records()):
        raise ConfigError(
            "key-exists", f"There is this key, or one named {record.name!r}, already."
        )
    place.keys.save(record)
    with options.telling():
        _tell(record)
