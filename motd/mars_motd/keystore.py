"""The keys of a product folder: a public record for each, and the secrets that are at hand.

``keys/NAME.json`` is public and belongs under version control; ``keys/NAME.secret`` (Ed25519, one
file, 0600) and ``openpgp/`` (gpg's secret keys) never do. The secrets of the role root, of both
kinds, lie apart in ``root/``, so that this one folder can be carried away. A holder who signs on
another machine has the public records of everybody and the secrets of some.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mars.errors import ConfigError, StateError, WireError
from mars.ports import Chance
from mars.wire import ed25519
from mars.wire.envelope import Signature
from mars.wire.keys import OPENPGP_ROLES, ROLES, keyid
from mars.wire.openpgp import LAST_SIGNING, primary, signing_keys
from mars.wire.product import is_name
from mars.wire.times import format_time
from mars_motd import expiry, files, gpg, sealing

OPENPGP_CREATED = 1_577_836_800
"""2020-01-01T00:00:00Z: the creation date written into new OpenPGP keys. GnuPG refuses a key that
is younger than the signature or than the client's clock, so a date well in the past keeps clocks
that run behind from refusing everything; and it says nothing about when the key was made."""

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class KeyRecord:
    """The public half of what one holder signs with in one role."""

    name: str
    role: str
    """One of ``ROLES``."""
    ed25519: str
    """Public key, 64 lower-case hex digits."""
    openpgp: Mapping[str, str] = field(default_factory=dict)
    """OpenPGP primary fingerprint, upper-case hex, to the armoured public key; root has a spare."""
    revoked: bool = False
    """Never goes into an epoch again."""

    @property
    def keyid(self) -> str:
        return keyid(bytes.fromhex(self.ed25519))

    @property
    def halves(self) -> tuple[str, ...]:
        """All that it signs with: the Ed25519 key and the fingerprints."""
        return self.ed25519, *self.openpgp

    def encode(self) -> bytes:
        return sealing.write_json({"type": "mars-motd-key", "version": 1, **vars(self)})

    @classmethod
    def decode(cls, data: bytes, where: object) -> KeyRecord:
        """Raises ``StateError`` (``key-damaged``) that names ``where``."""
        value = sealing.read_json(data, where)
        name, role, public = texts = [value.get(it, "") for it in ("name", "role", "ed25519")]
        blocks = value.get("openpgp", {})
        if not (
            value.get("type") == "mars-motd-key"
            and all(isinstance(text, str) for text in texts)
            and is_name(name)
            and role in ROLES
            and _HEX.fullmatch(public)
            and ed25519.is_public_key(bytes.fromhex(public))
            and isinstance(blocks, dict)
            and all(isinstance(block, str) for block in blocks.values())
            and (not blocks or role in OPENPGP_ROLES)
        ):
            raise StateError("key-damaged", f"{where} is not a public key record of mars-motd.")
        for fingerprint, block in blocks.items():
            _require_own_fingerprint(fingerprint, block, where)
        return cls(name, role, public, blocks, value.get("revoked") is True)


@dataclass(frozen=True)
class NewKey:
    """What is to be made: an Ed25519 key, and an OpenPGP key for each of ``user_ids``."""

    name: str
    role: str
    user_ids: tuple[str, ...] = ()
    given: tuple[Path, str] | None = None
    """An OpenPGP home that exists, and the key in it to use."""


@dataclass(frozen=True)
class KeyStore:
    """The folders ``keys/``, ``openpgp/`` and ``root/`` of a product folder."""

    keys: Path
    openpgp: Path
    root: Path

    def records(self) -> list[KeyRecord]:
        """All public records, by role and name."""
        found = [self._read(path) for path in files.listed(self.keys, suffix=".json")]
        return sorted(found, key=lambda record: (ROLES.index(record.role), _natural(record.name)))

    def record(self, name: str) -> KeyRecord:
        """Raises ``ConfigError`` (``key-unknown``)."""
        path = self.keys / f"{name}.json"
        if not is_name(name) or not path.is_file():
            known = ", ".join(record.name for record in self.records()) or "none"
            raise ConfigError("key-unknown", f"There is no key {name!r}; known keys: {known}.")
        return self._read(path)

    def has_secret(self, record: KeyRecord) -> bool:
        """Whether this machine holds the Ed25519 secret of ``record``."""
        return files.exists(self._secret(record.name, record.role))

    def needs_passphrase(self, record: KeyRecord) -> bool:
        return sealing.is_sealed(self._sealed(record))

    def seed(self, record: KeyRecord, passphrase: str | None) -> bytes:
        """The Ed25519 seed. Raises ``StateError`` as ``sealing.unseal`` and ``secret-exposed``."""
        path = self._secret(record.name, record.role)
        seed = sealing.unseal(self._sealed(record), passphrase, path)
        if ed25519.public_key(seed).hex() != record.ed25519:
            raise StateError(
                "key-damaged",
                f"{path} does not belong to the public key in {record.name}.json.",
            )
        return seed

    def given_home(self, record: KeyRecord, fingerprint: str) -> gpg.Home | None:
        """The OpenPGP home that its holder named for this key; None for one that we made.

        Raises ``StateError`` (``openpgp-unavailable``) where that folder is not there.
        """
        homes = self._sealed(record).get("openpgp_homes", {})
        return gpg.given_home(Path(homes[fingerprint])) if fingerprint in homes else None

    def refreshed(self, record: KeyRecord) -> KeyRecord:
        """With the OpenPGP keys as the homes that are known here have them now.

        Raises ``StateError`` (``openpgp-unavailable``) where such a home is not there.
        """
        if record.revoked or not self.has_secret(record):
            return record
        blocks = dict(record.openpgp)
        for fingerprint in blocks:
            home = self.given_home(record, fingerprint)
            if home is not None:
                blocks[fingerprint] = gpg.export_key(home, fingerprint)
        return replace(record, openpgp=blocks)

    def openpgp_sign(
        self, record: KeyRecord, pinned: str, message: bytes, now: int, passphrase: str | None
    ) -> Signature:
        """A detached signature by an OpenPGP key of ``record``, made at ``now`` (Unix seconds).

        ``pinned``: its block as clients have it, whose newest subkey at hand signs, else its
        primary. Raises ``ConfigError`` (``openpgp-time``), ``StateError`` (``openpgp-…``).
        """
        _require_representable(record.name, pinned, now)
        expiry.require_usable(pinned, now)
        given = self.given_home(record, primary(pinned).fingerprint)
        if given is not None:
            return _signed(given, pinned, message, now, None)
        keyring = self._keyring(record.role)
        _require_private_keyring(keyring)
        with gpg.own_home(keyring, [pinned]) as home:
            return _signed(home, pinned, message, now, passphrase)

    def create(
        self,
        wanted: Sequence[NewKey],
        passphrase: str | None,
        chance: Chance,
        now: int,
        created: int = OPENPGP_CREATED,
    ) -> list[KeyRecord]:
        """Makes all that is ``wanted``, under one ``passphrase``, or nothing.

        A key that is given must be able to sign at ``now``; what we make has no end. Both times
        are Unix seconds.
        Raises ``ConfigError`` (``key-exists``), ``StateError`` (``openpgp-…``, ``root-away``),
        ``OSError``.
        """
        if any(new.role == "root" for new in wanted):
            self._require_root_here()
        for new in wanted:
            if self._is_taken(new.name):
                raise ConfigError(
                    "key-exists", f"There is a key {new.name!r} already; choose another name."
                )
        if not 0 < created <= LAST_SIGNING:
            raise ConfigError(
                "openpgp-time", "OpenPGP can write times from 1970 to 2106-02-07 only."
            )
        with _all_or_nothing() as made:
            return [self._create(new, passphrase, chance, now, created, made) for new in wanted]

    def _create(
        self,
        new: NewKey,
        passphrase: str | None,
        chance: Chance,
        now: int,
        created: int,
        made: list[Path],
    ) -> KeyRecord:
        seed = chance.token(ed25519.SEED_BYTES)
        secret: dict[str, object] = {"type": "mars-motd-secret", "version": 1, "name": new.name}
        secret |= sealing.seal(seed, passphrase, chance)
        blocks: dict[str, str] = {}
        if new.given is not None:
            home = gpg.given_home(new.given[0])
            fingerprint = gpg.primary(home, new.given[1])
            blocks[fingerprint] = gpg.export_key(home, fingerprint)
            expiry.require_usable(blocks[fingerprint], now)
            secret["openpgp_homes"] = {fingerprint: str(home.path.resolve())}
        if new.user_ids:
            blocks |= self._create_openpgp(new, passphrase, created, made)
        record = KeyRecord(new.name, new.role, ed25519.public_key(seed).hex(), blocks)
        path = self._secret(new.name, new.role)
        files.private_folder(self.keys)
        files.private_folder(path.parent)
        _put(path, sealing.write_json(secret), files.SECRET, made)
        _put(self.keys / f"{new.name}.json", record.encode(), files.PUBLIC, made)
        return record

    def _create_openpgp(
        self, new: NewKey, passphrase: str | None, created: int, made: list[Path]
    ) -> dict[str, str]:
        """The blocks of the keys that were made, by fingerprint."""
        keyring = self._keyring(new.role)
        files.private_folder(keyring)
        _require_private_keyring(keyring)
        files.require_room(keyring)
        blocks = {}
        with tempfile.TemporaryDirectory(prefix=".new-", dir=keyring) as fresh:
            with gpg.own_home(Path(fresh)) as home:
                for user_id in new.user_ids:
                    fingerprint = gpg.create_key(home, user_id, created, passphrase)
                    blocks[fingerprint] = gpg.export_key(home, fingerprint)
            _take_in(Path(fresh), keyring, len(new.user_ids), made)
        return blocks

    def _require_root_here(self) -> None:
        """Raises ``StateError`` (``root-away``): a second ``root/`` would be in the way of the
        first."""
        if files.exists(self.root):
            return
        if away := [it.name for it in self.records() if it.role == "root" and not it.revoked]:
            raise StateError(
                "root-away",
                f"The secrets of {away[0]} lie in a root/ that is not here: carry it back to "
                f"{self.root} first. If they never were on this machine, make that folder, for "
                f"yourself alone: mkdir -m 700 '{self.root}'",
            )

    def _is_taken(self, name: str) -> bool:
        secrets = (self._secret(name, role) for role in ("root", "motd"))
        return any(map(files.exists, (self.keys / f"{name}.json", *secrets)))

    def save(self, record: KeyRecord) -> None:
        """Writes the public record."""
        files.replace(self.keys / f"{record.name}.json", record.encode())

    def revoke(self, names: Iterable[str]) -> None:
        """Writes down that these keys never go into an epoch again. Raises as ``record``."""
        for name in names:
            self.save(replace(self.record(name), revoked=True))

    def free_name(self, role: str) -> str:
        """``motd-1``, ``motd-2``, …: the first that is not taken."""
        number = 1
        while self._is_taken(f"{role}-{number}"):
            number += 1
        return f"{role}-{number}"

    def _keyring(self, role: str) -> Path:
        return self.root if role == "root" else self.openpgp

    def _secret(self, name: str, role: str) -> Path:
        return (self.root if role == "root" else self.keys) / f"{name}.secret"

    def _read(self, path: Path) -> KeyRecord:
        record = KeyRecord.decode(files.read(path), path)
        if record.name != path.stem:
            raise StateError("key-damaged", f"{path} holds the record of {record.name!r}.")
        return record

    def _sealed(self, record: KeyRecord) -> dict[str, Any]:
        path = self._secret(record.name, record.role)
        files.require_private(path)
        return sealing.read_json(files.read(path), path)


@contextmanager
def _all_or_nothing() -> Iterator[list[Path]]:
    """The files that the body makes; where it fails they go, the last one first, so that no public
    record stays without its secret and is taken for a colleague's."""
    made: list[Path] = []
    try:
        yield made
    except BaseException:
        with suppress(OSError):
            for path in reversed(made):
                path.unlink(missing_ok=True)
        raise


def _put(path: Path, data: bytes, mode: int, made: list[Path]) -> None:
    made.append(path)
    try:
        files.create(path, data, mode)
    except FileExistsError:  # somebody else's
        made.remove(path)
        raise


def _take_in(fresh: Path, keyring: Path, number: int, made: list[Path]) -> None:
    """Moves the OpenPGP secrets in the folder ``fresh`` to the others.

    Raises ``StateError`` (``openpgp-failed``) where the keys themselves are not among them: the
    home was removed meanwhile, and gpg made another.
    """
    if len(files.listed(fresh / gpg.SECRET_PARTS[0], suffix=".key")) < number:
        raise StateError(
            "openpgp-failed",
            "The secret key that gpg made is gone, since something else removes what lies in "
            "the temporary folder. Nothing was kept; make the key again.",
        )
    for part in gpg.SECRET_PARTS:
        files.private_folder(keyring / part)
        for path in files.listed(fresh / part):
            made.append(keyring / part / path.name)
            path.replace(made[-1])


def _require_private_keyring(keyring: Path) -> None:
    """gpg does not mind who reads its secret keys, so we do."""
    folder = keyring / gpg.SECRET_PARTS[0]
    if folder.is_dir():
        for path in (folder, *sorted(folder.iterdir())):
            files.require_private(path)


def _require_own_fingerprint(fingerprint: str, block: str, where: object) -> None:
    try:
        fits = primary(block).fingerprint == fingerprint
    except WireError:
        fits = False
    if not fits:
        raise StateError(
            "key-damaged",
            f"The OpenPGP key block in {where} is damaged or has not the fingerprint that stands "
            f"beside it. Ask its holder for the record again.",
        )


def _signed(
    home: gpg.Home, pinned: str, message: bytes, now: int, passphrase: str | None
) -> Signature:
    """By the key of ``pinned`` to sign with. What gpg itself would take may be a subkey that no
    client knows."""
    usable = [key.fingerprint for key in signing_keys(pinned, now)]
    if len(usable) > 1:
        reached = gpg.at_hand(home, primary(pinned).fingerprint)
        usable = [name for name in usable if name in reached] or usable
    return Signature(usable[0], gpg.sign(home, usable[0], message, now, passphrase))


def _require_representable(name: str, pinned: str, now: int) -> None:
    """Raises ``ConfigError`` (``openpgp-time``) for a time at which the key cannot sign."""
    created = primary(pinned).created
    if not created <= now <= LAST_SIGNING:
        raise ConfigError(
            "openpgp-time",
            f"The OpenPGP key of {name} can sign from {format_time(created)}, when it was "
            f"made, to {format_time(LAST_SIGNING)}, the last time that OpenPGP can write. "
            f"Give another --now.",
        )


def _natural(name: str) -> tuple[object, ...]:
    """``key-2`` before ``key-10``."""
    parts = re.split(r"([0-9]+)", name)
    return tuple(
        (1, int(part)) if part.isascii() and part.isdigit() else (0, part) for part in parts
    )
