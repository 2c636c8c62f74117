"""Which keys hold: the pinned first epoch, and the keys documents after it.

``trust/epoch-1.json`` is what the first release pinned. It is written when the first document is
signed or the trust file is first made; until then keys may come and go freely. Each later
``trust/epoch-N.json`` is the signed keys document that leads from N-1 to N.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mars.errors import ConfigError, StateError, WireError
from mars.trust import TrustState, start
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_ENVELOPE, MAX_STEPS, Envelope
from mars.wire.keys import ROLES, KeysDocument, KeySet, Role, TrustRoot
from mars.wire.motd import Motd
from mars.wire.product import Product
from mars.wire.release import Release
from mars.wire.steering import Steering
from mars_motd import files, history
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import KEYS, Document

_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


@dataclass(frozen=True)
class Epochs:
    """``root`` is epoch 1; ``steps[i]`` is the keys document that begins epoch i + 2."""

    root: TrustRoot
    steps: tuple[Document[KeysDocument], ...]
    pinned: bool
    """False while nothing was published: epoch 1 is then made anew from the keys at hand."""

    @property
    def number(self) -> int:
        return self.root.epoch + len(self.steps)

    @property
    def sets(self) -> tuple[KeySet, ...]:
        """The keys of each epoch from the first on."""
        return (self.root.keys, *(step.said.keys for step in self.steps))

    @property
    def keys(self) -> KeySet:
        """The keys of the newest epoch."""
        return self.sets[-1]

    @property
    def left(self) -> set[str]:
        """Ed25519 keys (hex) and OpenPGP keys (fingerprints) that an earlier epoch had and a later
        one lacks: they never return, though only the folder that finished the step has written
        ``revoked`` into their records. While the policy is off, no OpenPGP key leaves."""
        had, gone, tokens, now = set[str](), set[str](), set[str](), set[str]()
        for keys in self.sets:
            tokens = tokens if keys.policy == "off" else set(keys.openpgp)
            now = tokens.union(by_key(keys))
            gone |= had - now
            had |= now
        return gone - now

    @property
    def roles(self) -> dict[str, str]:
        """In which role each Ed25519 key (hex) stood or stands: it never changes."""
        return {key: role for keys in self.sets for key, role in by_key(keys).items()}

    @property
    def tokens(self) -> dict[str, bool]:
        """Whether each OpenPGP key (fingerprint) stood or stands in the role root."""
        return {key: key in it.roles["root"].openpgp for it in self.sets for key in it.openpgp}

    @property
    def digests(self) -> dict[int, str]:
        """``KeySet.digest`` of each epoch."""
        return {1: self.root.digest} | {it.said.epoch: it.said.digest for it in self.steps}

    @property
    def expires(self) -> int | None:
        """Unix seconds when the newest keys document expires; None in the pinned epoch."""
        return self.steps[-1].said.expires if self.steps else None

    @property
    def chain(self) -> bytes:
        """The file keys.json: all steps, for clients that were away for long."""
        return envelopes.encode_chain([step.envelope for step in self.steps])

    def riding(self, envelope: Envelope) -> Envelope:
        """``envelope`` with the last keys documents in ``x-keys``: as many of eight as clients take
        beside what they came for."""
        chain = tuple(step.envelope for step in self.steps[-MAX_STEPS:])
        while True:
            full = replace(envelope, x_keys=chain)
            if not chain or len(envelopes.encode(full)) <= MAX_ENVELOPE:
                return full
            chain = chain[1:]

    def root_at(self, number: int) -> TrustRoot:
        """What a release pins that is made in epoch ``number``."""
        keys = self.sets[number - self.root.epoch]
        return replace(self.root, epoch=number, keys=keys, minimum_serial=0, built=0)

    def require_ours(
        self, document: Motd | KeysDocument | Steering | Release, number: int, where: object
    ) -> None:
        """Raises ``ConfigError`` (``wrong-document``) unless it is for our epoch ``number``."""
        ours = (self.root.product, self.root.channel, number)
        if (document.product, document.channel, document.epoch) != ours:
            raise ConfigError(
                "wrong-document",
                f"{where} is for {document.product} {document.channel}, epoch {document.epoch}; "
                f"this folder signs for {ours[0]} {ours[1]}, epoch {number}.",
            )


def by_key(keys: KeySet) -> dict[str, str]:
    """The role of each Ed25519 key (64 hex digits) of an epoch."""
    return {key: name for name, role in keys.roles.items() for key in role.ed25519.values()}


def installed(root: TrustRoot) -> TrustState:
    """The state of an installation that pins ``root``, has gpg and has seen it at work: the one
    that overlooks least."""
    return replace(start(root, TrustState.initial()), openpgp=True)


def is_pinned(folder: Folder) -> bool:
    """Whether clients may hold the keys of this folder already."""
    return files.exists(step_path(folder, 1))


def number(folder: Folder) -> int:
    """The newest epoch; 1 before anything was signed."""
    return max(numbered(folder.trust, "epoch-"), default=1)


def load(folder: Folder) -> Epochs:
    """The epochs as recorded, or a first one made of the keys at hand.

    Raises ``ConfigError`` (``no-keys``, ``policy-invalid``, ``product-changed``) or ``StateError``
    (``trust-damaged``; ``epoch-behind`` where root, or what was signed, knows a later epoch).
    Signatures of root are judged by Ed25519 alone; ``rotation.require_followed`` asks gpg.
    """
    product = folder.product
    if not is_pinned(folder):
        known = history.remembered(folder)
        if known:
            raise history.behind(folder, max(known), 0, "root has signed for")
        history.require_newest(folder, 1)
        keys = key_set(folder.keys.records(), product)
        root = TrustRoot(product.product, product.channel, 1, keys, servers=product.servers)
        return Epochs(root, (), pinned=False)
    try:
        root = TrustRoot.decode(files.read(step_path(folder, 1)))
        numbers = sorted(set(numbered(folder.trust, "epoch-")) - {1})
        steps = tuple(KEYS.decode(files.read(step_path(folder, it))) for it in numbers)
    except WireError as error:
        raise StateError(
            "trust-damaged", f"{folder.trust} cannot be read ({error.message}) Restore it."
        ) from None
    if numbers != list(range(2, 2 + len(steps))):
        raise StateError("trust-damaged", f"{folder.trust} leaves out an epoch. Restore it.")
    for member in ("product", "channel"):
        then, now = getattr(root, member), getattr(product, member)
        if then != now:
            raise ConfigError(
                "product-changed",
                f"Clients of this folder pin the {member} {then!r}, but product.toml says {now!r}. "
                f"Change it back, or make a folder of its own for the other {member}.",
            )
    history.require_signed(root, steps, folder.trust)
    epochs = Epochs(root, steps, pinned=True)
    history.require_remembered(folder, epochs.digests)
    history.require_newest(folder, epochs.number)
    return epochs


def pin(folder: Folder, epochs: Epochs) -> Epochs:
    """Writes epoch 1 down, since from here on clients may hold it; root remembers it."""
    if not epochs.pinned:
        files.create(step_path(folder, 1), epochs.root.encode())
    if not epochs.steps:  # of later ones, only what was judged by gpg too
        history.remember(folder, epochs.digests)
    return replace(epochs, pinned=True)


def key_set(records: Sequence[KeyRecord], product: Product, out: Container[str] = ()) -> KeySet:
    """The keys of an epoch under ``product``'s policy; those revoked or ``out`` are passed over.

    Raises ``ConfigError``: ``no-keys``, ``policy-invalid``.
    """
    alive = [record for record in records if not record.revoked and record.ed25519 not in out]
    policy = product.policy
    roles = {name: _role([it for it in alive if it.role == name], name, product) for name in ROLES}
    _require_keys(records, roles)
    blocks = {name: block for record in alive for name, block in record.openpgp.items()}
    keys = KeySet(roles, blocks if policy.openpgp != "off" else {}, policy.openpgp)
    try:
        TrustRoot.decode(TrustRoot(product.product, product.channel, 1, keys).encode())
    except WireError as error:
        counts = "; ".join(
            f"{name}: {role.threshold} of {len(role.ed25519)} Ed25519, {len(role.openpgp)} OpenPGP"
            for name, role in roles.items()
        )
        raise ConfigError(
            "policy-invalid",
            f"The keys do not fit [policy] in product.toml, openpgp {keys.policy!r} ({counts}). "
            f"{error.message}",
        ) from None
    return keys


def _role(records: Sequence[KeyRecord], name: str, product: Product) -> Role:
    primaries = dict.fromkeys(key for record in records for key in record.openpgp)
    return Role(
        {record.keyid: record.ed25519 for record in records},
        product.policy.threshold_of(name),
        tuple(primaries) if product.policy.openpgp != "off" else (),
    )


def _require_keys(records: Sequence[KeyRecord], roles: dict[str, Role]) -> None:
    for name, role in roles.items():
        if not records:
            raise ConfigError(
                "no-keys", "There is no key yet. Make them first, with: mars-motd key new DIR"
            )
        if not role.ed25519:
            had = any(record.role == name for record in records)
            said = f"No key of the role {name} would be left" if had else f"{name} has no key yet"
            raise ConfigError(
                "no-keys", f"{said}. Make one first, with: mars-motd key new DIR --role {name}"
            )


def numbered(folder: Path, prefix: str = "") -> list[int]:
    """The numbers of ``PREFIX<number>.json`` in ``folder``.

    Raises ``StateError`` (``record-damaged``) for a name that we did not write, ``²`` or a copy.
    """
    found = []
    for path in files.listed(folder, prefix, ".json"):
        number = path.stem.removeprefix(prefix)
        if not _NUMBER.fullmatch(number):
            raise StateError(
                "record-damaged",
                f"{path} is not one of our files. Move it out of its folder.",
            )
        found.append(int(number))
    return found


def step_path(folder: Folder, number: int) -> Path:
    """Where epoch ``number`` is recorded."""
    return folder.trust / f"epoch-{number}.json"
