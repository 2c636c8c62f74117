"""Weeks that tell little: no share of what is hidden, no line where nothing is known, and words
and warnings that are the same in charts, sentences and tables."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from mars_server.common.calendar import monday
from mars_server.site.charts.data import installations_chart, is_empty, shares_chart
from mars_server.site.charts.render import Chart, full_spec, render
from mars_server.site.charts.tellable import tells_shares
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.address import parse
from mars_server.site.pages.events import Note
from mars_server.site.pages.findings import installations, shares
from mars_server.tables.downloads import percents
from mars_server.tables.floor import floor
from mars_server.tables.periods import LEAST_HITS
from mars_server.tables.week import Row, Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted
from tests.server.site.test_small import FEW, USUAL, page, published

SAY = language("en")
OLD = Counted(tables={"v": {"0.5.1": 300}})
NEW = Counted(tables={"v": {"0.5.2": 300}})
SCATTERED = Counted(tables={"v": {"0.1.0": 9, "0.5.1": 9, "0.5.2": 9}, "os": {"linux": 60}})
MOSTLY_HIDDEN = Counted(
    tables={
        "v": {"0.1.0": 9, "0.5.1": 9, "0.5.2": 19, "dev": 9, "9.9": 9},
        "os": {"linux": 19, "windows": 18, "macos": 18},
    }
)
"""Of the platforms nothing but the rounding is lost."""


def day(n: int) -> str:
    return monday(kit.week(n)).isoformat()


def drawn(chart: Chart) -> list[tuple[object, object]]:
    return [(row["x"], row["series"]) for row in chart.datasets["bands"]]


def hole(folder: Path) -> list[Week]:
    """One version, two weeks that tell nothing, another version, and again nothing."""
    return published(folder, OLD, SCATTERED, SCATTERED, NEW, SCATTERED)


def test_a_share_chart_draws_the_weeks_that_have_figures_and_no_others(tmp_path: Path) -> None:
    chart = shares_chart("v", hole(tmp_path), SAY)
    high = [row for row in chart.datasets["bands"] if row["top"] != row["bottom"]]
    assert {(row["x"], row["series"]) for row in high} == {
        *((day(0), "0.5.1"), (day(1), "0.5.1")),
        *((day(3), "0.5.2"), (day(4), "0.5.2")),
    }
    assert len({row["run"] for row in high}) == 2, "no step leads from one to the other"
    assert chart.domain == (day(0), day(5)), "weeks without figures have their place, too"
    assert chart.datasets["labels"] == [], "the last week tells nothing"
    assert {row["text"] for row in chart.datasets["inside"]} == {"0.5.1", "0.5.2"}


@pytest.mark.parametrize("table", ["v", "hits"])
def test_the_time_axis_is_that_of_the_whole_range(tmp_path: Path, table: str) -> None:
    weeks = hole(tmp_path)
    chart = installations_chart(weeks, SAY) if table == "hits" else shares_chart("v", weeks, SAY)
    spec = full_spec(chart)
    (axis,) = [
        each["encoding"]["x"]
        for each in (spec, *spec["layer"])
        if "axis" in each.get("encoding", {}).get("x", {})
    ]
    ends = [(moment["month"], moment["date"]) for moment in axis["scale"]["domain"]]
    assert ends == [(1, 5), (2, 9)]
    assert len(axis["axis"]["values"]) == 5


def test_the_sentence_falls_back_to_the_last_week_with_shares(tmp_path: Path) -> None:
    weeks = hole(tmp_path)
    text = shares("v", weeks, SAY)
    assert text.startswith(f"In {kit.week(4)} no value reached ten hits. ")
    assert f"Shares in {kit.week(3)}: 0.5.2 100%." in text
    assert shares("v", weeks[1:3], SAY).startswith(f"In {kit.week(2)} no value reached ten hits.")
    assert "Shares" not in shares("v", weeks[1:3], SAY)


def test_no_share_is_told_where_most_hits_are_hidden(tmp_path: Path) -> None:
    weeks = published(tmp_path, MOSTLY_HIDDEN, MOSTLY_HIDDEN)
    assert percents("v", weeks[1].tables["v"])["0.5.2"].value == 100, "by the files' arithmetic"
    assert not tells_shares("v", weeks[1])
    assert is_empty("v", weeks)
    assert tells_shares("os", weeks[1])
    overview = page(weeks, "index.html")
    assert "the newest version seen" not in overview
    assert "100%" not in overview
    text = page(weeks, "v/index.html")
    assert "100%" not in text
    assert "too few hits belong to values with ten or more" in text
    assert re.search(r"0\.5\.2</th><td class=\"n\">10</td><td class=\"n\">–</td>", text)


def test_shares_of_few_hits_are_not_told(tmp_path: Path) -> None:
    (week,) = published(tmp_path, USUAL)
    for hits, told in ((LEAST_HITS - 10, False), (LEAST_HITS, True)):
        rows = (Row("plain", floor(0)), Row("tracked", floor(hits)))
        small = replace(week, hits=floor(hits), tables={**week.tables, "level": rows})
        assert tells_shares("level", small) is told


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("en", "Fewer than 10 hits in every published week or period: "),
        ("de", "Weniger als 10 Abrufe in jeder veröffentlichten Woche oder Spanne: "),
    ],
)
def test_a_ranking_names_what_it_leaves_out(tmp_path: Path, code: str, said: str) -> None:
    weeks = published(tmp_path, MOSTLY_HIDDEN)
    text = page(weeks, f"{'' if code == 'en' else 'de/'}index.html")
    found = re.findall(f">{said}([^<]*)\\.<", text)
    assert found[0].startswith("0.1.0, 0.5.1, "), "three versions of four"
    assert f'{language(code).gettext("not given")}</th><td class="n">&lt;10</td>' in text


def steered(week: Week) -> Week:
    return replace(week, flags=("steered",))


def test_a_week_in_which_requests_came_in_bunches_is_marked_everywhere(tmp_path: Path) -> None:
    calm = published(tmp_path, USUAL, USUAL)
    weeks = [calm[0], steered(calm[1])]
    overview = page(weeks, "index.html")
    assert "In this week requests came in bunches" in overview
    assert "A lower bound" not in overview
    assert "A lower bound" in page(calm, "index.html")
    told = f"Requests in bunches (other interval): {kit.week(1)}."
    assert installations(weeks, SAY).endswith(told)
    assert "In all these weeks" in installations([steered(week) for week in calm], SAY)
    assert "bunches" not in page(calm, "index.html")
    disturbed = [calm[0], replace(calm[1], flags=("disturbed",))]
    assert "A lower bound" not in page(disturbed, "index.html")
    for each in (calm, weeks):
        text = page(each, "hits/index.html")
        assert "All numbers are lower bounds" not in text
        assert "lower bounds, but for weeks that are disturbed" in text


def test_hidden_hits_have_a_band_but_no_line(tmp_path: Path) -> None:
    weeks = published(tmp_path, FEW, USUAL, FEW, USUAL, USUAL)
    rows = installations_chart(weeks, SAY).datasets["weeks"]
    assert [row["installations"] is None for row in rows] == [True, False, True, False, False]
    assert [row["point"] for row in rows] == [False, True, False, False, False]
    assert all(isinstance(row["high"], int) for row in rows)
    picture = render(installations_chart(weeks, SAY)).svg.decode()
    (line,) = re.findall(r'd="(M[^"]*)" [^>]*stroke-width="1.8"', picture)
    assert line.count("L") == 1, "between the last two weeks alone"


def test_a_disturbed_week_has_its_triangle_in_both_kinds_of_charts(tmp_path: Path) -> None:
    calm = published(tmp_path, USUAL, USUAL)
    weeks = [calm[0], replace(calm[1], flags=("disturbed",))]
    (mark,) = shares_chart("v", weeks, SAY).datasets["marks"]
    rows = installations_chart(weeks, SAY).datasets["weeks"]
    assert [row["disturbed"] for row in rows] == [False, True]
    assert mark["x"] == rows[1]["x"]
    for section in ("v", "hits"):
        assert "A triangle marks a disturbed week." in page(weeks, f"{section}/index.html")
        assert "triangle" not in page(calm, f"{section}/index.html")


@pytest.mark.parametrize("code", LANGUAGES)
def test_labels_in_charts_are_the_words_of_the_tables(tmp_path: Path, code: str) -> None:
    say = language(code)
    odd = Counted(
        plain=400,
        tables={
            "v": {"0.5.2": 300, "dev": 300, "9.9": 200},
            "ia": {"1": 400, "100": 400},
        },
    )
    weeks = published(tmp_path, odd)
    for table in ("level", "v", "ia"):
        chart = shares_chart(table, weeks, say)
        text = page(weeks, f"{'' if code == 'en' else 'de/'}{table}/index.html")
        told = {str(row["text"]).partition(" · ")[::2] for row in chart.datasets["labels"]}
        assert len(told) >= 2
        for percent, name in ((each[0], each[1]) for each in told):
            assert f"{name}</th>" in text
            assert f">{percent}</td>" in text
    svg = render(installations_chart([*weeks], say)).svg.decode()
    assert (f">{say.number(1000)}<" in svg) or f">{say.number(500)}<" in svg


def test_everything_small_together_is_not_called_other(tmp_path: Path) -> None:
    (week,) = published(tmp_path, USUAL)
    rows = tuple(Row(f"1.{n}", floor(100 + n)) for n in range(9))
    for extra, name in (((), "all others"), ((Row("other", floor(300)),), "all others")):
        many = replace(week, hits=floor(1200), tables={**week.tables, "v": (*rows, *extra)})
        chart = shares_chart("v", [many], SAY)
        assert str(chart.datasets["labels"][-1]["text"]).endswith(f" · {name}")
    few = replace(week, hits=floor(500), tables={**week.tables, "v": (rows[0], *extra)})
    chart = shares_chart("v", [few], SAY)
    assert str(chart.datasets["labels"][-1]["text"]).endswith(" · other")


def test_numbers_of_a_chart_are_written_as_in_the_language(tmp_path: Path) -> None:
    weeks = published(tmp_path, *[Counted(plain=2500)] * 2)
    for code, number, percent in (("en", "2,000", "50%"), ("de", "2.000", "50\xa0%")):
        say = language(code)
        assert f">{number}<" in render(installations_chart(weeks, say)).svg.decode()
        assert f">{percent}<" in render(shares_chart("level", weeks, say)).svg.decode()
    for code in ("", "de/"):
        for link in re.findall(r'src(?:set)?="([^"]*)"', page(weeks, f"{code}v/index.html")):
            assert re.fullmatch(rf"(\.\./)+{code}v/chart(-dark)?\.png", link)


def test_a_star_is_explained_where_there_is_one(tmp_path: Path) -> None:
    listed = Counted(tables={"cc": {"DE": 100, "IS": 9}})
    weeks = published(tmp_path, *[listed] * 6)
    assert "* is part of" in page(weeks, "cc/index.html")
    assert "* is part of" not in page(weeks, "py/index.html")
    assert [week.count("cc", "DE") is None for week in weeks] == [True] * 3 + [False] * 3


def test_a_note_in_another_language_says_so() -> None:
    notes = [Note(kit.week(0), {"en": "Told."}), Note(kit.week(1), {"en": "A.", "de": "B."})]
    site = kit.site([], notes=notes)
    found = {}
    for code in ("", "de/"):
        address = parse(f"{code}events/index.html")
        assert address is not None
        found[code] = (site.content(address) or b"").decode()
    assert '<td lang="en">Told.</td>' in found["de/"]
    assert "<td>B.</td>" in found["de/"]
    assert 'lang="en">Told.' not in found[""]


def test_formulas_of_the_method_are_written_as_in_the_language(tmp_path: Path) -> None:
    weeks = published(tmp_path, USUAL)
    german = page(weeks, "de/method/index.html")
    for formula in re.findall(r"<pre[^>]*>(.*?)</pre>", german, re.DOTALL):
        assert not re.search(r"[0-9]\.[0-9]|\bfrom\b|\bto\b", formula), formula
    assert "N = (H + 4,5) × 6,5 / 7" in german
    assert "from  6.5 / 7 × (H − 1.96 × √(0.256 × H))" in page(weeks, "method/index.html")


def test_no_sentence_begins_with_the_name_of_a_value(tmp_path: Path) -> None:
    odd = Counted(tables={"os": {"other": 900, "linux": 40}})
    text = shares("os", published(tmp_path, odd, odd), SAY)
    for before, after in pairwise(re.split(r"(?<=[.%])\. ", text)):
        assert after[0].isupper(), before
    assert f"In {kit.week(0)} other stood at" in text
