"""Key rotation: from the pinned root along signed keys documents, one epoch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mars.errors import TrustError, WireError
from mars.trust.signatures import FUTURE, Verdicts, require_openpgp, require_threshold
from mars.trust.state import TrustState
from mars.wire.envelope import KEYS_TYPE, MAX_SIGNATURES, Envelope
from mars.wire.keys import KeysDocument, KeySet, TrustRoot
from mars.wire.times import LAST


@dataclass(frozen=True)
class Current:
    """The keys that hold now, and the state that belongs to their epoch."""

    root: TrustRoot
    keys: KeySet
    keys_expire: int
    state: TrustState

    @property
    def earliest(self) -> int:
        """No right clock can stand before this (Unix seconds)."""
        return max(self.root.built, self.root.minimum_serial)


def current_keys(root: TrustRoot, state: TrustState) -> Current:
    """The pinned root or the last keys document that was followed, whichever is newer.

    Raises ``TrustError`` (``state-other-product``): keys that another product's publisher handed
    over must never decide here, and its memory must not be overwritten.
    """
    ours = (root.product, root.channel)
    said = [(state.product, state.channel)] if state.product else []
    if state.keys is not None:
        said.append((state.keys.product, state.keys.channel))
    if any(name != ours for name in said):
        raise TrustError(
            "state-other-product",
            "What is remembered here belongs to another product or channel; give the right state, "
            "or remove it to start again from the pinned keys.",
        )
    if state.keys is not None and state.epoch > root.epoch:
        keys, expire = state.keys.keys, state.keys.expires
    else:
        keys, expire = root.keys, LAST
        state = enter(state, root.epoch, None)
    if not state.product:
        state = replace(state, product=root.product, channel=root.channel)
    return Current(root, keys, expire, state)


def enter(state: TrustState, epoch: int, keys: KeysDocument | None) -> TrustState:
    """``state`` in ``epoch``: a new epoch forgets the serials of the old one.

    A thief of the old keys may have pushed the floor ahead; that must not outlive them.
    """
    if state.epoch == epoch:
        return state if state.keys == keys else replace(state, keys=keys)
    return TrustState(
        epoch=epoch,
        keys=keys,
        openpgp=state.openpgp,
        evidence=state.evidence,
        product=state.product,
        channel=state.channel,
    )


def follow(steps: Sequence[Envelope], current: Current, verdicts: Verdicts, now: int) -> Current:
    """Walks the chain; documents of epochs that are already known are passed over.

    Everybody is served the same chain, so an installation that has gone part of the way finds
    its own past in it. Raises ``TrustError``: ``keys-chain``, ``keys-equivocation``,
    ``keys-invalid``, ``keys-threshold``, ``future`` or an OpenPGP reason.
    """
    expected: int | None = None
    for step in steps:
        document = _read(step, current)
        if expected is not None and document.epoch != expected:
            raise _gap()
        expected = document.epoch + 1
        if document.epoch == current.state.epoch and document.keys != current.keys:
            require_threshold(step, document.keys, MAX_SIGNATURES, "keys-threshold")
            raise TrustError(
                "keys-equivocation", "Two different keys documents were made for one epoch."
            )
        if document.epoch > current.state.epoch:
            current = _advance(step, document, current, verdicts, now)
    return current


def _read(step: Envelope, current: Current) -> KeysDocument:
    if step.payload_type != KEYS_TYPE:
        raise TrustError("keys-invalid", "The chain of keys holds a document of another kind.")
    try:
        document = KeysDocument.decode(step.payload)
    except WireError as error:
        raise TrustError(
            "keys-invalid", f"The chain of keys holds a malformed document ({error.reason})."
        ) from None
    if (document.product, document.channel) != (current.root.product, current.root.channel):
        raise TrustError("keys-invalid", "The chain of keys is for another product or channel.")
    return document


def _advance(
    step: Envelope, document: KeysDocument, current: Current, verdicts: Verdicts, now: int
) -> Current:
    if document.epoch != current.state.epoch + 1:
        raise _gap()
    for keys in (current.keys, document.keys):
        require_threshold(step, keys, MAX_SIGNATURES, "keys-threshold")
    if document.issued > now + FUTURE:
        raise TrustError("future", "The keys document is from the future, or the clock is behind.")
    verified = require_openpgp(
        step,
        current.keys,
        verdicts,
        document.issued,
        now,
        current.state.openpgp,
        MAX_SIGNATURES,
    )
    state = enter(current.state, document.epoch, document)
    return replace(
        current,
        keys=document.keys,
        keys_expire=document.expires,
        state=replace(state, openpgp=state.openpgp or verified),
    )


def _gap() -> TrustError:
    return TrustError("keys-chain", "The chain of keys leaves out an epoch.")
