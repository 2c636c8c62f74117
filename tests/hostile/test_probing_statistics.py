"""Nobody learns more from the published statistics than their floors say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars_server.common.calendar import span
from mars_server.counting.reports import DIGEST_BYTES, Statistic
from mars_server.publication.restore import adopt
from mars_server.storage.openings import store_opened
from mars_server.tables.compose import FloorRules
from mars_server.tables.floor import NO_DATA
from mars_server.tables.noise import Noise
from mars_server.tables.statistics import RELEASES, VALUES, Counts, Known, Listings, Reports, step
from mars_server.tables.statistics_week import Entry, StatisticsWeek, encode
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports
from tests.server.publication.reports_kit import BOXES, CATALOGUE, GPG, PANE
from tests.server.tables import failed

CAUSE = "decryption/damaged"
FEW: Counts = {BOXES.name: {"0.5.2": {"0": 5, "10+": 2}}}
QUARTERS = list(span("2026-W01", "2026-W26"))


def of(weeks: list[StatisticsWeek], name: str) -> list[Entry]:
    return [entry for week in weeks if (entry := week.entry(name)) is not None]


def numbers(value: object) -> list[object]:
    """Everything that a JSON document says under a key for reports."""
    if isinstance(value, list):
        return [number for each in value for number in numbers(each)]
    if not isinstance(value, dict):
        return []
    own = [value[key] for key in ("count", "total") if key in value]
    return own + [number for each in value.values() for number in numbers(each)]


def test_h17_no_two_sums_of_an_entry_share_a_week(tmp_path: Path) -> None:
    """Also where its first weeks were enough and later ones were not; one minus the other would
    tell a week that is hidden."""
    engine = kit.database(tmp_path)
    for n, name in enumerate(QUARTERS):
        reports.count(engine, name, reports.USUAL if n < 6 else FEW)
    entries = of(reports.close(engine), BOXES.name)
    ended = [entry.period for entry in entries if entry.values]
    weeks = [week for each in ended for week in span(each.first, each.last)]
    assert len(weeks) == len(set(weeks)) == len(QUARTERS)
    assert len({each.weeks for each in ended}) > 1
    assert all(entry.total == NO_DATA for entry in entries if entry.period not in ended)


def test_h17_no_two_sums_of_a_cause_share_a_week(tmp_path: Path) -> None:
    """Of error events other reports decide how long a period is."""
    engine = kit.database(tmp_path)
    names = tuple(replace(each, declared=None) for each in failed.DOMAIN.names)
    domain = replace(failed.DOMAIN, names=names)
    often = {CAUSE: {"0.5.2": {"0": 200, "1": 40}}}
    rarely = {CAUSE: {"0.5.2": {"0": 230, "1": 4}}}
    for n, name in enumerate(QUARTERS):
        reports.count(engine, name, often if n < 6 else rarely)
    entries = of(reports.close(engine, replace(CATALOGUE, domains=(domain,))), CAUSE)
    ended = [entry.period for entry in entries if entry.values]
    weeks = [week for each in ended for week in span(each.first, each.last)]
    assert len(weeks) == len(set(weeks)) == len(QUARTERS)
    assert {1, 4, 5} <= {each.weeks for each in ended}
    assert all(entry.total == NO_DATA for entry in entries if entry.period not in ended)


def test_h17_a_week_within_a_sum_stands_nowhere_in_its_entry(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, dict.fromkeys(QUARTERS, FEW))
    for week in reports.close(engine):
        for entry in week.entries:
            if entry.period.last != week.week:
                assert not (entry.values or entry.releases or entry.installations)
                assert entry.total == NO_DATA


def test_h17_every_number_of_reports_is_floored(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, dict.fromkeys(QUARTERS, FEW) | reports.usual_weeks(3))
    seen = [
        number for week in reports.close(engine) for number in numbers(json.loads(encode(week)))
    ]
    assert {type(number) for number in seen} == {int, str, type(None)}
    assert all(number in (None, "<10") or int(str(number)) % 10 == 0 for number in seen)


def test_h17_a_hidden_release_tells_nothing_of_its_values(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), {PANE.name: {"0.5.2": {"true": 9}, "other": {"true": 30}}})
    newest, _ = of(reports.close(engine), PANE.name)[0].releases
    assert (newest.total.hidden, newest.values) == (True, ())


def test_h17_a_sum_whose_weeks_were_lost_says_no_data(tmp_path: Path) -> None:
    """Else the difference to what was left would be one of hidden weeks."""
    for name in "ab":
        (tmp_path / name).mkdir()
    engine = kit.database(tmp_path / "a")
    reports.count_all(engine, dict.fromkeys(QUARTERS[:5], FEW))
    old = {f"statistics-{week.week}.json": encode(week) for week in reports.close(engine)}
    engine = kit.database(tmp_path / "b")
    adopt(engine, kit.RULES, kit.data_folder(tmp_path, old), kit.LATER)
    reports.count_all(engine, dict.fromkeys(QUARTERS[5:13], FEW))
    entries = of(reports.close(engine), BOXES.name)
    assert (entries[7].period.first, entries[7].total) == (QUARTERS[4], NO_DATA)
    assert not entries[12].total.missing


def test_h17_a_report_that_comes_late_is_in_no_sum(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, dict.fromkeys(QUARTERS[:3], FEW))
    reports.close(engine)
    late = b"".join(n.to_bytes(DIGEST_BYTES, "big") for n in range(100))
    with engine.begin() as connection:
        store_opened(connection, {Statistic(QUARTERS[2], BOXES.name, "0.5.2", "0"): late})
    reports.count_all(engine, dict.fromkeys(QUARTERS[3:13], FEW))
    fourth = of(reports.close(engine), BOXES.name)[3]
    assert (fourth.period.first, fourth.total.value) == (QUARTERS[1], 20)  # 3 weeks of 7


@pytest.mark.parametrize("forged", [7, 49])
def test_h18_a_probe_of_a_version_or_release_moves_only_other(tmp_path: Path, forged: int) -> None:
    """Anybody can seal a report. Neither forty-nine a week nor fifty in three of four weeks make
    what is rare appear."""
    engine = kit.database(tmp_path)
    for n in range(8):
        rare = 3 + (47 if n % 4 else forged - 3)
        counts = {"0.5.1": {"1.4": rare}, "0.5.2": {"2.4": 200}}
        reports.count(engine, kit.week(n), {GPG.name: counts})
    for entry in of(reports.close(engine), GPG.name):
        assert "1.4" not in [row.value for row in entry.values]
        assert [each.release for each in entry.releases] == ["0.5.2", "other"]


def test_h18_with_noise_being_listed_proves_no_report() -> None:
    """Releases are listed at random, counted or not; a version with one report never is, for whose
    like nobody else would be drawn."""
    rules = FloorRules(kit.PRODUCT, Noise(b"k" * 32, 0.1))
    drawn: Listings = {}
    releases: set[str] = set()
    for n in range(400):
        week = f"{2000 + n // 50}-W{n % 50 + 1:02d}"
        reports_of = {week: Reports({GPG.name: {"other": {"1.4": 1}}})}
        drawn = step(week, drawn, Known(rules, CATALOGUE, reports_of))
        releases |= drawn[PANE.name, RELEASES].listed
        assert not drawn[GPG.name, VALUES].listed
    assert releases == set(CATALOGUE.releases)


def test_h18_fifty_forged_reports_of_a_rare_rate_are_a_disturbance(tmp_path: Path) -> None:
    """At a rate of 0.07 they are 710 installations. Of these nobody is said to consent."""
    engine = kit.database(tmp_path, kit.usual_weeks(7))
    catalogue = replace(CATALOGUE, metrics=(replace(PANE, rate=0.07),))
    for n in range(7):
        counts = {"true": 20, "false": 60 if n == 6 else 10}
        reports.count(engine, kit.week(n), {PANE.name: {"0.5.2": counts}})
    entries = of(reports.close(engine, catalogue), PANE.name)
    assert [each.flags for each in entries] == [()] * 6 + [("disturbed",)]
    assert entries[-2].consenting and entries[-1].consenting is None
