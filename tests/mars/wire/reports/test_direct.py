"""Direct reports and deletions: bound to one recipient, of one GUID, and of nobody else's key."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire import ed25519
from mars.wire.reports.direct import (
    DELETION,
    MAX_MESSAGE,
    Content,
    Deletion,
    Direct,
    Identity,
    guid_of,
    prefix_of,
)
from mars.wire.reports.outer import INNER, Destination, joined, parted
from tests.mars.wire.reports.kit import (
    CONTENT,
    FAULT,
    IDENTITY,
    KEY,
    NONCE,
    OTHER_KEY,
    RELEASE,
    SEED,
    TO,
    TRIAGE,
    sealed,
)

ELSEWHERE = {
    "product": replace(TO, product="othermail"),
    "channel": replace(TO, channel="beta"),
    "release": replace(TO, release="0.5.1"),
    "release's key": replace(TO, key=OTHER_KEY.public),
}


LONG = b"x" * (MAX_MESSAGE + 1)


def test_a_direct_report_is_read_by_its_recipient() -> None:
    release, found = TRIAGE.read(sealed(IDENTITY.report(CONTENT, TO)))
    assert release == RELEASE and found == Direct(IDENTITY.guid, CONTENT)
    _, gone = TRIAGE.read(sealed(IDENTITY.deletion(TO)))
    assert gone == Deletion(IDENTITY.guid)


def test_the_guid_is_a_hash_of_key_and_nonce() -> None:
    digest = hashlib.blake2b(IDENTITY.key + NONCE, digest_size=20).digest()
    assert base64.b32decode(IDENTITY.guid.upper()) == digest
    assert prefix_of(IDENTITY.guid) == digest[:8]
    assert [prefix_of(it) for it in ("", "x" * 33, IDENTITY.guid.upper(), "1" * 32)] == [None] * 4


def test_j05_the_same_report_sealed_anew_has_the_same_guid() -> None:
    """And no byte by which the two could be told to be one without the keys."""
    inner = IDENTITY.report(CONTENT, TO)
    assert inner == IDENTITY.report(CONTENT, TO)
    other = Identity.of(SEED, b"\x05" * 24)
    assert other.guid != IDENTITY.guid and other.key != IDENTITY.key


def test_j17_keys_of_one_installation_are_unrelated() -> None:
    """What is sent holds neither the secret nor anything that two reports share."""
    nonces = [bytes([n]) * 24 for n in range(50)]
    found = [Identity.of(SEED, nonce) for nonce in nonces]
    assert len({each.key for each in found} | {each.seed for each in found}) == 100
    head, rest = parted(found[0].report(CONTENT, TO))
    other, _ = parted(found[1].report(CONTENT, TO))
    assert {name for name in head if head[name] == other[name]} == {"kind", "server"}
    assert SEED.hex() not in str(head) and SEED not in rest
    assert Identity.of(bytes(32), nonces[0]).key != found[0].key


@pytest.mark.parametrize("where", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("kind", ["report", "deletion"])
def test_j04_what_was_signed_for_another_recipient_is_refused(
    kind: str, where: Destination
) -> None:
    """Somebody who could open it there seals it to us."""
    inner = IDENTITY.report(CONTENT, where) if kind == "report" else IDENTITY.deletion(where)
    with pytest.raises(WireError) as caught:
        TRIAGE.read(sealed(inner))
    assert caught.value.reason == "bad-signature"


@pytest.mark.parametrize("kind", ["report", "deletion"])
def test_j04_what_is_for_another_server_is_refused(kind: str) -> None:
    """Also where the name of the server is put right."""
    there = replace(TO, server="b" * 56 + ".onion")
    inner = IDENTITY.report(CONTENT, there) if kind == "report" else IDENTITY.deletion(there)
    head, rest = parted(inner)
    for body, reason in (
        (inner, "other-server"),
        (joined({**head, "server": TO.server}, rest), "bad-signature"),
        (joined({**head, "server": 1}, rest), "bad-payload"),
    ):
        with pytest.raises(WireError) as caught:
            TRIAGE.read(sealed(body))
        assert caught.value.reason == reason


def refused(head: dict[str, object], rest: bytes) -> str:
    with pytest.raises(WireError) as caught:
        TRIAGE.read(sealed(joined(head, rest)))
    return caught.value.reason


def test_j04_nothing_of_a_signed_report_can_be_changed() -> None:
    head, rest = parted(IDENTITY.report(CONTENT, TO))
    other, _ = parted(Identity.of(SEED, b"\x05" * 24).report(CONTENT, TO))
    for name in ("key", "nonce", "signature"):
        assert refused({**head, name: other[name]}, rest) == "bad-signature"
    quiet = Content(FAULT, "linux").encode()
    assert refused(head, quiet) == "bad-signature"
    assert refused({**head, "kind": "deletion"}, rest) == "bad-signature"


def test_j10_only_the_reports_own_key_deletes_it() -> None:
    """The key and nonce of the report, which triage knows, do not make its signature; one's own
    key makes another GUID; a report's signature is none to a deletion."""
    head, _ = parted(IDENTITY.report(CONTENT, TO))
    assert refused({**head, "kind": "deletion"}, b"") == "bad-signature"
    thief = Identity(bytes(32), NONCE)
    assert thief.guid != IDENTITY.guid
    own, _ = parted(thief.deletion(TO))
    assert refused({**own, "key": head["key"]}, b"") == "bad-signature"
    gone, _ = parted(IDENTITY.deletion(TO))
    assert refused({**gone, "kind": "direct"}, b"") == "bad-signature"


def test_a_deletion_can_be_sealed_to_another_release() -> None:
    """The one that it was sent of may be withdrawn."""
    to = replace(TO, release="0.5.1", key=OTHER_KEY.public)
    release, found = TRIAGE.read(sealed(IDENTITY.deletion(to), to))
    assert (release, found) == ("0.5.1", Deletion(IDENTITY.guid))


@pytest.mark.parametrize(
    "change",
    [
        {"key": bytes(32).hex()},
        {"key": (b"\x01" + bytes(31)).hex()},
        {"key": (b"\xee" + b"\xff" * 30 + b"\x7f").hex()},
        {"signature": bytes(64).hex()},
    ],
)
def test_j04_keys_of_small_order_sign_nothing(change: dict[str, str]) -> None:
    """With them a signature of zeros would hold for any text."""
    head, rest = parted(IDENTITY.report(CONTENT, TO))
    zeros = {"signature": (b"\x01" + bytes(63)).hex()}
    assert refused({**head, **zeros, **change}, rest) == "bad-signature"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"guid": "a" * 32}, "extra-member"),
        ({"key": "A" * 64}, "bad-payload"),
        ({"key": "ab"}, "bad-payload"),
        ({"nonce": None}, "bad-payload"),
        ({"signature": 5}, "bad-payload"),
    ],
)
def test_the_head_is_read_strictly(change: dict[str, object], reason: str) -> None:
    head, rest = parted(IDENTITY.report(CONTENT, TO))
    assert refused({**head, **change}, rest) == reason


def test_a_signed_deletion_that_says_more_is_refused() -> None:
    """Signed rightly, by a program that is not ours."""
    inner = IDENTITY._signed(DELETION, TO, b"more")
    with pytest.raises(WireError) as caught:
        TRIAGE.read(sealed(inner))
    assert caught.value.reason == "bad-payload"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "not-json"),
        (b'{"types":["E"],"frames":[]}', "bad-payload"),
        (b'{"types":["E"],"frames":[],"platform":"beos"}', "bad-payload"),
        (b'{"types":["E"],"frames":[],"platform":"linux","message":5}', "bad-payload"),
        (b'{"types":["E"],"frames":[],"platform":"linux","path":"/home"}', "extra-member"),
        (b'{"types":["E"],"frames":[],"platform":"linux","message":"\\ud800"}', "bad-text"),
        (b'{"types":["E"],"frames":[],"platform":"linux","message":"%b"}' % LONG, "bad-payload"),
    ],
)
def test_the_content_is_read_strictly(text: bytes, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        Content.decode(text)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [("x" * (MAX_MESSAGE + 1), "too-large"), ("\x00" * 400, "too-large"), ("\ud800", "bad-text")],
)
def test_a_message_has_bounds(message: str, reason: str) -> None:
    with pytest.raises(WireError) as caught:
        IDENTITY.report(Content(FAULT, "linux", message), TO)
    assert caught.value.reason == reason
    assert caught.value.message.endswith(("; make it shorter.", "; write it anew."))


@given(st.text(max_size=300))
def test_a_message_comes_back_as_it_was_written(message: str) -> None:
    content = Content(FAULT, "other", message)
    assert Content.decode(content.encode()) == content


def test_what_is_signed_is_on_the_page() -> None:
    """As docs/wire-format.md writes it, without our functions."""
    head, rest = parted(IDENTITY.report(CONTENT, TO))
    digest = hashlib.blake2b(rest, digest_size=32).digest()
    parts = [b"MARS error report 1", b"examplemail", b"stable", b"0.5.2", KEY.public]
    parts += [TO.server.encode(), guid_of(IDENTITY.key, NONCE).encode(), digest]
    text = b"".join(len(part).to_bytes(2, "big") + part for part in parts)
    assert ed25519.verify(IDENTITY.key, bytes.fromhex(head["signature"]), text)
    assert len(joined(head, rest)) == INNER
