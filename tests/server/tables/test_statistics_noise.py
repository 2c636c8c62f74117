"""Noise in declared statistics: its budget, that it is one sample for ever, and what it lists."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import pytest

from mars.wire.catalogue import Catalogue
from mars_server.tables.compose import FloorRules, Listing
from mars_server.tables.noise import CELLS_PER_REPORT, REPORTS_PER_WEEK, Noise
from mars_server.tables.statistics import (
    RELEASES,
    VALUES,
    Known,
    Listings,
    Reports,
    compose,
    step,
)
from mars_server.tables.statistics_week import Budget, decode, encode
from tests.server.tables.reports_attack import BOOL, PRODUCT
from tests.server.tables.reports_attack import RELEASES as OFFERED

VERSIONS = replace(BOOL, key="gpg", type="version")
CATALOGUE = Catalogue(PRODUCT.product, PRODUCT.channel, OFFERED, (BOOL, VERSIONS))
NOISE = Noise(bytes(32), 1.0)
WEEK = "2026-W10"


@dataclass(frozen=True)
class Recorder(FloorRules):
    """FloorRules that also remember every count that noise is added to."""

    seen: dict[tuple[str, str, str], int] = field(default_factory=dict)

    def blurred(self, week: str, table: str, value: str, count: int) -> int:
        self.seen[week, table, value] = count
        return super().blurred(week, table, value, count)


@dataclass(frozen=True)
class Watched(Known):
    """``Known`` whose rules are watched."""

    @cached_property
    def floors(self) -> FloorRules:
        return replace(self.rules, noise=NOISE.of_reports())


@pytest.mark.parametrize("value", ["2.4", "1.4"])
@pytest.mark.parametrize("release", ["0.5.1", "0.4.0", "other"])
def test_a_report_adds_to_no_more_cells_than_the_noise_is_shared_among(
    release: str, value: str
) -> None:
    """Otherwise epsilon would promise too much. 2.4 is listed, 1.4 is not; 0.5.1 is the newest."""
    seen = []
    listings: Listings = {(VERSIONS.name, VALUES): Listing(frozenset({"2.4"}))}
    for more in (0, 1):
        rules = Recorder(PRODUCT, NOISE)
        counts = {"0.5.1": {"2.4": 9000, "1.4": 9000}, "other": {"2.4": 9000, "1.4": 9000}}
        counts["0.4.0"] = {"2.4": 9000, "1.4": 9000}
        counts[release][value] += more
        known = Watched(rules, CATALOGUE, {WEEK: Reports({VERSIONS.name: counts})})
        compose(WEEK, listings, [], 0, known)
        step(WEEK, listings, known)
        seen.append(rules.seen)
    touched = [cell for cell, number in seen[1].items() if seen[0].get(cell) != number]
    assert 0 < len(touched) <= CELLS_PER_REPORT
    assert len(seen[0]) == len(seen[1])


def test_the_budget_stands_in_the_document_and_its_noise_is_one_sample_for_ever() -> None:
    reports = {WEEK: Reports({BOOL.name: {"0.5.1": {"true": 500, "false": 500}}})}
    weeks = [
        compose(WEEK, {}, [], 0, Known(FloorRules(PRODUCT, noise), CATALOGUE, reports))
        for noise in (NOISE, NOISE, Noise(b"k" * 32, 1.0), None)
    ]
    assert weeks[0].noise == Budget(1.0, REPORTS_PER_WEEK * CELLS_PER_REPORT)
    assert weeks[0].noise.deviation == pytest.approx(NOISE.of_reports().deviation)
    assert weeks[0] == weeks[1] != weeks[2]
    assert weeks[0].entries != weeks[3].entries
    assert decode(encode(weeks[0])) == weeks[0]


def test_with_noise_every_release_may_be_listed_and_no_version_of_few_reports() -> None:
    """Were only counted releases drawn, being listed would prove a report. All versions are not
    known, so one must exceed what noise alone reaches in one of a million weeks."""
    noise = Noise(b"k" * 32, 10.0)
    found: Listings = {}
    for n in range(1, 401):
        week = f"{2000 + n // 50}-W{n % 50 + 1:02d}"
        reports = Reports({VERSIONS.name: {"other": {"2.4": 80, "1.4": 200}}})
        found = step(week, found, Known(FloorRules(PRODUCT, noise), CATALOGUE, {week: reports}))
    assert found[VERSIONS.name, VALUES].listed == {"1.4"}
    small = Noise(b"k" * 32, 0.1)
    drawn: Listings = {}
    listed: set[str] = set()
    for n in range(1, 401):
        week = f"{2000 + n // 50}-W{n % 50 + 1:02d}"
        reports = Reports({VERSIONS.name: {"other": {"2.4": 1}}})
        drawn = step(week, drawn, Known(FloorRules(PRODUCT, small), CATALOGUE, {week: reports}))
        listed |= drawn[BOOL.name, RELEASES].listed
        assert not drawn[VERSIONS.name, VALUES].listed
    assert listed == set(OFFERED), "at random, though none of them was ever counted"
