"""Spools that the tests write by hand: keys, sealed bodies, files, and a product that declares."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from mars.wire.keyfile import INTAKE, encode
from mars.wire.registry import EVENTS
from mars.wire.report import Report
from mars.wire.sealed import SMALL, Opener, seal
from mars_server.common.config import load_catalogue
from mars_server.counting.intake_keys import load_keys
from mars_server.counting.opening import SpoolCounting
from mars_server.counting.reports import Opening, Reports, sums, unseen
from mars_server.counting.tally import Tally
from mars_server.daylog.format import lost_line, spool_line
from tests.server.counting.commands import run_json

WEEK, NEXT = "2026-W48", "2026-W49"
DAY, LATER = date(2026, 11, 25), date(2026, 12, 2)
"""Wednesdays of these weeks."""

PRODUCT = """
product = "examplemail"
channel = "stable"
releases = ["0.5.1", "0.5.2"]
[statistics]
releases = ["0.5.1", "0.5.2"]
"""
_ENTRY = """
[{name}]
label = "A label"
description = "What it is"
reason = "What it is for"
owner = "Somebody"
review = "https://example.org/1"
sensitivity = "technical"
{more}
"""
METRICS = "".join(
    _ENTRY.format(name=name, more=more)
    for name, more in {
        "mail.encrypted": 'type = "bool"\nexpires = 2027-06-30',
        "mail.accounts": 'type = "bucket"\nbounds = [1, 2, 5]\nexpires = 2027-06-30',
        "mail.python": 'type = "version"\nexpires = 2027-06-30',
        "mail.old": 'type = "bool"\nexpires = 2026-11-26',
        "mail.gone": 'type = "bool"\nexpires = 2027-06-30\nwithdrawn = 2026-11-26',
    }.items()
)
ERRORS = """
[decryption]
description = "Decrypting a mail."

[decryption.key_missing]
description = "No key for it is here."
owner = "Somebody"
review = "https://example.org/2"
sensitivity = "technical"
expires = 2027-06-30
[decryption.key_missing.dimensions]
device = ["own", "other"]

[decryption.ended]
description = "It ended in between."
owner = "Somebody"
review = "https://example.org/2"
sensitivity = "technical"
expires = 2026-11-26
"""


def secret(week: str) -> bytes:
    return hashlib.sha256(f"secret of {week}".encode()).digest()


def pair(week: str) -> Opener:
    return Opener.of(secret(week))


def product_of(folder: Path) -> Path:
    path = folder / "product.toml"
    path.write_text(PRODUCT)
    (folder / "metrics.toml").write_text(METRICS)
    return path


def errors_of(folder: Path) -> Path:
    """``errors.toml`` beside the product."""
    return written(folder / "errors.toml", ERRORS.encode())


def keys_of(folder: Path, *weeks: str, phrase: bytes | None = None) -> Path:
    """A key file with the secrets of ``weeks``."""
    path = folder / f"keys-{'-'.join(weeks)}.json"
    path.write_bytes(encode(INTAKE, {week: secret(week) for week in weeks}, phrase))
    return path


REPORT = Report("examplemail", "stable", "mail", "encrypted", "0.5.2", "true")


def report(**said: str) -> bytes:
    """Its text."""
    return replace(REPORT, **said).encode()


def sealed(
    text: bytes | None = None, number: int = 0, week: str = WEEK, size: int = SMALL
) -> bytes:
    """A body; the ``number`` makes equal texts different bodies."""
    seed = hashlib.sha256(b"seed %d" % number).digest()
    return seal(report() if text is None else text, pair(week).public, seed, size)


def many(n: int, first: int = 0, week: str = WEEK, **said: str) -> list[bytes]:
    """``n`` reports that say the same."""
    return [sealed(report(**said), first + number, week) for number in range(n)]


def spool(
    bodies: Iterable[bytes], day: date = DAY, name: str = "a", lost: int = 0, more: bytes = b""
) -> bytes:
    """A closed spool, as the server writes it. ``name`` makes its id."""
    token = hashlib.sha256(name.encode()).hexdigest()[:32]
    lines = sorted(base64.b64encode(body) + b"\n" for body in bodies)
    head = spool_line(token, str(day)) + lost_line(lost, str(day))
    return head + b"".join(lines) + more


def written(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def event(key: str = "key_missing", value: str = "2-9", **said: str) -> bytes:
    """The text of a report of an error event."""
    return report(project="decryption", key=key, value=value, purpose=EVENTS, **said)


Sums = Mapping[str, Any]


def cells(n: int, week: str = WEEK, value: str = "true") -> Sums:
    """``statistics`` where ``n`` reports said the same."""
    return {week: {"mail/encrypted": {"0.5.2": {value: n}}}}


def shown(url: str) -> Any:
    return run_json("counts", "show", "--db", url)


@pytest.fixture
def opening(tmp_path_factory: pytest.TempPathFactory) -> Opening:
    folder = tmp_path_factory.mktemp("product")
    catalogue = load_catalogue(product_of(folder))
    return Opening(catalogue, load_keys([keys_of(folder, WEEK)], lambda _: b""))


def opened(opening: Opening, content: bytes, day: date = DAY, step: int = 0) -> Tally:
    counting = SpoolCounting(opening, day)
    for at in range(0, len(content), step or len(content)):
        counting.feed(content[at : at + (step or len(content))])
    return counting.take()


def found(opening: Opening, content: bytes, day: date = DAY) -> Reports:
    return sums(opened(opening, content, day).opened, unseen())
