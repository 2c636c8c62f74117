"""Crowd reports: ten installations open them, nine do not, and nobody keeps ten from it."""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import replace

import nacl.bindings as sodium
import nacl.exceptions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire.reports import crowd
from mars.wire.reports.crowd import ENCRYPTED, NEEDED, NONCE_BYTES, ORDER, Dealer, Share, recover
from mars.wire.reports.fault import MAX_BODY, Fault
from mars.wire.reports.outer import joined, parted
from tests.mars.wire.reports.kit import (
    FAULT,
    NONCE,
    PRODUCT,
    RELEASE,
    SEED,
    TRIAGE,
    dealer,
    sealed,
    shares,
)

LINES = replace(FAULT, frames=tuple(each.replace("+3", "+4") for each in FAULT.frames))
"""The same fault, told otherwise."""
WORDS = (b"examplemail", b"FileNotFoundError", b"load", b"Window", b"KeyError")
NEUTRAL = b"\x01" + bytes(31)
SMALL_ORDER = bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")
NOT_CANONICAL = b"\xee" + b"\xff" * 30 + b"\x7f"
MIXED = sodium.crypto_core_ed25519_add(
    sodium.crypto_scalarmult_ed25519_base_noclamp(b"\x02" + bytes(31)),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
)
"""Of the main subgroup but for a part of order 2."""


def opened(some: list[Share] | tuple[Share, ...]) -> Fault | None:
    return recover(some, PRODUCT, RELEASE)


def wrong(share: Share, **change: int | bytes) -> Share:
    return replace(share, **change)  # type: ignore[arg-type]


def lie(fault: Fault, share: Share, key: Dealer) -> Share:
    """A share that fits, with another text: made by somebody who has the fault."""
    text = fault.body.ljust(MAX_BODY)
    box = sodium.crypto_secretbox(text, NONCE, crowd._key(key.coefficients[0]))
    return replace(share, nonce=NONCE, encrypted=box)


def test_ten_installations_open_it() -> None:
    assert opened(shares(NEEDED)) == FAULT
    assert opened(shares(13)[::-1]) == FAULT


def test_nine_do_not_open_it() -> None:
    """Nor nine and their replays, nine sealed anew, nine and poisoned ones."""
    nine = shares(9)
    assert opened(nine) is None and opened(()) is None
    assert opened(nine * 5) is None
    anew = [dealer().share(bytes([n]) * 32, bytes([n + 90]) * 24) for n in range(9)]
    assert {each.encrypted for each in anew}.isdisjoint(each.encrypted for each in nine)
    assert opened([*nine, *anew]) is None
    tenth = shares(10)[9]
    poisoned = [
        wrong(tenth, y=tenth.y % (ORDER - 1) + 1),
        wrong(tenth, x=tenth.x % (ORDER - 1) + 1),
        wrong(nine[0], x=nine[0].x + ORDER),
        wrong(nine[0], y=nine[0].y + ORDER),
        wrong(tenth, x=0, y=dealer().coefficients[0]),
        wrong(tenth, y=0),
        wrong(tenth, y=ORDER),
    ]
    assert not any(each.fits() for each in poisoned)
    assert opened([*nine, *poisoned]) is None


def test_nothing_readable_is_in_nine_shares() -> None:
    """Nor do all texts, points and keys of them open one: nothing but P(0) makes the key."""
    said = b"".join(sealed_part for each in shares(9) for sealed_part in parts(each))
    assert not [word for word in WORDS if word in said or word.hex().encode() in said]
    guesses = [each.x for each in shares(9)] + [each.y for each in shares(9)]
    keys = [part for each in shares(9) for part in (each.tag.encode()[:32], each.commitments[:32])]
    keys += [crowd._key(guess) for guess in guesses] + [crowd._octets(guess) for guess in guesses]
    box = shares(1)[0]
    for key in keys:
        with pytest.raises(nacl.exceptions.CryptoError):
            sodium.crypto_secretbox_open(box.encrypted, box.nonce, key)


def parts(share: Share) -> tuple[bytes, bytes]:
    return share.inner(), share.encrypted


def test_the_length_of_a_fault_does_not_show() -> None:
    """By it a guess would be known for wrong without Argon2id."""
    small = dealer(Fault(("OtherError",))).share(SEED, NONCE)
    assert len(small.encrypted) == len(shares(1)[0].encrypted) == ENCRYPTED
    for rest in (small.encrypted[1:], small.encrypted + b"\0", b""):
        head, _ = parted(small.inner())
        with pytest.raises(WireError) as caught:
            TRIAGE.read(sealed(joined(head, rest)))
        assert caught.value.reason == "bad-payload"


def test_any_value_of_the_fault_fits_nine_points() -> None:
    """For each P(0) there is a polynomial through nine points, so they say nothing of it."""
    points = {each.x: each.y for each in shares(9)}
    for first in (0, 1, ORDER - 1, 12345):
        assert crowd._at_zero({**points, **_tenth(points, first)}) == first


def _tenth(points: dict[int, int], first: int) -> dict[int, int]:
    """A point at 7 of the polynomial through ``points`` and (0, ``first``)."""
    moved = {(x - 7) % ORDER: y for x, y in {**points, 0: first}.items()}
    return {7: crowd._at_zero(moved)}


def test_ten_among_thirty_poisoned_ones_open() -> None:
    some = list(shares(40))
    poisoned = [wrong(each, y=each.y % (ORDER - 1) + 1) for each in some[10:]]
    mixed = [*poisoned, *some[:10]]
    assert opened(mixed) == FAULT
    random.Random(7).shuffle(mixed)
    assert opened(mixed) == FAULT


def test_texts_that_lie_are_passed_over() -> None:
    """Another fault, other words, a text of another key, none: as long as one text is right."""
    known = dealer()
    some = shares(NEEDED)
    other = Fault(("ZeroDivisionError",), ("examplemail.innocent:f+1",))
    assert lie(other, some[1], known).fits()
    lies = [lie(other, each, known) for each in some[1:4]]
    lies += [lie(Fault(("E",), (f"a:f{n}",)), each, known) for n, each in enumerate(some[4:8])]
    lies += [replace(some[8], encrypted=b""), replace(some[9], encrypted=b"x" * 200)]
    assert opened([*lies, some[0]]) == FAULT
    assert opened([*lies, lie(other, some[0], known)]) is None


def test_lines_that_most_tell_are_given() -> None:
    known = dealer()
    some = shares(NEEDED)
    told = [*(lie(LINES, each, known) for each in some[:4]), *some[4:]]
    assert LINES.signature == FAULT.signature and opened(told) == FAULT
    assert opened([lie(LINES, each, known) for each in some]) == LINES


def test_an_installation_is_one_point_for_each_fault() -> None:
    """Whenever it reports; and another for another fault, which does not tell that it is one."""
    first, other = dealer(), dealer(Fault(("OtherError",)))
    one, again = (first.share(SEED, bytes([n]) * 24) for n in (1, 2))
    assert (one.x, one.y, one.tag) == (again.x, again.y, again.tag)
    assert one.encrypted != again.encrypted
    elsewhere = other.share(SEED, NONCE)
    assert elsewhere.x != one.x and elsewhere.tag != one.tag
    assert len({each.x for each in shares(40)}) == 40


def test_all_who_meet_a_fault_have_one_tag_by_product_and_release() -> None:
    assert len({each.tag for each in shares(40)}) == 1
    assert Dealer.of(LINES, PRODUCT, RELEASE).commitments == dealer().commitments
    others = [Dealer.of(FAULT, *where) for where in ((PRODUCT, "0.5.1"), ("examplemai", "l0.5.2"))]
    assert len({each.commitments for each in (dealer(), *others)}) == 3
    assert recover(shares(NEEDED), PRODUCT, "0.5.1") is None
    assert recover(shares(NEEDED), "othermail", RELEASE) is None
    with pytest.raises(ValueError, match="different faults"):
        opened([shares(1)[0], others[0].share(SEED, NONCE)])


def test_the_seed_is_what_argon2id_makes_of_the_signature() -> None:
    """As docs/wire-format.md writes it."""
    names = [part.to_bytes(2, "big") + text for part, text in ((11, b"examplemail"), (5, b"0.5.2"))]
    salt = hashlib.blake2b(b"".join(names), digest_size=16).digest()
    seed = sodium.crypto_pwhash_alg(
        32, FAULT.signature, salt, 3, 64 << 20, sodium.crypto_pwhash_ALG_ARGON2ID13
    )
    first = int.from_bytes(hashlib.blake2b(seed).digest(), "little") % ORDER
    assert dealer().coefficients[0] == first
    length = len(FAULT.signature).to_bytes(2, "big")
    hashed = hashlib.blake2b(
        b"".join(names) + length + FAULT.signature, key=first.to_bytes(32, "little"), salt=b"\x09"
    )
    assert dealer().coefficients[9] == int.from_bytes(hashed.digest(), "little") % ORDER


def test_a_share_fits_its_commitments_and_no_other() -> None:
    """By the polynomial itself."""
    for each in shares(3):
        value = sum(a * each.x**n for n, a in enumerate(dealer().coefficients)) % ORDER
        assert each.y == value and each.fits()
    strange = dealer(Fault(("OtherError",))).commitments
    assert not replace(shares(1)[0], commitments=strange).fits()


@pytest.mark.parametrize("at", [0, 4, 9])
@pytest.mark.parametrize(
    "point", [bytes(32), NEUTRAL, SMALL_ORDER, NOT_CANONICAL, MIXED, b"\x02" + bytes(31)]
)
def test_a_commitment_is_a_canonical_point_of_the_group(at: int, point: bytes) -> None:
    good = shares(1)[0].commitments
    bad = good[: 32 * at] + point + good[32 * at + 32 :]
    assert not replace(shares(1)[0], commitments=bad).fits()


def test_a_polynomial_without_all_its_terms_is_none_of_ours() -> None:
    """P(x) = x^9, whose other commitments are the neutral point: the sum fits."""
    power = Share(2, 512, NEUTRAL * 9 + crowd._commitment(1), NONCE, b"")
    assert crowd._value(power.commitments, 2) == crowd._commitment(512)
    assert not power.fits()


def test_commitments_that_cancel_each_other_are_no_error() -> None:
    """On the way to their sum stands the neutral point, which libsodium multiplies with nothing."""
    base, minus = (crowd._commitment(each) for each in (1, ORDER - 1))
    assert not Share(1, 8, base * 8 + minus + base, NONCE, b"").fits()
    ones = Share(1, 10, base * 10, NONCE, b"")
    assert ones.fits()


def head_of(share: Share) -> tuple[dict[str, object], bytes]:
    return parted(share.inner())


def refused(change: dict[str, object]) -> str:
    head, rest = head_of(shares(1)[0])
    with pytest.raises(WireError) as caught:
        TRIAGE.read(sealed(joined({**head, **change}, rest)))
    return caught.value.reason


def test_a_share_is_read_as_it_was_written() -> None:
    assert TRIAGE.read(sealed(shares(1)[0].inner())) == (RELEASE, shares(1)[0])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tag": "00" * 32}, "extra-member"),
        ({"platform": "linux"}, "extra-member"),
        ({"x": "0" * 64}, "bad-share"),
        ({"y": "0" * 64}, "bad-share"),
        ({"x": ORDER.to_bytes(32, "little").hex()}, "bad-share"),
        ({"y": "f" * 64}, "bad-share"),
        ({"x": (1).to_bytes(32, "little").hex()}, "bad-share"),
        ({"x": 7}, "bad-payload"),
        ({"y": "F" * 64}, "bad-payload"),
        ({"y": "f" * 62}, "bad-payload"),
        ({"commitments": "00" * 320}, "bad-share"),
        ({"commitments": "00" * 288}, "bad-payload"),
        ({"commitments": None}, "bad-payload"),
        ({"nonce": "00"}, "bad-payload"),
    ],
)
def test_a_share_is_read_strictly(change: dict[str, object], reason: str) -> None:
    assert refused(change) == reason


@given(st.integers(0, 8 * 32 - 1), st.sampled_from(["x", "y"]))
@settings(max_examples=50)
def test_a_changed_bit_of_a_point_does_not_fit(bit: int, name: str) -> None:
    share = shares(1)[0]
    assert not wrong(share, **{name: getattr(share, name) ^ 1 << bit}).fits()


@given(st.integers(0, 8 * 320 - 1))
@settings(max_examples=50)
def test_a_changed_bit_of_the_commitments_does_not_fit(bit: int) -> None:
    share = shares(1)[0]
    some = bytearray(share.commitments)
    some[bit // 8] ^= 1 << bit % 8
    bad = replace(share, commitments=bytes(some))
    assert not bad.fits() and bad.tag != share.tag


def test_any_ten_open_it() -> None:
    """And of none of them nine."""
    first = dealer().coefficients[0]
    for some in itertools.islice(itertools.combinations(shares(12), NEEDED), 0, 66, 7):
        points = {each.x: each.y for each in some}
        assert crowd._at_zero(points) == first
        points.popitem()
        assert crowd._at_zero(points) != first


def test_a_dealer_shows_nothing_of_the_fault() -> None:
    shown = repr(dealer())
    assert not [word for word in WORDS if word.decode() in shown]
    assert str(dealer().coefficients[0]) not in shown and NONCE_BYTES == 24
