"""How many weeks a table sums: which periods there are, which is chosen, and what stands in it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from mars.wire.product import Product
from mars.wire.query import NONE
from mars.wire.variables import NAMES
from mars_server.common.calendar import following, span
from mars_server.publication.closing import close_weeks
from mars_server.tables.compose import FloorRules
from mars_server.tables.floor import floor
from mars_server.tables.periods import judged
from mars_server.tables.quarters import CROSS, EVERY, Summed, beginning, quarter
from mars_server.tables.week import Row, Week
from tests.server.publication import kit
from tests.server.publication.kit import Counted

SMALL = replace(kit.PRODUCT, crowd=100)
TINY = replace(kit.PRODUCT, crowd=0)


def names(first: str = kit.FIRST) -> Iterator[str]:
    while True:
        yield first
        first = following(first)


def published(
    folder: Path, counted: Sequence[Counted], product: Product = SMALL, first: str = kit.FIRST
) -> list[Week]:
    weeks = dict(zip(names(first), counted, strict=False))
    return kit.published(folder, weeks, product=product)


def spans(weeks: Sequence[Week], table: str) -> list[Summed]:
    return list(dict.fromkeys(week.periods[table] for week in weeks))


def platforms(**hits: int) -> Counted:
    return Counted(plain=60, tables={"os": hits})


@pytest.mark.parametrize(
    ("every", "sizes"), [(1, {1}), (4, {4, 5, 6}), (13, {13, 14})], ids=["1", "4", "13"]
)
def test_periods_tile_the_weeks_and_end_with_their_quarters(every: int, sizes: set[int]) -> None:
    """Also where a year has 53 weeks, as 2026 and 2032."""
    found: list[Summed] = []
    for name in span("2025-W01", "2033-W13"):
        if not found or found[-1].last < name:
            found.append(beginning(name, every))
    assert [each.first for each in found[1:]] == [following(each.last) for each in found[:-1]]
    assert {each.weeks for each in found} == sizes
    ends = {each.last for each in found}
    for name in span("2025-W01", "2033-W13"):
        if quarter(name) != quarter(following(name)):
            assert name in ends, "a quarter's end ends every period"


def test_longer_periods_end_where_shorter_ones_do() -> None:
    """Else a sum over two variables could end within a period of one of them."""
    for name in span("2026-W01", "2027-W13"):
        ends = [beginning(name, every).last for every in EVERY]
        assert ends == sorted(ends)
        assert beginning(following(ends[0]), 4).last == ends[1] or ends[0] == ends[1]


def test_a_small_project_begins_with_four_weeks_for_what_half_of_its_requests_lack(
    tmp_path: Path,
) -> None:
    week = published(tmp_path, [platforms(linux=8)])[0]
    assert {name: each.every for name, each in week.periods.items()} == {
        "v": 1,
        "os": 4,
        "ia": 4,
        "lang": 1,
        "py": 1,
        "cc": 1,
        "v-os": 4,
    }


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        ({"linux": 80, "windows": 60, "macos": 20}, [4, 1, 1]),
        ({"linux": 8, "windows": 6, "macos": 2}, [4, 4, 4]),
        ({"linux": 2, "windows": 1, "macos": 1}, [4, 13, 13]),
        ({}, [4, 13, 13]),
    ],
    ids=["many", "some", "few", "none"],
)
def test_a_quarter_decides_by_what_the_one_before_has_shown(
    tmp_path: Path, hits: dict[str, int], expected: list[int]
) -> None:
    """12 weeks of the first quarter, then two whole ones."""
    weeks = published(tmp_path, [platforms(**hits)] * 38)
    chosen = {quarter(week.week): week.periods["os"].every for week in weeks}
    assert list(chosen.values()) == expected
    for year, number in chosen:
        part = [week for week in weeks if quarter(week.week) == (year, number)]
        assert len({week.periods["os"].every for week in part}) == 1, "one at a time"


def test_a_quarter_decides_by_the_one_before_alone(tmp_path: Path) -> None:
    """The week before it holds a sum of four or five, of which one alone would be in reach."""
    found = published(tmp_path, [platforms(linux=2, windows=1, macos=1)] * 25)
    assert quarter(found[11].week) != quarter(found[12].week) == quarter(found[24].week)
    big = tuple(replace(row, count=floor(10_000)) for row in found[11].tables["os"])
    summed = replace(found[11], tables={**found[11].tables, "os": big})
    assert judged("os", [*found[:11], summed], 100) == 1
    assert judged("os", [*found[:11], summed, *found[12:]], 100) == judged("os", found[12:], 100)


def test_a_flood_chooses_no_period_of_the_next_quarter(tmp_path: Path) -> None:
    """Disturbed and incomplete weeks decide only where there are no four others."""
    few, flood = platforms(linux=2, windows=1, macos=1), platforms(linux=900, windows=900)
    chosen = {}
    for floods in (1, 3, 11):
        folder = tmp_path / str(floods)
        folder.mkdir()
        weeks = dict.fromkeys(span("2026-W02", "2026-W13"), few)
        for name in list(weeks)[-floods:]:
            weeks[name] = flood
        found = kit.published(folder, {**weeks, "2026-W14": few}, product=replace(SMALL, crowd=0))
        told = [replace(week, periods={}) for week in found[:-1]]
        calm = [replace(week, tables={**week.tables, "os": rows(week)}) for week in told]
        chosen[floods] = judged("os", calm, 0)
        assert judged("os", [replace(week, flags=()) for week in calm], 0) == 1
    assert chosen == {1: 13, 3: 13, 11: 1}


def rows(week: Week) -> tuple[Row, ...]:
    """Platforms of a week by itself: hidden, but in a flood."""
    hits = 900 if week.hits.least > 1000 else 4
    return (Row("linux", floor(hits)), Row("windows", floor(hits)), Row(NONE, floor(60)))


def test_what_is_hidden_changes_no_period(tmp_path: Path) -> None:
    """Two projects whose numbers have the same floors have the same periods, and files."""
    found = []
    for few in (0, 5, 8):
        (tmp_path / str(few)).mkdir()
        hits = {"linux": 20, "windows": few, "macos": 9 - few, "other": 9}
        counted = Counted(plain=402, tables={"os": hits, "v": {"0.5.1": few, "0.5.2": 38 - few}})
        weeks = dict.fromkeys(span("2026-W02", "2026-W13"), counted)
        found.append(kit.published(tmp_path / str(few), {**weeks, "2026-W14": Counted(plain=400)}))
    assert [week.periods["os"].every for week in found[0]] == [1] * 12 + [13]
    assert [week.periods for week in found[0]] == [week.periods for week in found[1]]
    assert found[0] == found[1] == found[2]


def random_week(chance: random.Random) -> Counted:
    """Small numbers of every variable, values without a row of their own included."""

    def some(*values: str, most: int) -> dict[str, int]:
        return {value: chance.randrange(most) for value in values}

    tables = {
        "v": some("0.1.0", "0.5.1", "0.5.2", "dev", "9.9", most=30),
        "os": some("linux", "windows", "macos", "other", most=9),
        "ia": some("1", "10", "100", "1000", most=5),
        "lang": some("de", "en", "is", "fr", most=70),
        "py": some("3.11", "3.99", "3.7", most=6),
        "cc": some("DE", "IS", most=70),
    }
    pairs = {(v, os): chance.randrange(9) for v in ("0.5.1", "0.5.2") for os in ("linux", "macos")}
    return Counted(plain=chance.randrange(50), tables=tables, pairs=pairs)


def slow(counted: dict[str, Counted], period: Summed, table: str, row: str, rows: set[str]) -> int:
    """The hits of one row, looked for one week and value at a time."""
    hits = 0
    for name in span(period.first, period.last):
        if name not in counted:
            continue
        for value, n in counted[name].exact().counts[table].items():
            folded = {"1": "10", "1000": "100"} if table == "ia" and "1" not in rows else {}
            said = folded.get(value, value)
            hits += n if said == row or (row == "other" and said not in rows) else 0
    return hits


@pytest.mark.parametrize("product", [TINY, SMALL, kit.PRODUCT], ids=["0", "100", "1000"])
def test_a_period_is_summed_before_the_floor(tmp_path: Path, product: Product) -> None:
    """Every published row of a year equals a slow sum, floored once."""
    chance = random.Random(5)
    counted = {name: random_week(chance) for name in span("2026-W02", "2027-W01")}
    del counted["2026-W20"]
    weeks = kit.published(tmp_path, counted, product=product)
    lengths = Counter(week.periods[name].every for week in weeks for name in NAMES)
    assert set(lengths) == set(EVERY) or product is kit.PRODUCT
    seen = 0
    for week in weeks:
        for table in NAMES:
            if not week.closes(table):
                assert week.tables[table] == (), "a week inside a period stands by itself nowhere"
                continue
            rows = {row.value for row in week.tables[table]}
            for row in week.tables[table]:
                true = slow(counted, week.periods[table], table, row.value, rows)
                assert row.count == floor(true), (week.week, table, row)
                seen += 1
    assert seen > 500
    crossed = [week for week in weeks if week.pairs]
    assert bool(crossed) == (product.crowd >= 1000)
    for week in crossed:
        period = week.periods[CROSS]
        parts = [counted[name] for name in span(period.first, period.last) if name in counted]
        rows = {each.v for each in week.pairs}
        for each in week.pairs:
            true = sum(
                n
                for part in parts
                for (v, os), n in part.pairs.items()
                if (v if v in rows else "other", os) == (each.v, each.os)
            )
            assert each.count == floor(true)


def test_ages_of_a_small_crowd_are_two(tmp_path: Path) -> None:
    """Older programs still say four; these are parts of the two."""
    ages = Counted(tables={"ia": {"1": 4, "10": 3, "100": 5, "1000": 6, "other": 1}})
    last = published(tmp_path, [ages] * 3)[-1]
    assert [(row.value, row.count.value) for row in last.tables["ia"]] == [
        ("10", 20),
        ("100", 30),
        ("other", "<10"),
        (NONE, "<10"),
    ]


def test_version_by_platform_waits_until_a_whole_period_has_the_crowd(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    both = Counted(
        tables={"v": {"0.5.2": 300}, "os": {"linux": 300}}, pairs={("0.5.2", "linux"): 300}
    )
    crossed = []
    for n, name in zip(range(16), names("2026-W14"), strict=False):
        kit.count(engine, name, both)
        crowd = 1000 if n >= 2 and n != 13 else 100
        rules = FloorRules(replace(kit.PRODUCT, crowd=crowd))
        crossed.append(bool(close_weeks(engine, rules, kit.LATER)[-1].pairs))
    weeks = close_weeks(engine, FloorRules(kit.PRODUCT), kit.LATER)
    assert [each.every for each in spans(weeks[:13], CROSS)] == [4, 4, 4]
    assert [n for n, found in enumerate(crossed) if found] == [7, 12, 14, 15]


def test_a_version_that_hid_in_one_week_of_a_period_has_no_line_of_its_own(tmp_path: Path) -> None:
    """Its sum over the weeks would else narrow what it was in that week."""
    os = {"linux": 7, "windows": 6, "macos": 5, "other": 5}  # all hidden in a week: 13 weeks
    start = Counted(tables={"v": {"0.5.2": 300}, "os": os})
    weeks = dict.fromkeys(span("2026-W02", "2026-W13"), start)
    for n, name in enumerate(span("2026-W14", "2026-W26")):
        few = 9 if n == 5 else 40
        weeks[name] = Counted(
            tables={"v": {"0.5.1": few, "0.5.2": 300}, "os": os},
            pairs={("0.5.1", "linux"): 4, ("0.5.2", "linux"): 30},
        )
    last = kit.published(tmp_path, weeks)[-1]
    assert (last.periods["v"].every, last.periods[CROSS].name) == (1, "2026-W14..2026-W26")
    assert {pair.v for pair in last.pairs} == {"0.5.2", "other"}
    cells = {(pair.v, pair.os): pair.count for pair in last.pairs}
    assert cells["other", "linux"] == floor(13 * 4)
