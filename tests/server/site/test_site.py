"""The static site: complete, well-formed, linked, light, and without any script."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import ConfigError
from mars_server.site.language import LANGUAGES
from mars_server.site.pages.address import Address, parse
from mars_server.site.pages.events import parse_notes
from mars_server.site.pages.ranges import names
from mars_server.tables.week import TABLES
from tests.server.publication import kit
from tests.server.site.conftest import GAP, Published

WEIGHT = 150_000
VOID = {"meta", "link", "img", "source", "br"}


class Reader(HTMLParser):
    """Checks nesting and collects what the tests look at."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        table = dict(attrs)
        assert len(table) == len(attrs), f"an attribute stands twice in {tag}"
        self.tags.add(tag)
        self.attributes |= set(table)
        self.links += [
            value for name in ("href", "src", "srcset", "action") if (value := table.get(name))
        ]
        if table.get("id"):
            self.ids.append(str(table["id"]))
        if tag == "img":
            self.images.append(table)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: Path) -> Reader:
    reader = Reader()
    reader.feed(page.read_text("utf-8"))
    reader.close()
    assert reader.open == [], page
    return reader


def pages(published: Published) -> list[Path]:
    return sorted(published.folder.rglob("*.html"))


def test_every_page_is_well_formed_and_every_link_leads_somewhere(published: Published) -> None:
    assert len(pages(published)) == len(LANGUAGES) * (6 + 9 * 4)
    for page in pages(published):
        for link in read(page).links:
            assert not re.match(r"[a-z]+:|//", link), f"{page} points elsewhere: {link}"
            target = (page.parent / unquote(link.partition("#")[0] or page.name)).resolve()
            assert target.is_file(), f"{page} links to {link}"


def test_nothing_needs_a_script_a_style_attribute_or_svg(published: Published) -> None:
    for page in pages(published):
        found = read(page)
        assert not found.tags & {"script", "style", "svg", "iframe", "object", "math", "embed"}
        assert not {name for name in found.attributes if name.startswith("on")}
        assert "style" not in found.attributes
        assert not any(link.endswith(".svg") for link in (i.get("src") or "" for i in found.images))


def test_pictures_have_sizes_a_dark_twin_and_tell_their_finding(published: Published) -> None:
    page = read(published.folder / "v/index.html")
    (image,) = page.images
    assert image["src"] == "../v/chart.png"
    assert "../v/chart-dark.png" in page.links
    assert {"width", "height"} <= set(image)
    alt = image["alt"] or ""
    assert "0.5.2 50%" in alt
    assert "0.5.1 50%" in alt
    assert f"No data: {kit.week(GAP)}." in alt


def test_every_page_with_a_chart_has_a_table(published: Published) -> None:
    for page in pages(published):
        found = read(page)
        if found.images:
            assert "table" in found.tags, page


def test_a_page_with_its_charts_is_light(published: Published) -> None:
    for page in pages(published):
        found = read(page)
        parts = [page, published.folder / "style.css", published.folder / "icon.png"]
        parts += [page.parent / str(image["src"]) for image in found.images]
        assert sum(part.stat().st_size for part in parts) < WEIGHT, page


def test_every_language_has_every_page(published: Published) -> None:
    english = {page.relative_to(published.folder) for page in pages(published)}
    german = {
        page.relative_to(published.folder / "de")
        for page in pages(published)
        if page.is_relative_to(published.folder / "de")
    }
    assert german == {page for page in english if page.parts[0] != "de"}


@pytest.mark.parametrize("name", ["hits", *TABLES, "v-os"])
def test_figures_beside_a_chart_are_those_of_the_downloads(published: Published, name: str) -> None:
    folder = published.folder
    assert (folder / name / "all/figures.csv").read_bytes() == (
        folder / f"data/{name}.csv"
    ).read_bytes()
    assert (folder / name / "all/figures.json").read_bytes() == (
        folder / f"data/{name}.json"
    ).read_bytes()


def test_csv_and_json_tell_hidden_missing_and_absent_apart(published: Published) -> None:
    rows = list(csv.DictReader(io.StringIO((published.folder / "data/cc.csv").read_text())))
    by_week: dict[str, dict[str, str]] = {}
    for row in rows:
        by_week.setdefault(row["week"], {})[row["value"]] = row["count"]
    assert by_week[kit.week(GAP)] == {"": ""}
    assert by_week[kit.week(GAP + 1)]["other"] == "<10"
    assert "IS" not in by_week[kit.week(15)]
    table = json.loads((published.folder / "data/cc.json").read_bytes())
    gap = next(week for week in table["weeks"] if week["week"] == kit.week(GAP))
    assert (gap["base"], gap["rows"]) == ({"count": None}, [])


def test_a_note_is_shown_as_plain_text_in_the_readers_language(published: Published) -> None:
    assert "A &lt;note&gt; &amp; more." in (published.folder / "events/index.html").read_text()
    assert "Eine &lt;Notiz&gt;." in (published.folder / "de/events/index.html").read_text()


@pytest.mark.parametrize(
    "text",
    [
        b"\xff",
        b"[note]",
        b"note = 1",
        b'[[note]]\nweek = "2026-W12"\ntext = "plain"',
        b'[[note]]\nweek = "2026"\ntext = {en = "x"}',
        b'[[note]]\nweek = "2026-W12"\ntext = {de = "x"}',
        b'[[note]]\nweek = "2026-W12"\ntext = {en = "' + b"x" * 501 + b'"}',
        b'[[note]]\nweek = "2026-W12"\ntext = {en = "x"}\ncount = 1',
    ],
)
def test_notes_of_another_form_are_refused(text: bytes) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_notes(text)
    assert refusal.value.reason == "notes-invalid"


def test_addresses_are_read_back(published: Published) -> None:
    site = kit.site(list(published.outcome.weeks))
    for address in site.addresses():
        assert parse(address.path) == address


@given(st.text(alphabet="abdeilnsvxu./-W20 %", max_size=40))
def test_no_other_path_is_an_address(path: str) -> None:
    found = parse(path)
    assert found is None or found.path in (path, f"{path}index.html")


@pytest.mark.parametrize(
    "path",
    [
        *("../index.html", "v/../index.html", "v//index.html", "de/style.css", "en/index.html"),
        *("de/v/figures.csv", "v-os/chart.png", "v/last-52/index.html", "method/all/index.html"),
        *("v/all/_narrow/chart.png", "v-os/_narrow/chart.png", "v/_narrow/index.html"),
        *("brief/all/index.html", "brief/_narrow/chart.png", "_narrow/chart.png"),
        *("x/index.html", "v/all/all/index.html", "v/index.html/", "/v/index.html"),
    ],
)
def test_every_page_has_one_address_only(path: str) -> None:
    assert parse(path) is None


def test_ranges_have_names_that_stay(published: Published) -> None:
    assert names(published.outcome.weeks) == ["last-13", "last-52", "all", "2026"]
    assert Address(section="v", span="2026").path == "v/2026/index.html"
