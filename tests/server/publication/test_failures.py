"""Error events are closed with the statistics of their week, once, and taken over as these are."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mars.errors import MarsError, StateError
from mars.wire.catalogue import Catalogue
from mars_server.counting.reports import DIGEST_BYTES, Statistic
from mars_server.publication.restore import adopt
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.address import Address
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.storage.openings import store_opened
from mars_server.tables.statistics import Counts
from mars_server.tables.statistics_week import encode
from tests.server.counting import spools
from tests.server.counting.commands import run_json
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports
from tests.server.site.test_stored_site import undrawn
from tests.server.tables import failed

DAMAGED = "decryption/damaged"
NAMES = tuple(replace(each, declared=date(2025, 1, 1)) for each in failed.DOMAIN.names)
DOMAIN = replace(failed.DOMAIN, names=NAMES)
EVENTS: Counts = {
    DAMAGED: {"0.5.2": {"0": 211, "1": 31, "2-9": 9}},
    "decryption/failed_share": {"0.5.2": {"few": 61, "none": 140, "more": 32}},
    "decryption/key_missing.device": {"0.5.1": {"none": 77, "own": 41}},
}
BOTH: Counts = {**reports.USUAL, **EVENTS}
CATALOGUE = replace(reports.CATALOGUE, domains=(DOMAIN,))
FIRST = f"statistics-{kit.week(0)}.json"


def new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_one_document_tells_of_both(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, {kit.week(0): BOTH, kit.week(1): BOTH})
    weeks = reports.close(engine, CATALOGUE)
    assert [week.week for week in weeks] == [kit.week(0), kit.week(1)]
    entry, pane = weeks[0].entry(DAMAGED), weeks[0].entry(reports.PANE.name)
    assert entry is not None and pane is not None
    assert (entry.total.value, pane.total.value) == (250, 120)
    assert [row.count.value for row in entry.values] == [210, 30, "<10", "<10", "<10"]
    assert reports.close(engine, CATALOGUE) == weeks, "once"


def test_error_events_alone_close_a_week(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), EVENTS)
    alone = Catalogue("examplemail", "stable", reports.RELEASES, domains=(DOMAIN,))
    assert [week.week for week in reports.close(engine, alone)] == [kit.week(0)]


def test_a_report_that_comes_late_is_dropped_and_told(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), BOTH)
    before = encode(reports.close(engine, CATALOGUE)[0])
    late = b"".join(n.to_bytes(DIGEST_BYTES, "big") for n in range(23))
    with engine.begin() as connection:
        found = store_opened(connection, {Statistic(kit.week(0), DAMAGED, "0.5.2", "1"): late})
    assert found.reasons() == {"late": 23}
    reports.count(engine, kit.week(1), BOTH)
    weeks = reports.close(engine, CATALOGUE)
    assert encode(weeks[0]) == before
    assert weeks[1].late.value == 20


def test_a_domain_that_is_gone_changes_nothing_that_was_published(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, {kit.week(0): BOTH, kit.week(1): BOTH})
    before = [encode(week) for week in reports.close(engine, CATALOGUE)]
    reports.count(engine, kit.week(2), BOTH)
    weeks = reports.close(engine, reports.CATALOGUE)
    assert [encode(week) for week in weeks[:2]] == before
    assert json.loads(encode(weeks[2]))["format"] == "mars-statistics/1"
    contents = Contents(kit.PRODUCT, [], reports=weeks, catalogue=reports.CATALOGUE)
    site = Site(contents, ChartStore(renderer=undrawn))
    text = (site.content(Address(section="failures", project="decryption")) or b"").decode()
    assert "no longer declared" in text
    assert "16% (8–25%)" in text


def test_a_lost_database_takes_over_what_was_published(
    tmp_path: Path, publish: kit.Publish
) -> None:
    site = tmp_path / "site"
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), BOTH)
    publish(engine, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    before = kit.tree(site)
    fresh = kit.database(new(tmp_path / "new"))
    with pytest.raises(StateError):
        publish(fresh, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    outcome = publish(fresh, site, kit.RULES, kit.LATER, adopt=True, catalogue=CATALOGUE)
    assert kit.tree(site) == before
    assert (outcome.new, outcome.new_reports) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new_text", "why"),
    [
        (b'"key": "damaged"', b'"key": "<b>"', "declares"),
        (b'"key": "damaged"', b'"key": "other"', "declares"),
        (b'"project": "decryption"', b'"project": "<b>"', "declares"),
        (b'"domain": "decryption"', b'"domain": "another"', "declares"),
        (b'"sensitivity": "technical"', b'"sensitivity": "secret"', "declares"),
        (b'"value": "2-9"', b'"value": "3-9"', "figures"),
        (b'"total": 250', b'"total": 950', "add up"),
    ],
)
def test_a_week_that_cannot_be_is_not_taken_over(
    tmp_path: Path, old: bytes, new_text: bytes, why: str
) -> None:
    engine = kit.database(new(tmp_path / "a"))
    reports.count(engine, kit.week(0), EVENTS)
    alone = Catalogue("examplemail", "stable", reports.RELEASES, domains=(DOMAIN,))
    good = encode(reports.close(engine, alone)[0])
    assert old in good
    data = kit.data_folder(tmp_path, {FIRST: good.replace(old, new_text, 1)})
    empty = kit.database(new(tmp_path / "b"))
    with pytest.raises(MarsError, match=why):
        adopt(empty, kit.RULES, data, kit.LATER)
    assert kit.kept(empty, lambda kept: kept.statistics.published()) == {}


def test_from_sealed_reports_to_a_page(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By the commands; without ``errors.toml`` the week waits."""
    said = [*["0"] * 30, *["2-9"] * 14]
    bodies = [spools.sealed(spools.event(value=value), n) for n, value in enumerate(said)]
    log = spools.written(tmp_path / "spool" / "a.log", spools.spool(bodies))
    product, keys = spools.product_of(tmp_path), spools.keys_of(tmp_path, spools.WEEK)
    base = ("--product", product, "--db", f"sqlite:///{tmp_path}/counts.db")
    options = ("--out", tmp_path / "site", "--chart-cache", kit.chart_cache(tmp_path_factory))
    publish = ("publish", *base, *options, "--now", "2026-12-20T00:00:00Z")
    errors = spools.errors_of(tmp_path)
    assert run_json("count", log, *base, "--keys", keys)["events"]
    errors.unlink()
    (tmp_path / "metrics.toml").unlink()
    waits = run_json(*publish)
    assert (waits["new_statistics_weeks"], waits["waiting_statistics_weeks"]) == (0, [spools.WEEK])
    spools.errors_of(tmp_path)
    assert run_json(*publish)["new_statistics_weeks"] == 1
    site = tmp_path / "site"
    assert ",decryption,key_missing,,2-9,10," in (
        site / "failures/decryption/figures.csv"
    ).read_text("utf-8")
    page = (site / "de/failures/decryption/index.html").read_text("utf-8")
    assert "No key for it is here." in page
    assert "failures/index.html" in (site / "index.html").read_text("utf-8")
