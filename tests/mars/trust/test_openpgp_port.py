"""One suite for every implementation of the OpenPGP port, and what the policy makes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mars.adapters.gpg import GnuPG
from mars.errors import MarsError
from mars.factory import openpgp as installed
from mars.ports import OpenPGP, OpenPGPVerdict
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, OpenPGPKey, Publisher
from mars.trust import Question, TrustState, UnansweredError, accept, start, verify
from mars.wire import envelope
from mars.wire.envelope import Signature, pae
from testbed.packets import EARLY, PacketKey, armour

NOW = EXAMPLE_NOW
PAST = EARLY + 86_400
MESSAGE = b"DSSEv1 1 x 0 "

MEMORY_KEYS: list[OpenPGPKey] = [MemoryKey(b"1" * 32), MemoryKey(b"2" * 32)]
PACKET_KEYS: list[OpenPGPKey] = [PacketKey(b"1" * 32), PacketKey(b"2" * 32)]
IMPLEMENTATIONS: dict[str, tuple[OpenPGP, list[OpenPGPKey]]] = {
    "memory": (MemoryOpenPGP(), MEMORY_KEYS),
    "gpgv": (GnuPG(programs=("gpgv",)), PACKET_KEYS),
    "gpg": (GnuPG(programs=("gpg",)), PACKET_KEYS),
    "installed": (installed(), PACKET_KEYS),
}


@pytest.fixture(params=IMPLEMENTATIONS)
def port(request: pytest.FixtureRequest) -> tuple[OpenPGP, list[OpenPGPKey]]:
    return IMPLEMENTATIONS[request.param]


def test_good_signature_names_its_key_and_date(port: tuple[OpenPGP, list[OpenPGPKey]]) -> None:
    gpg, (first, second) = port
    for key in (first, second):
        verdict = gpg.verify(key.sign(MESSAGE, PAST), MESSAGE, [first.block, second.block])
        assert verdict == OpenPGPVerdict(None, key.fingerprint, PAST, key.fingerprint)


def test_anything_else_is_bad(port: tuple[OpenPGP, list[OpenPGPKey]]) -> None:
    gpg, (key, other) = port
    good = key.sign(MESSAGE, PAST)
    bad = OpenPGPVerdict("openpgp-bad")
    assert gpg.verify(good, MESSAGE + b"x", [key.block]) == bad
    assert gpg.verify(good, MESSAGE, [other.block]) == bad
    assert gpg.verify(good, MESSAGE, []) == bad
    assert gpg.verify(good[:-1], MESSAGE, [key.block]) == bad
    assert gpg.verify(good[:-1] + bytes([good[-1] ^ 1]), MESSAGE, [key.block]) == bad
    assert gpg.verify(b"", MESSAGE, [key.block]) == bad
    assert gpg.verify(b"\x88junk", MESSAGE, [key.block]) == bad


def test_a_malformed_block_is_no_key() -> None:
    good = PACKET_KEYS[0].sign(MESSAGE, PAST)
    assert (
        GnuPG().verify(good, MESSAGE, ["-----BEGIN PGP PUBLIC KEY BLOCK-----"]).reason is not None
    )


def test_an_empty_path_finds_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GnuPG().verify(b"\x88", b"", []).reason == "openpgp-absent"
    assert GnuPG(path="").verify(b"\x88", b"", []).reason == "openpgp-absent"


class Answers:
    """Gives one verdict to everything, and counts."""

    def __init__(self, reason: str | None, fingerprint: str = "", created: int = NOW) -> None:
        self.verdict = OpenPGPVerdict(reason, fingerprint, created, fingerprint)
        self.asked = 0

    def verify(self, signature: bytes, message: bytes, keys: object) -> OpenPGPVerdict:
        self.asked += 1
        return self.verdict


KEY = MemoryKey(b"k" * 32)


def result(answers: Answers, policy: str, sticky: bool, signatures: int = 1) -> tuple[str, bool]:
    """Reason (``ok`` for none), and whether the state then demands OpenPGP for ever."""
    publisher = Publisher(seeds=[b"s" * 32], openpgp=[KEY], policy=policy)
    signed = envelope.decode(publisher.document())
    entries = (signed.signatures[0], *[Signature("", b"\x88x")] * signatures)
    data = envelope.encode(replace(signed, signatures=entries))
    try:
        root = publisher.trust()
        before = replace(start(root, TrustState.initial()), openpgp=sticky)
        accepted = verify(data, root, before, NOW, answers)
    except MarsError as error:
        return error.reason, sticky
    return "ok", accepted.state.openpgp


@pytest.mark.parametrize("sticky", [False, True])
@pytest.mark.parametrize("policy", ["required", "when-available", "off"])
@pytest.mark.parametrize(
    "said", [None, "openpgp-bad", "openpgp-absent", "openpgp-unavailable", "clock"]
)
def test_policy_table(said: str | None, policy: str, sticky: bool) -> None:
    answers = Answers(said, KEY.fingerprint if said is None else "")
    found = result(answers, policy, sticky)
    if policy == "off":
        assert found == ("ok", sticky)
        assert answers.asked == 0
    elif said is None:
        assert found == ("ok", True)
    elif said == "openpgp-absent":
        skipped = policy == "when-available" and not sticky
        assert found == ("ok" if skipped else "openpgp-unavailable", sticky)
    else:
        assert found == (said, sticky)


def test_without_a_signature_the_port_is_only_asked_whether_it_could() -> None:
    assert result(Answers("openpgp-absent"), "when-available", False, signatures=0)[0] == "ok"
    assert (
        result(Answers("openpgp-bad"), "when-available", False, signatures=0)[0]
        == "openpgp-missing"
    )
    believing = Answers(None, KEY.fingerprint)
    assert result(believing, "when-available", False, signatures=0)[0] == "openpgp-missing"


def test_a_refusal_is_not_believed_less_for_naming_a_pinned_key() -> None:
    assert result(Answers("openpgp-bad", KEY.fingerprint), "required", False)[0] == "openpgp-bad"
    assert result(Answers(None, "0" * 40), "required", False)[0] == "openpgp-bad"


def test_a_program_that_hangs_is_asked_once() -> None:
    answers = Answers("openpgp-unavailable")
    assert result(answers, "required", False, signatures=7)[0] == "openpgp-unavailable"
    assert answers.asked == 1


def test_the_first_problem_is_named_when_no_signature_is_good() -> None:
    bad = Answers("openpgp-bad")
    assert result(bad, "required", False, signatures=7)[0] == "openpgp-bad"
    publisher = Publisher(seeds=[b"s" * 32], openpgp=[KEY], policy="required")
    signed = envelope.decode(publisher.document())
    message = pae(signed.payload_type, signed.payload)
    late, stranger = KEY.sign(message, NOW - 9 * 86_400), MemoryKey(b"x" * 32).sign(message, NOW)
    for order, due in (((late, stranger), "openpgp-date"), ((stranger, late), "openpgp-bad")):
        entries = (signed.signatures[0], *(Signature("", item) for item in order))
        data = envelope.encode(replace(signed, signatures=entries))
        with pytest.raises(MarsError) as caught:
            verify(data, publisher.trust(), TrustState.initial(), NOW, MemoryOpenPGP())
        assert caught.value.reason == due


def test_what_does_not_look_like_openpgp_is_not_asked_about() -> None:
    publisher = Publisher(seeds=[b"s" * 32], openpgp=[KEY])
    signed = envelope.decode(publisher.document())
    armoured = armour("SIGNATURE", b"\x88x").encode()
    for sig, looks in (
        (b"\x88" * 8192, True),
        (b"\x80", True),
        (armoured, True),
        (b"\x7f" * 100, False),
        (b"\x88" * 8193, False),
        (b"", False),
        (b"\x88" * 64, False),
    ):
        entries = (signed.signatures[0], Signature("", sig))
        data = envelope.encode(replace(signed, signatures=entries))
        with pytest.raises(UnansweredError) as caught:
            accept(data, {}, NOW, publisher.trust(), TrustState.initial())
        asked = caught.value.question.signature
        assert asked == (sig if looks else b"")


def test_gpg_is_not_asked_before_ed25519_holds() -> None:
    publisher = Publisher(seeds=[b"s" * 32], openpgp=[KEY])
    signed = envelope.decode(publisher.document())
    data = envelope.encode(replace(signed, payload=signed.payload + b" "))
    answers = Answers(None, KEY.fingerprint)
    with pytest.raises(MarsError):
        verify(data, publisher.trust(), TrustState.initial(), NOW, answers)
    assert answers.asked == 0


def test_without_verdicts_the_rules_refuse_and_say_what_to_ask() -> None:
    publisher = Publisher(seeds=[b"s" * 32], openpgp=[KEY])
    signed = envelope.decode(publisher.document())
    with pytest.raises(UnansweredError) as caught:
        accept(publisher.document(), {}, NOW, publisher.trust(), TrustState.initial())
    message = pae(signed.payload_type, signed.payload)
    assert caught.value.question == Question(signed.signatures[1].sig, message, (KEY.block,))
    assert caught.value.reason == "openpgp-unavailable"
