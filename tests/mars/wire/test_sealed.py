"""Sealed bodies: of one size, opened by one key, made again from one seed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import sealed
from mars.wire.sealed import LARGE, SMALL, Opener

KEY, OTHER = (Opener.of(bytes([n]) * 32) for n in (1, 2))
SEED = b"\x03" * 32
TEXT = b'{"type":"statistics"}'
BODY = sealed.seal(TEXT, KEY.public, SEED)


@pytest.mark.parametrize(("size", "room"), [(SMALL, 967), (LARGE, 16_327)])
def test_i20_every_body_of_a_kind_has_one_size(size: int, room: int) -> None:
    assert sealed.room(size) == room
    for length in (0, 1, room - 1, room):
        text = b"x" * length
        body = sealed.seal(text, KEY.public, SEED, size)
        assert len(body) == size
        assert sealed.opened(body, KEY) == text
    with pytest.raises(WireError) as caught:
        sealed.seal(b"x" * (room + 1), KEY.public, SEED, size)
    assert caught.value.reason == "too-large"


def test_one_seed_makes_one_body_and_another_an_unrelated_one() -> None:
    assert sealed.seal(TEXT, KEY.public, SEED) == BODY
    again = sealed.seal(TEXT, KEY.public, b"\x04" * 32)
    assert again[:9] == BODY[:9]
    assert sum(one == two for one, two in zip(again[9:], BODY[9:], strict=True)) < 30


@given(st.integers(0, 8 * SMALL - 1))
@settings(max_examples=300)
def test_i20_no_changed_bit_opens(bit: int) -> None:
    body = bytearray(BODY)
    body[bit // 8] ^= 1 << bit % 8
    known = sealed.key_of(bytes(body)) == sealed.key_id(KEY.public)
    assert not known or sealed.opened(bytes(body), KEY) is None


@given(st.binary(max_size=100) | st.binary(min_size=SMALL, max_size=SMALL))
def test_i20_what_is_no_body_is_none(data: bytes) -> None:
    known = len(data) == SMALL and data[:1] == b"\x01"
    assert (sealed.key_of(data) is not None) is known
    assert not known or sealed.opened(data, KEY) is None


def test_it_says_whom_it_is_for() -> None:
    assert sealed.key_of(BODY) == sealed.key_id(KEY.public)
    assert sealed.opened(BODY, OTHER) is None
    assert sealed.opened(BODY, Opener(OTHER.public, KEY.secret)) is None
    assert sealed.key_of(BODY[:-1]) is None


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"short", b""])
def test_i20_nothing_is_sealed_to_a_key_that_is_none(public: bytes) -> None:
    """To a point of small order anybody could open it."""
    with pytest.raises(WireError) as caught:
        sealed.seal(TEXT, public, SEED)
    assert caught.value.reason == "bad-key"
