"""Error events on the site: a catalogue, a page for each domain, and nothing that was not
published."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mars.wire.catalogue import Catalogue
from mars.wire.events import BELOW_10, FEW, MORE, NO_FAILURE, Domain
from mars_server.site.charts.answers import answers_chart, bands
from mars_server.site.charts.store import ChartStore
from mars_server.site.dashboard import dashboard_routes
from mars_server.site.failures import MOST_OTHER, domains
from mars_server.site.failures import Domain as Shown
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.address import Address, parse
from mars_server.site.pages.failures import finding
from mars_server.site.pages.site import Site
from mars_server.site.publish import statistics_data, write_site
from mars_server.tables.noise import Noise
from mars_server.tables.statistics import Reports
from mars_server.tables.statistics_week import StatisticsWeek
from tests.mars.failures.kit import GRACE, Process
from tests.server.publication import kit
from tests.server.site import failures_kit
from tests.server.site.answers_kit import page
from tests.server.site.failures_kit import CATALOGUE, contents, site
from tests.server.site.test_site import Reader
from tests.server.site.test_stored_site import undrawn
from tests.server.tables import failed
from tests.server.tables.failed import DOMAIN, WEEKS

SAY = language("en")
EVIL = "<script>alert(1)</script>\"'&{{ 7*7 }}"


@cache
def whole() -> Site:
    return site()


@cache
def text(path: str = "failures/decryption/index.html") -> str:
    return page(whole(), path)


def one_week(counts: Mapping[str, Mapping[str, int]], noise: Noise | None = None) -> StatisticsWeek:
    """Of these counts by key and value."""
    cells = {f"decryption/{key}": {"0.5.2": dict(values)} for key, values in counts.items()}
    return failed.published({WEEKS[0]: Reports(cells)}, DOMAIN, noise)[0]


def told(week: StatisticsWeek, catalogue: Catalogue | None = CATALOGUE) -> Shown:
    found = contents((week,), catalogue)
    return domains(catalogue, [week], found.declared)["decryption"]


def read(content: str) -> Reader:
    reader = Reader()
    reader.feed(content)
    return reader


# --- Where it stands ---


def test_addresses_are_read_back_and_no_other_exists() -> None:
    named = [each for each in whole().addresses() if each.section == "failures"]
    assert {each.path for each in named} == {
        *(f"{code}failures/{domain}index.html" for code in ("", "de/") for domain in DOMAINS),
        *(f"failures/{domain}figures.{end}" for domain in DOMAINS[1:] for end in ("csv", "json")),
        *(
            f"{code}failures/decryption/{narrow}{chart}"
            for code in ("", "de/")
            for narrow in ("", "_narrow/")
            for chart in CHARTS
        ),
    }
    for each in named:
        assert parse(each.path) == each
        assert whole().content(each) is not None
    for path in (
        *("failures/x/figures.pdf", "de/failures/sync/figures.csv", "failures/X/", "failures/x-y/"),
        *("failures/a/b/index.html", "failures/a/b/chart.png", "failures/chart.png"),
        *("failures/_narrow/chart.png", "failures/sync/_narrow/index.html", "failures/_narrow/"),
        *("failures/figures.csv", "failures/../index.html"),
    ):
        assert parse(path) is None, path
    for path in ("failures/nothing/", "failures/sync/chart.png", "failures/examplemail/"):
        address = parse(path)
        assert address is not None
        assert whole().content(address) is None, path


DOMAINS = ("", "decryption/", "sync/")
CHARTS = ("chart.png", "chart-dark.png", "chart.svg")


def test_a_site_without_error_events_says_nothing_of_them() -> None:
    bare = site((), replace(CATALOGUE, domains=()))
    assert not [each for each in bare.addresses() if each.section == "failures"]
    assert bare.content(Address(section="failures")) is None
    for path in ("statistics/index.html", "privacy/index.html", "downloads/index.html"):
        assert "failures" not in page(bare, path)


@pytest.mark.parametrize("code", ["", "de/"])
def test_other_pages_lead_there(code: str) -> None:
    up = "../../" if code else "../"
    for path in ("statistics/", "privacy/", "downloads/", "method/"):
        assert f'href="{up}{code}failures/index.html"' in text(f"{code}{path}index.html"), path


def test_the_overview_names_the_domains(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, kit.usual_weeks(1))
    both = replace(contents(), weeks=weeks)
    found = page(Site(both, ChartStore(renderer=undrawn)), "index.html")
    section = found.partition('<h2><a href="failures/index.html">')[2]
    assert '<a href="failures/decryption/index.html">decryption</a>, ' in section
    assert '<a href="failures/sync/index.html">sync</a>' in section


def test_every_link_of_a_page_leads_somewhere() -> None:
    for path in ("failures/index.html", "failures/decryption/index.html", "de/failures/sync/"):
        address = parse(path)
        assert address is not None
        found = (whole().content(address) or b"").decode()
        for link in re.findall(r'(?:href|src|srcset)="([^"#]*)(?:#[^"]*)?"', found):
            parts = address.path.split("/")[:-1]
            for part in link.split("/"):
                parts = parts[:-1] if part == ".." else [*parts, part]
            where = "/".join(parts)
            if link and not where.startswith("data/"):
                target = parse(where)
                assert target is not None and whole().content(target) is not None, (path, link)


# --- What a page says ---


def test_what_is_declared_stands_there_before_anything_is_published() -> None:
    nothing = site(())
    for path in ("failures/index.html", "failures/decryption/index.html"):
        found = page(nothing, path)
        assert "Nothing is published of this yet." in found
        for name in DOMAIN.names:
            assert name.description in found
    domain = page(nothing, "failures/decryption/index.html")
    assert "<img" not in domain
    assert "figures.csv" not in domain


def test_the_page_says_what_counts_once() -> None:
    here = Process()
    for cause in ("damaged", "other"):
        here.fail(cause, "a message")
        here.passes(2 * GRACE)
    assert here.day().failed == {"damaged": 1}
    found = " ".join(text("failures/index.html").split())
    assert "counts once until the end of the week after, under one cause" in found


def test_a_page_ranks_causes_and_leaves_what_is_expected_apart() -> None:
    causes, _, expected = text().partition("<h2>Causes</h2>")[2].partition("<h2>Expected</h2>")
    names = re.findall(r'<th scope="row"><a href="#([a-z_]+)">', causes)
    assert names == ["key_missing", "damaged", "other"], "other last, whatever its share"
    assert re.findall(r'<th scope="row"><a href="#([a-z_]+)">', expected) == ["cancelled"]
    assert "left out of the share of tries that failed" in expected
    for cause in told_domain().causes:
        assert cause.share is not None
        share = f"{cause.share.percent}% ({cause.share.low}–{cause.share.high}%)"
        assert share in text().partition(f'#{cause.name}">')[2].partition("</tr>")[0]


@cache
def told_domain() -> Shown:
    found = contents()
    return domains(CATALOGUE, found.reports, found.declared)["decryption"]


def test_the_finding_says_how_much_fails_in_a_sentence() -> None:
    said = finding(told_domain(), SAY)
    assert re.match(r"In 2026-W44 about [\d,]+ installations took part \(95% interval ", said)
    assert "had a tenth or more of their tries fail" in said
    assert "had none fail" in said
    few = one_week({"failed_share": {FEW: 2, NO_FAILURE: 4}})
    assert "2026-W27 fewer than ten reports were counted, so at most" in finding(told(few), SAY)


def test_what_moved_is_told_where_chance_does_not_explain_it() -> None:
    counts = {"failed_share": {NO_FAILURE: 800, MORE: 60}}
    worse = {"failed_share": {NO_FAILURE: 500, MORE: 400}}
    cells = [
        Reports({f"decryption/{key}": {"0.5.2": values} for key, values in each.items()})
        for each in (counts, counts, worse)
    ]
    # Each single week: enough fail in it.
    weeks = failed.published(dict(zip(WEEKS, [cells[2], cells[0], cells[0]], strict=False)), DOMAIN)
    found = contents(tuple(weeks))
    moved = domains(CATALOGUE, weeks, found.declared)["decryption"]
    assert "In 2026-W27 a tenth or more failed for 44% (40–49%)." in finding(moved, SAY)


def test_what_fails_is_drawn_worst_first_and_always_in_the_same_colours() -> None:
    shown = bands(told_domain().failed)
    assert [each.name for each in shown][:2] == [MORE, BELOW_10]
    assert [each.name for each in shown][-2:] == [NO_FAILURE, FEW]
    numbers = {each.name: each.number for each in shown}
    assert (numbers[MORE], numbers[BELOW_10], numbers[FEW]) == (6, 2, 0)
    for code in LANGUAGES:
        chart = answers_chart(told_domain().failed, language(code))
        assert chart.datasets["bands"]
    labels = [row["text"] for row in answers_chart(told_domain().failed, SAY).datasets["labels"]]
    assert any("fewer than 20 tries" in str(each) for each in labels)


def test_the_picture_says_what_it_shows() -> None:
    images = read(text()).images
    assert [(image["src"] or "").rpartition("/")[2] for image in images] == ["chart.png"]
    assert images[0]["alt"] == finding(told_domain(), SAY)


def test_dimensions_late_ones_and_versions_are_told() -> None:
    found = text()
    assert "Last time: device" in found
    assert "no such failure" in found
    assert re.search(r'<th scope="row">own</th><td class="n">\d+</td>', found)
    assert "What resolves by itself within 1 minute is not counted as failed." in found
    assert "up to 1 day after they began" in found
    assert '<th scope="row">0.5.2</th>' in found
    german = text("de/failures/decryption/index.html")
    assert "Zuletzt: device" in german
    assert "kein solcher Fehler" in german
    assert "1 Minute" in german


@pytest.mark.parametrize(
    ("seconds", "english", "german"),
    [
        (0, "0 seconds", "0 Sekunden"),
        (90, "90 seconds", "90 Sekunden"),
        (3600, "1 hour", "1 Stunde"),
        (129600, "36 hours", "36 Stunden"),
        (604800, "7 days", "7 Tage"),
    ],
)
def test_durations_are_exact(seconds: int, english: str, german: str) -> None:
    assert language("en").duration(seconds) == english
    assert language("de").duration(seconds) == german


# --- Too much without a name ---


@pytest.mark.parametrize(
    ("named", "unnamed", "alert"),
    [(300, 60, False), (300, 120, True), (100, 300, True), (0, 200, True), (300, 0, False)],
)
def test_other_above_a_fifth_is_an_alert(named: int, unnamed: int, alert: bool) -> None:
    """Of the installations that met anything, each counted once for each cause."""
    week = one_week(
        {
            "key_missing": {"0": 2000 - named, "1": named},
            "damaged": {"0": 2000, "1": 0},
            "other": {"0": 2000 - unnamed, "2-9": unnamed},
            "cancelled": {"0": 10, "1": 1990},
        }
    )
    share = 100 * unnamed / (named + unnamed)
    assert (share - 17 <= told(week).unnamed <= share) if alert else not told(week).unnamed
    shown = page(site((week,)), "failures/decryption/index.html")
    assert ("Too much is “other”." in shown) == alert
    assert f"more than {MOST_OTHER}%" in shown or not alert


def test_little_known_is_no_alert() -> None:
    few = one_week({"other": {"0": 12, "1": 11}, "key_missing": {"0": 23}})
    assert told(few).unnamed == 0
    nobody = one_week({"other": {"0": 85, "1": 14}, "key_missing": {"0": 99}})
    share = next(each.share for each in told(nobody).causes if each.name == "other")
    assert share is not None and (share.percent, share.low) == (11, 0)
    assert told(nobody).unnamed == 0, "by its interval it may be that nobody met it"
    noise = Noise(bytes(32), 1.0)
    counts = {"other": {"0": 300, "1": 60}, "key_missing": {"0": 360}}
    assert told(one_week(counts, noise)).unnamed == 0, "that much noise makes by itself"
    assert told(one_week(counts)).unnamed > 0


def test_noise_is_no_finding() -> None:
    counts = {"failed_share": {NO_FAILURE: 60, MORE: 60}}
    noisy = one_week(counts, Noise(bytes(32), 1.0))
    assert "tenth" not in finding(told(noisy), SAY)
    assert "tenth" in finding(told(one_week(counts)), SAY)
    assert "carry noise" in page(site((noisy,)), "failures/index.html").partition("<footer")[2]


# --- Hostile texts, other registries ---


def test_hostile_texts_are_only_text() -> None:
    names = tuple(replace(each, description=EVIL, owner=EVIL, review=EVIL) for each in DOMAIN.names)
    evil = replace(DOMAIN, description=EVIL, names=names)
    made = failed.simulated(evil, failed.Habits(4_000, failures_kit.PRONE), WEEKS[:2], 1, 8)
    weeks = tuple(failed.published(made.reports, evil))
    for catalogue in (replace(CATALOGUE, domains=(evil,)), None):
        for path in ("failures/index.html", "failures/decryption/index.html"):
            found = page(site(weeks, catalogue), path)
            assert "<script" not in found
            assert "{{ 7*7 }}" in found
            assert "script" not in read(found).tags


def test_what_is_not_declared_any_more_stays_as_it_was_published() -> None:
    gone = replace(CATALOGUE, domains=())
    found = page(site(None, gone), "failures/decryption/index.html")
    assert "no longer declared" in found
    assert "Decrypting a mail that somebody sent." in found
    assert "<h2>Expected</h2>" in found, "as the last document has it"
    assert "up to 1 day after they began" in found


@pytest.mark.parametrize("expected", [True, False])
def test_what_is_expected_is_as_declared_now(expected: bool) -> None:
    names = tuple(replace(each, expected=expected) for each in DOMAIN.names)
    now = replace(CATALOGUE, domains=(replace(DOMAIN, names=names),))
    found = contents(None, now)
    domain = domains(now, found.reports, found.declared)["decryption"]
    assert len(domain.expected) == (4 if expected else 0)


@pytest.mark.parametrize(
    "names", [("one",), tuple(f"cause_{n}" for n in range(40)), ("chart", "other", "content")]
)
def test_domains_of_any_size_are_shown(names: tuple[str, ...]) -> None:
    domain = Domain("sync", tuple(failed.cause(name, "It fails.") for name in names))
    pages = site((), replace(CATALOGUE, domains=(domain,)))
    for path in ("failures/index.html", "de/failures/sync/index.html"):
        assert len(page(pages, path)) < 150_000
    ids = re.findall(r' id="([^"]+)"', page(pages, "failures/sync/index.html"))
    assert len(ids) == len(set(ids))
    assert set(names) < set(ids)


# --- Figures, weight, and the same from a server ---


def test_figures_are_those_of_the_documents() -> None:
    address = parse("failures/decryption/figures.csv")
    assert address is not None
    rows = list(csv.DictReader(io.StringIO((whole().content(address) or b"").decode())))
    assert {row["project"] for row in rows} == {"decryption"}
    last = [row for row in rows if row["key"] == "key_missing" and not row["release"]][-6:]
    assert last[0]["value"] == ""
    assert [row["value"] for row in last[1:]] == ["0", "1", "2-9", "10-99", "100+"]
    address = parse("failures/decryption/figures.json")
    assert address is not None
    table = json.loads(whole().content(address) or b"")
    for _, value in kit.numbers(table):
        assert value in (None, "<10") or (type(value) is int and value % 10 == 0 and value)


def test_no_page_is_heavy_and_nothing_on_it_is_none() -> None:
    for address in whole().addresses():
        if address.section == "failures" and address.file == "index.html":
            content = whole().content(address) or b""
            assert len(content) < 60_000, address.path
            assert not re.search(rb">\s*None(?! of)|\bNone\s*<", content), address.path
            assert b"<script" not in content


def test_a_server_shows_the_same_pages(tmp_path: Path) -> None:
    data = statistics_data(failures_kit.weekly(), CATALOGUE)
    write_site(tmp_path, kit.PRODUCT, data, whole(), {}, None)
    paths = [
        *("failures/index.html", "de/failures/sync/index.html", "failures/decryption/figures.csv"),
        *("failures/decryption/figures.json", "failures/nothing/index.html"),
        *("failures/sync/chart.png", "data/statistics-2026-W44.json"),
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
