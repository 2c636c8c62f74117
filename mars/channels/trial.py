"""Before anything is asked for: could the answer be judged here, and be read?

An application that lacks a part of itself (frozen without a module that is loaded late, a broken
libsodium, a GnuPG that verifies nothing) would be counted for ever and never show any news.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mars.errors import MarsError, TrustError, cannot_judge
from mars.ports import OpenPGPVerdict

if TYPE_CHECKING:
    from mars.ports import OpenPGP, Platform
    from mars.trust import TrustState
    from mars.wire.envelope import Envelope
    from mars.wire.keys import TrustRoot
    from mars.wire.motd import Motd

_NOW = 1_795_219_200
"""Unix time of the trial, whatever the clock says."""
_SEED = bytes(32)
_NO_SIGNATURE = b"\x88"
"""Begins as one does, so that gpg is needed for it."""

KEY = """\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEXgvhABYJKwYBBAHaRw8BAQdANhXKeWmT6JTBRfxEfJbmK1C/qmigM5NqHWHF
a/p7F5S0Ck1BUlMgdHJpYWyIkAQTFggAOBYhBFnwft6398iXcsYm4z3XVYK1NENm
BQJeC+EAAhsDBQsJCAcCBhUKCQgLAgQWAgMBAh4BAheAAAoJED3XVYK1NENm1nAB
ALWCR1lv/+q5z0I29MCCnyu+vFPWw8rxi4N6WCXTGiuPAP9bXczgOZJ+s37/InWG
Gn/0EfRjeVG/f67+2KrWqpNjCA==
=fEzO
-----END PGP PUBLIC KEY BLOCK-----
"""
"""Ed25519, version 4, without an end, made once with a GnuPG of its own; the secret is thrown away:
``gpg --faked-system-time 20200101T000000! --quick-gen-key "MARS trial" ed25519 sign never``."""
MESSAGE = b"MARS trial"
SIGNATURE = base64.b64decode(
    "iHUEABYKAB0WIQRZ8H7et/fIl3LGJuM911WCtTRDZgUCXgvhAAAKCRA911WCtTRDZi6FAP0cqo1f"
    "DedK6DlX3o87en3U3GT3RpOi6krN4fxylm979AD6AqOTjnLSDRdgEry+WpTesI3blVzfL8IS06Bz"
    "IjKkeQA="
)
"""``printf 'MARS trial' | gpg --digest-algo SHA512 --detach-sign``, at the same time."""
_FINGERPRINT = "59F07EDEB7F7C89772C626E33DD75582B5344366"
VERDICT = OpenPGPVerdict(None, _FINGERPRINT, 1_577_836_800, _FINGERPRINT)
"""On it: 2020-01-01, before any clock that is right."""


def require_judge(
    root: Callable[[], TrustRoot],
    state: Callable[[], TrustState],
    openpgp: Callable[[], OpenPGP],
    host: Platform,
) -> None:
    """Reads what is pinned, judges a document of the trial's own, once right and once with a wrong
    bit, reads it, and has gpg do as much where its verdict will be needed.

    Raises ``TransportError`` (``cannot-judge``), and ``ConfigError`` and ``TrustError`` as the
    reader of what is pinned and the trust rules do.
    """
    try:
        _judge(host)
    except Exception as error:
        raise cannot_judge(error) from error
    try:
        _require_openpgp(root(), state(), openpgp())
    except MarsError:
        raise
    except Exception as error:
        raise cannot_judge(error) from error


def _judge(host: Platform) -> None:
    from mars.channels.reading import Reading
    from mars.core.state import App

    right, root = _document()
    motd = _verdict(right, root)
    if not Reading.of(motd, App("trial", "1.0", ""), host, _NOW, None).messages:
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
    from mars.wire.keys import ROLES, KeySet, Role, TrustRoot, keyid
    from mars.wire.times import DAY

    public = ed25519.public_key(_SEED)
    name = keyid(public)
    message = motd.Message("trial", {"en": "Trial"}, target=motd.Target(versions=">=1"))
    said = motd.Motd("trial", "trial", 1, _NOW, _NOW, _NOW + 30 * DAY, messages=(message,))
    payload = motd.encode(said)
    signature = Signature(name, ed25519.sign(_SEED, pae(MOTD_TYPE, payload)))
    keys = KeySet(dict.fromkeys(ROLES, Role({name: public.hex()})), {}, "off")
    return Envelope(MOTD_TYPE, payload, (signature,)), TrustRoot("trial", "trial", 1, keys)


def _require_openpgp(root: TrustRoot, state: TrustState, openpgp: OpenPGP) -> None:
    """As the rules would require it, had the answer a signature that gpg must be asked about."""
    from mars.trust import UnansweredError
    from mars.trust.chain import current_keys
    from mars.trust.signatures import Verdicts, require_openpgp
    from mars.wire.envelope import MOTD_TYPE, Envelope, Signature

    current = current_keys(root, state)
    answer = Envelope(MOTD_TYPE, b"", (Signature("", _NO_SIGNATURE),))

    def require(verdicts: Verdicts) -> None:
        keys = current.keys.signing("motd")
        require_openpgp(answer, keys, verdicts, _NOW, _NOW, current.state.openpgp)

    try:
        require({})
    except UnansweredError as need:
        failed = _failure(openpgp)
        if failed is not None:
            require({need.question: failed})


def _failure(openpgp: OpenPGP) -> OpenPGPVerdict | None:
    """None where it finds the trial's signature good, and bad with one bit changed."""
    found = openpgp.verify(SIGNATURE, MESSAGE, (KEY,))
    if found.reason in ("openpgp-absent", "clock"):
        return found
    forged = SIGNATURE[:-1] + bytes([SIGNATURE[-1] ^ 1])
    if found == VERDICT and openpgp.verify(forged, MESSAGE, (KEY,)).reason == "openpgp-bad":
        return None
    return OpenPGPVerdict("openpgp-unavailable")
