"""The pages of declared statistics in a real browser, with everything unfolded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site, static
from tests.server.publication import kit
from tests.server.site import answers_kit
from tests.server.site.test_browser import AXE, chromium

__all__ = ["chromium"]

PAGES = [
    *("statistics/index.html", "statistics/examplemail/index.html"),
    *("de/statistics/index.html", "de/statistics/gnupg-bridge/index.html"),
]
UNFOLD = "document.querySelectorAll('details').forEach(each => { each.open = true })"

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


def written(contents: Contents, folder: Path, factory: pytest.TempPathFactory) -> Path:
    """The pages of statistics and error events as files."""
    site = Site(contents, ChartStore(kit.chart_cache(factory)))
    (folder / "style.css").write_bytes(static("style.css"))
    for address in site.addresses():
        if address.section in ("statistics", "failures"):
            where = folder / address.path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(site.content(address) or b"")
    return folder


@contextmanager
def tab(chromium: Browser, scheme: str, width: int) -> Iterator[Page]:
    context = chromium.new_context(
        bypass_csp=True,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    yield context.new_page()
    context.close()


def unfolded_width(page: Page, path: Path) -> int:
    """Pixels that the page at ``path`` takes with everything unfolded."""
    page.goto(path.as_uri())
    page.evaluate(UNFOLD)
    return int(page.evaluate("document.documentElement.scrollWidth"))


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 360)])
def test_pages_of_statistics_fit_and_can_be_read_by_all(
    chromium: Browser,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    scheme: str,
    width: int,
) -> None:
    contents = Contents(
        kit.PRODUCT, [], reports=answers_kit.weekly(), catalogue=answers_kit.CATALOGUE
    )
    folder = written(contents, tmp_path, tmp_path_factory)
    found = []
    with tab(chromium, scheme, width) as page:
        for path in PAGES:
            assert unfolded_width(page, folder / path) <= width, path
            page.add_script_tag(content=AXE)
            found += [(path, each["id"]) for each in page.evaluate("axe.run()")["violations"]]
    assert found == []


@pytest.mark.parametrize("width", [1000, 360])
def test_a_text_without_a_space_makes_no_page_wider(
    chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, width: int
) -> None:
    long = dict.fromkeys(("label", "description", "reason", "owner", "review"), "W" * 1900)
    catalogue = replace(
        answers_kit.CATALOGUE,
        metrics=tuple(replace(each, **long) for each in answers_kit.CATALOGUE.metrics),  # type: ignore[arg-type]
    )
    weeks = answers_kit.weekly(answers_kit.WEEKS[:1])
    contents = Contents(kit.PRODUCT, [], reports=weeks, catalogue=catalogue)
    folder = written(contents, tmp_path, tmp_path_factory)
    with tab(chromium, "light", width) as page:
        for path in PAGES:
            assert unfolded_width(page, folder / path) <= width, path
