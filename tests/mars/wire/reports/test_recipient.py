"""What the intake's key opened is read strictly, and all of one length says nothing."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import strictjson
from mars.wire.reports.direct import Content
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import INNER, Outer, framed, joined, parted
from mars.wire.sealed import BOX_BYTES, KEY_BYTES, LARGE, boxed, room, seal, unboxed
from tests.mars.wire.reports.kit import (
    CONTENT,
    FAULT,
    IDENTITY,
    KEY,
    OTHER_KEY,
    SEED,
    TO,
    TRIAGE,
    sealed,
    shares,
)

TEXT = sealed(IDENTITY.report(CONTENT, TO))
SAID = json.loads(TEXT)


def reason(text: bytes) -> str:
    with pytest.raises(WireError) as caught:
        TRIAGE.read(text)
    return caught.value.reason


def test_j01_the_intake_learns_nothing_but_the_release() -> None:
    """Whoever holds its key alone sees one length and the same members, whatever is inside."""
    small, long = Content(Fault(("E",)), "linux"), Content(FAULT, "linux", "x" * 2000)
    inner = [IDENTITY.report(each, TO) for each in (small, long)]
    texts = [sealed(each) for each in (*inner, IDENTITY.deletion(TO), shares(1)[0].inner())]
    assert {len(each) for each in texts} == {len(TEXT)} and len(TEXT) <= room(LARGE)
    assert {len(seal(each, KEY.public, SEED, LARGE)) for each in texts} == {LARGE}
    for text in texts:
        said = json.loads(text)
        assert list(said) == ["type", "product", "channel", "release", "box"]
        box = said.pop("box")
        assert said == {key: SAID[key] for key in said}
        assert len(base64.b64decode(box)) == INNER + BOX_BYTES
        assert FAULT.body not in base64.b64decode(box)


def test_the_same_report_sealed_twice_has_no_byte_in_common() -> None:
    """Each try has a seed of its own."""
    inner = IDENTITY.report(CONTENT, TO)
    one, two = (Outer.sealed(inner, TO, bytes([n]) * 32).box for n in (1, 2))
    assert sum(a == b for a, b in zip(one, two, strict=True)) < 120


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"type": "statistics"}, "other-type"),
        ({"type": None}, "other-type"),
        ({"guid": "a"}, "extra-member"),
        ({"product": "othermail"}, "other-product"),
        ({"channel": "beta"}, "other-product"),
        ({"product": "No Name"}, "bad-payload"),
        ({"release": "dev"}, "bad-payload"),
        ({"release": "0.4"}, "unknown-release"),
        ({"release": "0.5.1"}, "not-opened"),
        ({"box": 5}, "bad-payload"),
        ({"box": ""}, "bad-payload"),
        ({"box": SAID["box"][:-4]}, "bad-payload"),
        ({"box": SAID["box"] + "AAAA"}, "bad-payload"),
        ({"box": "*" + SAID["box"][1:]}, "bad-payload"),
        ({"box": SAID["box"].replace("A", "\u00c4", 1)}, "bad-payload"),
        ({"box": "A" * len(SAID["box"])}, "not-opened"),
    ],
)
def test_the_outside_is_read_strictly(change: dict[str, object], found: str) -> None:
    assert reason(strictjson.write({**SAID, **change})) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", "not-json"),
        (b"[]", "bad-payload"),
        (b"\xff", "not-utf8"),
        (TEXT[:-1] + b',"type":"report"}', "duplicate-member"),
        (b" " * (room(LARGE) + 1), "too-large"),
    ],
)
def test_what_is_no_report_is_refused(text: bytes, found: str) -> None:
    assert reason(text) == found


def test_j02_a_release_that_is_withdrawn_is_read_no_more() -> None:
    withdrawn = replace(TRIAGE, keys={"0.5.1": OTHER_KEY})
    with pytest.raises(WireError) as caught:
        withdrawn.read(TEXT)
    assert caught.value.reason == "unknown-release"


def inside(inner: bytes) -> bytes:
    return Outer(TO.product, TO.channel, TO.release, boxed(inner, KEY.public, SEED)).encode()


@pytest.mark.parametrize(
    ("inner", "found"),
    [
        (bytes(INNER), "bad-payload"),
        (b"\x80" * INNER, "bad-payload"),
        (b"{}\n".ljust(INNER, b"\0"), "bad-payload"),
        (b"{}\x80".ljust(INNER, b"\0"), "bad-payload"),
        (b"[]\n\x80".ljust(INNER, b"\0"), "bad-payload"),
        (b"\n\x80".ljust(INNER, b"\0"), "not-json"),
        (b'{"kind":"crowd","kind":"direct"}\n\x80'.ljust(INNER, b"\0"), "duplicate-member"),
        (b" " * 3000 + b"\n".ljust(9000, b"\x80"), "too-large"),
        (joined({}), "other-kind"),
        (joined({"kind": "gossip"}), "other-kind"),
        (joined({"kind": ["crowd"]}), "other-kind"),
        (joined({"kind": "direct"}), "bad-payload"),
        (joined({"kind": "crowd"}), "bad-payload"),
        (joined({"kind": "deletion", "server": "elsewhere"}), "other-server"),
    ],
)
def test_the_inside_is_read_strictly(inner: bytes, found: str) -> None:
    assert reason(inside(inner)) == found


@given(st.integers(0, 8 * len(TEXT) - 1))
@settings(max_examples=100, deadline=None)
def test_j01_no_changed_bit_is_read(bit: int) -> None:
    text = bytearray(TEXT)
    text[bit // 8] ^= 1 << bit % 8
    assert reason(bytes(text))


@given(st.binary(max_size=INNER - 2) | st.just(b"\x80\0\0"))
@settings(deadline=None, max_examples=50)
def test_the_rest_comes_back_as_it_was(rest: bytes) -> None:
    assert parted(joined({}, rest[: INNER - 4])) == ({}, rest[: INNER - 4])


def test_too_much_cannot_be_sealed() -> None:
    joined({}, bytes(INNER - 4))
    with pytest.raises(WireError) as caught:
        joined({}, bytes(INNER - 3))
    assert caught.value.reason == "too-large"


def test_nothing_is_sealed_to_a_key_that_is_none() -> None:
    with pytest.raises(WireError) as caught:
        sealed(joined({}), replace(TO, key=bytes(KEY_BYTES)))
    assert caught.value.reason == "bad-key"
    assert unboxed(b"short", KEY) is None


@given(st.lists(st.binary(max_size=3), max_size=3), st.lists(st.binary(max_size=3), max_size=3))
def test_other_parts_are_another_text(one: list[bytes], two: list[bytes]) -> None:
    assert (framed(*one) == framed(*two)) is (one == two)


def test_no_secret_key_is_shown() -> None:
    shown = repr((TRIAGE, IDENTITY))
    secrets = (KEY.secret, OTHER_KEY.secret, IDENTITY.seed)
    assert not [it for it in secrets if it.hex() in shown or repr(it) in shown]
