"""Databases with known reports of declared statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

from sqlalchemy import Engine

from mars.wire.catalogue import Catalogue
from mars.wire.registry import Metric
from mars_server.publication.closing import close_weeks
from mars_server.storage.publication import stored
from mars_server.storage.schema import statistics
from mars_server.storage.upsert import add
from mars_server.tables.compose import FloorRules
from mars_server.tables.statistics import Counts
from mars_server.tables.statistics_week import StatisticsWeek, decode
from tests.server.publication import kit

PANE = Metric(
    key="pane",
    project="examplemail",
    label="Reading pane",
    description="Whether the reading pane is shown.",
    reason="Whether it is worth a redesign.",
    owner="ui@example.org",
    review="https://example.org/review/1",
    sensitivity="interaction",
    type="bool",
    expires=date(2031, 1, 1),
    declared=date(2025, 1, 1),
)
GPG = replace(PANE, key="gpg", label="GnuPG", type="version")
BOXES = replace(PANE, project="calendar", key="boxes", type="bucket", bounds=(1, 10), rate=0.1)
DENIABLE = replace(PANE, project="rare", key="used", rate=0.07, epsilon=1.0986)
RELEASES = ("0.1.0", "0.5.1", "0.5.2")
CATALOGUE = Catalogue("examplemail", "stable", RELEASES, (PANE, GPG, BOXES, DENIABLE))
USUAL: Counts = {
    PANE.name: {"0.5.2": {"true": 87, "false": 31}, "0.5.1": {"true": 6}, "other": {"false": 3}},
    GPG.name: {"0.5.2": {"2.4": 71, "2.2": 55, "1.4": 2}},
    BOXES.name: {"0.5.2": {"0": 4, "1-9": 33}},
}
METRICS_TOML = """
[examplemail.pane]
label = "Reading pane"
description = "Whether the reading pane is shown."
reason = "Whether it is worth a redesign."
owner = "ui@example.org"
review = "https://example.org/review/1"
sensitivity = "interaction"
type = "bool"
expires = 2031-01-01
"""


def count(engine: Engine, week: str, counts: Counts) -> None:
    """Adds ``counts`` to the week, as ``count`` does when it has opened a spool."""
    cells = {
        (week, name, release, value): n
        for name, by_release in counts.items()
        for release, by_value in by_release.items()
        for value, n in by_value.items()
    }
    with engine.begin() as connection:
        add(connection, statistics, cells)


def count_all(engine: Engine, weeks: Mapping[str, Counts]) -> None:
    for week, counts in weeks.items():
        count(engine, week, counts)


def usual_weeks(number: int) -> dict[str, Counts]:
    return {kit.week(n): USUAL for n in range(number)}


def close(
    engine: Engine,
    catalogue: Catalogue = CATALOGUE,
    rules: FloorRules = kit.RULES,
    now: int = kit.LATER,
) -> list[StatisticsWeek]:
    """What is published of statistics when all that is due at ``now`` is closed."""
    close_weeks(engine, rules, now, catalogue=catalogue)
    with stored(engine) as kept:
        return [decode(each.document) for each in kept.statistics.kept()]
