"""Answers to error reports and figures of faults for a site, made as triage makes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mars.wire.reports.rules import Rule
from mars.wire.reports.status import (
    DELETED,
    KNOWN,
    OPEN,
    RESOLVED,
    Answer,
    Known,
    Status,
)
from mars_server.publication.status_document import Answers
from mars_server.tables.faults import FaultRow, Faults, FaultWeek
from mars_server.tables.floor import floor
from mars_server.triage.broadcast import sign
from tests.server.publication import kit
from tests.server.triage.kit import SEED, token

NOW = kit.LATER
EVIL = "<script>alert(1)</script>\"'&{{ 7*7 }}\u202e"
ARCHIVE = "FileNotFoundError[ENOENT] | mail.store:load"
LONG = "ValueError | mail.search.index:rebuild_everything_from_the_mailboxes_on_disk"
ANSWERS = (
    Answer(OPEN),
    Answer(RESOLVED, 3, "The archive was closed too early.", "", "Install 0.5.3.", "0.5.3"),
    Answer(
        KNOWN,
        7,
        "A message has no date.",
        "Some programs send messages without one.\nThe list cannot sort them.",
        "Sort by sender until then.",
    ),
    Answer(DELETED),
)
STATUS = Status(
    "examplemail",
    "stable",
    1,
    NOW - 86_400,
    NOW - 86_400,
    NOW + 30 * 86_400,
    ANSWERS,
    {token("prefix", n, size=8): n % 4 for n in range(20)},
    (
        Known(Rule.parse("KeyError and mail.list:sort"), 2),
        Known(Rule.parse("#0123456789abcdef0123456789abcdef"), 1, "<0.5.3"),
    ),
)


def answers(status: Status = STATUS) -> Answers:
    """Signed by the role of the tests."""
    return Answers(sign(status, SEED), status)


def rich(number: int, text: str = "") -> Status:
    """With this many prefixes, and as many texts as go into a document."""
    said = [Answer(KNOWN, n + 1, f"Fault {n}", text, text) for n in range(20 if text else 2)]
    prefixes = {token("rich", n, size=8): n % len(said) for n in range(number)}
    return replace(STATUS, answers=tuple(said), prefixes=prefixes, faults=())


def week(number: int, counts: Mapping[tuple[str, str], int]) -> FaultWeek:
    """Of these exact counts by fault and release."""
    rows = [FaultRow(*name, floor(n)) for name, n in sorted(counts.items())]
    return FaultWeek(kit.week(number), tuple(rows))


def weeks(number: int = 14) -> tuple[FaultWeek, ...]:
    """Faults that come and go as releases do."""
    return tuple(
        week(
            n,
            {
                (ARCHIVE, "0.5.1"): 60 - 4 * n,
                (ARCHIVE, "0.5.2"): 5 * n,
                ("KeyError | mail.list:sort", "0.5.2"): 12 + n * n // 4,
                (LONG, "0.5.2"): 31 if n > 7 else 3,
                ("RecursionError | mail.threads:nest", "0.5.1"): 9,
            },
        )
        for n in range(number)
    )


def faults(number: int = 14) -> Faults:
    return Faults("examplemail", "stable", weeks(number))
