"""The vectors about error reports, read as another implementation would read them."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nacl.bindings as sodium
import pytest
from nacl.public import PrivateKey, SealedBox
from nacl.secret import SecretBox
from nacl.signing import VerifyKey

from mars.errors import WireError
from mars.wire.reports.crowd import Share, recover
from mars.wire.reports.direct import Direct
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Outer, joined
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Status
from tests.vectors.reports import KEY, SEED, TO, TRIAGE

FOLDER = Path(__file__).parent / "reports"
ORDER = 2**252 + 27742317777372353535851937790883648493


def read(name: str) -> Any:
    return json.loads((FOLDER / name).read_bytes())


def cases(name: str) -> list[Any]:
    return listed(read(name))


def listed(some: list[Any]) -> list[Any]:
    return [pytest.param(each, id=each["about"]) for each in some]


INSIDES = listed(read("insides.json")["cases"])


@pytest.mark.parametrize("case", cases("faults.json"))
def test_a_fault(case: dict[str, Any]) -> None:
    fault = Fault.bounded(case["types"], case["frames"])
    assert fault.body.decode() == case["body"]
    assert Fault.decode(case["body"].encode()) == fault
    said = json.loads(case["body"])
    signature = {"types": said["types"], "names": case["names"]}
    assert json.dumps(signature, ensure_ascii=False, separators=(",", ":")) == case["signature"]
    digest = hashlib.blake2b(case["signature"].encode(), digest_size=16).hexdigest()
    assert (fault.digest, sorted(fault.words)) == (digest, case["words"])
    for name in (*said["types"], *said["frames"]):
        assert len(json.dumps(name, ensure_ascii=False).encode()) <= 152


@pytest.mark.parametrize("case", cases("bodies.json"))
def test_a_body(case: dict[str, Any]) -> None:
    text = case["text"].encode()
    if case["expect"]["ok"]:
        assert Fault.decode(text).body == text
        return
    with pytest.raises(WireError) as caught:
        Fault.decode(text)
    assert caught.value.reason == case["expect"]["reason"]


def test_a_sealed_report_opens_with_other_tools() -> None:
    """JSON, a sealed box, a head, padding, and Ed25519 over what the page says."""
    case = read("sealed.json")
    outer = json.loads(case["text"])
    secret = PrivateKey(bytes.fromhex(case["secret"]))
    inner = SealedBox(secret).decrypt(base64.b64decode(outer.pop("box")))
    line, _, rest = inner.partition(b"\n")
    rest = rest.rstrip(b"\0")[:-1]
    head = json.loads(line)
    assert len(inner) == 12_000 and rest.decode() == case["content"]
    assert list(outer.values()) == ["report", "examplemail", "stable", "0.5.2"]
    key, nonce = bytes.fromhex(head["key"]), bytes.fromhex(head["nonce"])
    digest = hashlib.blake2b(key + nonce, digest_size=20).digest()
    assert base64.b32encode(digest).decode().lower() == case["guid"]
    parts = [b"MARS error report 1", b"examplemail", b"stable", b"0.5.2", bytes(secret.public_key)]
    parts += [case["server"].encode(), case["guid"].encode()]
    parts += [hashlib.blake2b(rest, digest_size=32).digest()]
    text = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    VerifyKey(key).verify(text, bytes.fromhex(head["signature"]))
    release, found = TRIAGE.read(case["text"].encode())
    assert isinstance(found, Direct)
    assert (release, found.guid) == ("0.5.2", case["guid"])


@pytest.mark.parametrize("case", INSIDES)
def test_an_inside(case: dict[str, Any]) -> None:
    inner = joined(case["head"], base64.b64decode(read("insides.json")["rests"][case["rest"]]))
    text = Outer.sealed(inner, TO, SEED).encode()
    expect = case["expect"]
    if not expect["ok"]:
        with pytest.raises(WireError) as caught:
            TRIAGE.read(text)
        assert caught.value.reason == expect["reason"]
        return
    _, found = TRIAGE.read(text)
    if isinstance(found, Share):
        assert found.tag == expect["tag"]
    else:
        assert found.guid == expect["guid"]
        content = found.content.encode().decode() if isinstance(found, Direct) else None
        assert content == expect["content"]
    with pytest.raises(WireError, match="another product"):
        replace(TRIAGE, channel="beta", keys={"0.5.2": KEY}).read(text)


def test_shares_of_a_crowd() -> None:
    """By whole numbers and libsodium alone, as the page says; Argon2id is tried beside it."""
    case = read("crowd.json")
    names = [case["product"].encode(), case["release"].encode(), case["signature"].encode()]
    framed = b"".join(len(part).to_bytes(2, "big") + part for part in names)
    first = bytes.fromhex(case["coefficients"][0])
    hashes = [hashlib.blake2b(framed, key=first, salt=bytes([at])).digest() for at in range(1, 10)]
    numbers = [int.from_bytes(each, "little") % ORDER for each in (first, *hashes)]
    assert [each.to_bytes(32, "little").hex() for each in numbers] == case["coefficients"]
    commitments = b"".join(
        sodium.crypto_scalarmult_ed25519_base_noclamp(each.to_bytes(32, "little"))
        for each in numbers
    )
    assert commitments.hex() == case["commitments"]
    tag = hashlib.blake2b(commitments, digest_size=32).digest()
    assert tag.hex() == case["tag"]
    key = hashlib.blake2b(first, digest_size=32).digest()
    found = []
    for each in case["shares"]:
        secret, nonce = bytes.fromhex(each["secret"]), bytes.fromhex(each["nonce"])
        hashed = hashlib.blake2b(tag, key=secret, person=b"MARS crowd").digest()
        x = 1 + int.from_bytes(hashed, "little") % (ORDER - 1)
        y = sum(number * x**at for at, number in enumerate(numbers)) % ORDER
        assert (x.to_bytes(32, "little").hex(), y.to_bytes(32, "little").hex()) == (
            each["x"],
            each["y"],
        )
        text = case["body"].encode().ljust(9212)
        box = SecretBox(key).encrypt(text, nonce).ciphertext
        assert hashlib.sha256(box).hexdigest() == each["encrypted"]
        found.append(Share(x, y, commitments, nonce, box))
    body = case["recovered"].encode()
    for ten in (found[:10], found[1:]):
        recovered = recover(ten, case["product"], case["release"])
        assert recovered is not None and recovered.body == body
    assert recover(found[:9], case["product"], case["release"]) is None


@pytest.mark.parametrize("case", cases("rules.json"))
def test_a_rule(case: dict[str, Any]) -> None:
    if case["claims"] is None:
        with pytest.raises(WireError) as caught:
            Rule.parse(case["rule"])
        assert caught.value.reason == "rule-invalid"
    else:
        assert Rule.parse(case["rule"]).claims(case["words"]) is case["claims"]


def test_a_status_document() -> None:
    case = read("status.json")
    status = Status.decode(case["payload"].encode())
    assert status.encode().decode() == case["payload"]
    packed = base64.b64decode(json.loads(case["payload"])["prefixes"])
    records = [packed[at : at + 10] for at in range(0, len(packed), 10)]
    for each in case["guids"]:
        answer = status.answer(each["guid"])
        assert (answer and answer.state) == each["state"]
        prefix = base64.b32decode(each["guid"].upper())[:8]
        places = [it[8] << 8 | it[9] for it in records if prefix and it[:8] == prefix]
        assert [status.answers[at].state for at in places] == [each["state"]] * len(places)
    for each in case["faults"]:
        answer = status.known(Fault.decode(each["body"].encode()), each["version"])
        assert (answer and answer.state) == each["state"]
