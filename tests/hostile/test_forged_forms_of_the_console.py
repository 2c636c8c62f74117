"""Pages of others in the operator's browser, names that lead here, and texts of reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

import pytest

from tests.server.console import kit
from tests.server.console.kit import Running, Visitor
from tests.server.triage.kit import Triage

ACTIONS = ("resolve", "reopen", "note", "choose", "delete")
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.fixture(scope="module")
def triage(tmp_path_factory: pytest.TempPathFactory) -> Triage:
    """Of all tests here: nothing of what is tried may change it."""
    folder = tmp_path_factory.mktemp("triage")
    return kit.filled(Triage(folder, f"sqlite:///{folder}/triage.db"))


@pytest.fixture(scope="module")
def running(triage: Triage) -> Iterator[Running]:
    with kit.console(triage) as found:
        yield found


@pytest.fixture
def visitor(running: Running) -> Visitor:
    return running.visitor()


def test_j21_a_form_without_the_token_of_its_session_changes_nothing(
    triage: Triage, running: Running, visitor: Visitor
) -> None:
    """Nor one with that of another session, which anybody gets who may open the socket."""
    before = triage.groups()
    other = running.visitor()
    assert other.cookie != visitor.cookie
    for token in ("", "0" * 64, other.token, visitor.token[:-1], "é", visitor.token + "\0x"):
        for action in ACTIONS:
            answer = visitor.post(f"/faults/1/{action}", token=token, seen="3")
            assert (answer.status, "nothing was changed" in answer.text) == (403, True)
    without = Visitor(running.path, token=visitor.token)
    for cookie in ("", "mars-console=", "mars-console=x", other.cookie):
        without.cookie = cookie
        assert without.post("/faults/1/delete", seen="3").status == 403
    assert triage.groups() == before
    assert visitor.post("/faults/1/note", summary="ours").status == 303


def test_j21_a_token_does_not_outlive_its_process(triage: Triage, visitor: Visitor) -> None:
    with kit.console(triage) as again:
        late = Visitor(again.path, cookie=visitor.cookie, token=visitor.token)
        assert late.post("/faults/1/delete", seen="3").status == 403
        late.get()
        assert late.cookie == visitor.cookie
        assert late.post("/faults/1/note", summary="ours").status == 303


@pytest.mark.parametrize(
    ("site", "origin"),
    [
        ("cross-site", "null"),
        ("cross-site", "http://evil.example"),
        ("same-site", "http://localhost:9999"),
        ("none", None),
        ("same-origin", "http://evil.example"),
        (None, "http://localhost:9999"),
        (None, "http://127.0.0.1:8080"),
        (None, "https://localhost:8080"),
        (None, "null"),
        (None, None),
    ],
)
def test_j21_a_form_of_another_origin_changes_nothing_even_with_the_token(
    triage: Triage, visitor: Visitor, site: str | None, origin: str | None
) -> None:
    before = triage.groups()
    headers = {"Sec_Fetch_Site": site, "Origin": origin}
    assert visitor.post("/faults/1/delete", headers, seen="3").status == 403
    assert triage.groups() == before


def test_j21_a_browser_that_says_its_origin_alone_is_believed(visitor: Visitor) -> None:
    headers = {"Sec_Fetch_Site": None, "Origin": "http://localhost:8080"}
    assert visitor.post("/faults/1/note", headers, summary="ours").status == 303


def test_j21_nothing_but_a_form_changes_anything(triage: Triage, visitor: Visitor) -> None:
    before = triage.groups()
    query = f"?token={visitor.token}&summary=x&release=0.5.3"
    for action in ACTIONS:
        for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
            told = {"Sec_Fetch_Site": "same-origin", "Origin": "null"}
            answer = visitor.ask(method, f"/faults/1/{action}{query}", **told)
            assert answer.status == 405, (method, action)
        told = {"Content_Type": "text/plain"}
        assert visitor.post(f"/faults/1/{action}", dict(told), seen="3").status == 415
        told = {"Content_Type": "multipart/form-data; boundary=x"}
        assert visitor.post(f"/faults/1/{action}", dict(told), seen="3").status == 415
    assert visitor.post("/faults/1/note", summary="x" * 70_000).status == 413
    assert visitor.post("/faults/1/note", **{f"n{n}": "x" for n in range(30)}).status == 400
    assert triage.groups() == before


def test_j21_the_cookie_is_for_this_site_alone_and_no_script(running: Running) -> None:
    told = Visitor(running.path).get().headers["set-cookie"]
    assert re.fullmatch(r"mars-console=[A-Za-z0-9_-]{43}; HttpOnly; Path=/; SameSite=Strict", told)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "localhost@evil.example",
        "127.0.0.1.evil.example:8080",
        "127.0.0.2",
        "0.0.0.0:8080",
        "[::2]:8080",
        "a" * 56 + ".onion",
        "",
    ],
)
def test_j22_a_name_that_a_stranger_made_lead_here_is_refused(
    triage: Triage, visitor: Visitor, host: str
) -> None:
    """After rebinding, the browser takes the stranger's page and the console for one origin."""
    before = triage.groups()
    visitor.host = host
    page = visitor.get()
    assert (page.status, "mail.store" in page.text, page.headers.get("set-cookie")) == (
        *(421, False, None),
    )
    headers: dict[str, str | None] = {"Origin": f"http://{host}"}
    assert visitor.post("/faults/1/delete", headers, seen="3").status == 421
    assert triage.groups() == before


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:65535", "[::1]:8080"])
def test_j22_a_forwarded_port_is_known(visitor: Visitor, host: str) -> None:
    visitor.host = host
    assert visitor.get().status == 200


def test_j23_texts_of_reports_are_texts_in_the_browser(visitor: Visitor) -> None:
    page = visitor.get("/faults/3")
    assert page.text.count("<script") == 0
    assert "<img" not in page.text
    assert "<b>" not in page.text
    seen = unescape(page.text)
    assert "<script>alert(1)</script><img src=//evil.example/x onerror=alert(2)> &amp;" in seen
    assert r"\x1b[31mred\x1b[0m \u202egnp.exe\u202c \u2028 {{ 7*7 }}" in seen
    assert "end\nSecond line" in seen
    for path in ("/", "/faults/3", "/rules", "/kept", "/nothing"):
        text = visitor.get(path).text
        assert not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text
        )


def test_j23_what_is_asked_for_comes_back_as_text(visitor: Visitor) -> None:
    page = visitor.get("/?text=%22%3E%3Cscript%3E%E2%80%AE&release=%3Cb%3E&page=%3Cb%3E")
    assert (page.status, "<script" in page.text, "<b>" in page.text) == (200, False, False)
    assert r'value="&#34;&gt;&lt;script&gt;\u202e"' in page.text
    refused = visitor.post("/faults/1/resolve", release='"><script>', how="</textarea><script>")
    assert (refused.status, "<script" in refused.text) == (400, False)


def test_j23_every_answer_forbids_scripts_and_keeps_nothing(visitor: Visitor) -> None:
    answers = [visitor.get(path) for path in ("/", "/faults/3", "/nothing", "/style.css")]
    answers += [visitor.post("/faults/1/note"), visitor.post("/faults/1/note", token="x")]
    visitor.host = "evil.example"
    answers.append(visitor.get())
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, answer.status


def test_j23_what_a_browser_sends_is_told_to_nobody(running: Running, visitor: Visitor) -> None:
    visitor.post("/find", guid="a" * 32)
    visitor.get("/secret-in-a-path")
    visitor.ask("GET", "/", Host="secret.example")
    assert len(running.said.splitlines()) == 1
    assert "secret" not in running.said
