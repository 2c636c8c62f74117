"""OpenPGP public keys, read as gpg reads them; gpg itself is compared in tests/motd."""

from __future__ import annotations

import hashlib

import pytest

from mars.errors import WireError
from mars.wire.openpgp import dearmour, key_created, primary
from testbed.packets import EARLY, PUBLIC_KEY, PacketKey, armour, packet

KEY = PacketKey(b"k" * 32)
BODY = KEY.body


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
    assert key_created(header + BODY) == KEY.created == EARLY


def test_a_header_with_a_length_of_two_octets_is_read() -> None:
    body = BODY + bytes(300)
    high, low = divmod(len(body) - 192, 256)
    packets = b"\xc6" + bytes([192 + high, low]) + body
    assert primary(block(packets)).created == key_created(packets) == KEY.created


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
    ],
)
def test_what_is_not_one_whole_public_key_is_damaged(damaged: str) -> None:
    with pytest.raises(WireError) as caught:
        primary(damaged)
    assert caught.value.reason == "key-damaged"


@pytest.mark.parametrize("packets", [b"", b"\x98", bytes(40), packet(13, BODY), b"\x98\x33\x05"])
def test_what_is_no_version_4_key_has_no_date(packets: bytes) -> None:
    assert key_created(packets) == 0


def test_armour_is_taken_off_or_refused() -> None:
    assert dearmour(KEY.block) == KEY.packets
    with pytest.raises(ValueError, match="no armour"):
        dearmour("x")
