"""OpenPGP keys of a home that is given: refused, warned of, counted, used as they are pinned."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mars import factory
from mars.errors import StateError
from mars.wire import envelope
from mars.wire.envelope import pae
from mars.wire.times import DAY, format_time
from mars_motd import expiry
from mars_motd.expiry import Ending
from testbed.gpg_home import Home, running
from testbed.packets import (
    EARLY,
    PUBLIC_KEY,
    PacketKey,
    armour,
    lasts,
    packet,
    subpacket,
    unsigned,
)

Run = Callable[..., Any]
KEY, SUB, NEWER = (PacketKey(bytes([n]) * 32) for n in (1, 2, 3))
OWN = KEY.fingerprint
SIGNS, CERTIFIES = subpacket(27, b"\2"), subpacket(27, b"\1")
REVOCATION = unsigned(0x20, EARLY, by=OWN)
MARCH = "2026-03-01T00:00:00Z"
HOUR = 3600
VALID_TODAY = (factory.system_clock().now() - EARLY) // DAY + 100
"""Days that a key lasts which was made at ``EARLY`` and ends 100 days from now."""


def block(*parts: bytes) -> str:
    return armour("PUBLIC KEY BLOCK", b"".join((packet(PUBLIC_KEY, KEY.body), *parts)))


def named(days: int = 0, flags: bytes = b"") -> bytes:
    """A user ID, and that the primary key lasts for ``days``."""
    end = lasts(days * DAY) if days else b""
    return packet(13, b"a") + unsigned(0x13, EARLY, end, flags, by=OWN)


def subkey(key: PacketKey, days: int = 0) -> bytes:
    end = lasts(days * DAY) if days else b""
    return packet(14, key.body) + unsigned(0x18, EARLY, SIGNS, end, by=OWN)


@pytest.mark.parametrize(
    ("parts", "ends", "last"),
    [
        ([named()], {}, None),
        ([named(90)], {OWN: 90}, 90),
        ([named(90), subkey(SUB)], {OWN: 90}, 90),
        ([named(90), subkey(SUB, 60)], {OWN: 90, SUB.fingerprint: 60}, 90),
        ([named(0, CERTIFIES), subkey(SUB, 60)], {SUB.fingerprint: 60}, 60),
        ([named(50, CERTIFIES), subkey(SUB, 60)], {OWN: 50, SUB.fingerprint: 60}, 50),
        ([named(), subkey(SUB, 60)], {SUB.fingerprint: 60}, None),
        # an old subkey that has been replaced is nobody's concern
        ([named(0, CERTIFIES), subkey(SUB, 20), subkey(NEWER, 60)], {NEWER.fingerprint: 60}, 60),
        ([named(20)], {OWN: 20}, 30),
        ([named(0, CERTIFIES)], {}, 30),
        ([REVOCATION, named()], {}, 30),
    ],
)
def test_the_days_that_are_left(parts: list[bytes], ends: dict[str, int], last: int | None) -> None:
    now = EARLY + 30 * DAY
    due = [Ending(OWN, name, EARLY + day * DAY, day - 30) for name, day in ends.items()]
    blocks = {OWN: block(*parts)}
    assert expiry.endings(blocks, now) == sorted(due, key=lambda it: it.end)
    assert expiry.ending_soon(blocks, now) == expiry.endings(blocks, now)
    assert expiry.last(blocks[OWN], now) == (None if last is None else EARLY + last * DAY)


def test_two_years_before_its_end_a_key_is_warned_of() -> None:
    blocks = {OWN: block(named(1000)), SUB.fingerprint: SUB.block}
    end = EARLY + 1000 * DAY
    assert expiry.ending_soon(blocks, end - 730 * DAY) == []
    (warned,) = expiry.ending_soon(blocks, end - 730 * DAY + 1)
    assert str(warned).startswith(f"The OpenPGP key {OWN} ends at {format_time(end)}, in 729 days.")
    (over,) = expiry.endings(blocks, end + 1)
    assert f"{OWN} ended at {format_time(end)}." in str(over)
    whole = {OWN: block(named(0, CERTIFIES), subkey(SUB, 60))}
    (warned,) = expiry.ending_soon(whole, EARLY)
    assert str(warned).startswith(f"The signing subkey {SUB.fingerprint} of the OpenPGP key {OWN} ")


def test_a_document_does_not_outlast_a_pinned_key() -> None:
    blocks = {SUB.fingerprint: SUB.block, OWN: block(named(90))}
    end = EARLY + 90 * DAY
    expiry.require_outlasting(blocks, end, EARLY, "the document")
    with pytest.raises(StateError) as caught:
        expiry.require_outlasting(blocks, end + 1, EARLY, "the document")
    assert caught.value.reason == "openpgp-ends"
    assert format_time(end) in caught.value.message


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([named(31)], None),
        ([named(30)], "openpgp-expired"),
        ([named(20), subkey(SUB)], "openpgp-expired"),
        ([named(0, CERTIFIES), subkey(SUB, 30)], "openpgp-expired"),
        ([REVOCATION, named(20)], "openpgp-revoked"),
        ([named(0, CERTIFIES)], "openpgp-unusable"),
        ([named(0, CERTIFIES), subkey(SUB)], None),
        (
            [named(0, CERTIFIES), subkey(SUB), unsigned(0x28, EARLY, by=OWN)],
            "openpgp-unusable",
        ),
    ],
)
def test_a_key_that_cannot_sign_now_is_refused(parts: list[bytes], reason: str | None) -> None:
    now = EARLY + 30 * DAY
    if reason is None:
        return expiry.require_usable(block(*parts), now)
    with pytest.raises(StateError) as caught:
        expiry.require_usable(block(*parts), now)
    assert caught.value.reason == reason
    assert OWN in caught.value.message
    return None


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with running() as home:
        yield home


@pytest.fixture
def product(tmp_path: Path, ok: Run) -> Path:
    ok("init", tmp_path / "p", "--product", "examplemail")
    return tmp_path / "p"


def new(home: Home, fingerprint: str) -> list[object]:
    return ["--no-passphrase", "--openpgp-home", home.path, "--openpgp-key", fingerprint]


def signer(product: Path, out: Path) -> str:
    """The fingerprint of the key that made the OpenPGP signature in ``out``."""
    signed = envelope.decode(out.read_bytes())
    records = [json.loads(path.read_bytes()) for path in product.glob("keys/*.json")]
    blocks = [block for record in records for block in record["openpgp"].values()]
    message = pae(signed.payload_type, signed.payload)
    (made,) = (entry.sig for entry in signed.signatures if len(entry.sig) != 64)
    return factory.openpgp().verify(made, message, blocks).signer


@pytest.mark.parametrize("way", ["expired", "revoked"])
def test_d01_d02_a_key_that_has_ended_or_is_revoked_is_not_taken(
    home: Home, product: Path, motd: Run, way: str
) -> None:
    own = home.make(f"refused {way}", "sign", "30d" if way == "expired" else "never")
    if way == "revoked":
        home.revoke(own)
    done = motd("key", "new", product, *new(home, own))
    assert done.code == 1
    assert f"[openpgp-{way}]" in done.err
    assert not list(product.glob("keys/*"))


def test_a_key_that_ends_soon_is_warned_of_loudly(home: Home, product: Path, ok: Run) -> None:
    now = factory.system_clock().now()
    own = home.make("soon", "sign", "1y", at=now - DAY)
    done = ok("key", "new", product, *new(home, own))
    assert f"warning: The OpenPGP key {own} ends at " in done.err
    assert "warning" not in ok("key", "new", product, "--role", "motd", "--no-passphrase").err


def test_d13_the_newest_pinned_subkey_signs_whatever_gpg_would_take(
    home: Home, product: Path, tmp_path: Path, ok: Run, motd: Run, verdict: Run
) -> None:
    own, out = home.make("subkeys", "sign", "never"), tmp_path / "motd.json"
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "never")
    home.run(EARLY + DAY, "--quick-add-key", own, "ed25519", "sign", "never")
    ok("key", "new", product, *new(home, own))
    home.run(EARLY + 2 * DAY, "--quick-add-key", own, "ed25519", "sign", "never")
    _, old, pinned, unknown = home.fingerprints(own)
    ok("sign", product, "--out", out, "--now", MARCH)
    assert signer(product, out) == pinned != unknown
    assert verdict(out, product)["ok"]
    # The secret of the newest one is elsewhere: on a token that is not plugged in, say.
    home.run(EARLY, "--yes", "--delete-secret-keys", f"{pinned}!")
    ok("sign", product, "--out", out, "--now", "2026-03-01T00:00:01Z")
    assert signer(product, out) == old
    for name in (own, old):
        home.run(EARLY, "--yes", "--delete-secret-keys", f"{name}!")
    assert motd("sign", product, "--out", out, "--now", "2026-03-01T00:00:02Z").code == 1


def test_d01_a_prolonged_key_signs_once_it_is_pinned_so(
    home: Home, product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    """Prolonged in the holder's home alone it helps nobody, and the publisher is told."""
    own, out = home.make("prolonged", "sign", "2260d"), tmp_path / "motd.json"
    end = EARLY + 2260 * DAY  # 2026-03-10
    home.run(EARLY, "--quick-add-key", own, "ed25519", "sign", "2240d")
    _, subkey = home.fingerprints(own)
    whole = home.block(own)
    home.run(EARLY + DAY, "--quick-set-expire", own, "never")
    home.run(EARLY + DAY, "--quick-set-expire", own, "never", "*")
    ok("key", "new", product, *new(home, own))
    record = product / "keys" / "motd-1.json"
    prolonged = json.loads(record.read_bytes())
    record.write_text(json.dumps({**prolonged, "openpgp": {own: whole}}))
    shortest_life(product)
    trust = tmp_path / "trust.json"
    ok("trust", product, "--out", trust, "--now", format_time(end - 30 * DAY))
    for at, due in (
        (end - 21 * DAY, subkey),
        (end - 20 * DAY, own),
        (end - 14 * DAY, own),
    ):
        ok("sign", product, "--out", out, "--now", format_time(at))
        assert signer(product, out) == due
        ok("verify", out, "--trust", trust, "--now", format_time(at + DAY))
    for late in (end - 14 * DAY + 1, end):
        done = motd("sign", product, "--out", out, "--now", format_time(late))
        assert (done.code, "[openpgp-ends]" in done.err) == (1, True)
    status = motd("status", product, "--now", format_time(end - 14 * DAY), "--json").json
    assert (status["ok"], status["openpgp_days_left"]) == (True, 14)
    status = motd("status", product, "--now", format_time(end + DAY), "--json").json
    assert status["openpgp_days_left"] == -1
    assert "[openpgp-ends]" in status["problems"][-1]
    done = motd("trust", product, "--out", out, "--now", format_time(end))
    assert (done.code, "[openpgp-expired]" in done.err) == (1, True)
    done = ok("trust", product, "--out", out, "--now", format_time(end - DAY))
    assert f"warning: The OpenPGP key {own} ends at " in done.err


def shortest_life(product: Path) -> None:
    """A document lives for 14 days."""
    path = product / "product.toml"
    path.write_text(path.read_text().replace("lifetime_days = 45", "lifetime_days = 14"))


@pytest.mark.parametrize("hours", [-60 * 24, 5])
def test_d01_key_refresh_brings_a_prolonged_key_to_clients_before_and_after_its_end(
    home: Home, product: Path, tmp_path: Path, ok: Run, motd: Run, hours: int
) -> None:
    """Root's, whose spare signs the step once the key itself has ended; and one of the news."""
    end = factory.system_clock().now() + 3 * HOUR
    lasts_for = f"seconds={end - EARLY}"
    root, news = (home.make(f"{it} {hours}", "sign", lasts_for) for it in ("root", "news"))
    out, trust, at = tmp_path / "motd.json", tmp_path / "t.json", format_time(end + hours * HOUR)
    shortest_life(product)
    ok("key", "new", product, "--role", "root", *new(home, root))
    rest = [word for role in ("release", "status", "index") for word in ("--role", role)]
    ok("key", "new", product, *rest, "--no-passphrase")
    ok("key", "new", product, "--role", "motd", *new(home, news))
    ok("trust", product, "--out", trust, "--now", MARCH)
    assert "has changed" in ok("key", "refresh", product, "--now", at).err
    for own in (root, news):
        home.run(EARLY + DAY, "--quick-set-expire", own, "never")
    assert (motd("sign", product, "--out", out, "--now", at).code != 0) == (hours > 0)
    shutil.move(product / "root", tmp_path / "away")
    assert "[root-away]" in motd("key", "refresh", product, "--now", at).err
    shutil.move(tmp_path / "away", product / "root")
    done = ok("key", "refresh", product, "--now", at)
    assert done.out == "epoch 2: 5 keys\nrefreshed root-1\nrefreshed motd-1\n"
    assert f"renewed: openpgp motd-1 {news}\n" in done.err
    assert f"             {news} ends {format_time(end)} -> without end\n" in done.err
    ok("sign", product, "--out", out, "--now", at)
    ok("verify", out, "--trust", trust, "--now", at)
    later = format_time(end + 6 * HOUR)
    ok("sign", product, "--out", out, "--now", later)
    ok("trust", product, "--out", trust)
    ok("verify", out, "--trust", trust, "--now", later)


def test_d13_a_new_subkey_signs_once_a_refresh_brought_it_to_clients(
    home: Home, product: Path, tmp_path: Path, ok: Run
) -> None:
    own, out, trust = home.make("grows", "sign", "never"), tmp_path / "m.json", tmp_path / "t.json"
    ok("key", "new", product, *new(home, own))
    ok("trust", product, "--out", trust, "--now", MARCH)
    home.run(EARLY + DAY, "--quick-add-key", own, "ed25519", "sign", "never")
    _, subkey = home.fingerprints(own)
    ok("sign", product, "--out", out, "--now", MARCH)
    assert signer(product, out) == own
    said = ok("key", "refresh", product, "--now", MARCH).err
    assert f"             {subkey} not known -> without end\n" in said
    ok("sign", product, "--out", out, "--now", "2026-03-02T00:00:00Z")
    assert signer(product, out) == subkey
    ok("verify", out, "--trust", trust, "--now", "2026-03-02T00:00:00Z")


def test_before_anything_is_signed_a_refresh_changes_the_records_alone(
    home: Home, product: Path, ok: Run, motd: Run
) -> None:
    now = factory.system_clock().now()
    own = home.make("fresh", "sign", "1y", at=now - DAY)
    ok("key", "new", product, *new(home, own))
    home.run(now, "--quick-set-expire", own, "never")
    assert ok("key", "refresh", product).out == "refreshed motd-1\n"
    done = ok("trust", product, "--out", product / "t.json")
    assert "warning: The OpenPGP" not in done.err
    shutil.move(home.path, product / "elsewhere")  # a token that is not plugged in
    try:
        done = motd("key", "refresh", product)
        assert "warning: motd-1 stays as it is: The OpenPGP home" in done.err
        assert (done.code, "[openpgp-unavailable]" in done.err) == (1, True)
    finally:
        shutil.move(product / "elsewhere", home.path)
    assert not (product / "trust" / "epoch-2.json").exists()


def test_d01_a_rotation_does_not_outlast_its_keys(
    home: Home, product: Path, tmp_path: Path, ok: Run, motd: Run
) -> None:
    own = home.make("short", "sign", f"{VALID_TODAY}d")
    ok("key", "new", product, *new(home, own))
    ok("trust", product, "--out", tmp_path / "t.json", "--now", MARCH)
    assert "[openpgp-ends]" in motd("key", "rotate", product, "--now", MARCH).err
    ok("key", "rotate", product, "--now", MARCH, "--days", "30")
