"""The served dashboard: the static site's bytes, free ranges, and nothing for hostile paths."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import shutil
import threading
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mars.errors import ConfigError, StateError, WireError
from mars_server.site.charts.drawer import FEW, LOWEST, Drawer, draw_all
from mars_server.site.charts.render import Chart, render
from mars_server.site.charts.store import LIST
from mars_server.site.dashboard import FREE_QUEUE, Lane, dashboard_routes
from mars_server.site.language import LANGUAGES
from mars_server.site.pages.address import Address
from mars_server.site.pages.events import NOTES_FILE, Note, decode_notes, encode_notes
from mars_server.site.publish import publish
from mars_server.tables.compose import FloorRules
from tests.server.publication import kit
from tests.server.publication.kit import Counted
from tests.server.serving.kit import served as serving
from tests.server.site.conftest import Published

CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
T = TypeVar("T")
Client = TestClient[web.Request, web.Application]


def get(base: str, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """One request, its target sent as it is."""
    connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_served_files_are_those_of_the_static_site(published: Published, served: str) -> None:
    for path in published.folder.rglob("*"):
        name = path.relative_to(published.folder).as_posix()
        if not path.is_file() or name.startswith("data/2026") or "/last-13/" in name:
            continue
        if name in (LIST, NOTES_FILE):  # for programs, not for visitors
            continue
        status, headers, body = get(served, f"/{name}")
        assert status == 200, name
        assert headers["Content-Security-Policy"] == CSP
        if path.suffix != ".html" or b"<form" not in body:
            assert body == path.read_bytes(), name


def test_a_folder_stands_for_its_page(served: str) -> None:
    for path in ("/", "/de/", "/v/", "/v/all/", "/method/"):
        assert get(served, path)[2] == get(served, f"{path}index.html")[2]


def test_a_choice_of_weeks_leads_to_its_own_address(served: str) -> None:
    query = "?from=2026-W04&to=2026-W08"
    for path, target in (
        ("/v/", "../v/2026-W04..2026-W08/index.html"),
        ("/de/v/", "../../de/v/2026-W04..2026-W08/index.html"),
        ("/v/all/chart.png", "../../v/2026-W04..2026-W08/chart.png"),
        ("/hits/figures.csv", "../hits/2026-W04..2026-W08/figures.csv"),
    ):
        status, headers, _ = get(served, f"{path}{query}")
        assert status == 303
        assert headers["Location"] == target
    page = get(served, "/v/2026-W04..2026-W08/")
    assert page[0] == 200
    assert b"2026-W04 to 2026-W08" in page[2]
    figures = get(served, "/hits/2026-W04..2026-W08/figures.csv")[2].decode()
    assert [line[:8] for line in figures.splitlines()[1:]] == [
        f"2026-W0{number}" for number in range(4, 9)
    ]
    for file in ("chart.png", "chart-dark.png", "chart.svg", "figures.json"):
        assert get(served, f"/v/2026-W04..2026-W08/{file}")[0] == 200


def test_a_choice_of_weeks_may_begin_with_the_later_one(served: str) -> None:
    status, headers, _ = get(served, "/v/?from=2026-W08&to=2026-W04")
    assert (status, headers["Location"]) == (303, "../v/2026-W04..2026-W08/index.html")


@pytest.mark.parametrize(
    ("path", "target"),
    [
        *(("/v", "v/"), ("/de", "de/"), ("/de/v-os", "v-os/"), ("/v/all", "all/")),
        *(("/v/2026-W04..2026-W08", "2026-W04..2026-W08/"), ("/method?utm=1", "method/")),
    ],
)
def test_a_folder_without_its_slash_leads_to_its_page(served: str, path: str, target: str) -> None:
    status, headers, _ = get(served, path)
    assert (status, headers["Location"]) == (303, target)
    assert get(served, urljoin(path, target))[0] == 200


def test_what_is_not_there_gets_the_same_page_with_a_way_back(served: str) -> None:
    paths = ("/v/nothing/", "/v/?from=1&to=2", "/v/2026-W08..2026-W04/", "/de/x", "/data/x.json")
    answers = [get(served, path) for path in paths]
    assert {status for status, _, _ in answers} == {404}
    assert {headers["Content-Security-Policy"] for _, headers, _ in answers} == {CSP}
    assert {headers["Content-Type"] for _, headers, _ in answers} == {"text/html; charset=utf-8"}
    (body,) = {body.decode() for _, _, body in answers}
    links = re.findall(r'href="([^"]*)"', body)
    assert len(links) == len(LANGUAGES)
    assert [get(served, link)[0] for link in links] == [200] * len(links)


@pytest.mark.parametrize(
    "path",
    [
        *("/v/2026-W08..2026-W04/", "/v/2026-W04..2026-W99/", "/v/2025-W01..2026-W08/", "/x/"),
        *("/v/?from=2026-W04&to=../../etc", "/v/?from=1&to=2", "/v/2026-01-05..2026-01-11/"),
        *("/data/", "/data/../index.html", "/data/%2e%2e/index.html", "/data/..%2fproduct.toml"),
        *("/data/.new-x", "/data/2026-W99.json", "/../counts.db", "/v/%2e%2e/counts.db"),
        *("/v//", "/v/all/all/", "/v/%00/", "/v/" + "a" * 3000, "/favicon.ico", "/v/chart.gif"),
    ],
)
def test_hostile_paths_get_nothing(served: str, path: str) -> None:
    assert get(served, path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(served: str, method: str) -> None:
    assert get(served, "/v/", method)[0] == 405


def test_other_parameters_change_nothing(served: str) -> None:
    assert get(served, "/v/?utm=1&from=x")[2] == get(served, "/v/")[2]


def test_g14_a_link_out_of_the_folder_is_not_followed(tmp_path: Path, published: Published) -> None:
    shutil.copytree(published.folder, tmp_path / "site")
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "site/data/2020-W01.csv").symlink_to(tmp_path / "secret.json")

    async def ask(client: Client) -> int:
        return (await client.get("/data/2020-W01.csv")).status

    assert run(tmp_path / "site", ask) == 404


def test_what_is_published_later_appears(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    site = tmp_path / "site"

    async def ask(client: Client) -> list[str]:
        first = await (await client.get("/")).text()
        kit.count(engine, kit.week(0), Counted(plain=700))
        await asyncio.to_thread(lambda: publish(engine, site, FloorRules(kit.PRODUCT), kit.LATER))
        second = await (await client.get("/hits/")).text()
        return [first, second]

    before, after = run(site, ask, look_every=0.0)
    assert "Nothing is published yet" in before
    assert "at least about 620" in after


def test_notes_are_read_back_and_those_of_another_form_refused() -> None:
    notes = [Note("2026-W12", {"en": "A <note>.", "de": "Eine Notiz."})]
    assert decode_notes(encode_notes(notes)) == (notes, True, "")
    told = encode_notes(notes, own_logs=False, operator="A <b> & c")
    assert decode_notes(told) == (notes, False, "A <b> & c")
    for text in (b"", b"[]", b'{"notes": 1}', b'{"notes": [1]}', b'{"notes": [{"week": "x"}]}'):
        with pytest.raises(ConfigError):
            decode_notes(text)


def test_a_note_that_is_published_later_appears(tmp_path: Path, published: Published) -> None:
    """Notes change no file of ``data/``, so they are looked for themselves."""
    site = tmp_path / "site"
    shutil.copytree(published.folder, site)

    async def ask(client: Client) -> list[str]:
        first = await (await client.get("/events/")).text()
        (site / NOTES_FILE).write_bytes(encode_notes([Note("2026-W03", {"en": "Told later."})]))
        second = await (await client.get("/events/")).text()
        (site / NOTES_FILE).write_bytes(b"broken")
        third = await (await client.get("/events/")).text()
        return [first, second, third]

    before, after, broken = run(site, ask, look_every=0.0)
    assert "A &lt;note&gt;" in before
    assert "Told later." in after
    assert "A &lt;note&gt;" not in after
    assert broken == after, "what is broken does not take the old away"


def test_the_server_shows_notes_and_keeps_charts(published: Published, tmp_path: Path) -> None:
    """``mars-server serve``: the notes of ``publish``, and a disk cache for free ranges alone."""
    cache = tmp_path / "charts"
    options = ("--site", str(published.folder), "--chart-cache", str(cache))
    with serving(*options) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert b"A &lt;note&gt; &amp; more." in get(base, "/events/")[2]
        png = get(base, "/v/chart.png")[2]
        assert png == (published.folder / "v/chart.png").read_bytes()
        assert not cache.exists(), "drawn before, by publish"
        assert get(base, "/v/2026-W04..2026-W08/chart.png")[0] == 200
        assert len(list(cache.iterdir())) == 1
        drawn = next(cache.iterdir()).read_bytes()
    with serving(*options) as server:
        again = get(f"http://127.0.0.1:{server.port}", "/v/2026-W04..2026-W08/chart.svg")[2]
    assert again in drawn


def test_a_changed_week_is_refused_at_the_start(tmp_path: Path, published: Published) -> None:
    shutil.copytree(published.folder, tmp_path / "site")
    path = tmp_path / "site/data/2026-W02.json"
    path.write_bytes(path.read_bytes().replace(b"0,", b"1,"))
    with pytest.raises(WireError):
        dashboard_routes(tmp_path / "site", kit.PRODUCT)


def test_free_ranges_have_a_short_queue_and_take_nothing_else_away(
    tmp_path: Path, published: Published
) -> None:
    """Each asks for another range that was never drawn; downloads, published pages and charts are
    answered all the same."""
    shutil.copytree(published.folder, tmp_path / "site")
    weeks = [week.week for week in published.outcome.weeks]
    free = [f"/v/{first}..{last}/" for first in weeks[:6] for last in weeks[8:14]]
    rest = ["/data/hits.json", "/os/all/", "/de/", "/ia/chart.png", "/method/"]

    async def ask(client: Client) -> tuple[list[int], list[int]]:
        async def status(path: str) -> int:
            async with client.get(path) as answer:
                return answer.status

        greedy = asyncio.gather(*(status(path) for path in free))
        await asyncio.sleep(0.2)
        others = [await status(path) for path in rest]
        assert not greedy.done(), "all of that went on while the free ranges were drawn"
        return others, await greedy

    others, greedy = run(tmp_path / "site", ask)
    assert others == [200] * len(rest)
    assert set(greedy) == {200, 503}
    assert greedy.count(200) >= FREE_QUEUE


def test_what_many_ask_for_at_once_is_made_once() -> None:
    made = []

    def make() -> bytes:
        made.append(1)
        return b"body"

    async def go() -> list[bytes | None]:
        lane = Lane("test", 1)
        found = await asyncio.gather(*(lane.answer("one", make) for _ in range(5)))
        return [*found, await lane.answer("one", make)]

    found = asyncio.run(go())
    assert len(made) == 1
    assert found == [b"body"] * 6


def test_an_answer_on_its_way_is_not_kept_once_something_new_was_published() -> None:
    async def go() -> list[bytes | None]:
        lane = Lane("test", 2)
        go_on = threading.Event()

        def old() -> bytes:
            go_on.wait(10)
            return b"old"

        asked = asyncio.create_task(lane.answer("one", old))
        await asyncio.sleep(0)
        lane.forget()
        later = asyncio.create_task(lane.answer("one", lambda: b"new"))
        go_on.set()
        last = lane.answer("one", lambda: b"newest")
        return [await asked, await later, await last]

    assert asyncio.run(go()) == [b"old", b"new", b"new"]


def test_charts_are_drawn_by_a_process_of_lower_priority_that_is_replaced_when_it_ends() -> None:
    before = set(psutil.Process().children())

    def mine() -> psutil.Process:
        return next(iter(set(psutil.Process().children()) - before))

    drawer = Drawer()
    chart = Chart("installations", {"weeks": []})
    first = drawer.render(chart)
    assert first == render(chart)
    assert mine().nice() == LOWEST
    mine().kill()
    assert drawer.render(chart) == first
    last = mine()
    del drawer
    assert not last.is_running()


def test_a_chart_that_cannot_be_drawn_is_an_error_and_the_next_one_is_drawn() -> None:
    drawer = Drawer()
    with pytest.raises(StateError) as caught:
        drawer.render(Chart("installations", {"weeks": [{"x": object}]}))
    assert caught.value.reason == "drawing-failed"
    assert drawer.render(Chart("installations", {"weeks": []})).png


def test_many_charts_are_drawn_by_several_processes_and_are_the_same() -> None:
    week = {"x": "2026-01-08", "run": 0, "low": 1, "installations": 5, "point": True}
    charts = [Chart("installations", {"weeks": [{**week, "high": high}]}) for high in (9, 90)]
    wanted = [render(chart) for chart in charts]
    assert wanted[0] != wanted[1]
    before = set(psutil.Process().children())
    drawn = draw_all([partial(charts.__getitem__, number % 2) for number in range(2 * FEW)])
    assert next(drawn) == wanted[0]
    started = set(psutil.Process().children()) - before
    cores = len(os.sched_getaffinity(0))
    assert len(started) == (0 if cores == 1 else 2)
    assert [*drawn] == [wanted[number % 2] for number in range(1, 2 * FEW)]
    assert not any(process.is_running() for process in started)


def test_addresses_do_not_depend_on_the_server(served: str) -> None:
    assert get(served, f"/{Address(section='cc', span='all', file='chart.svg').path}")[0] == 200


def run(site: Path, ask: Callable[[Client], Awaitable[T]], look_every: float = 10.0) -> T:
    """Serves ``site`` in this thread and lets ``ask`` talk to it."""

    async def go() -> T:
        app = web.Application()
        app.add_routes(dashboard_routes(site, kit.PRODUCT, look_every=look_every))
        async with TestClient(TestServer(app)) as client:
            return await ask(client)

    return asyncio.run(go())
