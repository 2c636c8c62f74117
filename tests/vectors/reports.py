"""The cases about error reports: what is told of a fault, to whom, and what is answered.

Secrets, seeds, nonces and keys are fixed; nobody may use them.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from mars.errors import WireError
from mars.wire.reports.crowd import NEEDED, ORDER, Dealer, Share, recover
from mars.wire.reports.direct import Content, Deletion, Direct, Identity
from mars.wire.reports.fault import Fault
from mars.wire.reports.outer import Destination, Outer, joined, parted
from mars.wire.reports.recipient import Recipient
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Answer, Known, Status
from mars.wire.sealed import Opener
from mars.wire.times import DAY

PRODUCT, CHANNEL, RELEASE = "examplemail", "stable", "0.5.2"
SERVER = "a" * 56 + ".onion"
SECRET, OTHER, LOCAL, SEED = (bytes([n]) * 32 for n in (1, 2, 3, 4))
NONCE = b"\x05" * 24
KEY = Opener.of(SECRET)
TO = Destination(PRODUCT, CHANNEL, RELEASE, KEY.public, SERVER)
TRIAGE = Recipient(PRODUCT, CHANNEL, {SERVER}, {RELEASE: KEY})
IDENTITY = Identity.of(LOCAL, NONCE)
FAULT = Fault(
    ("FileNotFoundError[ENOENT]", "KeyError"),
    ("<other>", "examplemail.ui:Window.open+12", "examplemail.store:Store.load+3"),
)
CONTENT = Content(FAULT, "linux", "It happened when I opened the archive. Það gerðist.")
ISSUED = 1795219200


def files() -> dict[str, Callable[[], Any]]:
    """What stands in each file, by its name."""
    return {
        "faults.json": lambda: list(fault_cases()),
        "bodies.json": lambda: list(body_cases()),
        "sealed.json": sealed_case,
        "insides.json": lambda: {
            "rests": {name: _text(rest) for name, rest in rests().items()},
            "cases": list(inside_cases()),
        },
        "crowd.json": crowd_case,
        "rules.json": lambda: list(rule_cases()),
        "status.json": status_case,
    }


def rendered() -> dict[str, bytes]:
    """The files."""
    return {
        name: (json.dumps(make(), indent=1, ensure_ascii=False) + "\n").encode()
        for name, make in files().items()
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def fault_cases() -> Iterator[dict[str, Any]]:
    """``types`` and ``frames`` are names as they come, ``body`` what is told of them."""
    yield _fault("three frames", FAULT.types, FAULT.frames)
    yield _fault("no frame", ["ValueError"], [])
    yield _fault("nothing", [], [])
    others = ["<other>", "<other>", "no colon", "app:f+1", "<other>"]
    yield _fault("frames of others", ["ValueError", ""], others)
    many = [f"app:f{n}+{n}" for n in range(60)]
    yield _fault("60 frames and 12 types", [f"E{n}" for n in range(12)], many)
    yield _fault("recursion", ["RecursionError"], ["app:main+1", *["app:f+2"] * 49])
    comprehensions = ["app:f+1", "app:f.<locals>.<listcomp>+1", "app:<dictcomp>+2"]
    yield _fault("comprehensions", ["KeyError"], [*comprehensions, "app:C.f.<locals>.<lambda>+0"])
    yield _fault("150 bytes", ["x" * 150], ["m" * 70 + ":" + "f" * 71 + "+1234567"])
    yield _fault("a byte more", ["x" * 151], ["m" * 70 + ":" + "f" * 72 + "+7"])
    yield _fault("a long module", ["E"], ["m" * 300 + ":Class.function+7"])
    yield _fault("a long qualified name", ["E"], ["app:" + "Class." * 60 + "function+7"])
    yield _fault("not ASCII", ["Störung" * 30], ["größe:" + "語" * 60 + "+7"])
    yield _fault("quotation marks", ['"' * 80], ["a:" + '"\\' * 60])
    unfit = ["a b:\tf+1", "a:\u202ef", "\x00:\x7f", "a\u3000:\ufefff"]
    yield _fault("a path and an address", ["E"], [r"C:\Users\alice\app.py", "a:alice@example.org"])
    yield _fault("white space and controls", ["two words", "\u2028"], unfit)


def _fault(about: str, types: list[str] | tuple[str, ...], frames: Any) -> dict[str, Any]:
    fault = Fault.bounded(types, frames)
    return {
        "about": about,
        "types": list(types),
        "frames": list(frames),
        "body": fault.body.decode(),
        "names": list(fault.names),
        "signature": fault.signature.decode(),
        "digest": fault.digest,
        "words": sorted(fault.words),
    }


def body_cases() -> Iterator[dict[str, Any]]:
    """``text`` is what a secret box of the crowd holds."""
    yield _body("whole", FAULT.body)
    yield _body("its members in another order", b'{"frames":[],"types":["E"]}')
    yield _body("with a space", b'{"types":["E"], "frames":[]}')
    yield _body("a letter escaped", b'{"types":["\\u0045"],"frames":[]}')
    yield _body("a member more", b'{"types":["E"],"frames":[],"release":"0.5.2"}')
    yield _body("a member less", b'{"types":["E"]}')
    yield _body("no type", b'{"types":[],"frames":[]}')
    yield _body("a type with a space", b'{"types":["E E"],"frames":[]}')
    yield _body("a frame without a colon", b'{"types":["E"],"frames":["f"]}')
    yield _body("a path", b'{"types":["E"],"frames":["/home/alice/app.py"]}')
    yield _body("a path of Windows", rb'{"types":["E"],"frames":["C:\\app.py"]}')
    yield _body("a type of 151 bytes", json.dumps({"types": ["x" * 151], "frames": []}).encode())
    yield _body("51 frames", json.dumps({"types": ["E"], "frames": ["a:f"] * 51}).encode())
    yield _body("nothing", b"")


def _body(about: str, text: bytes) -> dict[str, Any]:
    return {"about": about, "text": text.decode(), "expect": _expect(Fault.decode, text)}


def _expect(decode: Callable[[bytes], object], text: bytes) -> dict[str, Any]:
    try:
        decode(text)
    except WireError as error:
        return {"ok": False, "reason": error.reason}
    return {"ok": True}


def sealed_case() -> dict[str, Any]:
    """``text`` is what the intake's key opens."""
    return {
        "about": "a direct report, sealed to the release",
        "secret": SECRET.hex(),
        "seed": SEED.hex(),
        "server": SERVER,
        "text": Outer.sealed(IDENTITY.report(CONTENT, TO), TO, SEED).encode().decode(),
        "guid": IDENTITY.guid,
        "content": CONTENT.encode().decode(),
    }


def inside_cases() -> Iterator[dict[str, Any]]:
    """``head`` and, by its name, ``rest`` are what a box to the release's key holds; product,
    channel, release, server and secret are those of ``sealed.json``."""
    report, _ = parted(IDENTITY.report(CONTENT, TO))
    deletion, _ = parted(IDENTITY.deletion(TO))
    share, _ = parted(_shares()[0].inner())
    rest, quiet, box, nothing, short = rests()
    elsewhere = Destination(PRODUCT, CHANNEL, RELEASE, Opener.of(OTHER).public, SERVER)
    foreign, _ = parted(IDENTITY.report(CONTENT, elsewhere))
    beta, _ = parted(IDENTITY.report(CONTENT, replace(TO, channel="beta")))
    onion = "b" * 56 + ".onion"
    yield _inside("a direct report", report, rest)
    yield _inside("a deletion", deletion, nothing)
    yield _inside("a crowd report", share, box)
    yield _inside("signed for another key", foreign, rest)
    yield _inside("signed for another channel", beta, rest)
    yield _inside("of another server", {**report, "server": onion}, rest)
    yield _inside("another content", report, quiet)
    yield _inside("a report as a deletion", {**report, "kind": "deletion"}, nothing)
    yield _inside("another nonce, so another GUID", {**report, "nonce": "00" * 24}, rest)
    yield _inside("a key of small order", {**deletion, "key": "01" + "00" * 31}, nothing)
    yield _inside("the signature of zeros", {**deletion, "signature": "00" * 64}, nothing)
    yield _inside("a member more", {**report, "guid": IDENTITY.guid}, rest)
    yield _inside("a member less", {name: report[name] for name in report if name != "key"}, rest)
    yield _inside("of another kind", {"kind": "question"}, nothing)
    yield _inside("a share with its tag", {**share, "tag": _shares()[0].tag}, box)
    yield _inside("a share with another y", {**share, "y": share["x"]}, box)
    yield _inside("a shorter secret box", share, short)
    yield _inside("x is zero", {**share, "x": "00" * 32}, box)
    yield _inside("x is the order", {**share, "x": ORDER.to_bytes(32, "little").hex()}, box)
    low = "01" + "00" * 31 + share["commitments"][64:]
    yield _inside("a commitment of small order", {**share, "commitments": low}, box)
    high = "ee" + "ff" * 30 + "7f" + share["commitments"][64:]
    yield _inside("a commitment that is not canonical", {**share, "commitments": high}, box)


def rests() -> dict[str, bytes]:
    """In base64."""
    box = _shares()[0].encrypted
    quiet = Content(FAULT, "linux").encode()
    return {
        "content": CONTENT.encode(),
        "other content": quiet,
        "box": box,
        "nothing": b"",
        "shorter box": box[:-1],
    }


def _inside(about: str, head: dict[str, Any], rest: str) -> dict[str, Any]:
    text = Outer.sealed(joined(head, rests()[rest]), TO, SEED).encode()
    try:
        _, found = TRIAGE.read(text)
    except WireError as error:
        expect: dict[str, Any] = {"ok": False, "reason": error.reason}
    else:
        expect = {"ok": True, **_told(found)}
    return {"about": about, "head": head, "rest": rest, "expect": expect}


def _told(found: Direct | Deletion | Share) -> dict[str, Any]:
    if isinstance(found, Share):
        return {"tag": found.tag}
    content = found.content.encode().decode() if isinstance(found, Direct) else None
    return {"guid": found.guid, "content": content}


@cache
def _dealer() -> Dealer:
    return Dealer.of(FAULT, PRODUCT, RELEASE)


@cache
def _shares() -> tuple[Share, ...]:
    return tuple(_dealer().share(bytes([n]) * 32, bytes([n]) * 24) for n in range(NEEDED + 1))


def crowd_case() -> dict[str, Any]:
    """Eleven installations that met one fault; any ten of them open ``body``. Of what they
    encrypted the SHA-256 is there."""
    found = recover(_shares(), PRODUCT, RELEASE)
    return {
        "about": "eleven shares of one fault",
        "product": PRODUCT,
        "release": RELEASE,
        "body": FAULT.body.decode(),
        "signature": FAULT.signature.decode(),
        "coefficients": [each.to_bytes(32, "little").hex() for each in _dealer().coefficients],
        "commitments": _dealer().commitments.hex(),
        "tag": _shares()[0].tag,
        "shares": [
            {
                "secret": (bytes([n]) * 32).hex(),
                "nonce": each.nonce.hex(),
                "x": each.x.to_bytes(32, "little").hex(),
                "y": each.y.to_bytes(32, "little").hex(),
                "encrypted": hashlib.sha256(each.encrypted).hexdigest(),
            }
            for n, each in enumerate(_shares())
        ],
        "recovered": found.body.decode() if found else None,
    }


def rule_cases() -> Iterator[dict[str, Any]]:
    """Whether ``rule`` claims a fault with ``words``; null where it is none."""
    words = ["app.store:load", "FileNotFoundError[ENOENT]", "FileNotFoundError"]
    for rule in (
        "app.store:load",
        "app.store:loa",
        "load",
        "FileNotFoundError",
        "app.store:load and KeyError",
        "KeyError or app.store:load",
        "app.store:load or KeyError and KeyError",
        "(app.store:load or KeyError) and KeyError",
        "not KeyError and app.store:load",
        "not not KeyError",
        "not(KeyError)and(app.store:load)",
        "AND",
        "and",
        "",
        "app.store:load KeyError",
        "(app.store:load",
        "app.store:load)",
        "()",
        "(" * 16 + "KeyError" + ")" * 16,
        "(" * 17 + "KeyError" + ")" * 17,
    ):
        try:
            claims = Rule.parse(rule).claims(words)
        except WireError:
            yield {"about": rule or "nothing", "rule": rule, "words": words, "claims": None}
        else:
            yield {"about": rule, "rule": rule, "words": words, "claims": claims}


def status_case() -> dict[str, Any]:
    """The payload of a status document, and what some find in it."""
    answers = (
        Answer("open"),
        Answer("resolved", 3, "The archive opens.", "A file was missing.", "Update.", "0.5.3"),
        Answer("deleted"),
    )
    prefixes = {bytes([n]) * 8: n % 3 for n in range(9)}
    prefixes[base64.b32decode(IDENTITY.guid.upper())[:8]] = 1
    unlike = Known(Rule.parse("examplemail.store:load and not KeyError"), 0)
    faults = (unlike, Known(Rule.parse("examplemail.store:load"), 1, "<0.5.3"))
    times = (ISSUED, ISSUED, ISSUED + 45 * DAY)
    status = Status(PRODUCT, CHANNEL, 1, *times, answers, prefixes, faults)
    met = (FAULT.body, Fault(("E",), ("examplemail.store:load+9",)).body, Fault(("E",)).body)
    return {
        "about": "three answers, ten prefixes, two known faults",
        "payload": status.encode().decode(),
        "guids": [
            {"guid": guid, "state": it.state if (it := status.answer(guid)) else None}
            for guid in (IDENTITY.guid, "b" * 32, "")
        ],
        "faults": [
            {
                "body": body.decode(),
                "version": version,
                "state": it.state if (it := status.known(Fault.decode(body), version)) else None,
            }
            for body in met
            for version in ("0.5.2", "0.5.3")
        ],
    }
