"""An attacker with everything that was published, and an integer program."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.catalogue import Catalogue
from mars_server.tables.compose import FloorRules, compose
from mars_server.tables.downloads import data_files
from mars_server.tables.floor import STEP, floor
from mars_server.tables.statistics import Known, Reports
from mars_server.tables.statistics import compose as compose_reports
from tests.server.publication import kit
from tests.server.tables.attack import Attack, Hidden
from tests.server.tables.forging import (
    KIND,
    SUMS,
    crossing,
    possible,
    published_sums,
    spread,
    total,
)
from tests.server.tables.reconstruction import (
    BEFORE,
    DOCS,
    FEW_REPORTS,
    SLICE,
    documented,
    looked_at,
    probed,
    reported,
    table_of_floors,
    table_of_probes,
    table_of_reports,
    table_of_sums,
)
from tests.server.tables.reports_attack import BOOL
from tests.server.tables.reports_attack import PRODUCT as REPORTED
from tests.server.tables.reports_attack import Attack as OfReports
from tests.server.tables.simulated import BARE, TINY, USUAL, simulated, unlisted
from tests.server.tables.small_crowd import hidden


def hold_the_truth(cells: Iterable[Hidden]) -> bool:
    """A program that assumes too much would find ranges that are wrong."""
    return all(0 <= cell.low <= cell.true <= cell.high for cell in cells)


def are_documented(table: str) -> bool:
    """Whether the docs have each row of a slice of one of their tables, below its head."""
    head, rule, *rows = table.splitlines()
    _, found, rest = documented().partition(f"{head}\n{rule}\n")
    return bool(found and rows) and set(rows) <= set(rest.partition("\n\n")[0].splitlines())


METHOD = DOCS.parents[1] / "server/mars_server/site/pages/templates/method.html"


@pytest.mark.slow
def test_hidden_counts_stay_as_open_as_the_docs_say() -> None:
    """A program that knows too little would find wider ranges than the docs give."""
    found = looked_at(SLICE)
    for _, *ways in found:
        for cells in (week for weeks in ways for week in weeks):
            assert cells
            assert hold_the_truth(cells)
            assert all(cell.high < STEP for cell in cells)
    assert are_documented(table_of_floors(found))


@pytest.mark.slow
def test_a_week_of_forged_requests_tells_what_the_docs_say() -> None:
    """All numbers of the week are asked at once; none of this is possible where noise is on."""
    found = probed()
    assert all(hold_the_truth(cells) for *_, cells in found)
    assert table_of_probes(found) in documented()


@pytest.mark.slow
def test_hidden_counts_of_statistics_stay_as_open_as_the_docs_say() -> None:
    """By metric, release and value, and all sums over these."""
    found = reported(FEW_REPORTS)
    for *_, cells in found:
        assert cells
        assert hold_the_truth(cells)
        assert all(cell.high < STEP for cell in cells)
    assert are_documented(table_of_reports(found))


def test_who_forges_reports_can_find_a_hidden_value_where_there_is_no_noise() -> None:
    """As of a platform among hits: one who asks at the right place sees whether it crosses ten.
    Versions and releases need fifty in each of four weeks instead."""
    cell = ("other", "true")
    seen = set()
    for true in range(STEP):
        own = {cell: STEP - 4}
        reports = Reports({BOOL.name: {"any": {"true": true + own[cell]}}})
        known = Known(FloorRules(REPORTED), Catalogue("attacked", "stable", (), (BOOL,)))
        week = compose_reports("2026-W01", {}, [], 0, replace(known, reports={"2026-W01": reports}))
        attack = OfReports(week.entries[0], own)
        low, high = attack.reach(cell, 1), attack.reach(cell, -1)
        assert low <= true <= high
        seen.add((low, high))
    assert seen == {(0, 3), (4, 13)}


def test_one_week_of_forged_requests_tells_a_count_of_a_small_project() -> None:
    """It stands in nine sums; each can be made to cross a ten at another count."""
    assert table_of_sums() in documented()
    shifts = dict(zip(SUMS, spread(len(SUMS)), strict=True))
    forged = crossing(shifts)
    assert (forged.exact.hits or 0) <= 50
    seen = []
    for true in range(STEP):
        requests = crossing(shifts)
        requests.add(true, **KIND)
        week = compose("2026-W10", requests.exact, unlisted(), [], 0, FloorRules(BARE.product))
        own = [total(forged, name) for name in SUMS]
        assert [each % STEP for each in own] == list(shifts.values())
        assert published_sums(week) == [floor(true + each) for each in own]
        assert possible(true, own) == [true]
        seen.append(tuple(each.value for each in published_sums(week)))
    assert len(set(seen)) == STEP


@pytest.mark.parametrize("page", [*DOCS.parent.glob("*.md"), METHOD], ids=lambda page: page.name)
def test_no_page_promises_that_a_week_gives_one_answer(page: Path) -> None:
    text = page.read_text("utf-8").lower()
    for promise in ("one value a week", "one number a week", "one week, one answer"):
        assert promise not in text


def test_the_program_knows_that_tables_add_up() -> None:
    _, week = simulated(USUAL, 60, 1)[0]
    attack = Attack(week)
    _, published = attack.cells["hits", ""]
    plain, shown = attack.cells["level", "plain"]
    tracked = attack.cells["level", "tracked"][1]
    assert attack.reach(plain, 1) >= max(shown.least, published.least - tracked.most)
    assert attack.reach(plain, -1) <= min(shown.most, published.most - tracked.least)


def test_everything_published_follows_from_the_floors(tmp_path: Path) -> None:
    """Two truths with the same floors give the same site: pages with their texts and percentages,
    charts, estimates, flags, every range, every file. So the floors are all an attacker has."""
    sites = []
    for name, extra in (("a", 0), ("b", 3)):
        (tmp_path / name).mkdir()
        weeks = {kit.week(n): _with_floors(n, extra) for n in range(6)}
        found = kit.published(tmp_path / name, weeks)
        site = kit.site(found)
        sites.append({**data_files(found), **dict(site.export())})
    assert sites[0] == sites[1]
    assert len(sites[0]) > 100


def _with_floors(number: int, extra: int) -> kit.Counted:
    """Counts whose floors do not depend on ``extra`` (0 to 3) more hits in one cell each."""
    new = 301 + 10 * number + extra
    tables = {
        "v": {"0.5.1": 202, "0.5.2": new},
        "os": {"linux": 102, "windows": 401 + 10 * number + extra},
        "ia": {"10": 52, "100": 451 + 10 * number + extra},
        "lang": {"en": 61 + extra, "is": 2},
        "cc": {"DE": 73, "IS": 1 + extra},
    }
    pairs = {("0.5.1", "linux"): 102, ("0.5.1", "windows"): 100, ("0.5.2", "windows"): new}
    return kit.Counted(plain=101, tables=tables, pairs=pairs)


def test_the_program_knows_what_a_request_says_in_a_small_crowd() -> None:
    """One thing: what one table shows the others lack. Without that tie nine values are left."""
    quarter = simulated(TINY, 401, BEFORE + 13)[BEFORE:]
    found = list(hidden(quarter, TINY.crowd, alike=False))
    assert hold_the_truth(found)
    assert min(cell.values for cell in found) == 6
