"""The step from one epoch to the next: begun, looked at, signed in turn, finished.

Root of the old and root of the new epoch sign it, each by its Ed25519 threshold and by an OpenPGP
key, so that stolen Ed25519 keys alone cannot rotate anything away. A new epoch also forgets the
serials of the old one, which undoes what a thief pushed ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mars.commandline import safe
from mars.errors import ConfigError, StateError, TrustError
from mars.ports import OpenPGP
from mars.trust import answered
from mars.trust.chain import current_keys, follow
from mars.trust.signatures import FUTURE
from mars.wire import envelope as envelopes
from mars.wire.keys import KeysDocument, KeySet, TrustRoot
from mars.wire.openpgp import PublicKey, public_keys
from mars.wire.times import DAY, format_time
from mars_motd import expiry, files
from mars_motd.epochs import Epochs, by_key, installed, key_set, step_path
from mars_motd.folder import Folder
from mars_motd.history import damaged, foreign_names, remember
from mars_motd.keystore import KeyRecord
from mars_motd.kinds import KEYS, Document
from mars_motd.signatures import Judge, Pending

Step = Pending[KeysDocument]
"""From an epoch, whose root comes first, to the next."""

MIN_DAYS, MAX_DAYS = 30, 3650
"""Days that a keys document lives."""
_UNDECIDED = ("openpgp-unavailable", "clock")
"""What this machine lacks; it says nothing about the chain."""


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
    ``policy-invalid``, and as ``_require_known``; ``StateError``: ``root-away``, and as ``_step``.
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
    _require_known(document.keys, epochs, records, folder.keys.keys)
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

    Raises ``ConfigError`` (``wrong-document``), and as ``_require_known``; as ``_step``.
    """
    epochs.require_ours(given.said, epochs.number + 1, where)
    _require_known(given.said.keys, epochs, records, where)
    return _step(given, epochs, Judge(openpgp, given.said.issued, now))


def _step(document: Document[KeysDocument], epochs: Epochs, judge: Judge) -> Step:
    """Raises ``StateError`` (``trust-damaged``) where there is nothing to build on; as
    ``_require_dates``."""
    _require_dates(document.said, judge.now)
    require_followed(epochs, judge.openpgp, judge.now)
    old, new = epochs.keys.signing("root"), document.said.keys.signing("root")
    sets = {f"root of epoch {epochs.number}": old, f"root of epoch {epochs.number + 1}": new}
    return Pending(document.envelope, document.said, sets, judge)


def _require_dates(said: KeysDocument, now: int) -> None:
    """Raises ``TrustError``: ``future``, ``expired``, ``keys-invalid``; ``StateError``
    (``openpgp-ends``)."""
    dates = f"issued {format_time(said.issued)}, expires {format_time(said.expires)}"
    if said.issued > now + FUTURE:
        raise TrustError("future", f"The keys document is dated ahead ({dates}): set the clock.")
    if said.expires <= now:
        raise TrustError("expired", f"The keys document has expired ({dates}). Make it anew.")
    if not MIN_DAYS * DAY <= said.expires - said.issued <= MAX_DAYS * DAY:
        raise TrustError(
            "keys-invalid",
            f"A keys document lives {MIN_DAYS} to {MAX_DAYS} days ({dates}). Do not sign it, and "
            f"ask who made it.",
        )
    expiry.require_outlasting(said.keys.openpgp, said.expires, now, "the keys document")


def require_followed(epochs: Epochs, openpgp: OpenPGP, now: int) -> None:
    """Walks the recorded chain as a client does that has gpg, at ``now`` (Unix seconds) or when its
    last step was issued, if that is later.

    Each step costs a run of gpg or two, so this is for what builds on the chain or pins it.

    Raises ``StateError`` (``trust-damaged``), ``TrustError`` where gpg cannot say.
    """
    moment = max([now, *(step.said.issued for step in epochs.steps)])
    reached, problem = _walked(epochs.root, epochs.steps, openpgp, moment)
    if problem is not None and problem.reason in _UNDECIDED:
        raise problem
    if problem is not None:
        said = f"is one that clients would not follow ({problem.reason})"
        raise damaged(Path("trust"), reached + 1, said)


def _walked(
    root: TrustRoot, steps: Sequence[Document[KeysDocument]], openpgp: OpenPGP, now: int
) -> tuple[int, TrustError | None]:
    """How far a client comes that pins ``root`` and has gpg, and why not farther."""
    chain, current = [step.envelope for step in steps], current_keys(root, installed(root))
    try:
        end = answered(openpgp, lambda known: follow(chain, current, known, now))
    except TrustError as problem:
        return root.epoch, problem
    return end.state.epoch, end.problem


def require_root(folder: Folder) -> None:
    """Raises ``StateError`` (``root-away``) where this machine has no secret of root at all."""
    keys = folder.keys
    if not any(record.role == "root" and keys.has_secret(record) for record in keys.records()):
        raise StateError(
            "root-away",
            f"Only root hands over to other keys, and none of its secrets is in {keys.root}: carry "
            f"root/ back into {folder.root}, then give the command again.",
        )


def _require_known(
    keys: KeySet, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """Raises ``ConfigError``: ``key-mismatch`` (a key under another's name or in another role),
    ``key-revoked`` (one that comes back)."""
    _require_own_names(keys, epochs, records, where)
    _require_none_back(keys, epochs, records, where)


def _require_own_names(
    keys: KeySet, epochs: Epochs, records: Sequence[KeyRecord], where: object
) -> None:
    """Each key must stand under its own name and in its own role, since people compare names.

    Otherwise whoever passes the file on could put a key of his own under a colleague's key id, or
    a changed block under a known fingerprint, or a stolen news key among root's, and be signed
    into the next epoch. Records are no signed thing, so what an epoch said of a key overrules them.
    """
    ordered = sorted(records, key=lambda it: not it.revoked)  # what stands comes last and counts
    roles = {it.ed25519: it.role for it in records} | epochs.roles
    blocks = {**epochs.keys.openpgp, **dict(it for one in ordered for it in one.openpgp.items())}
    roots = {key: True for it in records if it.role == "root" for key in it.openpgp}
    roots = dict.fromkeys(blocks, False) | roots | epochs.tokens
    foreign = [
        *foreign_names(keys),
        *(
            name
            for role, said in keys.roles.items()
            for name, key in said.ed25519.items()
            if roles.get(key, role) != role
        ),
        *(name for name, block in keys.openpgp.items() if blocks.get(name, block) != block),
        *(
            name
            for name in roots.keys() & keys.openpgp.keys()
            if roots[name] != (name in keys.roles["root"].openpgp)
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
    out = left.union(names.keys() - _names(standing).keys())  # two records may share a token
    joining = {*by_key(keys), *keys.openpgp}.difference(by_key(old), old.openpgp)
    if back := sorted(names.get(key, key) for key in joining & out):
        raise ConfigError(
            "key-revoked",
            f"{where} brings back {back[0]}, or an OpenPGP key of it, which was taken away, and "
            f"nothing of that returns. Do not sign it; make another key, in a folder with keys/ "
            f"and trust/ as they are here.",
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
    root, now = epochs.root_at(epochs.number), step.judge.now
    _, problem = _walked(root, [step], step.judge.openpgp, now)
    if problem is not None:
        said = f"Clients would not follow this rotation: {problem.message}"
        raise TrustError(problem.reason, said)
    gone = by_key(epochs.keys).keys() - by_key(step.said.keys).keys()
    out = [record.name for record in folder.keys.records() if record.ed25519 in gone]
    folder.keys.revoke(out)  # first, for whoever is stopped between: no later epoch takes them back
    files.create(step_path(folder, step.said.epoch), envelopes.encode(step.envelope))
    remember(folder, epochs.digests | {step.said.epoch: step.said.digest})
    return out
