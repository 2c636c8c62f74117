"""The vectors about declared statistics and error events, read as another implementation would."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from nacl.public import PrivateKey, SealedBox

from mars.errors import WireError
from mars.wire import keyfile, report, sealed
from mars.wire.catalogue import Catalogue
from mars.wire.sealed import Opener

FOLDER = Path(__file__).parent / "statistics"


def cases(name: str) -> list[Any]:
    found: list[Any] = json.loads((FOLDER / name).read_bytes())
    return [pytest.param(each, id=each["about"]) for each in found]


@pytest.mark.parametrize("case", cases("sealed.json"))
def test_a_body_is_opened_by_its_key_alone(case: dict[str, Any]) -> None:
    body, key = base64.b64decode(case["body"]), Opener.of(bytes.fromhex(case["secret"]))
    found = sealed.key_of(body)
    assert (None if found is None else found.hex()) == case["id"]
    text = sealed.opened(body, key) if found is not None else None
    assert (None if text is None else text.decode()) == case["text"]


@pytest.mark.parametrize("case", [it for it in cases("sealed.json") if "seed" in it.values[0]])
def test_a_body_is_a_sealed_box_of_libsodium(case: dict[str, Any]) -> None:
    """PyNaCl's own opens it; format, key id and length are as the page says."""
    body, secret = base64.b64decode(case["body"]), bytes.fromhex(case["secret"])
    public, text = bytes.fromhex(case["public"]), case["text"].encode()
    assert len(body) in (1024, 16_384)
    assert body[:9] == b"\x01" + hashlib.sha256(public).digest()[:8]
    assert SealedBox(PrivateKey(secret)).decrypt(body[9:]) == text.ljust(len(body) - 57)
    assert sealed.seal(text, public, bytes.fromhex(case["seed"]), len(body)) == body
    theirs = SealedBox(PrivateKey(secret).public_key).encrypt(text.ljust(len(body) - 57))
    assert sealed.opened(body[:9] + theirs, Opener.of(secret)) == text


@pytest.mark.parametrize(
    "case", [it for it in cases("registry.json") if "document" in it.values[0]]
)
def test_a_registry_document(case: dict[str, Any]) -> None:
    expect = case["expect"]
    if not expect["ok"]:
        with pytest.raises(WireError) as caught:
            Catalogue.decode(case["document"].encode())
        assert caught.value.reason == expect["reason"]
        return
    found = Catalogue.decode(case["document"].encode())
    assert Catalogue.decode(found.encode()) == found
    assert (found.encode().decode() == case["document"]) is ("member of the" not in case["about"])
    assert [it.name for it in found.entries] == expect["entries"]
    assert hashlib.sha256(case["document"].encode()).hexdigest() == expect["sha256"]


@pytest.mark.parametrize("case", cases("reports.json"))
def test_a_report(case: dict[str, Any]) -> None:
    expect = dict(case["expect"])
    if not expect.pop("ok"):
        with pytest.raises(WireError) as caught:
            report.decode(case["text"].encode())
        assert caught.value.reason == expect["reason"]
        return
    assert vars(report.decode(case["text"].encode())) == expect


def test_a_file_of_secret_keys() -> None:
    case = json.loads((FOLDER / "keyfile.json").read_bytes())
    found = keyfile.decode(case["file"].encode(), case["passphrase"].encode)
    assert {week: secret.hex() for week, secret in found.secrets.items()} == case["secrets"]
