"""Which keys hold: the pinned first epoch, the keys documents after it, and the next.

``trust/epoch-1.json`` is what the first release pinned. It is written when the first document is
signed or the trust file is first made; until then keys may come and go freely. Each later
``trust/epoch-N.json`` is the signed keys document that leads from N-1 to N.

Such a step is signed by the Ed25519 thresholds of the old and of the new epoch, and by an OpenPGP
key of the old one, so that stolen Ed25519 keys alone cannot rotate anything away. A new epoch also
forgets the serials of the old one, which undoes what a thief pushed ahead.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mars.commandline import safe
from mars.errors import ConfigError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import TrustState, answered
from mars.trust.chain import current_keys, follow
from mars.wire import envelope as envelopes
from mars.wire.envelope import MAX_STEPS, Envelope
from mars.wire.keys import KeysDocument, KeySet, TrustRoot, keyid
from mars.wire.motd import Motd
from mars.wire.openpgp import primary
from mars.wire.product import Product
from mars.wire.times import DAY, format_time
from mars_motd import files
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import KEYS, Document
from mars_motd.signatures import Judge, Pending

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
        """Ed25519 keys (hex) that an earlier epoch had and the newest lacks: they never return,
        though only the folder that finished the step has written ``revoked`` into their records."""
        earlier = {key for keys in self.sets for key in keys.ed25519.values()}
        return earlier.difference(self.keys.ed25519.values())

    @property
    def expires(self) -> int | None:
        """Unix seconds when the newest keys document expires; None in the pinned epoch."""
        return self.steps[-1].said.expires if self.steps else None

    @property
    def chain(self) -> tuple[Envelope, ...]:
        """What rides in ``x-keys``: the last eight steps."""
        return tuple(step.envelope for step in self.steps[-MAX_STEPS:])

    def root_at(self, number: int) -> TrustRoot:
        """What a release pins that is made in epoch ``number``."""
        keys = self.sets[number - self.root.epoch]
        return replace(self.root, epoch=number, keys=keys, minimum_serial=0, built=0)

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
    return max(numbered(folder.trust, "epoch-"), default=1)


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
        numbers = sorted(set(numbered(folder.trust, "epoch-")) - {1})
        steps = tuple(KEYS.decode(files.read(_path(folder, it))) for it in numbers)
    except WireError as error:
        raise StateError(
            "trust-damaged", f"{folder.trust} cannot be read ({error.message}) Restore it."
        ) from None
    if [step.said.epoch for step in steps] != list(range(2, 2 + len(steps))):
        raise StateError("trust-damaged", f"{folder.trust} leaves out an epoch. Restore it.")
    for member in ("product", "channel"):
        then, now = getattr(root, member), getattr(product, member)
        if then != now:
            raise ConfigError(
                "product-changed",
                f"Clients of this folder pin the {member} {then!r}, but product.toml says {now!r}. "
                f"Change it back, or make a folder of its own for the other {member}.",
            )
    return Epochs(root, steps, pinned=True)


def pin(folder: Folder, epochs: Epochs) -> Epochs:
    """Writes epoch 1 down, since from here on clients may hold it."""
    if not epochs.pinned:
        files.create(_path(folder, 1), epochs.root.encode())
    return replace(epochs, pinned=True)


def key_set(records: list[KeyRecord], product: Product, out: Container[str] = ()) -> KeySet:
    """The keys of an epoch under ``product``'s policy; those revoked or ``out`` are passed over.

    Raises ``ConfigError``: ``no-keys``, ``policy-invalid``.
    """
    alive = [record for record in records if not record.revoked and record.ed25519 not in out]
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


def _path(folder: Folder, number: int) -> Path:
    return folder.trust / f"epoch-{number}.json"


Step = Pending[KeysDocument]
"""From an epoch, whose keys come first, to the next."""


def begin_step(
    folder: Folder,
    epochs: Epochs,
    revoked: Iterable[KeyRecord],
    issued: int,
    openpgp: OpenPGP,
    lifetime_days: int,
) -> Step:
    """An unsigned keys document for the next epoch: all keys of the folder but those revoked.

    Raises ``ConfigError``: ``not-published`` (the first epoch still changes freely), ``no-keys``,
    ``policy-invalid``.
    """
    if not epochs.pinned:
        raise ConfigError(
            "not-published",
            "Nothing was signed with these keys yet, so there is nothing to rotate: new keys "
            "join by themselves, and key revoke takes one away.",
        )
    out = epochs.left.union(record.ed25519 for record in revoked)
    document = KeysDocument(
        product=epochs.root.product,
        channel=epochs.root.channel,
        epoch=epochs.number + 1,
        issued=issued,
        expires=issued + lifetime_days * DAY,
        keys=key_set(folder.keys.records(), folder.product, out),
    )
    return _step(KEYS.unsigned(document), epochs, Judge(openpgp, issued, issued))


def resume_step(
    given: Document[KeysDocument],
    epochs: Epochs,
    records: Sequence[KeyRecord],
    where: object,
    now: int,
    openpgp: OpenPGP,
) -> Step:
    """A keys document that others made and have signed, at ``now`` (Unix seconds).

    Raises ``WireError`` (``key-damaged``); ``ConfigError``: ``wrong-document``, ``key-mismatch`` (a
    key under another's name), ``key-revoked`` (one that comes back).
    """
    epochs.require_ours(given.said, epochs.number + 1, where)
    _require_own_names(given.said, epochs, records, where)
    _require_none_back(given.said.keys, epochs, records, where)
    return _step(given, epochs, Judge(openpgp, given.said.issued, now))


def _step(document: Document[KeysDocument], epochs: Epochs, judge: Judge) -> Step:
    """Signed under the old keys, OpenPGP included, and under the new ones, by Ed25519 alone."""
    new = replace(document.said.keys, policy="off")
    sets = {f"epoch {epochs.number}": epochs.keys, f"epoch {epochs.number + 1}": new}
    return Pending(document.envelope, document.said, sets, judge)


def _require_own_names(
    document: KeysDocument, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """Each key must stand under its own name, since people compare names.

    Otherwise whoever passes the file on could put a key of his own under a colleague's key id, or
    a changed block under a known fingerprint, and be signed into the next epoch.
    """
    keys, known = document.keys, {it.fingerprint: it.block for it in records} | epochs.keys.openpgp
    foreign = [
        *(name for name, key in keys.ed25519.items() if name != keyid(bytes.fromhex(key))),
        *(name for name, block in keys.openpgp.items() if known.get(name, block) != block),
        *(name for name, block in keys.openpgp.items() if primary(block).fingerprint != name),
    ]
    if foreign:
        raise ConfigError(
            "key-mismatch",
            f"{where} holds under {foreign[0]} a key that has another key id or fingerprint, or is "
            f"another than is known here. Do not sign it, and ask who made it.",
        )


def _require_none_back(
    keys: KeySet, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """No key that was taken away joins: a stale folder, or a thief, may have put it in."""
    left, names, old = epochs.left, _names(records), epochs.keys
    standing = [it for it in records if not it.revoked and it.ed25519 not in left]
    out = left.union(names).difference(_names(standing))  # two pairs may share a token
    joining = {*keys.ed25519.values(), *keys.openpgp}.difference(old.ed25519.values(), old.openpgp)
    if back := sorted(names.get(key, key) for key in joining & out):
        raise ConfigError(
            "key-revoked",
            f"{where} brings back {back[0]}, which was taken away. Do not sign it; whoever made it "
            f"needs keys/ and trust/ as they are here.",
        )


def _names(records: Sequence[KeyRecord]) -> dict[str, str]:
    """The holders' names by Ed25519 key and by fingerprint."""
    return {half: it.name for it in records for half in (it.ed25519, it.fingerprint)}


def describe_step(step: Step, folder: Folder) -> str:
    """What a holder is about to sign: who joins, who leaves, and under which policy.

    Keys are compared by themselves, never by the names that a document gives them.
    """
    names = _names(folder.keys.records())
    old, new, document = step.first, step.said.keys, step.said
    threshold = f"{_turned(old.threshold, new.threshold)} of {len(new.ed25519)} keys"
    lines = [
        f"keys document for epoch {document.epoch} of {document.product} {document.channel}",
        f"  issued {format_time(document.issued)}, expires {format_time(document.expires)}",
        *_changes("ed25519", old.ed25519.values(), new.ed25519.values(), names),
        *_changes("openpgp", old.openpgp, new.openpgp, names),
        f"  threshold {threshold}, openpgp {_turned(old.policy, new.policy)}",
    ]
    return safe("\n".join(lines))


def _changes(kind: str, old: Iterable[str], new: Iterable[str], names: dict[str, str]) -> list[str]:
    """Every key of two epochs on a line of its own."""
    before, after = set(old), set(new)
    signs = [("new", after - before), ("gone", before - after), ("stays", before & after)]
    return [
        f"  {sign + ':':<6} {kind} {names.get(key, 'NOT A KEY OF THIS FOLDER')} {key}"
        for sign, keys in signs
        for key in sorted(keys, key=lambda key: (names.get(key, ""), key))
    ]


def _turned(old: object, new: object) -> str:
    return str(new) if old == new else f"{old} -> {new}"


def finish_step(step: Step, folder: Folder, epochs: Epochs) -> list[str]:
    """Checks the step as clients will, then records it; the names of who is out from now on.

    Raises ``TrustError`` as the client does.
    """
    _require_followed(step, epochs)
    old, new = step.first.ed25519.values(), step.said.keys.ed25519.values()
    records = folder.keys.records()
    out = [it.name for it in records if it.ed25519 in old and it.ed25519 not in new]
    folder.keys.revoke(out)  # first, for whoever is stopped between: no later epoch takes them back
    files.create(_path(folder, step.said.epoch), envelopes.encode(step.envelope))
    return out


def _require_followed(step: Step, epochs: Epochs) -> None:
    """What a client of the old epoch does; with gpg there, so that nothing is overlooked."""
    current = current_keys(epochs.root_at(epochs.number), TrustState(openpgp=True))
    try:
        answered(
            step.judge.openpgp,
            lambda verdicts: follow((step.envelope,), current, verdicts, step.judge.now),
        )
    except (TrustError, WireError) as error:
        said = f"Clients would not follow this rotation: {error.message}"
        raise TrustError(error.reason, said) from None
