"""The step from one epoch to the next: begun, looked at, signed in turn, finished.

Root of the old and root of the new epoch sign it, each by its Ed25519 threshold and by an OpenPGP
key, so that stolen Ed25519 keys alone cannot rotate anything away. A new epoch also forgets the
serials of the old one, which undoes what a thief pushed ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from mars.commandline import safe
from mars.errors import ConfigError, StateError, TrustError, WireError
from mars.ports import OpenPGP
from mars.trust import answered
from mars.trust.chain import current_keys, follow
from mars.wire import envelope as envelopes
from mars.wire.keys import KeysDocument, KeySet, keyid
from mars.wire.openpgp import PublicKey, primary, public_keys
from mars.wire.times import DAY, format_time
from mars_motd import expiry, files
from mars_motd.epochs import Epochs, by_key, installed, key_set, step_path
from mars_motd.folder import Folder
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import KEYS, Document
from mars_motd.signatures import Judge, Pending

Step = Pending[KeysDocument]
"""From an epoch, whose root comes first, to the next."""


def begin(
    folder: Folder,
    epochs: Epochs,
    records: Sequence[KeyRecord],
    gone: Iterable[KeyRecord],
    judge: Judge,
    lifetime_days: int,
) -> Step:
    """An unsigned keys document for the next epoch: all of ``records`` but those revoked or
    ``gone``.

    Raises ``ConfigError``: ``not-published`` (the first epoch still changes freely), ``no-keys``,
    ``policy-invalid``; ``StateError``: ``root-away``, ``openpgp-ends`` (one of its OpenPGP keys
    ends before it does).
    """
    if not epochs.pinned:
        raise ConfigError(
            "not-published",
            "Nothing was signed with these keys yet, so there is nothing to rotate: new keys "
            "join by themselves, and key revoke takes one away.",
        )
    require_root(folder)
    out = epochs.left.union(record.ed25519 for record in gone)
    document = KeysDocument(
        product=epochs.root.product,
        channel=epochs.root.channel,
        epoch=epochs.number + 1,
        issued=judge.issued,
        expires=judge.issued + lifetime_days * DAY,
        keys=key_set(records, folder.product, out),
    )
    blocks, now = document.keys.openpgp, judge.now
    expiry.require_outlasting(blocks, document.expires, now, "the keys document")
    return _step(KEYS.unsigned(document), epochs, judge)


def resume(
    given: Document[KeysDocument],
    epochs: Epochs,
    records: Sequence[KeyRecord],
    where: object,
    now: int,
    openpgp: OpenPGP,
) -> Step:
    """A keys document that others made and have signed, at ``now`` (Unix seconds).

    Raises ``WireError`` (``key-damaged``); ``ConfigError``: ``wrong-document``, ``key-mismatch`` (a
    key under another's name or role), ``key-revoked`` (one that comes back).
    """
    epochs.require_ours(given.said, epochs.number + 1, where)
    _require_own_names(given.said.keys, epochs, records, where)
    _require_none_back(given.said.keys, epochs, records, where)
    return _step(given, epochs, Judge(openpgp, given.said.issued, now))


def _step(document: Document[KeysDocument], epochs: Epochs, judge: Judge) -> Step:
    old, new = epochs.keys.signing("root"), document.said.keys.signing("root")
    sets = {f"root of epoch {epochs.number}": old, f"root of epoch {epochs.number + 1}": new}
    return Pending(document.envelope, document.said, sets, judge)


def require_root(folder: Folder) -> None:
    """Raises ``StateError`` (``root-away``) where this machine has no secret of root at all."""
    keys = folder.keys
    if not any(record.role == "root" and keys.has_secret(record) for record in keys.records()):
        raise StateError(
            "root-away",
            f"Only root hands over to other keys, and none of its secrets is in {keys.root}: carry "
            f"root/ back into {folder.root}, then give the command again.",
        )


def _require_own_names(
    keys: KeySet, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """Each key must stand under its own name and in its own role, since people compare names.

    Otherwise whoever passes the file on could put a key of his own under a colleague's key id, or
    a changed block under a known fingerprint, or a stolen news key among root's, and be signed
    into the next epoch.
    """
    roles = by_key(epochs.keys) | {it.ed25519: it.role for it in records}
    blocks = {**epochs.keys.openpgp, **dict(it for one in records for it in one.openpgp.items())}
    roots = {key for it in records if it.role == "root" for key in it.openpgp}
    roots.update(epochs.keys.roles["root"].openpgp)
    foreign = [
        *(
            name
            for role, said in keys.roles.items()
            for name, key in said.ed25519.items()
            if name != keyid(bytes.fromhex(key)) or roles.get(key, role) != role
        ),
        *(name for name, block in keys.openpgp.items() if blocks.get(name, block) != block),
        *(name for name, block in keys.openpgp.items() if primary(block).fingerprint != name),
        *(
            name
            for name in blocks.keys() & keys.openpgp.keys()
            if (name in roots) != (name in keys.roles["root"].openpgp)
        ),
    ]
    if foreign:
        raise ConfigError(
            "key-mismatch",
            f"{where} holds under {foreign[0]} a key that has another key id, fingerprint or role, "
            f"or is another than is known here. Do not sign it, and ask who made it.",
        )


def _require_none_back(
    keys: KeySet, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """No key that was taken away joins: a stale folder, or a thief, may have put it in."""
    left, names, old = epochs.left, _names(records), epochs.keys
    standing = [it for it in records if not it.revoked and it.ed25519 not in left]
    out = left.union(names).difference(_names(standing))  # two records may share a token
    joining = {*by_key(keys), *keys.openpgp}.difference(by_key(old), old.openpgp)
    if back := sorted(names.get(key, key) for key in joining & out):
        raise ConfigError(
            "key-revoked",
            f"{where} brings back {back[0]}, which was taken away. Do not sign it; whoever made it "
            f"needs keys/ and trust/ as they are here.",
        )


def _names(records: Sequence[KeyRecord]) -> dict[str, str]:
    """The records' names by Ed25519 key and by fingerprint."""
    return {half: it.name for it in records for half in it.halves}


def describe(step: Step, folder: Folder, epochs: Epochs) -> str:
    """What a holder is about to sign: who joins, who leaves, in which role and by which policy.

    Keys are compared by themselves, never by the names that a document gives them.
    """
    names = _names(folder.keys.records())
    old, new, document = epochs.keys, step.said.keys, step.said
    lines = [
        f"keys document for epoch {document.epoch} of {document.product} {document.channel}",
        f"  issued {format_time(document.issued)}, expires {format_time(document.expires)}",
        f"  openpgp {_turned(old.policy, new.policy)}",
    ]
    for name, role in new.roles.items():
        before = old.roles[name]
        threshold = _turned(before.threshold, role.threshold)
        lines.append(f"  {name}: threshold {threshold} of {len(role.ed25519)} keys")
        was = dict.fromkeys(before.ed25519.values(), "")
        lines += _changes("ed25519", was, dict.fromkeys(role.ed25519.values(), ""), names)
        lines += _changes("openpgp", _blocks(old, name), _blocks(new, name), names)
    return safe("\n".join(lines))


def _blocks(keys: KeySet, role: str) -> dict[str, str]:
    return {name: keys.openpgp[name] for name in keys.roles[role].openpgp}


def _changes(
    kind: str, old: Mapping[str, str], new: Mapping[str, str], names: Mapping[str, str]
) -> Iterator[str]:
    """Every key of one role in two epochs on a line of its own."""
    both = old.keys() & new.keys()
    renewed = {key for key in both if old[key] != new[key]}
    signs = [
        ("new", new.keys() - old.keys()),
        ("gone", old.keys() - new.keys()),
        ("renewed", renewed),
        ("stays", both - renewed),
    ]
    for sign, keys in signs:
        for key in sorted(keys, key=lambda key: (names.get(key, ""), key)):
            yield f"    {sign + ':':<6} {kind} {names.get(key, 'NOT A KEY OF THIS FOLDER')} {key}"
            if key in renewed:
                yield from _renewed(_validity(old[key]), _validity(new[key]))


def _renewed(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """What changed in a block, one key that may sign a line."""
    for key in {**old, **new}:
        before, after = old.get(key, "not known"), new.get(key, "not known")
        if before != after:
            yield f"             {key} {before} -> {after}"


def _validity(block: str) -> dict[str, str]:
    return {key.fingerprint: _until(key) for key in public_keys(block)}


def _until(key: PublicKey) -> str:
    if key.revoked:
        return "revoked"
    return "without end" if key.end is None else f"ends {format_time(key.end)}"


def _turned(old: object, new: object) -> str:
    return str(new) if old == new else f"{old} -> {new}"


def finish(step: Step, folder: Folder, epochs: Epochs) -> list[str]:
    """Checks the step as clients will, then records it; the names of who is out from now on.

    Raises ``TrustError`` as the client does.
    """
    _require_followed(step, epochs)
    gone = by_key(epochs.keys).keys() - by_key(step.said.keys).keys()
    out = [record.name for record in folder.keys.records() if record.ed25519 in gone]
    folder.keys.revoke(out)  # first, for whoever is stopped between: no later epoch takes them back
    files.create(step_path(folder, step.said.epoch), envelopes.encode(step.envelope))
    return out


def _require_followed(step: Step, epochs: Epochs) -> None:
    """What a client of the old epoch does; with gpg there, so that nothing is overlooked."""
    root = epochs.root_at(epochs.number)
    current, now = current_keys(root, installed(root)), step.judge.now
    problem: TrustError | WireError | None
    try:
        problem = answered(
            step.judge.openpgp, lambda known: follow((step.envelope,), current, known, now)
        ).problem
    except (TrustError, WireError) as error:
        problem = error
    if problem is not None:
        said = f"Clients would not follow this rotation: {problem.message}"
        raise TrustError(problem.reason, said) from None
