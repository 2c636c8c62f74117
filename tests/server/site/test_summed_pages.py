"""Pages and charts of tables that sum several weeks: what they name, and what they divide by."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.times import parse_time
from mars_server.common.calendar import span
from mars_server.publication.closing import close_weeks
from mars_server.site.charts.data import shares_chart
from mars_server.site.charts.store import ChartStore
from mars_server.site.charts.tellable import of_table, tells_shares
from mars_server.site.language import language
from mars_server.site.pages import findings
from mars_server.site.pages.address import parse
from mars_server.site.pages.ranges import pick
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.tables.compose import FloorRules
from mars_server.tables.noise import Noise
from mars_server.tables.week import Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted
from tests.server.site.test_stored_site import undrawn

SMALL = replace(kit.PRODUCT, crowd=0)
SAY = language("en")


def few(linux: int = 9) -> Counted:
    return Counted(
        plain=100,
        tables={
            "v": {"0.5.1": 32},
            "os": {"linux": linux, "windows": 16 - linux},
            "ia": {"1": 1, "10": 3, "100": 12},
        },
    )


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory) -> list[Week]:
    counted = {name: few(9 if name < "2026-W18" else 8) for name in span("2026-W14", "2026-W24")}
    return kit.published(tmp_path_factory.mktemp("few"), counted, product=SMALL)


def page(weeks: list[Week], path: str) -> str:
    address = parse(path)
    assert address is not None
    content = kit.site(weeks, SMALL).content(address)
    assert content is not None
    return content.decode()


def test_a_period_is_named_by_its_weeks_and_says_its_base(weeks: list[Week]) -> None:
    text = page(weeks, "os/index.html")
    assert "Shares in 2026-W18–W21: Linux 50%, Windows 50%." in text
    assert "In 2026-W14–W17 Linux stood at 60%." in text
    assert "Hits in 2026-W18–W21; shares of the 60 hits that say it" in text
    assert "Hits of four weeks (five at the end of a quarter)" in text
    for inner in ("2026-W19", "2026-W22"):
        assert f">{inner}<" not in text, "no week by itself"
    assert text.count('<th scope="row">2026-W') == 2
    hits = page(weeks, "hits/index.html")
    assert hits.count('<th scope="row">2026-W') == 11, "all hits by week"


def test_shares_are_of_those_that_say_it_and_never_of_all(weeks: list[Week]) -> None:
    rows = list(csv.DictReader(io.StringIO(page(weeks, "os/figures.csv"))))
    assert {row["base"] for row in rows} == {"50", "60"}
    for row in rows:
        if row["percent"]:
            assert row["value"] != "none"
            assert round(100 * int(row["count"]) / int(row["base"])) == int(row["percent"])
    assert any(row["value"] == "none" and row["count"] == "460" for row in rows)


@pytest.mark.parametrize(
    ("path", "names", "age"),
    [
        ("ia/index.html", ("up to a month", "longer"), "4–31 days"),
        ("de/ia/index.html", ("bis zu einem Monat", "länger"), "4–31 Tage"),
    ],
)
def test_ages_of_a_small_crowd_have_two_names(
    weeks: list[Week], path: str, names: tuple[str, str], age: str
) -> None:
    text = page(weeks, path)
    assert all(name in text for name in names)
    assert age not in text
    values = page(weeks, path.replace("ia/", "privacy/"))
    assert f"10 ({names[0]}), 100 ({names[1]})" in values


def test_the_overview_says_how_many_send_metrics_and_what(weeks: list[Week]) -> None:
    text = page(weeks, "index.html")
    assert "Of them send metrics" in text
    assert "in half of them the version, else the operating system or the age of" in text
    assert "The publisher has not set the crowd, so a request says as little as if fewer" in text
    assert "may send metrics" not in text, "which contradicts the figure above it"
    privacy = page(weeks, "privacy/index.html")
    assert "in 30% of cases among 10 installations, in 6% among 50" in privacy, "docs/privacy.md"
    for asked in ("?v=0.5.2 ", "?os=linux ", "?ia=100 "):
        assert asked in privacy
    assert "?lang=" not in privacy and "&amp;lang=" not in privacy


def test_a_crowd_that_the_figures_do_not_hold_is_told(weeks: list[Week]) -> None:
    fewer = "By these figures it could be fewer."
    assert fewer not in page(weeks, "index.html")
    assert fewer in page([*weeks[:-1], replace(weeks[-1], crowd=100)], "index.html")


def test_a_table_that_waits_says_for_what(weeks: list[Week]) -> None:
    text = findings.shares("os", weeks[:2], SAY)
    assert text == "The hits of 2026-W14–W17 are published together, when the last week is over."
    assert "at least 1,000 installations send metrics" in page(weeks, "v-os/index.html")
    assert "at least 1,000 installations send metrics" in page(weeks, "lang/index.html")


def test_a_range_that_begins_within_a_period_shows_the_whole_of_it(weeks: list[Week]) -> None:
    found = pick("2026-W16..2026-W22", weeks)
    assert found is not None
    assert [week.week for week in found.of("os")] == list(span("2026-W14", "2026-W22"))
    assert [week.week for week in found.of("hits")] == list(span("2026-W16", "2026-W22"))
    chart = shares_chart("os", found.of("os"), SAY)
    assert chart.domain == ("2026-03-30", "2026-05-25")
    edges = sorted({str(row["x"]) for row in chart.datasets["bands"]})
    assert edges == ["2026-03-30", "2026-04-27", "2026-05-25"], "one step a period"


def test_what_a_period_shows_is_measured_by_all_hits_of_its_weeks(weeks: list[Week]) -> None:
    """Three of four hits hidden: the visible ones must not pass for the whole."""
    period = of_table("os", weeks)[0]
    assert period.hits.value == 4 * 130
    assert tells_shares("os", period)
    rows = period.tables["os"]
    shown = replace(rows[0], count=period.tables["ia"][0].count)  # 10 of 64
    hidden = replace(period, tables={**period.tables, "os": (shown, *rows[2:])})
    assert not tells_shares("os", hidden)


@pytest.mark.parametrize("crowd", [0, 100, 1000])
@pytest.mark.parametrize("noise", [None, Noise(b"a secret of thirty-two bytes ....", 2.0)])
def test_every_page_of_a_year_says_something(
    tmp_path: Path, noise: Noise | None, crowd: int
) -> None:
    """Over a pause, a gap, all periods, and a crowd that grew."""
    product = replace(kit.PRODUCT, crowd=crowd)
    counted = {name: few(n % 16) for n, name in enumerate(span("2026-W14", "2026-W30")) if n != 7}
    counted |= dict.fromkeys(span("2027-W10", "2027-W32"), few())
    engine = kit.database(tmp_path, counted)
    close_weeks(engine, FloorRules(product, noise), parse_time("2026-07-15T00:00:00Z"))
    found = close_weeks(engine, FloorRules(kit.PRODUCT, noise), kit.LATER)
    pages = Site(Contents(product, found), ChartStore(renderer=undrawn))
    texts = {path: content for path, content in pages.export() if path.endswith(".html")}
    assert len(texts) == 102
    for path, content in texts.items():
        assert not re.search(rb">\s*None(?! of)|\bNone\s*<", content), path
