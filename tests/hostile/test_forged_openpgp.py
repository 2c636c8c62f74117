"""OpenPGP signatures, judged by real gpg and gpgv, and whatever may be wrong there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mars.adapters.gpg import GnuPG, judge
from mars.errors import MarsError
from mars.ports import OpenPGPVerdict
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import Publisher
from mars.trust import Accepted, TrustState, verify
from mars.wire import envelope
from mars.wire.envelope import Signature, pae
from mars.wire.openpgp import dearmour
from mars.wire.times import DAY
from mars_motd import gpg
from testbed.packets import (
    MD5,
    SHA1,
    SHA224,
    SHA384,
    SHA512,
    TEXT,
    PacketKey,
    armour,
    notation,
)
from tests.hostile.openpgp import BOTH, KEY, MESSAGE, NOW, PAST, bad, good


@BOTH
def test_d02_revoked_key_is_rejected(gnupg: GnuPG) -> None:
    key = replace(KEY, revoked=True)
    assert bad(gnupg, key.sign(MESSAGE, PAST), key)


@BOTH
@pytest.mark.parametrize("order", [1, -1])
def test_d03_revoked_signature_beside_a_good_one_is_rejected(gnupg: GnuPG, order: int) -> None:
    revoked = PacketKey(b"r" * 32, revoked=True)
    parts = [revoked.sign(MESSAGE, PAST), KEY.sign(MESSAGE, PAST)][::order]
    assert bad(gnupg, b"".join(parts), KEY, revoked)


@BOTH
@pytest.mark.parametrize("order", [1, -1])
def test_d04_unknown_signature_beside_a_good_one_is_rejected(gnupg: GnuPG, order: int) -> None:
    parts = [PacketKey(b"u" * 32).sign(MESSAGE, PAST), KEY.sign(MESSAGE, PAST)][::order]
    assert bad(gnupg, b"".join(parts), KEY)


@BOTH
def test_d05_expired_signature_is_rejected(gnupg: GnuPG) -> None:
    assert bad(gnupg, KEY.sign(MESSAGE, PAST, expires_after=3600))


def dated(at: int, now: int = NOW) -> Accepted:
    """A document issued at NOW whose OpenPGP signature is dated ``at``."""
    publisher = Publisher(seeds=[b"d" * 32], openpgp=[MemoryKey(b"m" * 32)])
    signed = envelope.decode(publisher.document())
    message = pae(signed.payload_type, signed.payload)
    entries = (signed.signatures[0], Signature("", publisher.openpgp[0].sign(message, at)))
    data = envelope.encode(replace(signed, signatures=entries))
    return verify(data, publisher.trust(), TrustState.initial(), now, MemoryOpenPGP())


@pytest.mark.parametrize("at", [0, NOW - 2 * DAY - 1, NOW + DAY + 1, 2**40])
def test_d05_signature_date_outside_of_the_window_is_rejected(at: int) -> None:
    with pytest.raises(MarsError) as caught:
        dated(at)
    assert caught.value.reason == "openpgp-date"


@pytest.mark.parametrize("at", [NOW - 2 * DAY, NOW, NOW + DAY])
def test_d05_signature_date_inside_of_the_window_is_accepted(at: int) -> None:
    assert dated(at).news


@BOTH
def test_d06_text_mode_signature_is_rejected(gnupg: GnuPG) -> None:
    signature = KEY.sign(MESSAGE, PAST, kind=TEXT)
    assert bad(gnupg, signature)
    assert bad(gnupg, signature, message=MESSAGE.replace(b"\n", b"\r\n"))


@BOTH
@pytest.mark.parametrize("digest", [SHA1, MD5, SHA224])
def test_d07_weak_hash_is_rejected(gnupg: GnuPG, digest: int) -> None:
    assert bad(gnupg, KEY.sign(MESSAGE, PAST, digest=digest))


@BOTH
@pytest.mark.parametrize("digest", [SHA384, SHA512])
def test_d07_long_hashes_are_accepted(gnupg: GnuPG, digest: int) -> None:
    assert good(gnupg, KEY.sign(MESSAGE, PAST, digest=digest))


class RealHome:
    """A key that gpg itself has made, in a home of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700)
        gpg.create_key(gpg.Home(path, own=True), "Real", PAST, None)
        self.block = self.run("--armor", "--export").decode()

    def run(self, *arguments: str, data: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.path), "--batch", "--pinentry-mode", "loopback"]
        options = ["--passphrase", ""]
        done = subprocess.run(
            [*command, *options, *arguments], input=data, capture_output=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def close(self) -> None:
        agent = ["gpgconf", "--homedir", str(self.path), "--kill", "all"]
        subprocess.run(agent, timeout=30, check=True)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHome]:
    # A short path: the agent's socket has at most 108 characters.
    folder = Path("/tmp") / f"mars-test-{os.getpid()}"
    home = RealHome(folder)
    yield home
    home.close()
    shutil.rmtree(folder, ignore_errors=True)


@BOTH
@pytest.mark.parametrize("armoured", [[], ["--armor"]])
def test_d08_detached_signature_by_gpg_is_accepted(
    gnupg: GnuPG, real: RealHome, armoured: list[str]
) -> None:
    signature = real.run(*armoured, "--detach-sign", data=MESSAGE)
    assert gnupg.verify(signature, MESSAGE, [real.block]).reason is None


@BOTH
@pytest.mark.parametrize("way", ["--sign", "--clearsign", "--store"])
def test_d08_inline_or_clearsigned_text_is_no_detached_signature(
    gnupg: GnuPG, real: RealHome, way: str
) -> None:
    inline = real.run(way, data=MESSAGE)
    assert gnupg.verify(inline, MESSAGE, [real.block]).reason == "openpgp-bad"


@BOTH
def test_d09_clearsigned_document_with_text_around_it_is_rejected(
    gnupg: GnuPG, real: RealHome
) -> None:
    inline = b"before\n" + real.run("--clearsign", data=MESSAGE) + b"after\n"
    assert gnupg.verify(inline, MESSAGE, [real.block]).reason == "openpgp-bad"
    assert gnupg.verify(inline, inline, [real.block]).reason == "openpgp-bad"


FINGERPRINT = "A" * 40
STATUS = (
    b"[GNUPG:] NEWSIG t@example.org\n"
    b"[GNUPG:] KEY_CONSIDERED " + b"A" * 40 + b" 0\n"
    b"[GNUPG:] GOODSIG AAAAAAAAAAAAAAAA Test <t@example.org>\n"
    b"[GNUPG:] VALIDSIG %b 2026-11-21 %d 0 4 0 22 8 00 %b\n" % (b"B" * 40, NOW, b"A" * 40)
)
"""What gpgv says of a good signature by a subkey."""
NO_LINE_BREAKS = (
    *(b"\r", b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85"),
    *("\x85".encode(), "\u2028".encode(), "\u2029".encode(), b"\0", b"\r\r"),
)


def test_d10_status_of_a_good_signature_is_believed() -> None:
    for status in (STATUS, STATUS.replace(b"GOODSIG", b"KEYEXPIRED 1\n[GNUPG:] EXPKEYSIG")):
        assert judge(0, status) == OpenPGPVerdict(None, FINGERPRINT, NOW, "B" * 40)


@pytest.mark.parametrize("end", NO_LINE_BREAKS)
def test_d10_only_lf_ends_a_status_line(end: bytes) -> None:
    forged = b"[GNUPG:] NOTATION_DATA x" + end + STATUS.replace(b"\n", end)
    assert judge(0, forged).reason == "openpgp-bad"
    # In a line of a good answer such bytes change nothing.
    inside = STATUS.replace(b"Test <", b"Te" + end + b"[GNUPG:] BADSIG <")
    assert judge(0, inside).reason is None


@pytest.mark.parametrize("code", [1, 2, 255])
def test_d10_another_exit_code_is_rejected(code: int) -> None:
    assert judge(code, STATUS).reason == "openpgp-bad"


@pytest.mark.parametrize("code", [-9, 256, 0xC0000005])
def test_d10_a_crash_says_nothing_of_the_signature(code: int) -> None:
    assert judge(code, STATUS).reason == "openpgp-unavailable"


@pytest.mark.parametrize(
    "line",
    [
        *("BADSIG x", "ERRSIG x", "EXPSIG x", "REVKEYSIG x", "KEYREVOKED"),
        *("NODATA 1", "UNEXPECTED 0", "FAILURE gpg 1", "ERROR x 1", "NO_PUBKEY x", "PLAINTEXT 62"),
        *("NEWSIG", "GOODSIG x", "EXPKEYSIG x", "VALIDSIG x"),
    ],
)
def test_d10_a_line_that_speaks_against_it_or_stands_twice_rejects(line: str) -> None:
    extra = f"[GNUPG:] {line}\n".encode()
    for status in (STATUS + extra, extra + STATUS):
        assert judge(0, status).reason == "openpgp-bad"


@pytest.mark.parametrize("word", [b"NEWSIG", b"GOODSIG", b"VALIDSIG"])
def test_d10_a_missing_line_rejects(word: bytes) -> None:
    lines = [line for line in STATUS.split(b"\n") if word not in line]
    assert judge(0, b"\n".join(lines)).reason == "openpgp-bad"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b" 8 00 ", b" 2 00 "),
        (b" 8 00 ", b" 8 01 "),
        (b" 8 00 ", b" 08 00 "),
        (b" 8 00 ", b" 8 00 x "),
        (b" %d " % NOW, b" 2026-11-21T00:00:00 "),
        (b" %d " % NOW, b" -1 "),
        (b" %d " % NOW, " ١ ".encode()),
        (b" 0 4 0 ", b" "),
    ],
)
def test_d10_validsig_of_another_form_rejects(old: bytes, new: bytes) -> None:
    assert old in STATUS
    assert judge(0, STATUS.replace(old, new)).reason == "openpgp-bad"


@pytest.mark.parametrize("status", [b"", b"\xff" * 100, b"[GNUPG:] ", b"[GNUPG:]\n" * 9])
def test_d10_garbage_is_rejected(status: bytes) -> None:
    assert judge(0, status).reason == "openpgp-bad"


@BOTH
@pytest.mark.parametrize("end", [b"\n", b"\r", b"\x85", "\u2028".encode()])
def test_d10_status_lines_inside_a_real_signature_packet_change_nothing(
    gnupg: GnuPG, end: bytes
) -> None:
    forged = end + STATUS.replace(b"\n", end)
    stranger = PacketKey(b"s" * 32)
    assert bad(gnupg, stranger.sign(MESSAGE, PAST, hashed=notation("a@b.c", forged)))
    assert bad(gnupg, stranger.sign(MESSAGE, PAST, unhashed=notation("a@b.c", forged)))
    hostile = replace(KEY, name=f"x{end.decode('latin-1')}[GNUPG:] BADSIG 0 ")
    assert good(gnupg, hostile.sign(MESSAGE, PAST), hostile)


@BOTH
def test_d11_junk_and_second_signatures_are_rejected_and_armour_accepted(gnupg: GnuPG) -> None:
    signature = KEY.sign(MESSAGE, PAST)
    assert good(gnupg, signature)
    assert good(gnupg, armour("SIGNATURE", signature).encode())
    assert bad(gnupg, signature + signature)
    assert bad(gnupg, armour("SIGNATURE", signature + signature).encode())
    for junk in (b"\0", b"junk", b"\x88", b"\xff" * 40, bytes(100)):
        assert bad(gnupg, signature + junk), junk
        assert bad(gnupg, junk + signature), junk
    assert bad(gnupg, signature[:-1])
    assert bad(gnupg, b"\x88\x00")


def test_d11_junk_after_the_signature_changes_nothing_else() -> None:
    assert dearmour(armour("SIGNATURE", b"abc")) == b"abc"
    for text in ("", "x", armour("SIGNATURE", b"abc").replace("END", "X"), "-----BEGIN PGP \n\n"):
        with pytest.raises(ValueError):
            dearmour(text)


@BOTH
def test_d13_subkey_signature_counts_for_the_pinned_primary(gnupg: GnuPG) -> None:
    key = replace(KEY, subkey=b"s" * 32)
    assert good(gnupg, key.sign(MESSAGE, PAST), key)


def test_d14_only_full_fingerprints_are_compared() -> None:
    class Collision:
        """Another key with the same last 64 bits of fingerprint."""

        def verify(self, signature: bytes, message: bytes, keys: object) -> OpenPGPVerdict:
            return OpenPGPVerdict(None, "0" * 24 + KEY.fingerprint[24:], NOW, KEY.fingerprint)

    publisher = Publisher(seeds=[b"d" * 32], openpgp=[KEY])
    with pytest.raises(MarsError) as caught:
        verify(publisher.document(), publisher.trust(), TrustState.initial(), NOW, Collision())
    assert caught.value.reason == "openpgp-bad"


@BOTH
def test_d19_clock_before_the_key_was_made_is_named(gnupg: GnuPG) -> None:
    future = PacketKey(b"f" * 32, created=2**32 - DAY)
    verdict = gnupg.verify(future.sign(MESSAGE, PAST), MESSAGE, [future.block])
    assert verdict.reason == "clock"
    publisher = Publisher(seeds=[b"d" * 32], openpgp=[future])
    with pytest.raises(MarsError) as caught:
        verify(publisher.document(), publisher.trust(), TrustState.initial(), NOW, gnupg)
    assert caught.value.reason == "clock"
    # Another failure stays what it is, though a pinned key is from the future.
    assert bad(gnupg, KEY.sign(b"other", PAST), KEY, future)


@pytest.mark.parametrize(
    ("said", "in_future", "due"),
    [
        ("ERRSIG 5D 22 8 00 1 6", True, "clock"),  # gpg and gpgv 2.2
        ("KEY_CONSIDERED E5 0|ERRSIG 5D 22 8 00 1 39 E5", True, "clock"),  # gpg 2.4
        ("KEY_CONSIDERED E5 1|ERRSIG 5D 22 8 00 1 9 E5|NO_PUBKEY 5D", True, "clock"),  # gpgv 2.4
        ("ERRSIG 5D 22 8 00 1 9 E5|NO_PUBKEY 5D", True, "openpgp-bad"),  # a stranger's key
        ("KEY_CONSIDERED E5 0|BADSIG 5D x", True, "openpgp-bad"),
        ("ERRSIG 5D 22 8 00 1 6", False, "openpgp-bad"),
        ("ERRSIG 5D", True, "openpgp-bad"),
    ],
)
def test_d19_each_version_of_gpg_says_it_in_its_own_words(
    said: str, in_future: bool, due: str
) -> None:
    status = "".join(f"[GNUPG:] {line}\n" for line in ("NEWSIG", *said.split("|")))
    assert judge(2, status.encode(), key_in_future=in_future).reason == due
