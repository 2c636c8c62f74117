"""The pages of error events in a real browser, with everything unfolded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from mars_server.site.pages.render import Contents
from tests.server.site import failures_kit
from tests.server.site.test_browser import AXE, chromium
from tests.server.site.test_statistics_browser import UNFOLD, tab, unfolded_width, written
from tests.server.tables import failed

__all__ = ["chromium"]

PAGES = [
    *("failures/index.html", "failures/decryption/index.html"),
    "de/failures/decryption/index.html",
]
CUT = "[...document.querySelectorAll('.wide')].some(each => each.scrollWidth > each.clientWidth)"
PAINTED = "[...document.images].every(each => each.complete && each.naturalWidth > 0)"


def few() -> Contents:
    return failures_kit.contents(failures_kit.weekly(weeks=6))


pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.mark.parametrize(("scheme", "width"), [("light", 1000), ("dark", 390)])
def test_pages_of_error_events_fit_and_can_be_read_by_all(
    chromium: Browser,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    scheme: str,
    width: int,
) -> None:
    folder = written(few(), tmp_path, tmp_path_factory)
    found = []
    with tab(chromium, scheme, width) as page:
        for path in PAGES:
            assert unfolded_width(page, folder / path) <= width, path
            assert page.evaluate(PAINTED), path
            page.add_script_tag(content=AXE)
            found += [(path, each["id"]) for each in page.evaluate("axe.run()")["violations"]]
            weight = sum(
                len(each.read_bytes())
                for each in (folder / path).parent.glob("*")
                if each.name in ("index.html", "chart.png")
            )
            assert weight < 150_000, path
    assert found == []


def test_no_table_of_them_is_cut_on_a_desktop(
    chromium: Browser, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = written(few(), tmp_path, tmp_path_factory)
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
    names = tuple(
        replace(each, name=f"{each.name[0]}{'w' * 39}", description=long, owner=long, review=long)
        for each in failed.DOMAIN.names
    )
    domain = replace(failed.DOMAIN, description=long, names=names)
    catalogue = replace(failures_kit.CATALOGUE, domains=(domain,))
    folder = written(failures_kit.contents((), catalogue), tmp_path, tmp_path_factory)
    with tab(chromium, "light", width) as page:
        for path in (PAGES[0], "failures/decryption/index.html"):
            assert unfolded_width(page, folder / path) <= width, path
