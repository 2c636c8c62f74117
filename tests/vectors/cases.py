"""The cases of which the vectors are made. All keys come from fixed seeds; nobody may use them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from mars.ports import OpenPGP, OpenPGPVerdict
from mars.testing.publisher import EXAMPLE_NOW, Publisher, ed25519_signature
from mars.trust import TrustState, verify
from mars.wire import envelope
from mars.wire import motd as motds
from mars.wire.envelope import KEYS_TYPE, Envelope, Signature, pae
from mars.wire.keys import TrustRoot
from mars.wire.motd import Message, Target
from mars.wire.times import DAY
from testbed.packets import PacketKey

NOW = EXAMPLE_NOW
SEEDS = [bytes([n]) * 32 for n in range(1, 10)]
DATED = (-90, *range(-5, 6))
"""Days from NOW on which the vectors' OpenPGP signatures are made."""
KEY, OFFLINE, STRANGER, ENDING = (PacketKey(bytes([n]) * 32) for n in (21, 22, 23, 24))
ENDS_LATER = replace(ENDING, expires_after=NOW + DAY - ENDING.created)
ENDED = replace(ENDING, expires_after=NOW - ENDING.created)
REVOKED = replace(ENDS_LATER, revoked=True)
"""One key with different ends; of the last one gpg says only that it has ended."""
OURS = [
    each
    for key in (KEY, OFFLINE, ENDS_LATER, ENDED, REVOKED)
    for each in (key, *map(key.another, ("root", "release")))
]


@dataclass(frozen=True)
class Vector:
    """One case. ``gpg``: ``present``, ``absent`` (not installed) or ``broken`` (hangs, fails)."""

    name: str
    about: str
    document: bytes
    root: TrustRoot
    state: TrustState = field(default_factory=TrustState.initial)
    now: int = NOW
    gpg: str = "present"


def publisher(**changes: Any) -> Publisher:
    """Two of three Ed25519 keys and an OpenPGP key, unless told otherwise."""
    plain = {"seeds": SEEDS[:3], "threshold": 2, "openpgp": [KEY, OFFLINE]}
    return Publisher(**{**plain, **changes})


def simple(**changes: Any) -> Publisher:
    """One Ed25519 key and no OpenPGP."""
    return publisher(seeds=SEEDS[:1], threshold=1, openpgp=[], **changes)


def changed(signer: Publisher, **members: Any) -> bytes:
    """A document whose payload has ``members`` replaced; None removes one."""
    payload = {**json.loads(motds.encode(signer.motd())), **members}
    kept = {name: value for name, value in payload.items() if value is not None}
    return signed(signer, json.dumps(kept, ensure_ascii=False).encode())


def signed(signer: Publisher, payload: bytes) -> bytes:
    return envelope.encode(signer.envelope(payload, at=NOW))


def opened(signer: Publisher) -> Envelope:
    return envelope.decode(signer.document())


def judged(document: bytes, root: TrustRoot, state: TrustState | None = None) -> TrustState:
    return verify(document, root, state or TrustState.initial(), NOW, Present()).state


class Present:
    """Believes the signatures that the fixed keys make; the vectors' own gpg.

    The test of the vectors asks real gpg instead, so the two are compared there.
    """

    def verify(self, signature: bytes, message: bytes, keys: Any) -> OpenPGPVerdict:
        for key in OURS:
            for day in DATED:
                at = NOW + day * DAY
                if key.block in keys and signature == key.sign(message, at):
                    return OpenPGPVerdict(None, key.fingerprint, at, key.fingerprint)
        return OpenPGPVerdict("openpgp-bad")


class Failing:
    """gpg that is ``absent`` or ``broken``."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def verify(self, signature: bytes, message: bytes, keys: Any) -> OpenPGPVerdict:
        return OpenPGPVerdict(self._reason)


GPG: dict[str, Callable[[], OpenPGP]] = {
    "present": Present,
    "absent": lambda: Failing("openpgp-absent"),
    "broken": lambda: Failing("openpgp-unavailable"),
}


def accepted() -> Iterator[Vector]:
    """Documents that hold."""
    full, one = publisher(), simple()
    yield Vector(
        "ok-2-of-3-openpgp", "two of three keys and OpenPGP", full.document(), full.trust()
    )
    ending = publisher(openpgp=[ENDS_LATER])
    about = "the OpenPGP key has ended since it signed"
    yield Vector("ok-openpgp-ended", about, ending.document(), ending.trust(), now=NOW + 2 * DAY)
    yield Vector("ok-minimal", "one key, policy off", one.document(), one.trust())
    members = json.loads(one.document())
    members |= {"later": {"a": [None, True]}, "payload": members["payload"]}
    yield Vector("ok-unknown-member", "unknown members", json.dumps(members).encode(), one.trust())
    later = changed(one, later={"a": None})
    yield Vector("ok-unknown-in-payload", "unknown member of the payload", later, one.trust())
    bare = changed(one, messages=None, news=None, newest_version=None, reportback_next=None)
    yield Vector("ok-optional-members-absent", "only what is required", bare, one.trust())
    rich = one.document(
        news="Útgáfa\n新しい",
        messages=(
            Message(
                id="a",
                title={"en": "x", "pt_BR": "y"},
                text={"en": "z"},
                revision=3,
                kind="security",
                severity="critical",
                not_before=NOW,
                not_after=NOW + DAY,
                target=Target(("windows",), ">=0.1,<0.1.3", ("is",), unknown=False),
                url="https://example.org/",
            ),
        ),
    )
    yield Vector("ok-every-member", "a message with every member", rich, one.trust())
    url_safe = json.loads(rich)
    url_safe["payload"] = url_safe["payload"].replace("+", "-").replace("/", "_")
    for entry in url_safe["signatures"]:
        entry["sig"] = entry["sig"].replace("+", "-").replace("/", "_")
    yield Vector(
        "ok-url-safe-base64", "URL-safe base64", json.dumps(url_safe).encode(), one.trust()
    )
    lying = opened(full)
    entries = tuple(replace(entry, keyid="lie") for entry in reversed(lying.signatures))
    lie = envelope.encode(replace(lying, signatures=entries))
    yield Vector("ok-keyids-lie", "keyid is only a hint", lie, full.trust())
    seen = judged(one.document(), one.trust())
    yield Vector("ok-no-news", "the same document again", one.document(), one.trust(), seen)
    yield Vector(
        "ok-gpg-absent", "skipped under when-available", full.document(), full.trust(), gpg="absent"
    )
    yield from rotations()
    yield from overruled()
    yield from ridden()


def overruled() -> Iterator[Vector]:
    """Releases that decide between two histories, or do not."""
    root, thief, new = simple().trust(), simple(), simple()
    thief.rotate(NOW - DAY, seeds=SEEDS[6:7])
    captured = judged(thief.document(), root)
    new.rotate(NOW, seeds=SEEDS[3:4])
    release = new.trust(gen=2, minimum_serial=NOW - DAY)
    about = "a release pins another epoch 2 than the one that was followed"
    yield Vector("ok-release-overrules", about, new.document(), release, captured)
    after = judged(new.document(), release)
    yield Vector("ok-older-program", "its pins decide nothing", new.document(), root, after)
    known = judged(new.document(), root)
    about = "a release pins the epoch that was followed"
    yield Vector("ok-release-agrees", about, new.document(), release, known)
    forged = replace(new.chain[0], signatures=thief.chain[0].signatures)
    about = "another step for a known epoch, which root did not sign"
    document = envelope.encode(replace(opened(new), x_keys=(forged,)))
    yield Vector("ok-step-passed-over", about, document, root, known)


def ridden() -> Iterator[Vector]:
    """What rides beside the news: kept where its role signed it, else passed over."""
    full = publisher()
    root = full.trust()
    full.steer(NOW, reportback_next=7 * DAY, registry="ab" * 32, intake={"2026-W48": "cd" * 32})
    full.offer(NOW, minimum_version="0.4.0")
    yield Vector("ok-riders", "steering and downloads", full.document(), root)
    known = judged(full.document(), root)
    pinned = full.trust()
    yield Vector("ok-steering-pinned", "in the trust file", publisher().document(), pinned)
    full.steer(NOW - DAY)
    yield Vector("ok-steering-older", "passed over", full.document(NOW + DAY), root, known)
    full.steer(NOW, reportback_next=9 * DAY)
    yield Vector("ok-steering-twin", "kept as evidence", full.document(NOW + DAY), root, known)
    full.steer(NOW + 2 * DAY)
    yield Vector("ok-steering-future", "passed over", full.document(NOW + DAY), root, known)
    for name, role in (("steering", "motd"), ("release", "root")):
        other = publisher()
        rider = other.steer() if name == "steering" else other.offer()
        message = pae(rider.payload_type, rider.payload)
        forged = replace(rider, signatures=other.signatures(message, NOW, role))
        bare = replace(opened(other), x_steering=None, x_release=None)
        carried = (
            replace(bare, x_steering=forged)
            if name == "steering"
            else replace(bare, x_release=forged)
        )
        document = envelope.encode(carried)
        yield Vector(f"ok-{name}-forged", f"signed by {role}", document, root)


def rotations() -> Iterator[Vector]:
    """Chains that hold."""
    new, root = publisher(), publisher().trust()
    new.rotate(NOW, seeds=SEEDS[3:6], threshold=2)
    yield Vector("ok-rotation", "one step", new.document(), root)
    ahead = judged(publisher().document(NOW + DAY), root)
    yield Vector("ok-recovery", "a new epoch forgets the floor", new.document(), root, ahead)
    middle = judged(new.document(), root)
    new.rotate(NOW, seeds=SEEDS[6:9], threshold=3, openpgp=[OFFLINE])
    yield Vector("ok-two-rotations", "two steps", new.document(), root)
    yield Vector("ok-second-rotation", "the first is known", new.document(), root, middle)


def refused_bytes() -> Iterator[Vector]:
    """Bytes that are no envelope or no payload."""
    one = simple()
    root, good = one.trust(), one.document()
    payload = motds.encode(one.motd())
    members = json.loads(good)

    def outer(name: str, about: str, data: bytes) -> Vector:
        return Vector(name, about, data, root)

    def inner(name: str, about: str, data: bytes) -> Vector:
        return Vector(name, about, signed(one, data), root)

    yield outer("too-large", "64 KiB and one byte", good.ljust(65_537))
    yield inner("not-utf8", "Latin-1", payload.replace("ó".encode(), b"\xf3"))
    yield outer("not-json", "a second value", good + b"{}")
    yield inner("not-json-bom", "a byte order mark", b"\xef\xbb\xbf" + payload)
    yield inner("too-deep", "nine arrays", payload.replace(b'"news":""', b'"x":' + b"[" * 9))
    doubled = good.replace(b'"signatures"', b'"payload":"e30=","signatures"', 1)
    yield outer("duplicate-member", "two payloads", doubled)
    for name, number in (("float", b"1.0"), ("exponent", b"1e2"), ("minus-zero", b"-0")):
        text = payload.replace(b'"reportback_next":0', b'"reportback_next":' + number)
        yield inner(f"bad-number-{name}", f"{number.decode()} as a number", text)
    large = payload.replace(b'"reportback_next":0', b'"reportback_next":9007199254740992')
    yield inner("bad-number", "2^53", large)
    yield inner("bad-text", "half a pair", payload.replace(b'"news":""', rb'"news":"\ud800"'))
    empty = json.dumps({**members, "signatures": []}).encode()
    yield outer("bad-envelope", "no signatures", empty)
    unpadded = json.dumps({**members, "payload": "aGk"}).encode()
    yield outer("bad-base64", "no padding", unpadded)
    loose = json.dumps({**members, "payload": "aGl="}).encode()
    yield outer("bad-base64-bits", "bits after the end", loose)
    yield inner(
        "bad-payload", "no epoch", json.dumps({**json.loads(payload), "epoch": None}).encode()
    )
    yield inner(
        "bad-payload-true", "true as a number", payload.replace(b'"epoch":1', b'"epoch":true')
    )
    yield inner("wrong-kind", "another type", payload.replace(b'"motd"', b'"keys"', 1))
    yield inner("newer-format", "version 2", payload.replace(b'"version":1', b'"version":2'))
    twice = one.motd(messages=one.motd().messages * 2)
    yield inner("duplicate-message", "one id twice", motds.encode(twice))


def refused_signatures() -> Iterator[Vector]:
    """Documents that the wrong people signed, or too few."""
    one, full = simple(), publisher()
    root, pinned, good = one.trust(), full.trust(), opened(full)
    other = envelope.encode(one.envelope(motds.encode(one.motd()), KEYS_TYPE))
    yield Vector("wrong-payload-type", "the keys document's type", other, root)
    raw = replace(opened(one), signatures=(ed25519_signature(SEEDS[0], opened(one).payload),))
    yield Vector("signature-threshold-raw", "signed without PAE", envelope.encode(raw), root)
    flipped = replace(good, payload=good.payload.replace(b"Hello", b"Hallo"))
    yield Vector("signature-threshold", "a changed payload", envelope.encode(flipped), pinned)
    first, gpg = good.signatures[0], good.signatures[-1]
    twice = replace(good, signatures=(first, replace(first, keyid="other"), gpg))
    yield Vector("signature-threshold-twice", "one key twice", envelope.encode(twice), pinned)
    for member, due in (("product", "other"), ("channel", "beta"), ("epoch", 2)):
        about = f"another {member}"
        yield Vector(f"wrong-{member}", about, changed(one, **{member: due}), root)
    without = envelope.encode(replace(good, signatures=good.signatures[:-1]))
    yield Vector("openpgp-missing", "stripped", without, pinned)
    message = pae(good.payload_type, good.payload)
    for name, about, signature in (
        ("openpgp-bad", "by a key that is not pinned", STRANGER.sign(message, NOW)),
        ("openpgp-bad-text-mode", "signature class 01", KEY.sign(message, NOW, kind=1)),
        ("openpgp-bad-sha1", "SHA-1", KEY.sign(message, NOW, digest=2)),
        ("openpgp-bad-twice", "two in one", KEY.sign(message, NOW) * 2),
        ("openpgp-date", "three days too old", KEY.sign(message, NOW - 3 * DAY)),
    ):
        entries = (*good.signatures[:-1], Signature("", signature))
        document = envelope.encode(replace(good, signatures=entries))
        yield Vector(name, about, document, pinned)
    for name, about, key in (
        ("openpgp-expired", "the key ended in the second of the signature", ENDED),
        ("openpgp-bad-revoked", "the key has ended, and is revoked", REVOKED),
    ):
        ending = publisher(openpgp=[key])
        yield Vector(name, about, ending.document(), ending.trust())
    strict = publisher(policy="required")
    document = strict.document()
    yield Vector(
        "openpgp-unavailable", "required and absent", document, strict.trust(), gpg="absent"
    )
    broken = "present, but it fails"
    yield Vector("openpgp-unavailable-broken", broken, full.document(), pinned, gpg="broken")
    seen = replace(judged(full.document(), pinned), serial=0, digest="")
    sticky = "it was there before"
    yield Vector("openpgp-unavailable-sticky", sticky, full.document(), pinned, seen, gpg="absent")
    future = publisher(openpgp=[replace(KEY, created=2**32 - DAY)])
    yield Vector("clock", "the key is from the future", future.document(), future.trust())


def refused_keys() -> Iterator[Vector]:
    """Rotations that do not hold."""
    old = publisher()
    root = old.trust()
    new = publisher()
    step = new.rotate(NOW, seeds=SEEDS[3:6], threshold=2)
    new.rotate(NOW, seeds=SEEDS[6:9], threshold=2)
    new.chain = new.chain[1:]
    yield Vector("keys-chain", "leaves out an epoch", new.document(), root)
    moved = publisher(seeds=SEEDS[3:6], epoch=2, chain=[step])
    state = judged(moved.document(), root)
    for name, about, entries in (
        ("keys-threshold", "the new keys alone", step.signatures[3:]),
        ("keys-threshold-old", "the old keys alone", step.signatures[:4]),
    ):
        moved.chain = [replace(step, signatures=entries)]
        yield Vector(name, about, moved.document(), root)
    moved.chain = [replace(step, payload=b"{}")]
    yield Vector("keys-invalid", "no keys document", moved.document(), root)
    twin = publisher()
    twin.rotate(NOW, seeds=SEEDS[6:9], threshold=2)
    yield Vector("keys-equivocation", "a twin of epoch 2", twin.document(), root, state)
    unsigned = replace(twin.chain[0], signatures=step.signatures)
    twin.chain = [unsigned]
    about = "a twin of epoch 2 that nobody signed"
    yield Vector("signature-threshold-twin", about, twin.document(), root, state)
    other = publisher(product="other")
    start = other.trust()
    early = judged(other.document(), start)
    about = "a state of another product, before any rotation"
    yield Vector("state-other-product-early", about, old.document(), root, early)
    other.rotate(NOW, seeds=SEEDS[3:6], threshold=2)
    strange = judged(other.document(), start)
    about = "a state of another product"
    yield Vector("state-other-product", about, old.document(), root, strange)
    thief = publisher(openpgp=[STRANGER])
    thief.rotate(NOW, seeds=SEEDS[6:9], threshold=2)
    yield Vector("openpgp-bad-rotation", "OpenPGP rotated away", thief.document(), root)
    short = publisher()
    short.rotate(NOW - 90 * DAY, seeds=SEEDS[3:6], threshold=2, lifetime=30 * DAY)
    yield Vector("keys-expired", "the last keys document", short.document(), root)


def refused_times() -> Iterator[Vector]:
    """Documents that are signed well, and still not to be believed now."""
    one = simple()
    root = one.trust()
    seen = judged(one.document(), root)
    yield Vector("future", "two days ahead", one.document(NOW + 2 * DAY), root)
    yield Vector("fast-forward", "serial after issued", one.document(serial=2**53 - 1), root)
    for name, days in (("short", 13), ("long", 61), ("negative", -1)):
        document = one.document(expires=NOW + days * DAY)
        yield Vector(f"bad-lifetime-{name}", f"{days} days", document, root)
    yield Vector("rollback", "an older serial", one.document(NOW - DAY), root, seen)
    minimum = one.trust(minimum_serial=NOW)
    yield Vector("rollback-minimum", "below the minimum", one.document(NOW - DAY), minimum)
    yield Vector("equivocation", "a twin", one.document(news="twin"), root, seen)
    late = NOW + 45 * DAY
    yield Vector("expired", "the second it expires", one.document(), root, now=late)
    newer = one.document(NOW + DAY)
    yield Vector("expired-newer", "raises the floor", newer, root, seen, now=late + DAY)
    built = one.trust(built=late)
    yield Vector("expired-built", "the clock is behind the build", one.document(), built)


def vectors() -> list[Vector]:
    """All of them, in the order of their names."""
    sources = (
        accepted(),
        refused_bytes(),
        refused_signatures(),
        refused_keys(),
        refused_times(),
    )
    return sorted((item for source in sources for item in source), key=lambda item: item.name)
