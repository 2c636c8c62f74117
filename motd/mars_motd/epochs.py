"""Which keys hold: the pinned first epoch, and the chain of keys documents after it.

``trust/epoch-1.json`` is what the first release pinned. It is written when the first document is
signed or the trust file is first made; until then keys may come and go freely. Each later
``trust/epoch-N.json`` is the signed keys document that leads from N-1 to N.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from mars.errors import ConfigError, StateError, WireError
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_STEPS, Envelope
from mars.wire.keys import KeysDocument, KeySet, TrustRoot
from mars.wire.motd import Motd
from mars.wire.product import Product
from mars_motd import files
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord

_NUMBER = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)


@dataclass(frozen=True)
class Epochs:
    """``root`` is epoch 1; ``steps[i]`` is the keys document that begins epoch i + 2."""

    root: TrustRoot
    steps: tuple[Envelope, ...]
    pinned: bool
    """False while nothing was published: epoch 1 is then made anew from the keys at hand."""

    @property
    def number(self) -> int:
        return self.root.epoch + len(self.steps)

    @property
    def documents(self) -> tuple[KeysDocument, ...]:
        return tuple(KeysDocument.decode(step.payload) for step in self.steps)

    @property
    def keys(self) -> KeySet:
        """The keys of the newest epoch."""
        return self.documents[-1].keys if self.steps else self.root.keys

    @property
    def expires(self) -> int | None:
        """Unix seconds when the newest keys document expires; None in the pinned epoch."""
        return self.documents[-1].expires if self.steps else None

    @property
    def chain(self) -> tuple[Envelope, ...]:
        """What rides in ``x-keys``: the last eight steps."""
        return self.steps[-MAX_STEPS:]

    def root_at(self, number: int) -> TrustRoot:
        """What a release pins that is made in epoch ``number``."""
        if number == self.root.epoch:
            return self.root
        document = self.documents[number - self.root.epoch - 1]
        return TrustRoot(
            self.root.product, self.root.channel, number, document.keys, servers=self.root.servers
        )

    def oldest_reached(self) -> TrustRoot:
        """The pin of the oldest release that can still follow the chain."""
        return self.root_at(self.number - len(self.chain))

    def require_ours(self, document: Motd | KeysDocument, number: int, where: object) -> None:
        """Raises ``ConfigError`` (``wrong-document``) unless it is for our epoch ``number``."""
        ours = (self.root.product, self.root.channel, number)
        if (document.product, document.channel, document.epoch) != ours:
            raise ConfigError(
                "wrong-document",
                f"{where} is for {document.product} {document.channel}, epoch {document.epoch}; "
                f"this folder signs for {ours[0]} {ours[1]}, epoch {number}.",
            )


def is_pinned(folder: Folder) -> bool:
    """Whether clients may hold the keys of this folder already."""
    return files.exists(_path(folder, 1))


def number(folder: Folder) -> int:
    """The newest epoch; 1 before anything was signed."""
    return max(_numbers(folder.trust), default=1)


def load(folder: Folder) -> Epochs:
    """The epochs as recorded, or a first one made of the keys at hand.

    Raises ``ConfigError`` (``no-keys``, ``policy-invalid``, ``product-changed``) or ``StateError``
    (``trust-damaged``).
    """
    product = folder.product
    if not is_pinned(folder):
        keys = key_set(folder.keys.records(), product)
        root = TrustRoot(product.product, product.channel, 1, keys, servers=product.servers)
        return Epochs(root, (), pinned=False)
    try:
        root = TrustRoot.decode(files.read(_path(folder, 1)))
        numbers = _numbers(folder.trust)
        steps = tuple(envelopes.decode(files.read(_path(folder, it))) for it in numbers)
        epochs = Epochs(root, steps, pinned=True)
        found = [document.epoch for document in epochs.documents]
    except WireError as error:
        raise StateError(
            "trust-damaged", f"{folder.trust} cannot be read ({error.message}) Restore it."
        ) from None
    if found != list(range(2, 2 + len(steps))):
        raise StateError("trust-damaged", f"{folder.trust} leaves out an epoch. Restore it.")
    for member in ("product", "channel"):
        then, now = getattr(root, member), getattr(product, member)
        if then != now:
            raise ConfigError(
                "product-changed",
                f"Clients of this folder pin the {member} {then!r}, but product.toml says {now!r}. "
                f"Change it back, or make a folder of its own for the other {member}.",
            )
    return epochs


def pin(folder: Folder, epochs: Epochs) -> Epochs:
    """Writes epoch 1 down, since from here on clients may hold it."""
    if not epochs.pinned:
        files.create(_path(folder, 1), epochs.root.encode())
    return replace(epochs, pinned=True)


def key_set(records: list[KeyRecord], product: Product) -> KeySet:
    """The keys of an epoch under ``product``'s policy; revoked records are passed over.

    Raises ``ConfigError``: ``no-keys``, ``policy-invalid``.
    """
    alive = [record for record in records if not record.revoked]
    if not alive:
        said = "No key would be left to sign with" if records else "There is no key yet"
        raise ConfigError("no-keys", f"{said}. Make one first, with: mars-motd key new DIR")
    policy = product.policy
    blocks = {record.fingerprint: record.block for record in alive if record.fingerprint}
    keys = KeySet(
        ed25519={record.keyid: record.ed25519 for record in alive},
        threshold=policy.threshold,
        openpgp=blocks if policy.openpgp != "off" else {},
        policy=policy.openpgp,
    )
    try:
        TrustRoot.decode(TrustRoot(product.product, product.channel, 1, keys).encode())
    except WireError as error:
        raise ConfigError(
            "policy-invalid",
            f"The keys do not fit [policy] in product.toml: {len(keys.ed25519)} Ed25519 and "
            f"{len(blocks)} OpenPGP keys, threshold {keys.threshold}, openpgp {keys.policy!r}. "
            f"{error.message}",
        ) from None
    return keys


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


def _numbers(folder: Path) -> list[int]:
    return sorted(set(numbered(folder, "epoch-")) - {1})


def _path(folder: Folder, number: int) -> Path:
    return folder.trust / f"epoch-{number}.json"
