"""A manager's questions: the answers that the docs name stand on the pages, two clicks away."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest

from mars.testing.publisher import Publisher
from mars_server.publication.folder import read_weeks
from mars_server.site.pages.address import Address
from mars_server.site.publish import publish
from mars_server.tables.compose import FloorRules
from mars_server.tables.estimate import estimate
from mars_server.tables.fetch_intervals import begin_of
from mars_server.tables.floor import floor
from mars_server.tables.week import Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted
from tests.server.site.test_site import read

DOCS = Path(__file__).parents[3] / "docs/publication.md"
PRODUCT = replace(kit.PRODUCT, releases=("0.1.0", "0.3.0", "0.5.1", "0.5.2"))
FLOOD, LAST = 8, 15
ROW = re.compile(r"\| ([^|]+\?) \| `([a-z/]*)` \| `([^`]+)`")
QUESTIONS = ROW.findall(DOCS.read_text("utf-8"))


def counted(n: int) -> Counted:
    hits = 4000 if n == FLOOD else 1000 + 5 * n
    newest = hits * n // 60
    return Counted(
        plain=hits // 4,
        tables={
            "v": {
                "0.1.0": 30 if n < 4 else 6,
                "0.3.0": 20,
                "0.5.1": hits - newest,
                "0.5.2": newest,
            },
            "os": {"linux": hits // 3, "windows": hits // 2, "macos": 8},
            "ia": {"1": hits // 20, "10": hits // 8, "100": hits // 2},
            "py": {"3.11": hits // 5, "3.12": hits // 4},
        },
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("questions")
    publish(
        kit.database(out, {kit.week(n): counted(n) for n in range(LAST + 1)}),
        out / "site",
        FloorRules(PRODUCT),
        kit.LATER,
        motd=Publisher().document(begin_of(kit.week(LAST - 2)) + 3600),
        chart_cache=kit.chart_cache(tmp_path_factory),
        operator="Example Mail <mars@example.org>",
    )
    return out / "site"


def text(folder: Path, page: str) -> str:
    """What a page says in its content, without markup."""
    content = (folder / page / "index.html").read_text("utf-8").partition("<main")[2]
    plain = html.unescape(re.sub(r"<[^>]+>", " ", content.partition("</main>")[0]))
    return re.sub(r"\s+", " ", plain)


def test_the_docs_name_eight_questions() -> None:
    assert len(QUESTIONS) == 8


@pytest.mark.parametrize(("question", "page", "answer"), QUESTIONS)
def test_each_answer_stands_on_its_page(
    folder: Path, question: str, page: str, answer: str
) -> None:
    pattern = ".{1,300}?".join(re.escape(part) for part in answer.split("…"))
    assert re.search(pattern, text(folder, page)), question


@pytest.mark.parametrize("code", ["", "de"])
def test_each_page_is_two_clicks_away_from_any(folder: Path, code: str) -> None:
    """The first may open the menu."""
    pages = {page for _, page, _ in QUESTIONS}
    for start in ("", "method/", "cc/", *pages):
        place = (folder / code / start).resolve()
        links = {(place / link).resolve() for link in read(place / "index.html").links}
        for page in pages:
            assert (folder / code / page / "index.html").resolve() in links, (start, page)


def test_every_known_release_has_a_row_or_a_sentence(folder: Path) -> None:
    said = text(folder, "v")
    ranking = said.partition("Hits by week or period")[0]
    for release in PRODUCT.releases:
        assert release in ranking.partition("installations among those")[2], release
    assert (
        f"Fewer than 10 hits in each week or period with data since {kit.week(4)}: 0.1.0." in said
    )
    assert "0.1.0" in text(folder, "brief")


def test_a_release_that_is_known_since_the_last_week_is_named(folder: Path) -> None:
    weeks = read_weeks(folder / "data")
    site = kit.site(weeks, replace(PRODUCT, releases=(*PRODUCT.releases, "0.6.0")))
    page = site.content(next(each for each in site.addresses() if each.path == "v/index.html"))
    assert page is not None
    assert f"Not counted by name in {kit.week(LAST)}, since not known then: 0.6.0." in page.decode()


def test_the_headline_is_the_lower_end(folder: Path) -> None:
    week = read_weeks(folder / "data")[-1]
    assert week.estimate is not None
    said = text(folder, "")
    assert f"at least about {week.estimate.low:,} active installations" in said
    assert said.index("at least about") < said.index(f"{week.estimate.high:,}")


def test_the_foot_names_the_next_figures_and_who_runs_it(folder: Path) -> None:
    for page in ("", "v", "brief", "method"):
        foot = (folder / page / "index.html").read_text("utf-8").partition("<footer")[2]
        assert "The next figures come on 6 May 2026 at the earliest." in foot
        assert "Run by Example Mail &lt;mars@example.org&gt;." in foot


def test_the_change_in_four_weeks_is_told_beyond_chance_alone(folder: Path) -> None:
    assert f"Against four weeks before ({kit.week(LAST - 4)}) nothing moved" in text(folder, "")
    weeks = read_weeks(folder / "data")
    hits = floor(2 * weeks[LAST - 4].hits.least)
    grown = [*weeks[:-1], replace(weeks[-1], hits=hits, estimate=estimate(hits))]
    assert "it is 100% more." in front(grown)
    flagged = [*grown[:-1], replace(grown[-1], flags=("disturbed",))]
    assert "Against four weeks" not in front(flagged)


def front(weeks: list[Week]) -> str:
    page = kit.site(weeks).content(Address())
    assert page is not None
    return page.decode()
