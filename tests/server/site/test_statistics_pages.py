"""Declared statistics on the site: a catalogue of all, a page for each project, and nothing that
was not published."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from mars.errors import WireError
from mars.wire.catalogue import Catalogue
from mars_server.publication.folder import DATA, read_declared, write_files
from mars_server.site.charts.answers import answers_chart, bands
from mars_server.site.dashboard import dashboard_routes
from mars_server.site.declared import EXPIRED, GONE, WITHDRAWN, statistics
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages.address import Address, parse
from mars_server.site.pages.answers import finding
from mars_server.site.publish import statistics_data, write_site
from mars_server.tables.floor import floor
from mars_server.tables.quarters import Summed
from mars_server.tables.statistics_week import Budget, Share, Value
from tests.server.publication import kit
from tests.server.site import answers_kit
from tests.server.site.answers_kit import CATALOGUE, FOLDERS, WEEKS, page, site
from tests.server.site.test_site import Reader

SAY = language("en")
WHOLE = site(answers_kit.weekly())
EVIL = "<script>alert(1)</script>\"'&{{ 7*7 }}"


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def exported(pages: object = WHOLE) -> dict[str, bytes]:
    return dict(pages.export())  # type: ignore[attr-defined]


@pytest.mark.parametrize("code", ["", "de/"])
def test_every_link_of_every_page_leads_somewhere(code: str) -> None:
    weeks = answers_kit.weekly()
    files = exported()
    files |= {f"data/{name}": each for name, each in statistics_data(weeks, CATALOGUE).items()}
    for path in (p for p in files if p.startswith(f"{code}statistics/") and p.endswith("html")):
        found = read(files[path].decode())
        assert not found.tags & {"script", "style", "svg"}
        assert len(set(found.ids)) == len(found.ids)
        for link in found.links:
            target, _, name = link.partition("#")
            parts = [*path.split("/")[:-1], *target.split("/")] if target else path.split("/")
            while ".." in parts:
                at = parts.index("..")
                del parts[at - 1 : at + 1]
            where = "/".join(parts)
            if where.startswith("data/") and not where.startswith("data/statistics"):
                assert where == "data/declared.json" or "statistics/" not in where
                continue
            assert where in files, f"{path}: {link}"
            assert not name or f'id="{name}"' in files[where].decode()


def test_addresses_are_read_back_and_no_other_exists() -> None:
    for address in WHOLE.addresses():
        assert parse(address.path) == address
    for path in (
        *("statistics/x/figures.pdf", "de/statistics/examplemail/figures.csv", "statistics/X/"),
        *("statistics/a/b/index.html", "statistics/a/b/c/chart.png", "statistics/../index.html"),
        *("statistics/chart.png", "statistics/-a/index.html", "statistics/a/B/chart.png"),
    ):
        assert parse(path) is None, path
    for path in ("statistics/nothing/", "statistics/examplemail/keys/chart.png"):
        found = parse(path)
        assert found is not None
        assert WHOLE.content(found) is None, path


def test_a_site_without_statistics_says_nothing_of_them() -> None:
    pages = site([], None)
    assert not [path for path in exported(pages) if "statistics" in path]
    assert pages.content(Address(section="statistics")) is None
    for path in ("index.html", "privacy/index.html", "downloads/index.html"):
        assert "statistics/" not in page(pages, path)


def test_what_is_declared_stands_there_before_anything_is_published() -> None:
    pages = site([])
    text = page(pages, "statistics/index.html")
    assert "Mail folders" in text
    assert "collected until 30 Dec 2027" in text
    assert "as of" not in text
    project = page(pages, "statistics/examplemail/index.html")
    assert project.count("Nothing is published of this yet.") == 3
    assert "<img" not in project
    assert "figures.csv" not in project


def test_every_entry_has_its_state_and_dates() -> None:
    told = {each.metric.key: each for each in WHOLE_TOLD.entries()}
    assert told["smartcard"].state == WITHDRAWN
    assert told["agent"].state == EXPIRED
    text = page(WHOLE, "statistics/index.html")
    assert "withdrawn on 7 Sep 2026" in text
    assert "expired on 1 Oct 2026" in text
    assert "What is collected is told as of 2 Nov 2026." in text
    fewer = replace(CATALOGUE, metrics=tuple(each for each in CATALOGUE.metrics if each != FOLDERS))
    without = statistics(fewer, answers_kit.weekly(), []).entry("examplemail", "folders")
    assert without is not None
    assert without.state == GONE
    assert without.periods, "what was published stays"


WHOLE_TOLD = statistics(CATALOGUE, answers_kit.weekly(), [])


@pytest.mark.parametrize(
    ("withdrawn", "state"), [(date(2026, 11, 2), WITHDRAWN), (date(2026, 11, 3), "collected")]
)
def test_the_first_day_without_it_is_the_day_of_withdrawal(withdrawn: date, state: str) -> None:
    gone = replace(FOLDERS, withdrawn=withdrawn)
    entry = statistics(replace(CATALOGUE, metrics=(gone,)), answers_kit.weekly(), []).entry(
        "examplemail", "folders"
    )
    assert entry is not None
    assert entry.state == state


def test_a_page_tells_value_count_share_and_interval() -> None:
    text = page(WHOLE, "statistics/examplemail/index.html")
    assert 'yes</th><td class="n">120</td><td class="n">69%</td><td class="n">62–75%</td>' in text
    assert '0</th><td class="n">&lt;10</td><td class="n">–</td><td class="n">0–5%</td>' in text
    assert "50% of the answers are drawn at random" in text
    for each in ("mail list team", "https://example.org/reviews/12", "examplemail/folders"):
        assert each in text
    assert "1–9, 10–999, 1,000 or more" in text
    german = page(WHOLE, "de/statistics/examplemail/index.html")
    assert 'ja</th><td class="n">120</td><td class="n">69\xa0%</td>' in german
    assert "1.000 oder mehr" in german


def test_those_who_did_not_agree_are_told_of_once() -> None:
    text = page(WHOLE, "statistics/examplemail/index.html")
    assert text.count("of all that fetch the news") == 1
    assert "“10–999” could be from 11% to 94%" in text, (
        "0.21 × 0.56 and 1 − 0.21 × 0.32, rounded outward"
    )


def test_the_picture_says_what_it_shows() -> None:
    found = read(page(WHOLE, "statistics/examplemail/index.html"))
    alts = [image["alt"] or "" for image in found.images]
    assert len(alts) == 3
    assert any("imap 78%" in alt and "stood at 60%" in alt for alt in alts)
    assert all((image["src"] or "").endswith("chart.png") for image in found.images)


def test_a_period_is_told_when_it_is_over() -> None:
    pages = site(answers_kit.weekly(WEEKS[:2]))
    text = page(pages, "statistics/gnupg-bridge/index.html")
    assert "The reports of 2026-W27–W30 are published together" in text
    later = page(WHOLE, "statistics/gnupg-bridge/index.html")
    assert '<th scope="row">2026-W40–W43</th>' in later
    assert '<th scope="row">2026-W44</th><td>&lt;10</td>' in later, "that of another entry"


def test_hidden_and_missing_numbers_are_told_apart() -> None:
    text = page(WHOLE, "statistics/examplemail/index.html")
    assert '<th scope="row">2026-W32</th><td>no data</td><td>–</td>' in text
    hidden = page(WHOLE, "statistics/gnupg-bridge/index.html")
    assert "fewer than ten reports were counted, so at most" in hidden


def test_noise_is_no_finding() -> None:
    (week,) = answers_kit.weekly(WEEKS[:1])
    noisy = replace(week, noise=Budget(1.0, 42))
    entry = statistics(CATALOGUE, [noisy], []).entry("examplemail", "folders")
    assert entry is not None
    assert entry.latest is not None
    assert entry.latest.deviation > 50
    assert "10–999" not in finding(entry, SAY).partition("Shares")[2]
    quiet = statistics(CATALOGUE, [week], []).entry("examplemail", "folders")
    assert quiet is not None
    assert "10–999" in finding(quiet, SAY)
    assert "carry noise" in page(site([noisy]), "statistics/index.html").partition("<footer")[2]


def test_hostile_texts_are_only_text() -> None:
    evil = replace(FOLDERS, label=EVIL, description=EVIL, reason=EVIL, owner=EVIL, review=EVIL)
    weeks = answers_kit.weekly()
    changed = [
        replace(
            week,
            entries=tuple(
                replace(each, metric=evil) if each.name == evil.name else each
                for each in week.entries
            ),
        )
        for week in weeks
    ]
    for catalogue in (replace(CATALOGUE, metrics=(evil,)), None):
        for path in ("statistics/index.html", "statistics/examplemail/index.html"):
            text = page(site(changed, catalogue), path)
            assert "<script" not in text
            assert "{{ 7*7 }}" in text
            assert "script" not in read(text).tags


def test_a_value_nobody_declared_is_only_text() -> None:
    (week,) = answers_kit.weekly(WEEKS[:1])
    rows = (Value(EVIL, floor(50), Share(100, 90, 100)),)
    entries = tuple(
        replace(each, values=rows) if each.metric.key == "protocol" else each
        for each in week.entries
    )
    text = page(site([replace(week, entries=entries)]), "statistics/examplemail/index.html")
    assert "<script" not in text


@pytest.mark.parametrize("code", LANGUAGES)
def test_many_values_have_seven_colours_and_a_rest(code: str) -> None:
    values = tuple(f"v{n}" for n in range(32))
    many = replace(answers_kit.PROTOCOL, values=values)
    weeks = []
    for name in WEEKS[:3]:
        alone = Summed(1, name, name)
        counts = {value: 10 * (n + 1) for n, value in enumerate(values)}
        entry = answers_kit.entry(many, alone, counts)
        weeks.append(replace(answers_kit.document(name), entries=(entry,)))
    told = statistics(None, weeks, []).entry("examplemail", "protocol")
    assert told is not None
    assert [band.number for band in bands(told)] == [1, 2, 3, 4, 5, 6, 7, 0]
    chart = answers_chart(told, language(code))
    assert len(chart.datasets["labels"]) == 8
    for row in chart.datasets["bands"]:
        assert 0 <= row["bottom"] <= row["top"] <= 1  # type: ignore[operator]


def test_shares_that_add_up_to_more_stay_within_the_chart() -> None:
    weeks = [answers_kit.document(name) for name in WEEKS[:2]]
    rows = tuple(Value(each, floor(500), Share(80, 70, 90)) for each in ("false", "true"))
    entries = tuple(
        replace(each, values=rows, period=Summed(1, week.week, week.week), total=floor(1000))
        for week in weeks
        for each in week.entries
        if each.metric.key == "encryption_used"
    )
    changed = [replace(week, entries=(each,)) for week, each in zip(weeks, entries, strict=True)]
    told = statistics(None, changed, []).entry("examplemail", "encryption_used")
    assert told is not None
    tops = [row["top"] for row in answers_chart(told, SAY).datasets["bands"]]
    assert max(tops) == 1.0  # type: ignore[type-var]


def test_figures_are_those_of_the_documents() -> None:
    files = exported()
    rows = list(csv.DictReader(io.StringIO(files["statistics/examplemail/figures.csv"].decode())))
    last = [row for row in rows if row["week"] == WEEKS[-1] and row["key"] == "folders"]
    whole = last[0]
    assert (whole["release"], whole["value"], whole["count"]) == ("", "", "250")
    assert [row["count"] for row in last if row["value"] == "0"] == ["<10"] * 4
    gap = [row for row in rows if row["week"] == WEEKS[5] and row["key"] == "folders"]
    assert [row["count"] for row in gap] == [""]
    table = json.loads(files["statistics/examplemail/figures.json"])
    found = list(kit.numbers(table))
    assert found
    for _, value in found:
        assert value in (None, "<10") or (type(value) is int and value % 10 == 0 and value)
    assert {each["project"] for week in table["weeks"] for each in week["entries"]} == {
        "examplemail"
    }


def test_nothing_on_a_page_is_none() -> None:
    for path, content in exported().items():
        if path.endswith(".html"):
            assert not re.search(rb">\s*None(?! of)|\bNone\s*<", content), path


def test_a_server_shows_the_same_pages(tmp_path: Path) -> None:
    weeks = answers_kit.weekly()
    data = statistics_data(weeks, CATALOGUE)
    write_site(tmp_path, kit.PRODUCT, data, WHOLE, {}, None)

    async def ask() -> dict[str, tuple[int, bytes]]:
        app = web.Application()
        app.add_routes(dashboard_routes(tmp_path, kit.PRODUCT))
        async with TestClient(TestServer(app)) as client:
            found = {}
            for path in (
                *("statistics/index.html", "de/statistics/examplemail/index.html"),
                *("statistics/examplemail/figures.csv", f"{DATA}/declared.json"),
                *(f"{DATA}/statistics-2026-W44.csv", f"{DATA}/statistics-2026-W44.json"),
                *("statistics/examplemail/folders/nothing.png", "statistics/none/index.html"),
            ):
                answer = await client.get(f"/{path}")
                found[path] = (answer.status, await answer.read())
        return found

    for path, (status, body) in asyncio.run(ask()).items():
        there = (tmp_path / path).is_file()
        assert status == (200 if there else 404), path
        # Where a picture is drawn again its size may differ from that of one that is not.
        if there and not path.endswith("examplemail/index.html"):
            assert body == (tmp_path / path).read_bytes(), path


def test_a_changed_registry_is_told_with_its_file(tmp_path: Path) -> None:
    assert read_declared(tmp_path) is None
    write_files(tmp_path, {"declared.json": CATALOGUE.encode()})
    assert read_declared(tmp_path) == Catalogue.decode(CATALOGUE.encode())
    (tmp_path / "declared.json").write_bytes(b"{}")
    with pytest.raises(WireError, match=r"data/declared\.json"):
        read_declared(tmp_path)
