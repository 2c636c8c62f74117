"""The answers to error reports and the weeks of faults on the site: whole, light, and nothing that
was not given out."""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mars.errors import TrustError, WireError
from mars.testing.publisher import Publisher
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import KNOWN, MAX_PREFIXES, Answer, Known, Status
from mars_server.publication.folder import STATUS as STATUS_FILE
from mars_server.publication.status_document import judged
from mars_server.site.charts.faults import faults_chart, is_drawn
from mars_server.site.charts.render import render
from mars_server.site.charts.store import ChartStore
from mars_server.site.dashboard import dashboard_routes
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.address import Address, is_answers, parse
from mars_server.site.pages.render import Contents
from mars_server.site.pages.reports import SHOWN, parts
from mars_server.site.pages.site import Site
from mars_server.site.publish import faults_data, write_site
from mars_server.tables.faults import FaultRow, FaultWeek
from mars_server.tables.floor import floor
from mars_server.triage.broadcast import sign
from tests.server.publication import kit
from tests.server.site import reports_kit
from tests.server.site.reports_kit import EVIL, NOW, STATUS, answers, faults, weeks
from tests.server.site.test_site import Reader
from tests.server.site.test_stored_site import undrawn
from tests.server.triage.kit import token

MOST = 150_000
"""Bytes of a page (docs/publication.md)."""


def site(status: Status | None = STATUS, found: tuple[FaultWeek, ...] = ()) -> Site:
    contents = Contents(kit.PRODUCT, [], status=status, faults=found)
    return Site(contents, ChartStore(renderer=undrawn))


def text(of: Site, path: str) -> str:
    address = parse(path)
    assert address is not None
    found = of.content(address)
    assert found is not None, path
    return found.decode()


def read(content: str) -> Reader:
    reader = Reader()
    reader.feed(content)
    assert reader.open == []
    return reader


def pages(of: Site) -> dict[str, str]:
    """All of answers and faults."""
    return {
        each.path: (of.content(each) or b"").decode()
        for each in of.addresses()
        if each.section in ("answers", "faults") and each.file == "index.html"
    }


def guid(prefix: bytes) -> str:
    """One that begins so, as a log has it."""
    return base64.b32encode(prefix + bytes(12)).decode().lower()


@cache
def large() -> Site:
    return site(reports_kit.rich(MAX_PREFIXES, "'" * 1000))


# --- Answers ---


def test_a_person_finds_the_code_of_a_log_line_with_its_answer() -> None:
    page = text(site(), "answers/")
    for prefix, at in STATUS.prefixes.items():
        code = guid(prefix)[:SHOWN]
        row = re.search(rf"<tr><th scope=\"row\"><code>{code}</code>.*?</tr>", page)
        assert row, code
        answer = STATUS.answers[at]
        assert re.search(rf"<td>(<a [^>]*>)?{answer.state}", row[0])
        assert (f'href="#answer-{at + 1}"' in row[0]) == bool(answer.summary)
    assert "resolved, fixed in 0.5.3" in page
    assert "The list cannot sort them." in page
    assert "KeyError and mail.list:sort" in page
    assert "#0123456789abcdef" not in page, "a hash of one fault says nothing to a person"
    ids = read(page).ids
    assert len(set(ids)) == len(ids)
    assert "answer-2" in ids


def test_nobody_is_asked_for_a_code() -> None:
    for page in pages(site(found=weeks())).values():
        assert {"form", "input", "script", "textarea", "button"} & read(page).tags == set()
        assert not [name for name in read(page).attributes if name.startswith("on")]


def test_every_code_of_ten_thousand_stands_once_on_a_light_page() -> None:
    found = pages(large())
    english = [page for path, page in found.items() if not path.startswith("de/")]
    codes = re.findall(r'<th scope="row"><code>([a-z2-7]{12})</code>', "".join(english))
    assert sorted(codes) == codes
    prefixes = reports_kit.rich(MAX_PREFIXES).prefixes
    assert set(codes) == {guid(prefix)[:SHOWN] for prefix in prefixes}
    assert len(codes) == MAX_PREFIXES
    assert max(len(page.encode()) for page in found.values()) < MOST


@pytest.mark.parametrize("number", [0, 2_000, MAX_PREFIXES])
def test_no_text_of_a_document_makes_a_page_heavy(number: int) -> None:
    """The longest that a document can carry, of what takes the most room when it is escaped."""
    said = [
        Answer(KNOWN, n + 1, "'" * 200, "'\n" * 1000, "'" * 2000, "0.5.3")
        for n in range((180_000 - 14 * number - 3_000) // 5_400)
    ]
    prefixes = {token("heavy", n, size=8): n % len(said) for n in range(number)}
    rules = tuple(Known(Rule.parse("'" * 300 + str(n)), 0) for n in range(8))
    status = replace(STATUS, answers=tuple(said), prefixes=prefixes, faults=rules)
    assert len(status.encode()) > 150_000
    for path, page in pages(site(status)).items():
        assert len(page.encode()) < MOST, path


def test_codes_that_all_begin_alike_make_no_page_heavy() -> None:
    """Whoever sends reports can choose how their codes begin."""
    prefixes = {b"\0\0\0\0" + n.to_bytes(4, "big"): 1 for n in range(MAX_PREFIXES)}
    for page in pages(site(replace(STATUS, prefixes=prefixes))).values():
        assert len(page.encode()) < MOST


def test_parts_link_to_each_other_and_to_their_answers() -> None:
    found = pages(large())
    for path, page in found.items():
        for link in (each for each in read(page).links if "answers" in each or each[0] == "#"):
            where, _, name = link.partition("#")
            target = str(Path("/", path).parent.joinpath(where).resolve())[1:] if where else path
            assert target in found, (path, link)
            assert not name or name == "main-content" or f'id="{name}"' in found[target]


def test_an_empty_document_has_a_page() -> None:
    page = text(site(replace(STATUS, answers=(), prefixes={}, faults=())), "answers/")
    assert "No report is answered now." in page


def test_markup_in_texts_stays_text() -> None:
    evil = Answer(KNOWN, 1, EVIL, EVIL, EVIL)
    rules = (Known(Rule.parse("<b>evil</b>"), 0, "<0.5"),)
    status = replace(STATUS, answers=(evil,), prefixes={bytes(8): 0}, faults=rules)
    rows = (FaultRow(f"ValueError | {EVIL}", "0.5.2", floor(20)),)
    found = tuple(FaultWeek(kit.week(n), rows) for n in range(3))
    for path, page in pages(site(status, found)).items():
        assert "script" not in read(page).tags, path
        assert "b" not in read(page).tags, path
        assert "49" not in re.sub(r"&#39;|[0-9]{4}", "", page), path
        assert "\u202e" not in page, path
        assert "&lt;script&gt;alert(1)" in page, path


def test_pages_are_the_same_bytes_whenever_they_are_made() -> None:
    assert pages(site(found=weeks())) == pages(site(found=weeks()))


def test_addresses_beside_the_pages_lead_nowhere() -> None:
    here = site(found=weeks())
    for path in (
        *("answers/1/", "answers/2/", "answers/x/", "answers/0/", "answers/02/", "answers/1000/"),
        *("answers/chart.png", "answers/figures.csv", "answers/2/3/", "faults/2/", "faults/x/y/"),
        "de/faults/figures.csv",
    ):
        address = parse(path)
        assert address is None or here.content(address) is None, path
    assert [path for path in ("answers/index.html", "de/answers/12/index.html") if is_answers(path)]
    assert not is_answers("faults/index.html")


def test_a_site_without_reports_links_to_neither() -> None:
    bare = site(None)
    for address in bare.addresses():
        assert address.section not in ("answers", "faults")
    for code in LANGUAGES:
        for section in ("", "downloads"):
            page = (bare.content(Address(code, section)) or b"").decode()
            assert not re.search("faults/|answers/|status.json", page)
    for section in ("answers", "faults"):
        assert bare.content(Address(section=section)) is None


# --- Which documents are shown ---


def test_only_a_document_that_clients_take_is_shown() -> None:
    publisher = Publisher(seeds=[bytes(range(32))])
    root = publisher.trust()
    good = sign(STATUS, publisher.seeds_of("status")[0])
    assert judged(good, kit.PRODUCT, NOW, root).status == STATUS
    other = replace(STATUS, product="other")
    for document, reason in (
        (answers().document, "signature-threshold"),  # of another key
        (sign(STATUS, publisher.seeds[0]), "signature-threshold"),  # of the role motd
        (good.replace(b'"payload":"ey', b'"payload":"fy'), "signature-threshold"),
        (sign(other, publisher.seeds_of("status")[0]), "wrong-product"),
        (sign(replace(STATUS, epoch=2), publisher.seeds_of("status")[0]), "wrong-epoch"),
        (publisher.document(NOW), "wrong-payload-type"),
    ):
        with pytest.raises((TrustError, WireError)) as refusal:
            judged(document, kit.PRODUCT, NOW, root)
        assert refusal.value.reason == reason
    with pytest.raises(TrustError, match="expired"):
        judged(good, kit.PRODUCT, STATUS.expires, root)


def test_without_trust_a_document_is_judged_by_what_it_says() -> None:
    assert judged(answers().document, kit.PRODUCT, NOW, None).status == STATUS
    publisher = Publisher()
    for document, reason in (
        (answers(replace(STATUS, channel="beta")).document, "wrong-product"),
        (answers(replace(STATUS, expires=NOW)).document, "expired"),
        (publisher.document(NOW), "wrong-payload-type"),
        (b"{}", "bad-envelope"),
        (b" " * 250_001, "too-large"),
    ):
        with pytest.raises((TrustError, WireError)) as refusal:
            judged(document, kit.PRODUCT, NOW, None)
        assert refusal.value.reason == reason, document[:40]


# --- Faults ---


def test_the_newest_week_stands_with_its_versions_and_the_others_below() -> None:
    page = text(site(found=weeks()), "faults/")
    last = weeks()[-1]
    table = page.partition("<details>")[0]
    for row in last.rows:
        shown = language("en").count(row.count).replace("<", "&lt;")
        wanted = rf"<code>{re.escape(row.fault)}</code></th><td>{row.release}</td><td class=\"n\">"
        assert re.search(wanted + re.escape(shown), table), row
    assert page.count("<details>") == len({row.fault for row in last.rows})
    for week in weeks():
        assert page.count(f'<th scope="row">{week.week}</th>') == page.count("<details>")
    assert 'src="chart.png"' in page or 'faults/chart.png"' in page


def test_files_hold_what_the_page_leaves_out() -> None:
    here, found = site(found=weeks()), weeks()
    table = list(csv.DictReader(io.StringIO(text(here, "faults/figures.csv"))))
    assert len(table) == sum(len(week.rows) for week in found)
    assert {row["count"] for row in table} <= {"<10", *(str(10 * n) for n in range(1, 10))}
    series = json.loads(text(here, "faults/figures.json"))
    assert [each["week"] for each in series["weeks"]] == [week.week for week in found]
    assert series["format"] == "mars-faults-series/1"


def test_many_long_faults_make_no_page_heavy() -> None:
    def many(n: int) -> FaultWeek:
        rows = [
            FaultRow(f"{name:04}" + "'" * 1_900, f"0.{release}.9999", floor(10 + name % 90))
            for name in range(300)
            for release in range(9)
        ]
        return FaultWeek(kit.week(n), tuple(rows))

    page = text(site(found=tuple(many(n) for n in range(60))), "faults/")
    assert len(page.encode()) < MOST
    assert "The files have the others." in page


def test_a_week_without_a_fault_and_a_single_one_have_a_page() -> None:
    for found in (weeks(1), (FaultWeek(kit.week(0), ()),)):
        assert not is_drawn(found)
        page = text(site(found=found), "faults/")
        assert "chart.png" not in page
        assert "CSV" in page
    assert "No fault that ten installations reported is known." in page


def test_a_title_reaches_the_chart_as_text_alone() -> None:
    rows = (FaultRow(f"ValueError | {EVIL}", "0.5.2", floor(20)),)
    found = tuple(FaultWeek(kit.week(n), rows) for n in range(3))
    picture = render(faults_chart(found, language("en")))
    assert b"<script" not in picture.svg
    assert b"script&gt;" in picture.svg


def test_a_gap_between_weeks_is_no_figure() -> None:
    found = tuple(each for each in weeks(6) if each.week != kit.week(3))
    rows = faults_chart(found, language("en")).datasets["bands"]
    ends = [sorted(str(row["x"]) for row in rows if row["run"] == run) for run in (0, 1)]
    assert (ends[0][-1], ends[1][0]) == ("2026-01-26", "2026-02-02")


def test_what_is_hidden_adds_nothing_to_a_sum() -> None:
    """Neither in the chart nor by subtracting one from another."""
    low, high = (
        tuple(reports_kit.week(n, {("A", "0.5.1"): few, ("A", "0.5.2"): 27}) for n in range(4))
        for few in (0, 9)
    )
    assert low == high
    assert pages(site(found=low)) == pages(site(found=high))
    assert faults().weeks == weeks()


def test_parts_are_full_before_a_new_one_begins() -> None:
    found = parts(reports_kit.rich(MAX_PREFIXES))
    assert len(found) < 25
    assert all(part.size > 80_000 for part in found[:-1])


def test_a_server_shows_the_same_pages(tmp_path: Path) -> None:
    here, found = site(found=weeks()), answers()
    documents = dict(faults().each())
    data = {STATUS_FILE: found.document, **faults_data(documents, weeks())}
    write_site(tmp_path, kit.PRODUCT, data, here, {}, None)
    paths = [
        *("answers/index.html", "de/answers/index.html", "faults/index.html", "faults/chart.svg"),
        *("faults/figures.csv", "data/status.json", f"data/faults-{kit.week(3)}.csv"),
        *("answers/2/index.html", "answers/kb3x7m2qv5ah/index.html", "faults/x/index.html"),
    ]

    async def ask() -> dict[str, tuple[int, bytes]]:
        app = web.Application()
        app.add_routes(dashboard_routes(tmp_path, kit.PRODUCT))
        async with TestClient(TestServer(app)) as client:
            found = {}
            for path in paths:
                answer = await client.get(f"/{path}")
                found[path] = (answer.status, await answer.read())
        return found

    for path, (status, body) in asyncio.run(ask()).items():
        there = (tmp_path / path).is_file()
        assert status == (200 if there else 404), path
        if there:
            assert body == (tmp_path / path).read_bytes(), path
