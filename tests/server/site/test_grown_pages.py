"""A project that grew until its requests said more, and one whose counts were lost on the way: each
row keeps the names, the weeks and the data that it had."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from mars.wire.times import parse_time
from mars_server.common.calendar import span
from mars_server.publication.closing import close_weeks
from mars_server.site.charts.data import shares_chart
from mars_server.site.charts.tellable import of_table
from mars_server.site.language import folded, language
from mars_server.site.pages import findings
from mars_server.site.pages.events import events
from mars_server.site.pages.ranges import distinct
from mars_server.tables.compose import FloorRules
from mars_server.tables.week import Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted
from tests.server.site.test_summed_pages import SAY, SMALL, few, page

MANY = Counted(
    plain=100,
    tables={
        "v": {"0.5.1": 700, "0.5.2": 300},
        "os": {"linux": 500, "windows": 500},
        "ia": {"1": 100, "10": 200, "100": 300, "1000": 400},
    },
)
GREW = "2026-W22"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> list[Week]:
    """Eight weeks in periods of four in a crowd of 0, then a quarter's rest and a whole one."""
    names = span("2026-W14", "2026-W39")
    counted = {name: few() if name < GREW else MANY for name in names}
    engine = kit.database(tmp_path_factory.mktemp("grown"), counted)
    close_weeks(engine, FloorRules(SMALL), parse_time("2026-05-28T00:00:00Z"))
    return close_weeks(engine, FloorRules(kit.PRODUCT), kit.LATER)


def row(text: str, weeks: str) -> list[str]:
    """The cells of the table by weeks."""
    (found,) = re.findall(rf'<tr><th scope="row">{weeks}</th>(.*)</tr>', text)
    return re.findall("<td>([^<]*)</td>", found)


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("en", ["up to a month", "longer", "0–3 days", "4–31 days"]),
        ("de", ["bis zu einem Monat", "länger", "0–3 Tage", "4–31 Tage"]),
    ],
)
def test_ages_keep_the_names_that_they_had(grown: list[Week], code: str, names: list[str]) -> None:
    text = page(grown, f"{'' if code == 'en' else 'de/'}ia/index.html")
    heads = re.findall('<th scope="col">(?:<span[^>]*></span>)?([^<]*)</th>', text)
    assert [head for head in heads if head in names] == names
    before, after = row(text, "2026-W18–W21"), row(text, "2026-W22–W26")
    assert before[1:3] == ["10", "40"] and before[3:5] == ["–", "–"]
    assert after[1:3] == ["–", "–"] and after[3:5] == (
        ["500", "1,000"] if code == "en" else ["500", "1.000"]
    )
    assert "*" not in (*before, *after), "neither is a part of others"
    both = "In a larger one it says four; each row has numbers under the names that held then."
    assert language(code).gettext(both) in text


def test_the_chart_of_ages_has_a_band_for_each_of_both_kinds(grown: list[Week]) -> None:
    rows = shares_chart("ia", grown, SAY).datasets["bands"]
    high = {(str(row["x"]), row["series"]) for row in rows if row["top"] != row["bottom"]}
    assert {name for x, name in high if x < "2026-05-25"} == {folded("10"), folded("100")}
    assert {name for x, name in high if x > "2026-06-29"} == {"1", "10", "100", "1000"}


def test_new_installations_are_told_of_either(grown: list[Week]) -> None:
    early, late = of_table("ia", grown)[0], of_table("ia", grown)[-1]
    shares = [
        findings.told_share("ia", each, findings.new_ones(each), SAY) for each in (early, late)
    ]
    assert [share.partition(" ")[0] for share in shares] == ["20%", "30%"]


def test_languages_of_a_project_that_grew_say_why_early_rows_are_empty(grown: list[Week]) -> None:
    needed = "A request says this only where at least 1,000 installations send metrics."
    assert needed in page(grown, "lang/index.html")
    assert needed not in page(grown, "lang/last-13/index.html")


def test_counts_that_were_lost_are_no_data_and_not_few_hits(grown: list[Week]) -> None:
    lost = [
        replace(week, tables={**week.tables, "os": ()}) if week.week == "2026-W17" else week
        for week in grown[:8]
    ]
    text = page(lost, "os/index.html")
    assert set(row(text, "2026-W14–W17")) == {"–"}
    assert "Shares in 2026-W18–W21" in text and "No data: 2026-W14–W17." in text
    only = page(lost[:4], "os/index.html")
    assert "There is no data in these weeks." in only
    assert "no value reached ten" not in only


def test_what_happens_in_a_period_stands_in_its_middle(grown: list[Week]) -> None:
    """A release in all of its weeks, a triangle at the very week, a name inside a chart between."""
    weeks = [
        replace(week, flags=("disturbed",)) if week.week == "2026-W15" else week
        for week in grown[:8]
    ]
    chart = shares_chart("os", weeks, SAY)
    assert chart.datasets["marks"] == [{"x": "2026-04-09"}], "Thursday of 2026-W15"
    named = shares_chart("ia", grown, SAY).datasets["inside"]
    inside = {str(row["text"]): row["x"] for row in named}
    assert inside["longer"] == "2026-04-13", "W14 to W17"
    assert inside["up to a month"] == "2026-04-16", "with room for its letters"


def test_a_release_is_first_seen_in_all_weeks_of_a_period(grown: list[Week]) -> None:
    periods = {"v": grown[7].periods["os"]}
    versions = {**grown[7].tables, "v": grown[-1].tables["v"]}
    last = replace(grown[7], periods=periods, tables=versions)
    (found,) = [each for each in events([grown[0], last], [], "en") if each.kind == "release"]
    assert (found.version, found.when) == ("0.5.2", "2026-W18–W21")
    text = page([grown[0], last], "events/index.html")
    assert '<th scope="row">2026-W18–W21</th><td>Version 0.5.2 was first seen' in text


def test_the_overview_names_the_weeks_of_other_figures(grown: list[Week]) -> None:
    text = page(grown[:9], "index.html")
    facts = re.findall("<dt>([^<]*)</dt>", text)
    assert "Installed in the last 31 days (2026-W18–W21)" in facts
    assert "On 0.5.2, the newest version seen" in facts, "of the week itself"


def test_a_period_that_runs_says_when_its_figures_come(grown: list[Week]) -> None:
    running, done = page(grown[:7], "os/index.html"), page(grown[:8], "os/index.html")
    text = "The next figures are those of 2026-W18–W21, after the end of that time"
    assert f"{text} (27 Apr – 24 May 2026)." in running
    assert "The next figures are" not in done
    assert "The next figures are" not in page(grown[:7], "os/2026-W14..2026-W17/index.html")


def test_no_two_ranges_are_called_all_weeks(grown: list[Week]) -> None:
    assert distinct(grown, "all") == ["last-13", "all"]
    assert distinct(grown) == ["last-13", "last-52"]
    for path in ("v/index.html", "v/all/index.html", "v/2026/index.html"):
        assert page(grown, path).count(">all weeks<") == 1
