"""Nobody learns more from the figures than their floors say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.times import parse_time
from mars_server.common.calendar import settled
from mars_server.publication.closing import close_weeks
from mars_server.site.pages.address import parse
from mars_server.site.pages.ranges import pick
from mars_server.tables.compose import FloorRules
from mars_server.tables.downloads import data_files, percents
from mars_server.tables.estimate import estimate
from mars_server.tables.noise import Noise
from mars_server.tables.week import Week, encode
from tests.server.publication import kit
from tests.server.publication.kit import Counted

RULES = FloorRules(kit.PRODUCT)
NOISE = Noise(b"a secret of thirty-two bytes ....", 1.0)


def listed(week: Week, table: str) -> set[str]:
    return {row.value for row in week.tables[table]}


def page(weeks: list[Week], path: str) -> str:
    address = parse(path)
    assert address is not None
    content = kit.site(weeks).content(address)
    assert content is not None
    return content.decode()


def countries(**hits: int) -> Counted:
    return Counted(plain=500, tables={"cc": hits})


def test_h02_a_flood_flags_its_week(tmp_path: Path) -> None:
    weeks = {kit.week(n): Counted(plain=700) for n in range(6)}
    weeks[kit.week(4)] = Counted(plain=100_000)
    weeks[kit.week(5)] = Counted(plain=90)
    found = kit.published(tmp_path, weeks)
    assert [week.flags for week in found] == [(), (), (), (), ("disturbed",), ("disturbed",)]
    assert "disturbed" in page(found, "index.html")
    assert "Nobody can prove that a request is genuine" in page(found, "method/index.html")


@pytest.mark.parametrize("noise", [None, NOISE])
def test_h03_a_probe_of_a_rare_value_moves_only_other(tmp_path: Path, noise: Noise | None) -> None:
    """Seven forged hits each week, or forty-nine, never make IS appear."""
    weeks = {kit.week(n): countries(IS=3 + (7 if n % 2 else 46)) for n in range(8)}
    for week in kit.published(tmp_path, weeks, noise=noise):
        assert listed(week, "cc") == {"other", "none"}
        assert b"IS" not in encode(week)


def test_h03_a_rare_value_appears_after_four_weeks_at_fifty_and_leaves_below_thirty(
    tmp_path: Path,
) -> None:
    hits = [50, 60, 49, 50, 55, 50, 50, 30, 29, 60]
    weeks = {kit.week(n): countries(IS=number) for n, number in enumerate(hits)}
    found = [listed(week, "cc") for week in kit.published(tmp_path, weeks)]
    assert ["IS" in each for each in found] == [False] * 6 + [True, True, False, False]


@pytest.mark.parametrize(("count", "shown"), [(0, "<10"), (9, "<10"), (10, 10), (19, 10)])
def test_h04_zero_and_nine_look_alike(tmp_path: Path, count: int, shown: object) -> None:
    tables = {"v": {"0.5.1": count, "0.5.2": 300 - count}}
    week = kit.published(tmp_path, {kit.week(0): Counted(plain=20, tables=tables)})[0]
    cell = week.count("v", "0.5.1")
    assert cell is not None
    assert cell.value == shown


def test_h05_the_total_is_floored_by_itself_and_the_page_says_so(tmp_path: Path) -> None:
    tables = {"os": {"linux": 19, "windows": 19, "macos": 19}}
    weeks = kit.published(tmp_path, {kit.week(0): Counted(plain=9, tables=tables)})
    assert weeks[0].hits.value == 60
    assert sum(row.count.least for row in weeks[0].tables["os"]) == 30
    assert "Parts therefore do not add up to totals" in page(weeks, "index.html")


def test_h06_percentages_are_whole_and_come_from_floors(tmp_path: Path) -> None:
    tables = {"os": {"linux": 19, "windows": 29}}
    week = kit.published(tmp_path, {kit.week(0): Counted(plain=0, tables=tables)})[0]
    found = {value: each.value for value, each in percents("os", week.tables["os"]).items()}
    assert found == {"linux": 33, "windows": 67, "macos": None, "other": None}


def test_h07_the_estimate_comes_from_the_floor_with_two_digits(tmp_path: Path) -> None:
    """Of 12,389 hits: the exact number would give 12,000, the floor of 12,380 gives 11,000."""
    weeks = kit.published(tmp_path, {kit.week(0): Counted(plain=12_389)})
    guess = weeks[0].estimate
    assert guess is not None
    assert guess == estimate(weeks[0].hits)
    assert guess.installations == 11_000
    for number in (guess.installations, guess.low, guess.high):
        assert len(str(number).rstrip("0")) <= 2


@pytest.mark.parametrize(
    "path",
    [
        "hits/2026-01-05..2026-01-11/index.html",
        "hits/last-7-days/index.html",
        "hits/2026-W02/index.html",
        "hits/2026-W02..2026-W99/index.html",
        "hits/2026-W03..2026-W02/index.html",
        "data/daily.csv",
    ],
)
def test_h08_nothing_but_whole_weeks_is_offered(tmp_path: Path, path: str) -> None:
    weeks = kit.published(tmp_path, {kit.week(n): Counted(plain=700) for n in range(3)})
    address = parse(path)
    assert address is None or kit.site(weeks).content(address) is None
    assert pick("2026-W02..2026-W03", weeks) is not None
    for name, content in data_files(weeks).items():
        for day in ("2026-01-06", "2026-01-13"):  # a Tuesday: no figure of a single day
            assert day.encode() not in content, name


def test_h09_a_line_for_a_published_week_is_dropped(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): Counted(plain=700)})
    before = close_weeks(engine, RULES, kit.LATER)
    kit.count(engine, kit.week(0), Counted(plain=1000), day=2)
    assert close_weeks(engine, RULES, kit.LATER) == before


def test_h10_an_incomplete_week_waits_until_two_days_after_its_end(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, {kit.week(0): Counted(plain=700)})
    end = parse_time("2026-01-12T00:00:00Z")
    two_days = 2 * 86_400
    assert close_weeks(engine, RULES, end - 1) == []
    assert close_weeks(engine, RULES, end + two_days - 1) == []
    assert len(close_weeks(engine, RULES, end + two_days)) == 1
    assert settled(end + two_days) == kit.week(0)


@pytest.mark.parametrize("noise", [None, NOISE])
def test_h11_a_rebuild_gives_identical_numbers(tmp_path: Path, noise: Noise | None) -> None:
    weeks = {kit.week(n): countries(IS=60, DE=200 + n) for n in range(5)}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first = kit.published(tmp_path / "a", weeks, noise=noise)
    again = kit.published(tmp_path / "b", weeks, noise=noise)
    assert data_files(first) == data_files(again)


def test_h11_noise_changes_the_numbers_and_another_budget_draws_anew(tmp_path: Path) -> None:
    weeks = {kit.week(0): countries(DE=500)}
    tables = []
    for n, noise in enumerate((None, NOISE, replace(NOISE, epsilon=2.0))):
        (tmp_path / str(n)).mkdir()
        tables.append(kit.published(tmp_path / str(n), weeks, noise=noise)[0].tables)
    assert tables[0] != tables[1] != tables[2]


def test_h12_hidden_versions_are_merged_before_they_are_crossed(tmp_path: Path) -> None:
    counted = Counted(
        tables={"v": {"0.1.0": 9, "0.5.1": 8, "0.5.2": 300}, "os": {"linux": 160, "macos": 157}},
        pairs={
            ("0.1.0", "linux"): 5,
            ("0.1.0", "macos"): 4,
            ("0.5.1", "linux"): 5,
            ("0.5.1", "macos"): 3,
            ("0.5.2", "linux"): 150,
            ("0.5.2", "macos"): 150,
        },
    )
    week = kit.published(tmp_path, {kit.week(0): counted})[0]
    assert {pair.v for pair in week.pairs} == {"0.5.2", "other"}
    cells = {(pair.v, pair.os): pair.count.value for pair in week.pairs}
    assert cells["other", "linux"] == 10
    assert cells["other", "macos"] == "<10"
    names = set(json.loads(encode(week)))
    assert "version_platform" in names
    assert not any("lang" in name or "cc" in name for name in names), "nothing else is crossed"


def test_h14_a_version_outside_the_release_list_is_other(tmp_path: Path) -> None:
    tables = {"v": {"0.5.2": 300, "9.9.9": 40, "other": 5}}
    week = kit.published(tmp_path, {kit.week(0): Counted(tables=tables)})[0]
    assert b"9.9.9" not in encode(week)
    other = week.count("v", "other")
    assert other is not None
    assert other.value == 40


def test_h03_with_noise_being_listed_proves_no_hit(tmp_path: Path) -> None:
    """Values that nobody ever sent get the same noise, so they come to be listed as well."""
    weeks = {kit.week(n): countries(DE=1) for n in range(30)}
    noise = replace(NOISE, epsilon=0.1)
    found = kit.published(tmp_path, weeks, noise=noise)
    seen = set().union(*(listed(week, "cc") for week in found)) - {"other", "none", "DE"}
    assert len(seen) > 20
