"""Young and tiny projects, and long ones: what charts and sentences say where little is known."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_server.common.calendar import following, span
from mars_server.site.charts.data import (
    BY_WEEK,
    MOST_LABELS,
    bands,
    installations_chart,
    is_empty,
    shares_chart,
    ticks,
)
from mars_server.site.charts.render import full_spec
from mars_server.site.charts.tellable import runs
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.address import CHARTS, parse
from mars_server.site.pages.findings import installations
from mars_server.site.pages.ranges import distinct
from mars_server.tables.downloads import data_files
from mars_server.tables.floor import floor
from mars_server.tables.week import Row, Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted

USUAL = Counted(tables={"v": {"0.5.1": 300, "0.5.2": 400}, "os": {"linux": 300, "windows": 400}})
CALENDAR = list(span("2021-W01", "2062-W01"))
FEW = Counted(tables={"v": {"0.5.1": 7}, "os": {"linux": 7}})


def page(weeks: list[Week], path: str) -> str:
    address = parse(path)
    assert address is not None
    content = kit.site(weeks).content(address)
    assert content is not None
    return content.decode()


def published(folder: Path, *counted: Counted | None) -> list[Week]:
    weeks = {kit.week(n): each for n, each in enumerate(counted) if each is not None}
    return kit.published(folder, weeks)


@settings(deadline=None)
@given(st.integers(0, 600), st.integers(1, 1500), st.sampled_from([0, 3]))
def test_no_name_stands_twice_on_a_time_axis(start: int, length: int, offset: int) -> None:
    weeks = CALENDAR[start : start + length]
    days, form = ticks(weeks[0], weeks[-1], offset)
    assert 1 <= len(days) <= MOST_LABELS
    names = {"%Y": 4, "%Y-%m": 7}.get(form)
    if len(weeks) < BY_WEEK:
        assert form == "%G-W%V"
        assert len(set(days)) == len(days)
    else:
        assert len({day[:names] for day in days}) == len(days)
        steps = {
            (int(b[:4]) - int(a[:4])) * 12 + int(b[5:7]) - int(a[5:7]) for a, b in pairwise(days)
        }
        assert len(steps) <= 1, "evenly spaced"


def test_both_charts_of_a_young_project_name_its_weeks(tmp_path: Path) -> None:
    weeks = published(tmp_path, USUAL, USUAL, USUAL)
    say = language("en")
    for chart in (installations_chart(weeks, say), shares_chart("v", weeks, say)):
        found = re.findall(r'"values": (\[.*?\]), "format": "%G-W%V"', json.dumps(full_spec(chart)))
        assert [len(json.loads(each)) for each in found] == [3]


def test_of_fewer_than_ten_hits_only_the_upper_end_is_told(tmp_path: Path) -> None:
    weeks = published(tmp_path, FEW, FEW)
    guess = weeks[-1].estimate
    assert guess is not None
    overview = page(weeks, "index.html")
    assert f"<strong>{guess.high}</strong>" in overview
    assert "at most" in overview
    assert "A lower bound" not in overview
    text = installations(weeks, language("en"))
    assert text.endswith(f"so at most {guess.high} installations were active.")
    assert "about" not in text
    table = page(weeks, "hits/index.html")
    assert f"<td>–</td><td>0–{guess.high}</td>" in table


def test_the_last_real_estimate_is_told_beside_a_week_that_shows_none(tmp_path: Path) -> None:
    weeks = published(tmp_path, FEW, USUAL, FEW)
    assert "at most" in installations(weeks, language("en"))
    assert f", after at least about 620 in {kit.week(1)}." in installations(weeks, language("en"))
    assert "after" not in installations(weeks[:2], language("en"))


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("section", CHARTS)
def test_a_chart_with_nothing_in_it_is_a_sentence(tmp_path: Path, code: str, section: str) -> None:
    weeks = published(tmp_path, FEW, None, FEW)
    text = page(weeks, f"{'' if code == 'en' else 'de/'}{section}/index.html")
    assert "<img" not in text
    assert language(code).gettext("There is nothing to draw yet.") in text
    assert "figures.csv" in text
    assert '<th scope="col" class="meter">' not in text, "no table without rows"
    assert is_empty(section, weeks)


def test_a_chart_with_something_in_it_is_drawn(tmp_path: Path) -> None:
    weeks = published(tmp_path, FEW, USUAL, None, FEW)
    assert not is_empty("hits", weeks)
    assert not is_empty("v", weeks)
    assert page(weeks, "index.html").count("<img") == 3  # all but ages, which nobody gave


def test_what_is_big_in_the_latest_week_has_a_band_however_new_it_is(tmp_path: Path) -> None:
    weeks = published(tmp_path, *[USUAL] * 3)
    old = tuple(Row(f"1.{n}", floor(1000)) for n in range(8))
    row = replace(weeks[0], tables={**weeks[0].tables, "v": old})
    for hits, shown in ((800, True), (20, False)):
        latest = (*(Row(each.value, floor(200)) for each in old[:7]), Row("2.0", floor(hits)))
        last = replace(weeks[2], tables={**weeks[2].tables, "v": latest})
        assert ("2.0" in {band.name for band in bands("v", [row, row, last])}) is shown


def test_only_ranges_that_differ_are_offered(tmp_path: Path) -> None:
    young = published(tmp_path, USUAL, USUAL)
    assert distinct(young) == ["last-52"]
    assert distinct(young, "2026") == ["last-52", "2026"]
    assert 'class="ranges"' not in page(young, "v/index.html")
    older = [replace(young[0], week=each) for each in list(span("2025-W01", "2026-W20"))]
    assert distinct(older) == ["last-13", "last-52", "all", "2026", "2025"]
    assert ">all weeks<" in page([*older[:14]], "v/index.html")


def test_hidden_missing_and_left_out_weeks_are_told_apart_everywhere(tmp_path: Path) -> None:
    """``<10``, an empty field with its week, and no row at all."""
    late = "2027-W01"
    weeks = kit.published(
        tmp_path, {kit.week(0): USUAL, kit.week(1): FEW, kit.week(3): USUAL, late: USUAL}
    )
    names = [*(kit.week(n) for n in range(4)), late]
    assert [week.week for week in weeks] == names
    files = data_files(weeks)
    hits = {row["week"]: row for row in csv.DictReader(io.StringIO(files["hits.csv"].decode()))}
    assert [hits[name]["hits"] for name in names] == ["700", "<10", "", "700", "700"]
    assert "2026-W10" not in hits
    for table in ("v", "os", "v-os"):
        rows = list(csv.DictReader(io.StringIO(files[f"{table}.csv"].decode())))
        cells = {name: {row["count"] for row in rows if row["week"] == name} for name in names}
        assert cells[kit.week(1)] == {"<10"}
        assert cells[kit.week(2)] == {""}
        assert not [row for row in rows if row["week"] == "2026-W10"]
        document = json.loads(files[f"{table}.json"])["weeks"]
        assert [bool(week["rows"]) for week in document] == [True, True, False, True, True]
    text = page(weeks, "hits/index.html")
    assert "<td>&lt;10</td>" in text
    assert "<td>no data</td>" in text
    assert "2026-W10" not in text
    assert [len(part) for part in runs(weeks)] == [2, 1, 1]
    told = page(weeks, "events/index.html")
    assert f"{kit.week(2)}</th><td>No data for this week.</td>" in told
    assert f"{late}</th><td>Nothing was counted between {kit.week(3)} and this week.</td>" in told
    assert f"{following(kit.week(3))}</th>" not in told


def test_the_privacy_page_tells_the_crowd_as_the_threat_model_does() -> None:
    """The shares of rare combinations that the page names are those of the table in the docs."""
    table = Path(__file__).parents[3].joinpath("docs/threat-model.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| `crowd` 1")]
    cells = (row.split("|")[place] for row, place in zip(rows, (2, 3), strict=True))
    small, middle = (round(float(cell.split("%")[0])) for cell in cells)
    assert f"{small}% of 300 installations, and {middle}% of 3,000" in page(
        [], "privacy/index.html"
    )
