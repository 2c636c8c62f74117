"""Keys documents, trust.json, envelopes, times: what the hostile rows do not already try."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mars.errors import WireError
from mars.testing.memory import MemoryKey
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.wire import ed25519, envelope, times
from mars.wire.envelope import Envelope, Signature, pae
from mars.wire.keys import ROLES, KeysDocument, TrustRoot, keyid

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
KEY = MemoryKey(b"m" * 32)
PUBLISHER = Publisher(seeds=[b"a" * 32, b"b" * 32], threshold=2, openpgp=[KEY])
ROOT = PUBLISHER.trust(1_700_000_000, servers=(ONION,), built=1_700_000_000)
HEX, OTHER = (ed25519.public_key(each * 32).hex() for each in (b"a", b"z"))
BLOCKS = ROOT.keys.openpgp


def test_pae_is_that_of_the_specification() -> None:
    # DSSE protocol.md 1.0, "Signature Definition" and test vector.
    signed = pae("http://example.com/HelloWorld", b"hello world")
    assert signed == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("é", b"") == b"DSSEv1 2 \xc3\xa9 0 "


def test_ed25519_is_that_of_rfc_8032() -> None:
    # Section 7.1, TEST 2.
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = ed25519.sign(seed, b"\x72")
    assert ed25519.public_key(seed) == public
    assert signature.hex().startswith("92a009a9f0d4cab8720e820b5f642540")
    assert ed25519.verify(public, signature, b"\x72")
    assert not ed25519.verify(public, signature, b"\x73")
    assert not ed25519.verify(public[:-1], signature, b"\x72")
    assert not ed25519.is_public_key(b"x")
    assert len(ed25519.generate()) == 32
    assert ed25519.generate() != ed25519.generate()


def test_keyid_is_the_beginning_of_the_hash() -> None:
    assert keyid(bytes(32)) == "66687aadf862bd77"


def test_trust_root_survives_being_written_and_read() -> None:
    assert TrustRoot.decode(ROOT.encode()) == ROOT
    bare = Publisher(seeds=[b"a" * 32]).trust()
    assert TrustRoot.decode(bare.encode()) == bare


def test_trust_root_holds_what_the_contract_names() -> None:
    plain = json.loads(ROOT.encode())
    assert plain["product"] == "examplemail"
    assert plain["channel"] == "stable"
    assert plain["epoch"] == 1
    assert (plain["gen"], plain["crowd"]) == (1, 0)
    assert plain["roles"]["motd"]["threshold"] == 2
    assert plain["policy"] == "when-available"
    assert plain["minimum_serial"] == 1_700_000_000
    assert HEX in plain["roles"]["motd"]["ed25519"].values()
    assert plain["roles"]["motd"]["openpgp"] == [KEY.fingerprint]
    assert plain["openpgp"][KEY.fingerprint] == KEY.block
    assert set(plain["roles"]) == set(ROLES)
    assert "openpgp" not in plain["roles"]["status"]
    assert "x-steering" not in plain


def test_trust_root_says_what_steers() -> None:
    bare = ROOT.steering
    assert (bare.servers, bare.serial, bare.links) == ((ONION,), 0, ())
    publisher = replace(PUBLISHER)
    publisher.steer(servers=(ONION,), reportback_next=604_800)
    root = TrustRoot.decode(publisher.trust().encode())
    assert root == publisher.trust()
    assert root.steering.reportback_next == 604_800
    for other in (replace(PUBLISHER, product="other"), replace(PUBLISHER, channel="beta")):
        publisher.x_steering = other.steer()
        with pytest.raises(WireError) as caught:
            TrustRoot.decode(publisher.trust().encode())
        assert caught.value.reason == "bad-payload"
    news = envelope.decode(publisher.document())
    with pytest.raises(WireError):
        TrustRoot.decode(replace(ROOT, x_steering=news).encode())


def test_what_decides_who_signs_has_one_digest_under_any_names() -> None:
    document = KeysDocument("examplemail", "stable", 1, 1, 9, PUBLISHER.key_set())
    assert document.digest == ROOT.digest
    assert PUBLISHER.key_set().signing("index").policy == "off"
    keys = PUBLISHER.key_set()
    motd = keys.roles["motd"]
    renamed = replace(motd, ed25519={name[::-1]: key for name, key in motd.ed25519.items()})
    assert replace(ROOT, keys=replace(keys, roles={**keys.roles, "motd": renamed})).digest == (
        ROOT.digest
    )
    lower = replace(keys.roles["status"], threshold=1)
    others = [
        replace(ROOT, epoch=2),
        replace(ROOT, product="other"),
        replace(ROOT, channel="beta"),
        replace(ROOT, keys=replace(keys, policy="required")),
        replace(ROOT, keys=replace(keys, openpgp={})),
        replace(ROOT, keys=replace(keys, roles={**keys.roles, "status": lower})),
    ]
    assert len({ROOT.digest, *(other.digest for other in others)}) == 7


def role(name: str = "motd", **changes: Any) -> dict[str, Any]:
    """The members of a trust file whose role ``name`` has ``changes``."""
    roles = json.loads(ROOT.encode())["roles"]
    return {"roles": {**roles, name: {**roles[name], **changes}}}


@pytest.mark.parametrize(
    "changes",
    [
        {"epoch": 0},
        {"epoch": "1"},
        {"gen": 0},
        {"gen": "1"},
        {"crowd": "100"},
        {"crowd": True},
        {"crowd": 10**12 + 1},
        {"roles": {}},
        {"roles": []},
        {"roles": {"root": {}}},
        {"roles": {**ROOT.keys.plain()["roles"], "other": {}}},  # type: ignore[dict-item]
        {"roles": {**ROOT.keys.plain()["roles"], "root": []}},  # type: ignore[dict-item]
        role(threshold=0),
        role(threshold=3),
        role(threshold=None),
        role(ed25519={}),
        role(ed25519={"a": HEX.upper()}),
        role(ed25519={"a": HEX[:-2]}),
        role(ed25519={"a": 1}),
        role(ed25519=[HEX]),
        role(ed25519={"x" * 65: HEX}),
        role(ed25519={str(n): HEX for n in range(17)}),
        role("root", ed25519={"a": HEX, "b": OTHER}),
        role(openpgp=[]),
        role(openpgp=[KEY.fingerprint] * 2),
        role(openpgp=[KEY.another(str(n)).fingerprint for n in range(5)]),
        role("root", openpgp=[KEY.fingerprint]),
        role("status", openpgp=[KEY.fingerprint]),
        role(openpgp=["0" * 40]),
        {"openpgp": {**BLOCKS, KEY.fingerprint.lower(): KEY.block}},
        {"openpgp": {**BLOCKS, KEY.fingerprint[24:]: KEY.block}},
        {"openpgp": {**BLOCKS, KEY.fingerprint: "no block"}},
        {"openpgp": {**BLOCKS, "0" * 40: KEY.block}},
        {"openpgp": {f"{n:040X}": KEY.block for n in range(13)}},
        {"openpgp": {}},
        {"policy": "off"},
        {"policy": "sometimes"},
        {"servers": ["https://example.org"]},
        {"servers": [ONION + "/"]},
        {"servers": [ONION] * 9},
        {"built": 1},
        {"minimum_serial": "0"},
        {"product": "Upper"},
    ],
)
def test_trust_root_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    data = json.dumps({**json.loads(ROOT.encode()), **changes}).encode()
    with pytest.raises(WireError) as caught:
        TrustRoot.decode(data)
    assert caught.value.reason == "bad-payload"


def test_seven_is_the_highest_threshold() -> None:
    for count, fits in ((7, True), (8, False)):
        seeds = [bytes([n]) * 32 for n in range(count)]
        data = Publisher(seeds=seeds, threshold=count).trust().encode()
        if fits:
            assert TrustRoot.decode(data).keys.roles["motd"].threshold == 7
        else:
            with pytest.raises(WireError):
                TrustRoot.decode(data)


def test_fingerprints_of_later_openpgp_versions_are_read() -> None:
    members = json.loads(ROOT.encode().replace(KEY.fingerprint.encode(), b"A" * 64))
    assert "A" * 64 in TrustRoot.decode(json.dumps(members).encode()).keys.openpgp


@pytest.mark.parametrize("kind", ["motd", "keys", None])
def test_another_document_is_no_trust_root(kind: str | None) -> None:
    data = json.dumps({**json.loads(ROOT.encode()), "type": kind}).encode()
    with pytest.raises(WireError) as caught:
        TrustRoot.decode(data)
    assert caught.value.reason == "wrong-kind"


def test_keys_document_survives_being_written_and_read() -> None:
    document = KeysDocument(
        "examplemail", "stable", 2, EXAMPLE_NOW, EXAMPLE_NOW + 9, PUBLISHER.key_set()
    )
    assert KeysDocument.decode(document.encode()) == document


@pytest.mark.parametrize("member", ["issued", "expires", "epoch", "roles", "openpgp", "product"])
def test_keys_document_without_a_member_is_refused(member: str) -> None:
    document = KeysDocument("examplemail", "stable", 2, 1, 9, PUBLISHER.key_set())
    plain = json.loads(document.encode())
    del plain[member]
    with pytest.raises(WireError) as caught:
        KeysDocument.decode(json.dumps(plain).encode())
    assert caught.value.reason == "bad-payload"


@pytest.mark.parametrize(
    "members",
    [
        {"payloadType": 1},
        {"payloadType": None},
        {"payload": 1},
        {"payload": None},
        {"signatures": [{"sig": 1}]},
        {"signatures": [{}]},
        {"signatures": [{"sig": "", "keyid": 1}]},
    ],
)
def test_envelope_of_another_form_is_refused(members: dict[str, Any]) -> None:
    good = {"payloadType": "x", "payload": "", "signatures": [{"sig": ""}]}
    assert envelope.decode(json.dumps(good).encode()).payload == b""
    with pytest.raises(WireError) as caught:
        envelope.decode(json.dumps({**good, **members}).encode())
    assert caught.value.reason == "bad-envelope"


def test_payload_over_the_limit_is_refused() -> None:
    for size, fits in ((32 * 1024, True), (32 * 1024 + 1, False)):
        data = envelope.encode(Envelope("x", bytes(size), (Signature("", b""),)))
        if fits:
            assert len(envelope.decode(data).payload) == size
        else:
            with pytest.raises(WireError) as caught:
                envelope.decode(data)
            assert caught.value.reason == "too-large"


def test_chain_inside_of_a_chain_is_not_read() -> None:
    step = Envelope("k", b"1", (Signature("", b""),))
    nested = Envelope(
        "m", b"2", (Signature("", b""),), (Envelope("k", b"3", step.signatures, (step,)),)
    )
    assert envelope.decode(envelope.encode(nested)).x_keys[0].x_keys == ()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-21T00:00:00Z", EXAMPLE_NOW),
        ("2024-02-29T23:59:59Z", 1_709_251_199),
        ("9999-12-31T23:59:59Z", times.LAST),
    ],
)
def test_times_are_read_and_written(text: str, seconds: int) -> None:
    assert times.parse_time(text) == seconds
    assert times.format_time(seconds) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-11-21", "2026-11-21T00:00:00", "2026-11-21 00:00:00Z", "2026-11-21T00:00:00z"),
        *("2026-11-21T00:00:00.0Z", "2026-11-21T00:00:00+00:00", "2026-11-21T24:00:00Z"),
        *("2026-11-21T23:59:60Z", "2023-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "+026-01-01"),
        *("1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z", "２026-11-21T00:00:00Z"),
        *("2026-11-21T00:00:00Z\n", "20261121T000000Z"),
    ],
)
def test_other_forms_of_time_are_refused(text: str) -> None:
    with pytest.raises(WireError) as caught:
        times.parse_time(text)
    assert caught.value.reason == "bad-time"


@pytest.mark.parametrize("seconds", [-1, times.LAST + 1])
def test_times_outside_of_four_digit_years_are_not_written(seconds: int) -> None:
    with pytest.raises(WireError) as caught:
        times.format_time(seconds)
    assert caught.value.reason == "bad-time"
