"""``mars-motd key list``: which keys there are, and what clients make of them."""

from __future__ import annotations

from pathlib import Path

import click

from mars.commandline import emit_json, json_option
from mars.errors import ConfigError
from mars.wire.keys import KeySet
from mars_motd import epochs as ep
from mars_motd.cli.options import folder_argument
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord


@click.command("list")
@folder_argument
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
        click.echo(f'No keys yet. Make one: mars-motd key new "{folder}"', err=True)


def _current(place: Folder) -> KeySet | None:
    """None while the keys there are do not make an epoch (none, or too few for the threshold)."""
    try:
        return ep.load(place, place.product()).keys
    except ConfigError as error:
        if error.reason not in ("no-keys", "policy-invalid"):
            raise
        return None


def _state(record: KeyRecord, keys: KeySet | None) -> str:
    if keys is not None and record.ed25519 in keys.ed25519.values():
        return "signing"
    return "revoked" if record.revoked else "waiting"
