"""The keys of a product folder: a public record for each, and the secrets that are at hand.

``keys/NAME.json`` is public and belongs under version control; ``keys/NAME.secret`` (Ed25519, one
file, 0600) and ``openpgp/`` (gpg's secret keys) never do. A holder who signs on another machine
has the public records of everybody and the secrets of one key.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mars.errors import ConfigError, StateError, WireError
from mars.ports import Chance
from mars.wire import ed25519
from mars.wire.keys import keyid
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
    """The public half of one holder's pair of keys."""

    name: str
    ed25519: str
    """Public key, 64 lower-case hex digits."""
    fingerprint: str = ""
    """OpenPGP primary fingerprint, upper-case hex; empty for a key without OpenPGP."""
    block: str = ""
    """The armoured OpenPGP public key."""
    revoked: bool = False
    """Never goes into an epoch again."""

    @property
    def keyid(self) -> str:
        return keyid(bytes.fromhex(self.ed25519))

    def encode(self) -> bytes:
        plain: dict[str, object] = {
            "type": "mars-motd-key",
            "version": 1,
            "name": self.name,
            "ed25519": self.ed25519,
            "openpgp_fingerprint": self.fingerprint,
            "openpgp": self.block,
            "revoked": self.revoked,
        }
        return sealing.write_json(plain)

    @classmethod
    def decode(cls, data: bytes, where: object) -> KeyRecord:
        """Raises ``StateError`` (``key-damaged``) that names ``where``."""
        value = sealing.read_json(data, where)
        members = ("name", "ed25519", "openpgp_fingerprint", "openpgp")
        name, public, fingerprint, block = texts = [value.get(member, "") for member in members]
        if not (
            value.get("type") == "mars-motd-key"
            and all(isinstance(text, str) for text in texts)
            and is_name(name)
            and _HEX.fullmatch(public)
            and ed25519.is_public_key(bytes.fromhex(public))
            and bool(fingerprint) == bool(block)
        ):
            raise StateError("key-damaged", f"{where} is not a public key record of mars-motd.")
        _require_own_fingerprint(fingerprint, block, where)
        return cls(name, public, fingerprint, block, value.get("revoked") is True)


@dataclass(frozen=True)
class KeyStore:
    """The folders ``keys/`` and ``openpgp/`` of a product folder."""

    keys: Path
    openpgp: Path

    def records(self) -> list[KeyRecord]:
        """All public records, by name."""
        found = [self._read(path) for path in files.listed(self.keys, suffix=".json")]
        return sorted(found, key=lambda record: _natural(record.name))

    def record(self, name: str) -> KeyRecord:
        """Raises ``ConfigError`` (``key-unknown``)."""
        path = self.keys / f"{name}.json"
        if not is_name(name) or not path.is_file():
            known = ", ".join(record.name for record in self.records()) or "none"
            raise ConfigError("key-unknown", f"There is no key {name!r}; known keys: {known}.")
        return self._read(path)

    def has_secret(self, record: KeyRecord) -> bool:
        """Whether this machine holds the Ed25519 secret of ``record``."""
        return files.exists(self._secret(record.name))

    def needs_passphrase(self, record: KeyRecord) -> bool:
        return sealing.is_sealed(self._sealed(record.name))

    def seed(self, record: KeyRecord, passphrase: str | None) -> bytes:
        """The Ed25519 seed. Raises ``StateError`` as ``sealing.unseal`` and ``secret-exposed``."""
        path = self._secret(record.name)
        seed = sealing.unseal(self._sealed(record.name), passphrase, path)
        if ed25519.public_key(seed).hex() != record.ed25519:
            raise StateError(
                "key-damaged",
                f"{path} does not belong to the public key in {record.name}.json.",
            )
        return seed

    def openpgp_sign(
        self, record: KeyRecord, pinned: str, message: bytes, now: int, passphrase: str | None
    ) -> bytes:
        """A detached OpenPGP signature by ``record``'s key, made at ``now`` (Unix seconds).

        ``pinned``: its block as clients have it, whose newest subkey at hand signs, else its
        primary. Raises ``ConfigError`` (``openpgp-time``), ``StateError`` (``openpgp-…``).
        """
        _require_representable(record.name, pinned, now)
        expiry.require_usable(pinned, now)
        given = self._sealed(record.name).get("openpgp_home", "")
        if given:
            home = gpg.given_home(Path(given))
            return gpg.sign(home, _signer(home, pinned, now), message, now, None)
        self._require_private_keyring()
        with gpg.own_home(self.openpgp, [pinned]) as home:
            return gpg.sign(home, _signer(home, pinned, now), message, now, passphrase)

    def create(
        self,
        name: str,
        user_id: str,
        passphrase: str | None,
        chance: Chance,
        *,
        now: int,
        openpgp: bool = True,
        given: tuple[Path, str] | None = None,
        created: int = OPENPGP_CREATED,
    ) -> KeyRecord:
        """Makes a pair of keys, both under ``passphrase``.

        ``given``: an OpenPGP home that exists and the key in it to use, instead of making one; it
        must be able to sign at ``now`` (Unix seconds). What we make has no end. Where it fails
        nothing of the pair stays. Raises ``ConfigError`` (``key-exists``),
        ``StateError`` (``openpgp-…``), ``OSError``.
        """
        if self._is_taken(name):
            raise ConfigError(
                "key-exists", f"There is a key {name!r} already; choose another name."
            )
        if not 0 < created <= LAST_SIGNING:
            raise ConfigError(
                "openpgp-time", "OpenPGP can write times from 1970 to 2106-02-07 only."
            )
        seed = chance.token(sealing.SEED_SIZE)
        sealed = sealing.seal(seed, passphrase, chance)
        with _all_or_nothing() as made:
            fingerprint = block = ""
            if given is not None:
                home = gpg.given_home(given[0])
                fingerprint = gpg.primary(home, given[1])
                block = gpg.export_key(home, fingerprint)
                expiry.require_usable(block, now)
                sealed["openpgp_home"] = str(given[0].resolve())
            elif openpgp:
                files.private_folder(self.openpgp)
                self._require_private_keyring()
                files.require_room(self.openpgp)
                with tempfile.TemporaryDirectory(prefix=".new-", dir=self.openpgp) as new:
                    with gpg.own_home(Path(new)) as home:
                        fingerprint = gpg.create_key(home, user_id, created, passphrase)
                        block = gpg.export_key(home, fingerprint)
                    self._take_in(Path(new), made)
            record = KeyRecord(name, ed25519.public_key(seed).hex(), fingerprint, block)
            files.private_folder(self.keys)
            secret = {"type": "mars-motd-secret", "version": 1, "name": name, **sealed}
            made += [self._secret(name), self.keys / f"{name}.json"]
            files.create(self._secret(name), sealing.write_json(secret), files.SECRET)
            self.save(record)
            return record

    def _take_in(self, new: Path, made: list[Path]) -> None:
        """Moves the OpenPGP secrets in the folder ``new`` to the others.

        Raises ``StateError`` (``openpgp-failed``) where the key itself is not among them: the home
        was removed meanwhile, and gpg made another.
        """
        if not files.listed(new / gpg.SECRET_PARTS[0], suffix=".key"):
            raise StateError(
                "openpgp-failed",
                "The secret key that gpg made is gone, since something else removes what lies in "
                "the temporary folder. Nothing was kept; make the key again.",
            )
        for part in gpg.SECRET_PARTS:
            files.private_folder(self.openpgp / part)
            for path in files.listed(new / part):
                made.append(self.openpgp / part / path.name)
                path.replace(made[-1])

    def _is_taken(self, name: str) -> bool:
        return files.exists(self.keys / f"{name}.json") or files.exists(self._secret(name))

    def save(self, record: KeyRecord) -> None:
        """Writes the public record."""
        files.replace(self.keys / f"{record.name}.json", record.encode())

    def revoke(self, names: Iterable[str]) -> None:
        """Writes down that these keys never go into an epoch again. Raises as ``record``."""
        for name in names:
            self.save(replace(self.record(name), revoked=True))

    def free_name(self) -> str:
        """``key-1``, ``key-2``, …: the first that is not taken."""
        number = 1
        while self._is_taken(f"key-{number}"):
            number += 1
        return f"key-{number}"

    def _require_private_keyring(self) -> None:
        """gpg does not mind who reads its secret keys, so we do."""
        folder = self.openpgp / "private-keys-v1.d"
        if folder.is_dir():
            for path in (folder, *sorted(folder.iterdir())):
                files.require_private(path)

    def _secret(self, name: str) -> Path:
        return self.keys / f"{name}.secret"

    def _read(self, path: Path) -> KeyRecord:
        record = KeyRecord.decode(files.read(path), path)
        if record.name != path.stem:
            raise StateError("key-damaged", f"{path} holds the record of {record.name!r}.")
        return record

    def _sealed(self, name: str) -> dict[str, Any]:
        path = self._secret(name)
        files.require_private(path)
        return sealing.read_json(files.read(path), path)


@contextmanager
def _all_or_nothing() -> Iterator[list[Path]]:
    """The files that the body makes; where it fails they go, the last one first, so that no public
    record stays without its secret and is taken for a colleague's."""
    made: list[Path] = []
    try:
        yield made
    except FileExistsError:  # somebody else's
        raise
    except BaseException:
        with suppress(OSError):
            for path in reversed(made):
                path.unlink(missing_ok=True)
        raise


def _require_own_fingerprint(fingerprint: str, block: str, where: object) -> None:
    try:
        fits = not block or primary(block).fingerprint == fingerprint
    except WireError:
        fits = False
    if not fits:
        raise StateError(
            "key-damaged",
            f"The OpenPGP key block in {where} is damaged or has not the fingerprint that stands "
            f"beside it. Ask its holder for the record again.",
        )


def _signer(home: gpg.Home, pinned: str, now: int) -> str:
    """The fingerprint of the key of ``pinned`` to sign with. What gpg itself would take may be a
    subkey that no client knows."""
    usable = [key.fingerprint for key in signing_keys(pinned, now)]
    if len(usable) > 1:
        reached = gpg.at_hand(home, primary(pinned).fingerprint)
        usable = [name for name in usable if name in reached] or usable
    return usable[0]


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
