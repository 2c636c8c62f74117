"""The console in a real browser: used from end to end without scripts, and judged by axe.

With ``MARS_SCREENSHOTS=1`` the picture of docs/images is taken anew.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.server.console import kit
from tests.server.console.kit import GUID
from tests.server.site.test_browser import AXE, chromium, watched
from tests.server.triage.kit import Triage, content, fault, identity

__all__ = ["chromium"]
PAGES = ("/", "/?state=known&text=store", "/faults/1", "/faults/3", "/rules", "/kept", "/faults/99")
PICTURE = Path(__file__).resolve().parents[3] / "docs/images/console.png"

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture(scope="module")
def triage(tmp_path_factory: pytest.TempPathFactory) -> Triage:
    folder = tmp_path_factory.mktemp("triage")
    found = kit.filled(Triage(folder, f"sqlite:///{folder}/triage.db"))
    (folder / "rules.toml").write_text(kit.RULES)
    return found


@pytest.fixture(scope="module")
def url(triage: Triage) -> Iterator[str]:
    with kit.console(triage) as running, kit.forwarded(running.path) as found:
        yield found


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    found = chromium.new_context(java_script_enabled=False)
    yield found
    found.close()


def test_axe_finds_no_violation(chromium: Browser, url: str) -> None:
    """In copies where scripts run: axe-core itself is one."""
    for width, dark in ((1280, False), (390, True)):
        context = chromium.new_context(
            bypass_csp=True,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 900},
        )
        page = context.new_page()
        for path in PAGES:
            page.goto(f"{url}{path}")
            assert judged(page) == [], (path, width)
        page.goto(f"{url}/faults/1")
        page.fill("#release", "soon")
        page.click("text=Resolve >> nth=-1")
        assert judged(page) == [], "what is refused"
        page.goto(f"{url}/faults/1")
        page.click("text=Delete… >> nth=0")
        assert judged(page) == [], "what is asked before it is deleted"
        context.close()


def judged(page: Page) -> list[tuple[str, list[str]]]:
    page.add_script_tag(content=AXE)
    found = page.evaluate("axe.run()")["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in found]


def test_nothing_is_wider_than_a_narrow_screen(chromium: Browser, url: str) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    for path in PAGES:
        page.goto(f"{url}{path}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    context.close()


def test_every_field_has_a_label_and_the_keyboard_reaches_all(chromium: Browser, url: str) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{url}/faults/1")
    fields = "document.querySelectorAll('input:not([type=hidden]), textarea')"
    assert page.evaluate(f"[...{fields}].every(each => each.labels.length === 1)")
    wanted = page.evaluate("document.querySelectorAll('a, button').length") + page.evaluate(
        f"{fields}.length"
    )
    stops = set()
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        stops.add(
            page.evaluate(
                "[...document.querySelectorAll('a, button, input, textarea, pre')]"
                ".indexOf(document.activeElement)"
            )
        )
    assert len(stops - {-1}) >= wanted
    context.close()


class _Elsewhere(BaseHTTPRequestHandler):
    """A page of somebody else's, with a form that leads to the console."""

    target = ""

    def do_GET(self) -> None:
        form = f'<form method="post" action="{self.target}/faults/1/delete"><button>Win</button>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(f"<!doctype html>{form}<input name=seen value=3>".encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


@pytest.mark.parametrize("named", ["127.0.0.1", "localhost"])
def test_j21_a_page_of_another_origin_sends_a_form_in_vain(
    context: BrowserContext, triage: Triage, url: str, named: str
) -> None:
    """Of another site, whose forms carry no cookie; and of another port of this one, whose do."""
    before = triage.groups()
    page = context.new_page()
    page.goto(url)
    here = url.rpartition(":")[0]
    server = HTTPServer(("127.0.0.1", 0), _Elsewhere)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        _Elsewhere.target = url
        page.goto(f"http://{named}:{server.server_port}/")
        with page.expect_response(lambda answer: answer.request.method == "POST") as got:
            page.click("text=Win")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert got.value.status == 403
    cookie = got.value.request.all_headers().get("cookie", "")
    assert ("mars-console" in cookie) == (named in here)
    assert triage.groups() == before


def test_an_operator_s_walk(context: BrowserContext, triage: Triage, url: str) -> None:
    """After the others, since it changes what is there."""
    page, console, fetched = watched(context)
    page.goto(url)
    page.check("text=known")
    page.fill("#text", "store")
    page.click("text=Filter")
    assert page.url == f"{url}/?state=known&release=&text=store"
    page.click("text=ValueError | mail.store:load")
    assert page.url == f"{url}/faults/2"
    page.fill("#release", "0.5.3")
    page.fill("#summary", "A damaged index.")
    page.fill("#how", "The disk was full.\nThen it was not.")
    page.click("form[action$=resolve] button")
    assert page.url == f"{url}/faults/2?done=resolved"
    assert page.inner_text("[role=status]") == "It is resolved."
    page.fill("#memo", "Ask Ida.")
    page.click("text=Keep the note")
    (group,) = (each for each in triage.groups() if each["group"] == 2)
    assert (group["state"], group["how"], group["memo"]) == (
        *("resolved", "The disk was full.\nThen it was not.", "Ask Ida."),
    )
    page.click("text=Reopen")
    page.goto(url)
    page.fill("#guid", identity(40).guid)
    page.click("text=Look up")
    assert page.url == f"{url}/faults/3"
    assert r"\u202egnp.exe" in page.inner_text(".reports .said")
    page.click("text=Delete…")
    assert "Delete this report?" in page.inner_text("h1")
    page.click("text=Keep it")
    page.click("text=Delete…")
    page.click("text=Delete it")
    assert page.url == f"{url}/?done=deleted"
    page.fill("#text", identity(20).guid)
    page.click("text=Filter")  # the browser refuses to put a GUID into an address
    assert page.url == f"{url}/?done=deleted"
    assert [each["group"] for each in triage.groups()] == [1, 2]
    assert console == []
    assert {status for _, status in fetched} <= {0, 200, 303}  # 0: cut off by the next page
    assert {each.split("/")[2] for each, _ in fetched} == {url.split("/")[2]}
    assert not [each for each, _ in fetched if GUID.search(each)]


def test_the_picture_of_the_console(
    chromium: Browser, triage: Triage, url: str, tmp_path: Path
) -> None:
    """Taken anew on request."""
    sender = triage.sender
    rebuild = fault("mail.window:Window.open", "mail.index:Index.rebuild", types=("KeyError",))
    triage.open([
        *sender.crowd(range(60, 87), fault("mail.imap:login", types=("ssl.SSLError",))),
        *sender.direct(range(70, 75), content(rebuild), release="0.5.3"),
    ])  # fmt: skip
    triage.tell("resolve", 1, "--release", "0.5.3", "--summary", "The archive was closed early.")
    context = chromium.new_context(viewport={"width": 900, "height": 600})
    page = context.new_page()
    page.goto(url)
    wanted = os.environ.get("MARS_SCREENSHOTS")
    page.screenshot(path=PICTURE if wanted else tmp_path / "console.png", full_page=True)
    assert page.locator(".groups > li").count() == 4
    assert "27 crowd" in page.inner_text(".groups > li:first-child")
    context.close()
