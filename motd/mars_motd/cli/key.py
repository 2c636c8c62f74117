"""``mars-motd key new``, ``list``, ``export`` and ``import``: keys by role. What begins an epoch is
in ``rotation``."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click

from mars import factory
from mars.commandline import LazyGroup, json_option, shown
from mars.errors import ConfigError
from mars.wire.keys import OPENPGP_ROLES, ROLES
from mars.wire.product import Product, is_name
from mars_motd import epochs as ep
from mars_motd import expiry, files
from mars_motd.cli import options, pairs
from mars_motd.epochs import Epochs
from mars_motd.folder import Folder
from mars_motd.keystore import OPENPGP_CREATED, KeyRecord, NewKey
from mars_motd.signatures import pem

_PLACES = {
    name: f"mars_motd.cli.rotation:{name}" for name in ("rotate", "revoke", "refresh", "chain")
} | {"destroy": "mars_motd.cli.pairs:destroy"}


@click.group(cls=LazyGroup, commands_in=_PLACES, needs="motd")
def key() -> None:
    """Make, list, hand over, rotate, revoke and refresh keys."""


@key.command()
@options.folder_argument
@click.argument("more", metavar="[RELEASE]...", nargs=-1)
@click.option(
    "--role",
    "roles",
    multiple=True,
    type=click.Choice(ROLES),
    help="What the key is for; may be given several times. The first time: all of them.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="The holder's name: keys are called NAME-root, NAME-motd, … Default: root-1, motd-1, …",
)
@options.passphrase_option
@click.option("--no-passphrase", is_flag=True, help="Store the secrets in the clear (0600).")
@options.file_option(
    "--openpgp-home",
    "Use a key of this GnuPG home (a hardware token's, say) for the role, by default motd, instead "
    "of making one.",
    metavar="HOME",
)
@click.option("--openpgp-key", default="", metavar="FPR", help="Which key of HOME.")
@click.option(
    "--openpgp-created",
    type=options.as_time,
    default=OPENPGP_CREATED,
    metavar="T",
    help="Creation date written into the OpenPGP keys. Default: 2020-01-01, so that computers "
    "whose clock is behind do not refuse them.",
)
@click.option(
    "--intake",
    is_flag=True,
    help="Make pairs that clients seal statistics to instead, one a week, for the next weeks that "
    "have none.",
)
@click.option(
    "--weeks",
    type=click.IntRange(1, pairs.MOST_WEEKS),
    metavar="N",
    help=f"How many, with --intake. Default: {pairs.WEEKS}.",
)
@click.option(
    "--reports",
    multiple=True,
    metavar="RELEASE...",
    help="Make pairs that error reports are sealed to instead, one for each RELEASE.",
)
@options.now_option("With --intake: the week to begin with is that of T. Default: now.")
@json_option("Print one JSON object.")
def new(
    folder: Path,
    more: tuple[str, ...],
    roles: tuple[str, ...],
    name: str | None,
    passphrase_file: Path | None,
    no_passphrase: bool,
    openpgp_home: Path | None,
    openpgp_key: str,
    openpgp_created: int,
    intake: bool,
    weeks: int | None,
    reports: tuple[str, ...],
    now: int | None,
    as_json: bool,
) -> None:
    """Make keys in the product folder DIR.

    The first time one for each role: root, motd and release (Ed25519 and OpenPGP, of root also a
    spare OpenPGP key), status and index (Ed25519). Root's secrets lie in DIR/root: carry that
    folder away once the first trust file is made. Later say which --role. Before the first
    document is signed, new keys simply join; then they wait for "mars-motd key rotate".

    With --intake or --reports: pairs of X25519, whose secrets are one new file under DIR/keys.
    """
    if no_passphrase and passphrase_file is not None:
        raise click.UsageError("Give --passphrase-file or --no-passphrase, not both.")
    place, moment = Folder.at(folder), options.clock_or(now)
    _require_one_kind(
        bool(roles or name or openpgp_home or openpgp_key), intake, weeks, reports, more
    )
    if intake or reports:
        phrase = None if no_passphrase else options.new_passphrase(passphrase_file)
        if intake:
            pairs.new_intake(place, weeks or pairs.WEEKS, phrase, moment, as_json)
        else:
            pairs.new_reports(place, (*reports, *more), phrase, moment, as_json)
        return
    if (openpgp_home is None) == bool(openpgp_key):
        raise click.UsageError("--openpgp-home HOME and --openpgp-key FPR belong together.")
    given = None if openpgp_home is None else (openpgp_home, openpgp_key)
    wanted = _wanted(place, roles, name, given)
    pinned = ep.is_pinned(place)
    phrase = None if no_passphrase else options.new_passphrase(passphrase_file)
    made = place.keys.create(wanted, phrase, factory.system_chance(), moment, openpgp_created)
    with options.telling():
        plain = [{"name": it.name, "role": it.role, **_public(it)} for it in made]
        options.tell(as_json, {"ok": True, "keys": plain}, chain(*map(_lines, made)))
        for record in made:
            for ending in expiry.ending_soon(record.openpgp, moment):
                click.echo(f"warning: {ending}", err=True)
        if any(record.role == "root" for record in made):
            where = shown(place.keys.root)
            click.echo(
                f"Root's secrets are in {where}: keep that folder elsewhere, offline.", err=True
            )
        if pinned:
            click.echo(f"Clients learn of it by: mars-motd key rotate {shown(folder)}", err=True)


def _require_one_kind(
    signing: bool, intake: bool, weeks: int | None, reports: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """Raises ``click.UsageError``."""
    if signing + intake + bool(reports) > 1:
        raise click.UsageError("Give one: options of signing keys, --intake or --reports.")
    if weeks is not None and not intake:
        raise click.UsageError("--weeks belongs to --intake.")
    if more and not reports:
        raise click.UsageError(f"Got unexpected extra argument ({more[0]})")


def _wanted(
    place: Folder, roles: tuple[str, ...], name: str | None, given: tuple[Path, str] | None
) -> list[NewKey]:
    """Raises ``click.UsageError``."""
    if not roles and place.keys.records():
        raise click.UsageError(
            f"There are keys already: say which one to make, with --role {'|'.join(ROLES)}."
        )
    of_home = "motd" if not roles else roles[0]
    if given is not None and (len(roles) > 1 or of_home not in OPENPGP_ROLES):
        raise click.UsageError(
            f"--openpgp-home belongs to one --role, {', '.join(OPENPGP_ROLES)}; the others have no "
            f"OpenPGP key."
        )
    wanted = []
    for role in dict.fromkeys(roles or ROLES):
        called = place.keys.free_name(role) if name is None else f"{name}-{role}"
        if not is_name(called):
            raise click.UsageError(f"--name {name}: {called} is not 1-40 of a-z, 0-9, hyphens.")
        home = given if role == of_home else None
        ids = _user_ids(place.product, role, called)
        wanted.append(NewKey(called, role, ids[1:] if home else ids, home))
    return wanted


def _user_ids(product: Product, role: str, name: str) -> tuple[str, ...]:
    """Of the OpenPGP keys to make. Where root is one holder, it has a spare; several have each
    other."""
    if role not in OPENPGP_ROLES or product.policy.openpgp == "off":
        return ()
    user_id = f"{product.product} {product.channel} {role} ({name})"
    alone = role == "root" and product.policy.threshold_of(role) == 1
    return (user_id, f"{user_id} spare") if alone else (user_id,)


def _public(record: KeyRecord) -> dict[str, object]:
    return {"ed25519": record.ed25519, "openpgp": list(record.openpgp)}


def _lines(record: KeyRecord) -> Iterator[str]:
    yield f"{record.name}  ed25519 {record.ed25519}"
    yield from (f"{record.name}  openpgp {fingerprint}" for fingerprint in record.openpgp)


@key.command("list")
@options.folder_argument
@json_option("Print a JSON list.")
def list_keys(folder: Path, as_json: bool) -> None:
    """List the keys of DIR: role, state, and whether their secret is on this machine.

    "signing": clients accept it; "waiting": it joins by "mars-motd key rotate"; "revoked".
    """
    place = Folder.at(folder)
    records, epochs = place.keys.records(), _current(place)
    rows = [
        {
            "name": record.name,
            "role": record.role,
            "state": state(record, epochs),
            "secret": place.keys.has_secret(record),
            "keyid": record.keyid,
            **_public(record),
        }
        for record in records
    ]
    lines = (line for row in rows for line in _key_lines(row))
    options.tell(as_json, rows, chain(lines, pairs.lines(place)))
    if not rows and not as_json:
        click.echo(f'No keys yet. Make them: mars-motd key new "{shown(folder)}"', err=True)


def _key_lines(row: dict[str, Any]) -> Iterator[str]:
    where = "here" if row["secret"] else "elsewhere"
    yield f"{row['name']}  {row['role']}, {row['state']}, secret {where}"
    yield f"    ed25519 {row['ed25519']}  keyid {row['keyid']}"
    for fingerprint in row["openpgp"]:
        yield f"    openpgp {fingerprint}"


def _current(place: Folder) -> Epochs | None:
    """None while the keys there are do not make an epoch (none, or too few for the threshold)."""
    try:
        return ep.load(place)
    except ConfigError as error:
        if error.reason not in ("no-keys", "policy-invalid"):
            raise
        return None


def state(record: KeyRecord, epochs: Epochs | None) -> str:
    """What ``key list`` calls it."""
    if epochs and record.ed25519 in ep.by_key(epochs.keys):
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
    help="The public record, or one kind alone: Ed25519 as PEM for openssl, OpenPGP armoured.",
)
@options.file_option("--out", "Write to F instead of standard output.")
def export(folder: Path, name: str, form: str, out: Path | None) -> None:
    """Write the public half of the key NAME. Secrets are never exported."""
    place = Folder.at(folder)
    record = place.keys.record(name)
    if form == "openpgp" and not record.openpgp:
        raise ConfigError("no-openpgp", f"The key {name!r} has no OpenPGP half.")
    data = {
        "record": record.encode(),
        "pem": pem(record.ed25519),
        "openpgp": "\n".join(record.openpgp.values()).encode("ascii"),
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

    Compare the printed fingerprints with the holder's by another way (telephone, in person). A
    record that is there already is replaced only where its OpenPGP key was prolonged.
    """
    place = Folder.at(folder)
    record = KeyRecord.decode(options.read(file, "The key record"), file)
    if record.revoked:
        raise ConfigError(
            "key-revoked",
            f"{file} says that {record.name} is revoked, which takes nothing away from clients. To "
            f"take it away: mars-motd key revoke {shown(folder)} {record.name}",
        )
    for known in place.keys.records():
        _require_no_clash(record, known)
    place.keys.save(record)
    with options.telling():
        options.tell(as_json=False, plain=None, lines=_lines(record))


def _require_no_clash(record: KeyRecord, known: KeyRecord) -> None:
    """Raises ``ConfigError``: ``key-exists``, ``key-mismatch`` (one key in two roles)."""
    shared = set(record.halves) & set(known.halves)
    apart = record.ed25519 == known.ed25519 or "root" in (record.role, known.role)
    if shared and apart and record.role != known.role:
        raise ConfigError(
            "key-mismatch",
            f"{record.name} is a key of {record.role}, but the same key stands here as "
            f"{known.name} of {known.role}. A thief of the one would have the other: ask its "
            f"holder for another.",
        )
    same = (record.name, record.role, record.halves) == (known.name, known.role, known.halves)
    renewed = same and record.openpgp != known.openpgp and not known.revoked
    if not renewed and (record.name == known.name or record.ed25519 == known.ed25519):
        raise ConfigError(
            "key-exists", f"There is this key, or one named {record.name!r}, already."
        )
