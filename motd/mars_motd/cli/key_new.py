"""``mars-motd key new``: one Ed25519 and one OpenPGP key."""

from __future__ import annotations

from pathlib import Path

import click

from mars import factory
from mars.wire.product import is_name
from mars_motd import epochs, passphrases
from mars_motd.cli.options import FILE, as_time, folder_argument, passphrase_option
from mars_motd.folder import Folder
from mars_motd.keystore import OPENPGP_CREATED


@click.command()
@folder_argument
@click.option("--name", metavar="NAME", help="The holder's or the key's name. Default: key-1, …")
@passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Store the secrets in the clear (0600).")
@click.option(
    "--openpgp-home",
    type=FILE,
    metavar="HOME",
    help="Use a key of this GnuPG home (a hardware token's, say) instead of making one.",
)
@click.option("--openpgp-key", default="", metavar="FPR", help="Which key of HOME.")
@click.option(
    "--openpgp-created",
    type=as_time,
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
    product = place.product()
    name = name if name is not None else place.keys.free_name()
    if not is_name(name):
        raise click.UsageError("--name takes 1-40 characters of a-z, 0-9 and inner hyphens.")
    phrase = None if no_passphrase else passphrases.for_new_key(passphrase_file)
    record = place.keys.create(
        name,
        f"{product.product} {product.channel} news ({name})",
        phrase,
        factory.system_chance(),
        openpgp=product.policy.openpgp != "off",
        given=(openpgp_home, openpgp_key) if openpgp_home is not None else None,
        created=openpgp_created,
    )
    click.echo(f"{record.name}  ed25519 {record.ed25519}")
    if record.fingerprint:
        click.echo(f"{record.name}  openpgp {record.fingerprint}")
    if epochs.is_pinned(place):
        click.echo(f"Clients learn of it by: mars-motd key rotate {folder}", err=True)
