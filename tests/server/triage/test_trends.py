"""Weekly figures: of what ten installations met, in tens, and never changed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from mars_server.triage.trends import figures
from tests.server.counting.spools import LATER, NEXT, WEEK
from tests.server.triage import kit
from tests.server.triage.kit import Sender, Triage

SETTLED = "2026-12-02T00:00:00Z"
"""Two days after the end of ``WEEK``."""
TITLE = "FileNotFoundError[ENOENT] | plantedmail.archive:planted_loading"


def weeks(triage: Triage, now: str = SETTLED) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = triage.tell("stats", "--now", now)["weeks"]
    return found


def test_what_ten_met_is_told_in_tens(triage: Triage) -> None:
    triage.open(
        [
            *triage.sender.crowd(range(25)),
            *triage.sender.direct(range(9), kit.content(kit.fault("mail.few:met"))),
            *triage.sender.direct(range(20, 30), kit.content(kit.fault("mail.many:met"))),
        ]
    )
    assert weeks(triage, "2026-12-01T23:59:59Z") == {}
    assert weeks(triage)[WEEK] == [
        {"fault": TITLE, "release": "0.5.2", "count": 20},
        {"fault": "ValueError | mail.many:met", "release": "0.5.2", "count": 10},
    ]


def test_nine_of_either_kind_are_no_ten(triage: Triage) -> None:
    triage.open([*triage.sender.crowd(range(9)), *triage.sender.direct(range(9))])
    assert weeks(triage)[WEEK] == []


def test_a_named_fault_stands_in_each_week_met_or_not() -> None:
    arrived = [("2026-W47", 1, "0.5.2", "crowd", 12), (WEEK, 1, "0.5.2", "crowd", 3)]
    few, none = (figures(arrived, {1: "A"}, week) for week in (WEEK, NEXT))
    assert few == none == [{"fault": "A", "release": "0.5.2", "count": "<10"}]


def test_a_week_that_is_over_never_changes(triage: Triage, tmp_path: Path) -> None:
    triage.open(triage.sender.direct(range(10)))
    first = weeks(triage)
    triage.open([triage.sender.deletion(number) for number in range(5)])
    late = replace(triage, weeks=(WEEK, NEXT), sender=Sender(NEXT), number=9)
    late.open([*late.sender.direct(range(50, 80)), *late.sender.crowd(range(10))], LATER)
    out = tmp_path / "faults.json"
    later = triage.tell("stats", "--now", "2026-12-09T00:00:00Z", "--out", out)["weeks"]
    assert later[WEEK] == first[WEEK]
    assert later[NEXT] == [{"fault": TITLE, "release": "0.5.2", "count": 40}]
    written = json.loads(out.read_bytes())
    assert written["weeks"] == [{"week": week, "faults": rows} for week, rows in later.items()]
    assert "operator" not in written


def test_what_was_dropped_is_for_the_operator_alone(triage: Triage) -> None:
    triage.open([*triage.sender.direct([1]), triage.sender.sealed(b"{}")])
    told = triage.tell("stats", "--now", SETTLED)["operator"]
    assert told["dropped"] == {WEEK: {"other-type": 1}}
    assert told["held"]["reports"] == 1
