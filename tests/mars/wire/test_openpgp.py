"""OpenPGP public keys, read as gpg reads them; gpg itself is compared in tests/motd."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.channels import trial
from mars.errors import WireError
from mars.testing.memory import MemoryKey
from mars.wire.openpgp import MAX_BLOCK, PublicKey, dearmour, primary, public_keys, signing_keys
from mars.wire.times import DAY
from testbed.packets import EARLY, PUBLIC_KEY, PacketKey, armour, lasts, packet, subpacket, unsigned

KEY = PacketKey(b"k" * 32)
BODY = KEY.body
SIGNATURE, TRUST, USER_ID, SUBKEY = 2, 12, 13, 14
DIRECT, POSITIVE, BINDING, REVOKED, SUBKEY_REVOKED, UNCERTIFIED = 0x1F, 0x13, 0x18, 0x20, 0x28, 0x30
SIGNS, CERTIFIES = subpacket(27, b"\2"), subpacket(27, b"\1")
OTHER = PacketKey(b"o" * 32)


def block(packets: bytes) -> str:
    return armour("PUBLIC KEY BLOCK", packets)


def test_the_fingerprint_and_the_date_of_a_key() -> None:
    found = primary(KEY.block)
    assert (found.fingerprint, found.created) == (KEY.fingerprint, KEY.created)


def test_a_later_version_has_a_longer_fingerprint() -> None:
    body = b"\x06" + BODY[1:]
    digest = hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest()
    assert primary(block(packet(PUBLIC_KEY, body))).fingerprint == digest.upper()


@pytest.mark.parametrize(
    "header",
    [
        b"\x98" + bytes([len(BODY)]),
        b"\x99" + len(BODY).to_bytes(2, "big"),
        b"\x9a" + len(BODY).to_bytes(4, "big"),
        b"\xc6" + bytes([len(BODY)]),
        b"\xc6\xff" + len(BODY).to_bytes(4, "big"),
    ],
)
def test_every_form_of_header_is_read(header: bytes) -> None:
    assert primary(block(header + BODY)).fingerprint == KEY.fingerprint
    assert primary(block(header + BODY)).created == KEY.created == EARLY


def test_a_header_with_a_length_of_two_octets_is_read() -> None:
    body = BODY + bytes(300)
    high, low = divmod(len(body) - 192, 256)
    packets = b"\xc6" + bytes([192 + high, low]) + body
    assert primary(block(packets)).created == KEY.created


LINES = KEY.block.strip().splitlines()


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "\n".join(LINES[1:]),
        "\n".join(LINES[:-1]),
        KEY.block.replace("PUBLIC", "PRIVATE"),
        KEY.block + KEY.block,
        "\n".join([LINES[0], "", "!!!!", LINES[-1]]),
        "\n".join([LINES[0], "", "AAAA", LINES[-1]]),
        "\n".join([LINES[0], "", LINES[-1]]),
        block(packet(PUBLIC_KEY, BODY) * 2),
        block(packet(PUBLIC_KEY, BODY) + packet(5, BODY)),
        block(packet(13, b"a name") + packet(PUBLIC_KEY, BODY)),
        block(packet(PUBLIC_KEY, BODY)[:-1]),
        block(packet(PUBLIC_KEY, BODY[:5])),
        block(packet(PUBLIC_KEY, b"\x03" + BODY[1:])),
        block(b"\x9b" + BODY),  # of open length
        block(b"\xc6\xe0" + BODY),  # of partial length
        block(b"\xc6\xc0"),
        block(b""),
        block(KEY.packets + packet(9, b"")),
        block(KEY.packets + packet(SUBKEY, BODY[:5])) + "x" * MAX_BLOCK,
        *(
            block(packet(PUBLIC_KEY, BODY) + packet(SIGNATURE, body))
            for body in (
                b"",
                b"\3\5",  # a version without subpackets
                b"\4",
                b"\4\x13\x16\x08\0\7\5\2\0\0\0\1",  # less than it says
                b"\4\x13\x16\x08\0\0\0\0",  # without a date
                b"\4\x13\x16\x08\0\2\2\2\0\0",
                b"\4\x13\x16\x08\0\5\4\2\0\0\1\0\0",  # with one of three octets
                b"\4\x13\x16\x08\0\1\0\0\0",  # with a subpacket of none
            )
        ),
    ],
)
def test_what_is_not_one_whole_public_key_is_damaged(damaged: str) -> None:
    with pytest.raises(WireError) as caught:
        primary(damaged)
    assert caught.value.reason == "key-damaged"


def test_armour_is_taken_off_or_refused() -> None:
    assert dearmour(KEY.block) == KEY.packets
    with pytest.raises(ValueError, match="no armour"):
        dearmour("x")


def said(
    kind: int,
    made: int = EARLY,
    *hashed: bytes,
    by: str = KEY.fingerprint,
    unhashed: bytes = b"",
    version: int = 4,
) -> bytes:
    return unsigned(kind, made, *hashed, by=by, unhashed=unhashed, version=version)


PRIMARY, NAME = packet(PUBLIC_KEY, BODY), packet(USER_ID, b"one")
SECOND, PICTURE = packet(USER_ID, b"two"), b"\xd1\0"
SUB = packet(SUBKEY, OTHER.body)
NAMED = PRIMARY + NAME + said(POSITIVE)


def first(packets: bytes) -> PublicKey:
    (found,) = public_keys(block(packets))
    return found


def test_the_keys_of_tests_and_of_the_trial_have_no_end() -> None:
    for each in (KEY.block, trial.KEY, MemoryKey(b"m" * 32).block):
        assert primary(each).is_valid(2**40)
    assert not primary(KEY.block).is_valid(EARLY - 1)


@pytest.mark.parametrize(
    ("behind", "end"),
    [
        (NAME + said(POSITIVE), None),
        (NAME + said(POSITIVE, EARLY, lasts(0)), None),
        (NAME + said(POSITIVE, EARLY + DAY, lasts(60)), EARLY + 60),
        (NAME + said(0x10, EARLY, lasts(60)), EARLY + 60),
        (PICTURE + said(POSITIVE, EARLY, lasts(60)), EARLY + 60),
        (said(DIRECT, EARLY, lasts(60)) + NAME + said(POSITIVE), EARLY + 60),
        # the newest of one user ID, in whatever order; of the same second the last
        (
            NAME + said(POSITIVE, EARLY, lasts(60)) + said(POSITIVE, EARLY + 1, lasts(90)),
            EARLY + 90,
        ),
        (
            NAME + said(POSITIVE, EARLY + 1, lasts(90)) + said(POSITIVE, EARLY, lasts(60)),
            EARLY + 90,
        ),
        (NAME + said(POSITIVE, EARLY, lasts(60)) + said(POSITIVE, EARLY, lasts(90)), EARLY + 90),
        (NAME + said(POSITIVE, EARLY, lasts(60)) + said(POSITIVE, EARLY + 1), None),
        # the earliest of several
        (
            NAME + said(POSITIVE, EARLY, lasts(60)) + SECOND + said(POSITIVE, EARLY + 9, lasts(90)),
            EARLY + 60,
        ),
        # of a user ID that is revoked, no more
        (
            NAME
            + said(POSITIVE, EARLY, lasts(60))
            + said(UNCERTIFIED, EARLY)
            + SECOND
            + said(POSITIVE, EARLY, lasts(90)),
            EARLY + 90,
        ),
        (
            NAME
            + said(UNCERTIFIED, EARLY)
            + said(POSITIVE, EARLY + 1, lasts(60))
            + SECOND
            + said(POSITIVE, EARLY, lasts(90)),
            EARLY + 60,
        ),
        # by somebody else, or where nobody signs it, it counts for nothing
        (NAME + said(POSITIVE) + said(POSITIVE, EARLY + 1, lasts(60), by=OTHER.fingerprint), None),
        (NAME + said(POSITIVE) + said(POSITIVE, EARLY + 1, lasts(60), by=""), None),
        (NAME + said(POSITIVE) + said(UNCERTIFIED, EARLY + 1, by=OTHER.fingerprint), None),
        (NAME + said(POSITIVE, EARLY, unhashed=lasts(60)), None),
        # a self-signature that itself ends
        (NAME + said(POSITIVE, EARLY + 5, lasts(60, 3), lasts(90)), EARLY + 65),
        # as gpg writes it, the issuer outside; of several octets of length; with the critical bit
        (
            NAME
            + said(
                POSITIVE,
                EARLY,
                lasts(60),
                by="",
                unhashed=subpacket(16, bytes.fromhex(KEY.fingerprint[-16:])),
            ),
            EARLY + 60,
        ),
        (NAME + said(POSITIVE, EARLY, subpacket(20, bytes(300)), lasts(60, 0x89)), EARLY + 60),
        (NAME + said(POSITIVE, EARLY, b"\xff\0\0\0\5\x09\0\0\0\x3c"), EARLY + 60),
        (NAME + packet(TRUST, b"\0") + said(POSITIVE, EARLY, lasts(60)), EARLY + 60),
    ],
)
def test_the_end_of_a_primary_key(behind: bytes, end: int | None) -> None:
    key = first(PRIMARY + behind)
    assert (key.end, key.revoked) == (end, False)
    if end is not None:
        assert [key.is_valid(at) for at in (EARLY - 1, EARLY, end - 1, end)] == [0, 1, 1, 0]


@pytest.mark.parametrize("doubled", [lasts(60), lasts(60, 3), SIGNS, lasts(1, 2)])
def test_what_stands_there_twice_is_damaged(doubled: bytes) -> None:
    with pytest.raises(WireError):
        primary(block(PRIMARY + NAME + said(POSITIVE, EARLY, doubled, doubled)))


@pytest.mark.parametrize(
    "packets",
    [
        PRIMARY,
        PRIMARY + NAME,
        PRIMARY + NAME + said(POSITIVE, by=OTHER.fingerprint),
        PRIMARY + NAME + said(POSITIVE) + said(UNCERTIFIED),
        PRIMARY + NAME + said(UNCERTIFIED) + said(POSITIVE),
        PRIMARY + said(REVOKED) + NAME + said(POSITIVE, EARLY + 1),
        PRIMARY + said(REVOKED, by=OTHER.fingerprint) + NAME + said(POSITIVE),
        NAMED + said(REVOKED),
    ],
)
def test_a_primary_key_that_is_revoked_or_has_no_self_signature_left(packets: bytes) -> None:
    assert first(packets).revoked
    assert not first(packets).is_valid(EARLY)
    assert signing_keys(block(packets), EARLY) == []


@pytest.mark.parametrize(
    ("flags", "signs"),
    [
        ((), True),
        ((SIGNS,), True),
        ((CERTIFIES,), False),
        ((subpacket(27, b""),), False),
        ((subpacket(27, b"\3\4"),), True),
    ],
)
def test_a_primary_key_may_sign_unless_it_says_otherwise(
    flags: tuple[bytes, ...], signs: bool
) -> None:
    packets = PRIMARY + said(DIRECT) + NAME + said(POSITIVE, EARLY, *flags)
    assert first(packets).signs == signs
    assert len(signing_keys(block(packets), EARLY)) == signs


@pytest.mark.parametrize(
    ("behind", "due"),
    [
        (said(BINDING, EARLY, SIGNS), (None, False)),
        (said(BINDING, EARLY, SIGNS, lasts(60)), (EARLY + 60, False)),
        (
            said(BINDING, EARLY, SIGNS, lasts(60)) + said(BINDING, EARLY + 1, SIGNS, lasts(90)),
            (EARLY + 90, False),
        ),
        (said(BINDING, EARLY, SIGNS) + said(SUBKEY_REVOKED), (None, True)),
        (said(SUBKEY_REVOKED) + said(BINDING, EARLY + 9, SIGNS), (None, True)),
        (said(BINDING, EARLY, CERTIFIES), None),
        (said(BINDING, EARLY), None),
        (said(BINDING, EARLY, SIGNS, by=OTHER.fingerprint), None),
        (b"", None),
    ],
)
def test_a_subkey_that_may_sign(behind: bytes, due: tuple[int | None, bool] | None) -> None:
    _, *found = public_keys(block(NAMED + SUB + behind))
    assert [(key.fingerprint, key.end, key.revoked) for key in found] == (
        [(OTHER.fingerprint, *due)] if due else []
    )


def test_a_version_6_key_names_itself_by_the_beginning_of_its_fingerprint() -> None:
    body = b"\x06" + BODY[1:]
    full = hashlib.sha256(b"\x9b" + len(body).to_bytes(4) + body).hexdigest().upper()
    keyid = subpacket(16, bytes.fromhex(full[:16]))
    for own in (
        said(DIRECT, EARLY, lasts(60), by=full, version=6),
        said(DIRECT, EARLY, lasts(60), by="", unhashed=keyid, version=6),
    ):
        assert first(packet(PUBLIC_KEY, body) + own) == PublicKey(full, EARLY, EARLY + 60)


def test_the_newest_subkey_signs_before_the_primary_while_it_is_valid() -> None:
    newer = replace(OTHER, seed=b"n" * 32, created=EARLY + DAY)
    bound = said(BINDING, EARLY, SIGNS, lasts(30 * DAY))
    subkeys = SUB + bound + packet(SUBKEY, newer.body) + bound
    whole = block(NAMED + subkeys)
    old, new, own = OTHER.fingerprint, newer.fingerprint, KEY.fingerprint
    for at, due in (
        (EARLY - 1, []),
        (EARLY, [old, own]),
        (EARLY + DAY, [new, old, own]),
        (EARLY + 30 * DAY, [new, own]),
        (EARLY + 31 * DAY, [own]),
    ):
        assert [key.fingerprint for key in signing_keys(whole, at)] == due
    ending = block(PRIMARY + NAME + said(POSITIVE, EARLY, lasts(2 * DAY)) + subkeys)
    assert signing_keys(ending, EARLY + 2 * DAY) == []


@given(st.binary(max_size=300), st.integers(0, 400), st.integers(1, 255))
def test_any_bytes_are_keys_or_damaged(junk: bytes, at: int, bit: int) -> None:
    packets = bytearray(KEY.packets + SUB + said(BINDING, EARLY, SIGNS, lasts(60)))
    packets[at % len(packets)] ^= bit
    for data in (junk, PRIMARY + junk, bytes(packets)):
        try:
            found = public_keys(block(data))
        except WireError as error:
            assert error.reason == "key-damaged"
        else:
            assert all(key.end is None or key.end >= key.created for key in found)
