"""The document of a week's statistics."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from mars.errors import WireError
from mars_server.tables.estimate import Estimate
from mars_server.tables.floor import NO_DATA, floor
from mars_server.tables.quarters import Summed
from mars_server.tables.statistics_week import (
    Budget,
    Entry,
    Release,
    Share,
    StatisticsWeek,
    Value,
    decode,
    encode,
)
from tests.server.publication.reports_kit import PANE

ONE = Summed(1, "2026-W48", "2026-W48")
WEEK = StatisticsWeek(
    product="examplemail",
    channel="stable",
    week="2026-W48",
    noise=Budget(1.0, 42),
    flags=("incomplete",),
    late=floor(3),
    entries=(
        Entry(
            metric=PANE,
            period=ONE,
            total=floor(127),
            installations=Estimate(500, 410, 590),
            consenting=23,
            values=(Value("false", floor(120), Share(97, 90, 100)), Value("true", floor(7))),
            releases=(
                Release("0.5.2", floor(127), (Value("false", floor(120)), Value("true", floor(7)))),
                Release("other", floor(0)),
            ),
            flags=("disturbed",),
        ),
        Entry(
            metric=replace(PANE, key="size", type="bucket", bounds=(1, 10), epsilon=0.5, rate=0.1),
            period=Summed(4, "2026-W48", "2026-W52"),
            total=NO_DATA,
        ),
    ),
)


def test_a_document_is_its_bytes() -> None:
    data = encode(WEEK)
    assert decode(data) == WEEK
    assert json.loads(data)["entries"][1]["weeks"] == 5
    for n in range(len(data)):
        flipped = data[:n] + bytes([data[n] ^ 1]) + data[n + 1 :]
        try:
            assert encode(decode(flipped)) == flipped
        except WireError:
            continue


@pytest.mark.parametrize(
    "change",
    [
        (b'"total": 120', b'"total": 127'),
        (b'"count": "<10"', b'"count": 7'),
        (b'"noise": {', b'"true_total": 127,\n "noise": {'),
    ],
)
def test_no_exact_number_can_stand_in_it(change: tuple[bytes, bytes]) -> None:
    assert change[0] in encode(WEEK)
    with pytest.raises(WireError):
        decode(encode(WEEK).replace(*change, 1))
