"""Before anything is asked for: could the answer be judged here, and be read?

An application that lacks a part of itself (frozen without a module that is loaded late, a broken
libsodium, a GnuPG that cannot start) would be counted for ever and never show any news.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mars.errors import MarsError, TrustError, cannot_judge

if TYPE_CHECKING:
    from mars.ports import OpenPGP, Platform
    from mars.state import State
    from mars.wire.envelope import Envelope
    from mars.wire.keys import TrustRoot
    from mars.wire.motd import Motd

_NOW = 1_795_219_200
"""Unix time of the trial, whatever the clock says."""
_SEED = bytes(32)
_NO_SIGNATURE = b"\x88"
"""Begins as one does, so that gpg is started for it."""


def require_judge(
    root: Callable[[], TrustRoot], state: State, openpgp: Callable[[], OpenPGP], host: Platform
) -> None:
    """Reads what is pinned, judges a document of the trial's own, once right and once with a wrong
    bit, reads it, and has gpg started where its verdict will be needed.

    Raises ``TransportError`` (``cannot-judge``), and ``ConfigError`` and ``TrustError`` as the
    reader of what is pinned and the trust rules do.
    """
    try:
        _judge(host)
    except Exception as error:
        raise cannot_judge(error) from error
    try:
        _require_openpgp(root(), state, openpgp())
    except MarsError:
        raise
    except Exception as error:
        raise cannot_judge(error) from error


def _judge(host: Platform) -> None:
    from mars import reading
    from mars.plan import App

    right, root = _document()
    motd = _verdict(right, root)
    if not reading.read(motd, App("trial", "1.0", ""), host, _NOW, None).messages:
        raise ArithmeticError
    (signed,) = right.signatures
    forged = replace(signed, sig=signed.sig[:-1] + bytes([signed.sig[-1] ^ 1]))
    try:
        _verdict(replace(right, signatures=(forged,)), root)
    except TrustError:
        return
    raise ArithmeticError


def _verdict(envelope: Envelope, root: TrustRoot) -> Motd:
    from mars import factory
    from mars.trust import TrustState, verify
    from mars.wire.envelope import encode

    return verify(encode(envelope), root, TrustState.initial(), _NOW, factory.openpgp()).motd


def _document() -> tuple[Envelope, TrustRoot]:
    from mars.wire import ed25519, motd
    from mars.wire.envelope import MOTD_TYPE, Envelope, Signature, pae
    from mars.wire.keys import KeySet, TrustRoot, keyid
    from mars.wire.times import DAY

    public = ed25519.public_key(_SEED)
    name = keyid(public)
    message = motd.Message("trial", {"en": "Trial"}, target=motd.Target(versions=">=1"))
    said = motd.Motd("trial", "trial", 1, _NOW, _NOW, _NOW + 30 * DAY, messages=(message,))
    payload = motd.encode(said)
    signature = Signature(name, ed25519.sign(_SEED, pae(MOTD_TYPE, payload)))
    keys = KeySet({name: public.hex()}, 1, {}, "off")
    return Envelope(MOTD_TYPE, payload, (signature,)), TrustRoot("trial", "trial", 1, keys, 0)


def _require_openpgp(root: TrustRoot, state: State, openpgp: OpenPGP) -> None:
    """As the rules would require it, had the answer a signature that gpg must be asked about."""
    from mars.remembered import trust_state
    from mars.trust import UnansweredError
    from mars.trust.chain import current_keys
    from mars.trust.signatures import Verdicts, require_openpgp
    from mars.wire.envelope import MOTD_TYPE, Envelope, Signature

    current = current_keys(root, trust_state(state))
    answer = Envelope(MOTD_TYPE, b"", (Signature("", _NO_SIGNATURE),))

    def require(verdicts: Verdicts) -> None:
        require_openpgp(answer, current.keys, verdicts, _NOW, _NOW, current.state.openpgp)

    try:
        require({})
    except UnansweredError as need:
        ask = need.question
        try:
            require({ask: openpgp.verify(ask.signature, ask.message, ask.keys)})
        except TrustError as error:
            if error.reason == "openpgp-unavailable":
                raise
