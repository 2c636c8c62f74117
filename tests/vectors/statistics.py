"""The cases about declared statistics and error events: what may be sent, what is said, and how it
is sealed.

Secrets, seeds and keys are fixed; nobody may use them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from mars.errors import WireError
from mars.wire import keyfile, report, sealed
from mars.wire.catalogue import Catalogue, digest
from mars.wire.events import Dimension, Domain, ErrorName
from mars.wire.registry import EVENTS, Metric
from mars.wire.report import Report
from mars.wire.sealed import LARGE, SMALL, Opener

SECRET, OTHER, SEED = (bytes([n]) * 32 for n in (1, 2, 3))
KEY = Opener.of(SECRET)
SAID = Report("examplemail", "stable", "examplemail", "protocol", "0.5.2", "imap")
REVIEWED: dict[str, Any] = {
    "owner": "mail transport team",
    "review": "https://example.org/examplemail/reviews/13",
    "sensitivity": "technical",
    "expires": date(2027, 12, 31),
}
ABOUT = {"reason": "Decides which protocol is worked on first.", **REVIEWED}
PROTOCOL = Metric(
    key="protocol",
    project="examplemail",
    label="Mail protocol",
    description="By which protocol the first account fetches mail.",
    type="enum",
    values=("imap", "pop3", "jmap", "other"),
    declared=date(2026, 12, 1),
    **ABOUT,
)
FOLDERS = Metric(
    key="folders",
    project="examplemail",
    label="Mail folders",
    description="How many mail folders there are, in coarse steps.",
    type="bucket",
    bounds=(1, 10, 100),
    withdrawn=date(2027, 6, 1),
    **ABOUT,
)
USED = Metric(
    key="used",
    project="rare-plugin",
    label="Plug-in in use",
    description="Whether the plug-in is switched on.",
    type="bool",
    rate=0.07,
    epsilon=1.0986,
    **ABOUT,
)
DECRYPTION = Domain(
    "decryption",
    (
        ErrorName(
            "key_missing",
            "The secret key for a mail is not on this computer.",
            **REVIEWED,
            declared=date(2026, 12, 1),
            dimensions=(Dimension("device", ("own", "other")), Dimension("verified")),
        ),
        ErrorName("cancelled", "No passphrase was given.", **REVIEWED, expected=True),
    ),
    "Decrypting a mail that somebody sent.",
)
CATALOGUE = Catalogue(
    "examplemail",
    "stable",
    ("0.5.1", "0.5.2"),
    (PROTOCOL, FOLDERS, USED),
    {"0.5.2": sealed.public_key(OTHER).hex()},
    (DECRYPTION,),
)


def files() -> dict[str, Callable[[], Any]]:
    """What stands in each file, by its name."""
    return {
        "sealed.json": lambda: list(sealed_cases()),
        "registry.json": lambda: list(registry_cases()),
        "reports.json": lambda: list(report_cases()),
        "keyfile.json": keyfile_case,
    }


def rendered() -> dict[str, bytes]:
    """The files."""
    return {
        name: (json.dumps(make(), indent=1, ensure_ascii=False) + "\n").encode()
        for name, make in files().items()
    }


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _sealed(about: str, body: bytes) -> dict[str, Any]:
    found = sealed.opened(body, KEY) if sealed.key_of(body) is not None else None
    key = sealed.key_of(body)
    return {
        "about": about,
        "secret": SECRET.hex(),
        "public": KEY.public.hex(),
        "body": _text(body),
        "id": None if key is None else key.hex(),
        "text": None if found is None else found.decode(),
    }


def sealed_cases() -> Iterator[dict[str, Any]]:
    """``body`` is base64; ``id`` is null of what is no body, ``text`` where it does not open."""
    said = SAID.encode()
    body = sealed.seal(said, KEY.public, SEED)
    yield {**_sealed("a report of statistics", body), "seed": SEED.hex()}
    longest = b'"' + b"x" * (sealed.room(SMALL) - 2) + b'"'
    full = sealed.seal(longest, KEY.public, SEED)
    yield {**_sealed("a text without filling", full), "seed": SEED.hex()}
    large = sealed.seal(said, KEY.public, SEED, LARGE)
    yield {**_sealed("a text in the large size", large), "seed": SEED.hex()}
    yield _sealed("sealed to another key", sealed.seal(said, sealed.public_key(OTHER), SEED))
    yield _sealed("of another format", b"\x02" + body[1:])
    yield _sealed("of another size", body[:-1])
    yield _sealed("a bit of the box is another", body[:-1] + bytes([body[-1] ^ 1]))
    yield _sealed("a bit of the ephemeral key is another", body[:9] + b"\xff" + body[10:])
    yield _sealed("nothing", b"")


def registry_cases() -> Iterator[dict[str, Any]]:
    """``document`` is the text of a registry document."""
    whole = CATALOGUE.encode()
    yield _registry("whole", whole)
    yield _registry("nothing declared", Catalogue("examplemail", "stable").encode())
    members = json.loads(whole)
    entry, domain = members["statistics"][0], members["events"][0]
    name, other = domain["names"]
    changes: dict[str, dict[str, Any]] = {
        "unknown member of the document": {"x": 1},
        "of another type": {"type": "motd"},
        "of a newer version": {"version": 2},
        "a release that is none": {"releases": ["dev"]},
        "an entry twice": {"statistics": [entry, entry]},
        "an entry that is incomplete": {"statistics": [_without(entry, "reason")]},
        "an entry with an unknown member": {"statistics": [{**entry, "unit": "ms"}]},
        "a rate that is a number": {"statistics": [{**entry, "rate": 1}]},
        "a rate of zero": {"statistics": [{**entry, "rate": "0"}]},
        "a day that does not exist": {"statistics": [{**entry, "expires": "2027-02-30"}]},
        "a name with a slash": {"statistics": [{**entry, "key": "a/b"}]},
        "a key of reports that is none": {"reports": {"0.5.2": "ab"}},
        "a domain twice": {"events": [domain, domain]},
        "a domain called like a project": {"events": [{**domain, "domain": "examplemail"}]},
        "a domain without names": {"events": [{**domain, "names": []}]},
        "a domain with an unknown member of it": {"events": [{**domain, "unit": "ms"}]},
        "a grace as long as late": {"events": [{**domain, "grace": 60, "late": 60}]},
        "a name twice": {"events": [{**domain, "names": [name, name]}]},
        "a name that is the domain's own": _named(domain, {**name, "name": "failed_share"}),
        "a name that is incomplete": _named(domain, _without(other, "review")),
        "a dimension of free text": _named(domain, {**name, "dimensions": {"context": "text"}}),
        "a dimension of none": _named(domain, {**name, "dimensions": {"a": ["none", "b"]}}),
        "512 entries and one": {"statistics": [{**entry, "key": f"entry_{n}"} for n in range(513)]},
    }
    for about, change in changes.items():
        yield _registry(about, json.dumps({**members, **change}).encode(), short="512" in about)


def _without(entry: dict[str, Any], name: str) -> dict[str, Any]:
    return {member: value for member, value in entry.items() if member != name}


def _named(domain: dict[str, Any], name: dict[str, Any]) -> dict[str, Any]:
    """Another name in that domain."""
    return {"events": [{**domain, "names": [name]}]}


def _registry(about: str, document: bytes, *, short: bool = False) -> dict[str, Any]:
    try:
        found = [entry.name for entry in Catalogue.decode(document).entries]
    except WireError as error:
        expect: dict[str, Any] = {"ok": False, "reason": error.reason}
    else:
        expect = {"ok": True, "sha256": digest(document), "entries": found}
    told = {} if short else {"document": document.decode()}
    return {"about": about, **told, "expect": expect}


def report_cases() -> Iterator[dict[str, Any]]:
    """``text`` is what was sealed, without its filling."""
    said = json.loads(SAID.encode())
    yield _report("whole", SAID.encode())
    yield _report("its members in another order", json.dumps(dict(reversed(said.items()))).encode())
    yield _report("a member more", json.dumps({**said, "id": "1"}).encode())
    yield _report("a member less", json.dumps(_without(said, "value")).encode())
    yield _report("a member twice", SAID.encode()[:-1] + b',"value":"pop3"}')
    event = Report(
        *("examplemail", "stable", "decryption", "key_missing.device", "0.5.2", "own", EVENTS)
    )
    yield _report("an error event", event.encode())
    yield _report("of another type", json.dumps({**said, "type": "motd"}).encode())
    yield _report("a value that is a number", json.dumps({**said, "value": 1}).encode())
    yield _report("a value that is long", json.dumps({**said, "value": "x" * 65}).encode())
    yield _report("no object", b"[]")
    yield _report("nothing", b"")


def _report(about: str, text: bytes) -> dict[str, Any]:
    try:
        found = vars(report.decode(text))
    except WireError as error:
        expect: dict[str, Any] = {"ok": False, "reason": error.reason}
    else:
        expect = {"ok": True, **found}
    return {"about": about, "text": text.decode(), "expect": expect}


def keyfile_case() -> dict[str, Any]:
    """A file of secret keys with a passphrase, its salt and nonces from a fixed source."""
    secrets = {"2026-W48": SECRET, "2026-W49": OTHER}
    data = keyfile.encode("intake", secrets, b"correct horse", lambda size: b"\x04" * size)
    return {
        "about": "secrets of two weeks",
        "passphrase": "correct horse",
        "file": data.decode(),
        "secrets": {week: secret.hex() for week, secret in secrets.items()},
    }
