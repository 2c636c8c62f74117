"""The pages in real browsers: nothing runs, nothing is fetched elsewhere, everything is seen."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from shutil import which

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from mars_server.site.charts.data import COLOURS, REST_COLOUR
from mars_server.site.language import LANGUAGES
from mars_server.site.pages.address import CHARTS, PLAIN, RANGED
from tests.server.site.conftest import Published

CHROMIUM = which("chromium") or which("chromium-browser") or which("google-chrome")
FIREFOX = which("firefox-esr") or which("firefox")
PAGES = ["", *(f"{name}/" for name in (*RANGED, *PLAIN)), "v/all/", "v/2026-W04..2026-W08/"]
BANDS = [tuple(bytes.fromhex(colour[1:])) for colour in (*COLOURS, REST_COLOUR)]
STACKED = 100_000
"""Pixels of these colours that a stacked chart has at least; it has 560 × 250, less gaps, and the
chips and bars of a table have far fewer."""
INTERVAL = (0x9C, 0xC3, 0xDA)
"""The band around the estimate; nothing else on a page has its colour."""
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip("Chromium is not installed (apt install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield browser
        browser.close()


def watched(context: BrowserContext) -> tuple[Page, list[str], list[tuple[str, int]]]:
    """A page, what it wrote to the console, and what it fetched with which status."""
    page = context.new_page()
    console: list[str] = []
    fetched: list[tuple[str, int]] = []
    page.on("console", lambda message: console.append(message.text))
    page.on("pageerror", lambda error: console.append(str(error)))
    page.on("requestfailed", lambda request: fetched.append((request.url, 0)))
    page.on("response", lambda answer: fetched.append((answer.url, answer.status)))
    return page, console, fetched


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_without_scripts_nothing_is_reported_and_nothing_leaves_the_origin(
    chromium: Browser, served: str, scheme: str
) -> None:
    context = chromium.new_context(
        java_script_enabled=False, color_scheme="dark" if scheme == "dark" else "light"
    )
    page, console, fetched = watched(context)
    for language in ("", "de/"):
        for path in PAGES:
            page.goto(f"{served}/{language}{path}")
    context.close()
    assert console == []
    # The icon is fetched last, and the next page may cut it off.
    failed = [entry for entry in fetched if entry[1] != 200]
    assert {url.rpartition("/")[2] for url, _ in failed} <= {"icon.png"}
    assert {url.split("/")[2] for url, _ in fetched} == {served.split("/")[2]}
    charts = {url for url, _ in fetched if ".png" in url and "icon" not in url}
    wanted = "chart-dark.png" if scheme == "dark" else "chart.png"
    assert {url.rpartition("/")[2] for url in charts} == {wanted}
    assert len(charts) == len(LANGUAGES) * (len(CHARTS) + 2)


def test_the_static_site_works_from_the_disk(chromium: Browser, published: Published) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page, console, fetched = watched(context)
    page.goto(published.folder.joinpath("index.html").as_uri())
    page.click("nav >> text=Versions")
    page.click("text=13 weeks")
    page.click("text=Deutsch")
    assert page.url == published.folder.joinpath("de/v/last-13/index.html").as_uri()
    page.click("text=alle Wochen")
    assert page.url == published.folder.joinpath("de/v/index.html").as_uri()
    context.close()
    assert console == []
    assert not [url for url, status in fetched if status not in (0, 200) or url[:4] != "file"]


@pytest.mark.parametrize(
    ("scheme", "width", "paths"),
    [
        (
            "light",
            1000,
            ["", "hits/", "v/", "v-os/", "events/", "downloads/", "method/", "de/", "brief/"],
        ),
        ("dark", 1000, ["", "v-os/", "events/", "privacy/"]),
        ("light", 360, ["", "cc/", "brief/"]),
    ],
)
def test_axe_finds_no_violation(
    chromium: Browser, served: str, scheme: str, width: int, paths: list[str]
) -> None:
    """In a copy where scripts run: axe-core itself is one."""
    context = chromium.new_context(
        bypass_csp=True,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 900},
    )
    page = context.new_page()
    found = []
    for path in paths:
        page.goto(f"{served}/{path}")
        page.add_script_tag(content=AXE)
        result = page.evaluate("axe.run()")
        found += [
            (path, each["id"], [node["html"] for node in each["nodes"]][:3])
            for each in result["violations"]
        ]
    context.close()
    assert found == []


def test_the_page_reads_in_the_order_of_the_keyboard(chromium: Browser, served: str) -> None:
    """The first tab stop skips to the content; then come languages, pages, and the content."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served}/v/")
    stops: list[list[str]] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        stop = page.evaluate(
            "[document.activeElement.innerText, document.activeElement.closest("
            "'header, main, footer, body').tagName]"
        )
        if stop in stops[:1]:
            break
        stops.append(stop)
    context.close()
    assert stops[0][0] == "Skip to the content"
    places = [place for _, place in stops[1:] if place != "BODY"]
    assert places[0] == "HEADER"
    assert sorted(places, key=["HEADER", "MAIN", "FOOTER"].index) == places


def test_nothing_is_wider_than_a_narrow_screen(chromium: Browser, served: str) -> None:
    context = chromium.new_context(viewport={"width": 360, "height": 800})
    page = context.new_page()
    for path in [*PAGES, "de/"]:
        page.goto(f"{served}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
    context.close()


def test_a_phone_gets_charts_that_fit_it(chromium: Browser, served: str) -> None:
    """Whole, and with letters as large as on a desktop."""
    shown = (
        "[...document.querySelectorAll('figure img')].map(each => [each.currentSrc, "
        "each.getBoundingClientRect().right, each.getBoundingClientRect().width, "
        "each.naturalWidth])"
    )
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    for path in ("", "v/", "hits/", "de/cc/", "v/all/"):
        page.goto(f"{served}/{path}", wait_until="load")
        charts = page.evaluate(shown)
        assert charts, path
        for source, right, width, drawn in charts:
            assert right <= 390, path
            if path != "v/all/":  # the default range
                assert source.endswith("/_narrow/chart.png"), path
                assert width >= 0.95 * drawn / 2, path
    context.close()


def test_the_page_in_brief_is_one_screen_and_one_sheet(chromium: Browser, served: str) -> None:
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    for path in ("brief/", "de/brief/"):
        page.goto(f"{served}/{path}")
        assert page.evaluate("document.documentElement.scrollHeight") <= 800, path
        sheets = re.findall(rb"/Type\s*/Page\b", page.pdf(format="A4"))
        assert len(sheets) == 1, path
    context.close()


CUT = "[...document.querySelectorAll('.wide')].some(each => each.scrollWidth > each.clientWidth)"


@pytest.mark.parametrize("width", [1000, 1920])
def test_no_table_is_cut_on_a_desktop(chromium: Browser, served: str, width: int) -> None:
    """It grows into the margins, and the page does not get wider for it."""
    context = chromium.new_context(viewport={"width": width, "height": 800})
    page = context.new_page()
    for path in [f"{code}{section}/" for code in ("", "de/") for section in RANGED]:
        page.goto(f"{served}/{path}")
        assert not page.evaluate(CUT), path
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_a_table_begins_where_the_text_does_as_long_as_it_fits(
    chromium: Browser, served: str
) -> None:
    left = "selector => document.querySelector(selector).getBoundingClientRect().left"
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    for path in ("v/", "hits/", "de/ia/"):
        page.goto(f"{served}/{path}")
        table, text = (page.evaluate(left, each) for each in (".wide table", "main h1"))
        assert abs(table - text) < 1, path
    context.close()


def test_no_table_leaves_the_sheet(chromium: Browser, served: str) -> None:
    """A4 with the browser's usual margins is 718 pixels wide."""
    context = chromium.new_context(viewport={"width": 718, "height": 1000})
    page = context.new_page()
    page.emulate_media(media="print")
    for path in [f"{code}{section}/" for code in ("", "de/") for section in RANGED]:
        page.goto(f"{served}/{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 718, path
    context.close()


def test_print_leaves_out_what_cannot_be_clicked(chromium: Browser, served: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{served}/v/")
    page.emulate_media(media="print")
    assert not page.is_visible("header nav")
    assert page.is_visible("figure img")
    assert page.is_visible("table.numbers")
    context.close()


def test_firefox_without_svg_and_scripts_shows_every_chart(
    published: Published, served: str, tmp_path: Path
) -> None:
    """What Tor Browser's "Safest" level does: no scripts, no SVG, no web fonts, no MathML."""
    if FIREFOX is None:
        # make test installs it; pytest alone names and counts the skip, and with CI set fails.
        pytest.skip("Firefox ESR is not installed (apt install firefox-esr)")
    profile = tmp_path / "profile"
    profile.mkdir()
    preferences = {
        "svg.disabled": "true",
        "javascript.enabled": "false",
        "mathml.disabled": "true",
        "gfx.downloadable_fonts.enabled": "false",
        "datareporting.policy.dataSubmissionEnabled": "false",
        "network.captive-portal-service.enabled": "false",
        "network.connectivity-service.enabled": "false",
        "browser.shell.checkDefaultBrowser": "false",
        "app.update.enabled": "false",
    }
    profile.joinpath("user.js").write_text(
        "".join(f'user_pref("{name}", {value});\n' for name, value in preferences.items())
    )
    for path, charts in (("", 3), ("lang/", 1), ("cc/", 1)):
        picture = _firefox(FIREFOX, f"{served}/{path}", profile, tmp_path / "shot.png")
        assert painted(picture, BANDS) > charts * STACKED, f"{path}: a chart is not shown"
        if not path:
            assert painted(picture, [INTERVAL]) > 300, "the estimate is not shown"


def _firefox(program: str, url: str, profile: Path, out: Path) -> Image.Image:
    command = [
        *(program, "--headless", "--no-remote", "--profile", str(profile)),
        *("--window-size=900,4000", "--screenshot", str(out), url),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=90)
    return Image.open(io.BytesIO(out.read_bytes())).convert("RGB")


def painted(picture: Image.Image, colours: Iterable[tuple[int, ...]]) -> int:
    """How many pixels have one of ``colours``, but for the rounding of a palette."""
    wanted = list(colours)
    return sum(
        n
        for n, colour in picture.getcolors(maxcolors=1 << 24) or []
        if isinstance(colour, tuple)
        and any(
            all(abs(one - two) <= 6 for one, two in zip(colour, each, strict=True))
            for each in wanted
        )
    )
