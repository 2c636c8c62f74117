"""The pages of declared statistics in a real browser, with everything unfolded."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

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
    site = Site(contents, ChartStore(kit.chart_cache(tmp_path_factory)))
    (tmp_path / "style.css").write_bytes(static("style.css"))
    for address in site.addresses():
        if address.section == "statistics":
            where = tmp_path / address.path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_bytes(site.content(address) or b"")
    context = chromium.new_context(
        bypass_csp=True,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    found = []
    for path in PAGES:
        page.goto(tmp_path.joinpath(path).as_uri())
        page.evaluate(UNFOLD)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        page.add_script_tag(content=AXE)
        found += [(path, each["id"]) for each in page.evaluate("axe.run()")["violations"]]
    context.close()
    assert found == []
