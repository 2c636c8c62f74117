"""Key rotation: from the pinned root along signed keys documents, one epoch at a time.

A release overrules what is remembered: the trust file with the greater ``gen`` decides whether the
history that was followed is the publisher's. An older program decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mars.errors import TrustError, WireError
from mars.trust.signatures import (
    FUTURE,
    UnansweredError,
    Verdicts,
    require_openpgp,
    require_threshold,
)
from mars.trust.state import MAX_HASHES, Equivocation, RefusedError, TrustState
from mars.wire.envelope import KEYS_TYPE, MAX_SIGNATURES, Envelope
from mars.wire.keys import KeysDocument, KeySet, TrustRoot
from mars.wire.steering import Steering
from mars.wire.times import LAST


@dataclass(frozen=True)
class Current:
    """What holds now; the state has been started, so it has keys."""

    root: TrustRoot
    state: TrustState
    problem: TrustError | None = None
    """Why the chain was not followed to its end: told where nothing else is wrong."""

    @property
    def keys(self) -> KeySet:
        """Those of the state's epoch."""
        return self.state.keys or self.root.keys

    @property
    def earliest(self) -> int:
        """No right clock can stand before this (Unix seconds)."""
        return max(self.root.built, self.state.floor)


def current_keys(root: TrustRoot, state: TrustState) -> Current:
    """``state`` as the program that ships ``root`` starts on it.

    Raises ``TrustError`` (``state-other-product``): keys that another product's publisher handed
    over must never decide here, and its memory must not be overwritten.
    """
    if state.product and (state.product, state.channel) != (root.product, root.channel):
        raise TrustError(
            "state-other-product",
            "What is remembered here belongs to another product or channel; give the right state, "
            "or remove it to start again from the pinned keys.",
        )
    return Current(root, start(root, state))


def start(root: TrustRoot, state: TrustState) -> TrustState:
    """What holds when a program that ships ``root`` finds ``state``."""
    if state.keys is None:
        return _take(root, state)
    if root.gen <= state.gen:
        return state  # an older program decides nothing
    known = state.hashes.get(root.epoch)
    if known != root.digest:
        # Of an epoch that the release does not know yet there is nothing to compare.
        fork = [number for number in state.hashes if number >= root.epoch]
        found = (
            Equivocation(
                "keys", number, state.hashes[number], root.digest if number == root.epoch else ""
            )
            for number in sorted(fork)
        )
        return _take(root, state.with_evidence(*found))
    floor = max(state.floor, root.minimum_serial)
    state = replace(state, gen=root.gen, floor=floor)
    pinned = root.steering
    known_serial = state.steering.serial if state.steering else 0
    newer = pinned.epoch == state.epoch and pinned.serial > known_serial
    return replace(state, steering=pinned) if newer else state


def _take(root: TrustRoot, state: TrustState) -> TrustState:
    """The state of a new installation, but for the evidence."""
    pinned = root.steering
    return TrustState(
        product=root.product,
        channel=root.channel,
        gen=root.gen,
        epoch=root.epoch,
        hashes={root.epoch: root.digest},
        keys=root.keys,
        keys_expire=LAST,
        floor=root.minimum_serial,
        steering=pinned if pinned.serial and pinned.epoch == root.epoch else None,
        evidence=state.evidence,
    )


def steering(current: Current) -> Steering:
    """What steers: the last document of the state's epoch, else what the release pins."""
    return current.state.steering or current.root.steering


def follow(steps: Sequence[Envelope], current: Current, verdicts: Verdicts, now: int) -> Current:
    """Walks the chain; documents of epochs that are already known are passed over.

    Everybody is served the same chain, so an installation that has gone part of the way finds
    its own past in it. At a step that does not hold the walk ends, as if the chain did; why is
    the outcome's ``problem``. Raises ``RefusedError`` (``keys-equivocation``) where root of the
    epoch before signed another step than the one that was followed; ``UnansweredError``.
    """
    known = {current.state.epoch: current.keys}
    if current.state.hashes.get(current.root.epoch) == current.root.digest:
        known[current.root.epoch] = current.root.keys
    expected: int | None = None
    try:
        for step in steps:
            document = _read(step, current)
            if expected is not None and document.epoch != expected:
                raise _gap()
            expected = document.epoch + 1
            if document.epoch > current.state.epoch:
                current = _advance(step, document, current, verdicts, now)
            elif current.state.hashes.get(document.epoch) == document.digest:
                known[document.epoch] = document.keys
                continue
            elif document.epoch in current.state.hashes and document.epoch - 1 in known:
                _require_no_fork(step, document, known[document.epoch - 1], current, verdicts, now)
            known[current.state.epoch] = current.keys
    except (UnansweredError, RefusedError):
        raise
    except TrustError as problem:
        return replace(current, problem=problem)
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
    by_old = _signed(step, document, current.keys, current, verdicts, now)
    by_new = _signed(step, document, document.keys, current, verdicts, now)
    state = current.state
    hashes = {**state.hashes, document.epoch: document.digest}
    # Serials are forgotten: a thief of the old keys may have pushed them ahead.
    state = TrustState(
        product=state.product,
        channel=state.channel,
        gen=state.gen,
        epoch=document.epoch,
        hashes=dict(sorted(hashes.items())[-MAX_HASHES:]),
        keys=document.keys,
        keys_expire=document.expires,
        floor=state.floor,
        openpgp=state.openpgp or by_old or by_new,
        evidence=state.evidence,
    )
    return replace(current, state=state)


def _signed(
    step: Envelope,
    document: KeysDocument,
    keys: KeySet,
    current: Current,
    verdicts: Verdicts,
    now: int,
) -> bool:
    """Whether root of ``keys`` signed by OpenPGP too. Raises ``TrustError`` where it did not sign
    as it must."""
    root = keys.signing("root")
    require_threshold(step, root, MAX_SIGNATURES, "keys-threshold")
    if document.issued > now + FUTURE:
        raise TrustError("future", "The keys document is from the future, or the clock is behind.")
    sticky = current.state.openpgp
    return require_openpgp(step, root, verdicts, document.issued, now, sticky, MAX_SIGNATURES)


def _require_no_fork(
    step: Envelope,
    document: KeysDocument,
    before: KeySet,
    current: Current,
    verdicts: Verdicts,
    now: int,
) -> None:
    """A step for a known epoch counts only if root of the epoch before signed it; anybody can make
    another. Raises ``RefusedError`` (``keys-equivocation``)."""
    try:
        _signed(step, document, before, current, verdicts, now)
    except UnansweredError:
        raise
    except TrustError:
        return
    known = current.state.hashes[document.epoch]
    found = Equivocation("keys", document.epoch, known, document.digest)
    raise RefusedError(
        "keys-equivocation",
        "Two different keys documents were made for one epoch; tell the publisher.",
        state=current.state.with_evidence(found),
    )


def _gap() -> TrustError:
    return TrustError("keys-chain", "The chain of keys leaves out an epoch.")
