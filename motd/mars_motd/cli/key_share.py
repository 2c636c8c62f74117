"""``mars-motd key export`` and ``key import``: public halves, passed between holders."""

from __future__ import annotations

from pathlib import Path

import click

from mars.errors import ConfigError
from mars_motd import files
from mars_motd.cli.options import FILE, folder_argument, read, refuse_special
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.stock import pem


@click.command()
@folder_argument
@click.argument("name", metavar="NAME")
@click.option(
    "--format",
    "form",
    type=click.Choice(["record", "pem", "openpgp"]),
    default="record",
    show_default=True,
    help="The public record, or one key alone: Ed25519 as PEM for openssl, OpenPGP armoured.",
)
@click.option("--out", type=FILE, metavar="F", help="Write to F instead of standard output.")
def export(folder: Path, name: str, form: str, out: Path | None) -> None:
    """Write the public half of the key NAME. Secrets are never exported."""
    record = Folder.at(folder).keys.record(name)
    if form == "openpgp" and not record.block:
        raise ConfigError("no-openpgp", f"The key {name!r} has no OpenPGP half.")
    data = {
        "record": record.encode(),
        "pem": pem(record.ed25519),
        "openpgp": record.block.encode("ascii"),
    }[form]
    if out is None:
        click.echo(data.decode("ascii"), nl=False)
        return
    refuse_special(out)
    files.replace(out, data)


@click.command("import")
@folder_argument
@click.argument("file", metavar="F", type=FILE)
def import_key(folder: Path, file: Path) -> None:
    """Add another holder's public record F, as written by "key export", to DIR.

    Compare the printed fingerprints with the holder's by another way (telephone, in person).
    """
    place = Folder.at(folder)
    record = KeyRecord.decode(read(file, "The key record"), str(file))
    known = {item.name: item for item in place.keys.records()}
    twin = next((item for item in known.values() if item.ed25519 == record.ed25519), None)
    if record.name in known or twin is not None:
        raise ConfigError(
            "key-exists", f"There is this key, or one named {record.name!r}, already."
        )
    place.keys.save(record)
    click.echo(f"{record.name}  ed25519 {record.ed25519}")
    if record.fingerprint:
        click.echo(f"{record.name}  openpgp {record.fingerprint}")
