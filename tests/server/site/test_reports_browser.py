"""The pages of error reports in a real browser, with everything unfolded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mars.wire.reports.status import KNOWN, Answer
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site, static
from mars_server.tables.faults import FaultRow, FaultWeek
from mars_server.tables.floor import floor
from tests.server.publication import kit
from tests.server.site import reports_kit
from tests.server.site.test_browser import AXE, chromium, watched
from tests.server.site.test_failures_browser import CUT, PAINTED
from tests.server.site.test_statistics_browser import UNFOLD, tab, unfolded_width

__all__ = ["chromium"]

PAGES = [f"{code}{name}/index.html" for code in ("", "de/") for name in ("answers", "faults")]

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def written(contents: Contents, folder: Path, factory: pytest.TempPathFactory) -> Path:
    """These pages as files."""
    site = Site(contents, ChartStore(kit.chart_cache(factory)))
    (folder / "style.css").write_bytes(static("style.css"))
    (folder / "icon.png").write_bytes(static("icon.png"))
    for address in site.addresses():
        if address.section in ("answers", "faults"):
            where = folder / address.path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(site.content(address) or b"")
    return folder


def shown() -> Contents:
    return Contents(kit.PRODUCT, [], status=reports_kit.STATUS, faults=reports_kit.weeks())


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 768), ("light", 390), ("dark", 390)]
)
def test_pages_of_error_reports_fit_and_can_be_read_by_all(
    chromium: Browser,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    scheme: str,
    width: int,
) -> None:
    folder = written(shown(), tmp_path, tmp_path_factory)
    found = []
    with tab(chromium, scheme, width) as page:
        for path in PAGES:
            assert unfolded_width(page, folder / path) <= width, path
            assert page.evaluate(PAINTED), path
            page.add_script_tag(content=AXE)
            found += [(path, each["id"]) for each in page.evaluate("axe.run()")["violations"]]
    assert found == []


def test_a_person_follows_a_code_to_its_answer_without_scripts(
    chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From a list in parts, whose help stands in the first."""
    status = reports_kit.rich(2_000)
    folder = written(replace(shown(), status=status), tmp_path, tmp_path_factory)
    context = chromium.new_context(java_script_enabled=False)
    page, console, fetched = watched(context)
    page.goto((folder / "answers/index.html").as_uri())
    page.click("ul.files >> text=part 3")
    page.click("tr:has-text('Fault 1') >> a >> nth=0")
    assert page.url.endswith("answers/index.html#answer-2")
    assert page.is_visible("#answer-2 >> text=Fault 1")
    context.close()
    assert console == []
    assert {url.partition(":")[0] for url, _ in fetched} == {"file"}


def test_no_table_of_them_is_cut_on_a_desktop(
    chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = written(shown(), tmp_path, tmp_path_factory)
    with tab(chromium, "light", 1100) as page:
        for path in PAGES:
            page.goto((folder / path).as_uri())
            page.evaluate(UNFOLD)
            assert not page.evaluate(CUT), path


@pytest.mark.parametrize("width", [1000, 360])
def test_a_text_without_a_space_makes_no_page_wider(
    chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, width: int
) -> None:
    long = "W" * 1900
    answer = Answer(KNOWN, 1, "W" * 200, long, long)
    status = replace(reports_kit.STATUS, answers=(answer,), prefixes={bytes(8): 0}, faults=())
    rows = (FaultRow(long, "0.5.2", floor(20)),)
    faults = [FaultWeek(kit.week(n), rows) for n in range(3)]
    contents = Contents(kit.PRODUCT, [], status=status, faults=faults)
    folder = written(contents, tmp_path, tmp_path_factory)
    with tab(chromium, "light", width) as page:
        for path in PAGES:
            assert unfolded_width(page, folder / path) <= width, path
