"""The pages under hostile values, hostile browsers and missing data."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Container, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.product import Product
from mars_server.site.charts.data import shares_chart
from mars_server.site.pages.address import Address, parse
from mars_server.site.pages.events import Note
from mars_server.site.pages.language import LANGUAGES, SOURCE, language
from mars_server.site.pages.site import Site
from mars_server.tables.downloads import cell_text, data_files, series_csv
from mars_server.tables.floor import floor
from mars_server.tables.week import Pair, Row, Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "{% raw %}",
    "\u202egnp.exe",
    "=cmd()",
    "</title>",
    "%(week)s",
]


def every_page(site: Site, languages: Container[str] = LANGUAGES) -> Iterator[tuple[str, str]]:
    """All pages of the default range, by their paths; each is made when it is asked for."""
    for address in site.addresses():
        chosen = address.language in languages and address.span == "last-52"
        if chosen and address.file == "index.html":
            content = site.content(address)
            assert content is not None
            yield address.path, content.decode()


def test_k01_hostile_values_in_a_published_week_are_escaped(tmp_path: Path) -> None:
    """Even a week file that holds them, say of a careless allow-list, only shows them as text."""
    week = kit.published(tmp_path, {kit.week(0): Counted(plain=100)})[0]
    rows = tuple(Row(value, floor(500)) for value in (*HOSTILE, "other", "none"))
    hostile = replace(
        week,
        tables={**week.tables, "v": rows, "os": rows},
        pairs=tuple(Pair(v, os, floor(500)) for v in HOSTILE for os in HOSTILE),
    )
    for value in HOSTILE:
        product = replace(kit.PRODUCT, product=value)
        site = kit.site([hostile], product, notes=[Note(kit.week(0), {"en": value})])
        pages = {}
        for path, page in every_page(site, LANGUAGES if value is HOSTILE[0] else [SOURCE]):
            assert "<script" not in page, path
            assert "<img src=x" not in page, path
            assert page.count("</title>") == 1, path
            pages[path] = page
        for text in ("{{7*7}}", "{% raw %}", "&lt;script&gt;alert(1)&lt;/script&gt;", "%(week)s"):
            assert text in pages["v/index.html"], "shown as it is, neither run nor replaced"
    svg = site.content(Address(section="v", file="chart.svg"))
    assert svg is not None
    assert b"<script" not in svg
    assert b"<img" not in svg


def test_k01_a_hostile_stored_value_never_reaches_a_page(tmp_path: Path) -> None:
    """The database holds them, against the counter's allow-list; publishing folds them away."""
    counts = {**dict.fromkeys(HOSTILE, 80), "other": 3}
    pairs = {(value, value): 80 for value in HOSTILE}
    counted = Counted(100, dict.fromkeys(("v", "os", "ia", "py"), counts), pairs)
    weeks = kit.published(tmp_path, {kit.week(n): counted for n in range(2)})
    for name, content in data_files(weeks).items():
        assert not [value for value in HOSTILE if value.encode() in content], name
    for path, page in every_page(kit.site(weeks)):
        assert {value for value in HOSTILE if value in page} == {"</title>"}, path


def test_k02_pages_use_nothing_that_the_safest_level_blocks(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, {kit.week(n): Counted(plain=500) for n in range(3)})
    for path, page in every_page(kit.site(weeks)):
        for tag in ("<script", "<svg", "<math", "<iframe", "<object", "<canvas", "<video"):
            assert tag not in page, path
        assert "chart.svg" not in re.findall(r'(?:src|srcset)="([^"]+)"', page)
    style = kit.site(weeks).content(Address(file="style.css"))
    assert style is not None
    assert b"@font-face" not in style
    assert b"url(" not in style
    assert b"@import" not in style


def test_k03_no_page_breaks_its_own_policy(tmp_path: Path) -> None:
    """No inline style, no handler, no form that leaves; a browser test looks at the console."""
    weeks = kit.published(tmp_path, {kit.week(n): Counted(plain=500) for n in range(3)})
    for path, page in every_page(kit.site(weeks, served=True)):
        assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
        assert not re.search(r'\sstyle="|\son[a-z]+="|javascript:|"data:', page), path
        assert not re.search(r'(?:href|src|action)="(?:[a-z]+:|//)', page), path


@pytest.mark.parametrize("value", ["=cmd()", "+1", "-1", "@SUM(1)", "\tx", "\rx"])
def test_k04_a_spreadsheet_gets_no_formula(tmp_path: Path, value: str) -> None:
    assert cell_text(value) == f"'{value}"
    week = kit.published(tmp_path, {kit.week(0): Counted(plain=100)})[0]
    hostile = replace(week, tables={**week.tables, "v": (Row(value, floor(50)),)})
    text = series_csv("v", [hostile]).decode()
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["value"] == f"'{value}"


def test_k05_json_has_the_floors_of_the_page(tmp_path: Path) -> None:
    tables = {"os": {"linux": 4, "windows": 0, "macos": 17}}
    weeks = kit.published(tmp_path, {kit.week(0): Counted(plain=3, tables=tables)})
    for name, content in data_files(weeks).items():
        if name.endswith(".json"):
            for _, value in kit.numbers(json.loads(content)):
                assert value in (None, "<10", 10, 20), name
    rows = json.loads(data_files(weeks)["os.json"])["weeks"][0]["rows"]
    assert {row["value"]: row["count"] for row in rows} == {
        "linux": "<10",
        "windows": "<10",
        "macos": 10,
        "other": "<10",
        "none": "<10",
    }


@pytest.mark.parametrize(
    "weeks",
    [
        {},
        {0: Counted(plain=500)},
        {0: Counted(plain=500), 3: Counted(plain=510)},
        {0: Counted(plain=3), 1: Counted(plain=0)},
        {0: Counted(tables={"v": {"0.5.2": 4}, "os": {"linux": 4}})},
    ],
    ids=["no data", "one week", "missing weeks", "only <10", "tracked <10"],
)
def test_k06_every_page_builds_and_says_what_is_missing(
    tmp_path: Path, weeks: dict[int, Counted]
) -> None:
    found = kit.published(tmp_path, {kit.week(n): counted for n, counted in weeks.items()})
    site = kit.site(found)
    for address, content in site.export():
        assert content, address
    pages = dict(every_page(site))
    assert len(pages) == len(LANGUAGES) * 14
    overview = pages["index.html"]
    if not weeks:
        assert "Nothing is published yet" in overview
    if 3 in weeks:
        assert f"No data: {kit.week(1)}, {kit.week(2)}." in overview
    if len(found) and found[0].hits.hidden:
        assert "&lt;10" in overview
        assert "no value reached ten hits" in overview


def test_k06_a_chart_of_nothing_is_still_a_chart(tmp_path: Path) -> None:
    weeks: list[Week] = kit.published(tmp_path, {kit.week(0): Counted(plain=3)})
    assert shares_chart("v", weeks, language("en")).datasets["labels"] == []
    address = parse("v/chart.png")
    assert address is not None
    content = kit.site(weeks).content(address)
    assert content is not None
    assert content.startswith(b"\x89PNG")


def test_k06_a_product_without_releases_and_languages_builds(tmp_path: Path) -> None:
    product = Product("bare", "stable", (), (), ())
    weeks = kit.published(tmp_path, {kit.week(0): Counted(plain=700)}, product=product)
    assert list(every_page(kit.site(weeks, product)))
