"""Nobody takes a sum of weeks apart, and nobody raises the crowd by sending requests."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path

import pytest

from mars.wire.product import Product
from mars.wire.variables import NAMES
from mars_server.common.calendar import monday, span, sunday
from mars_server.counting.tally import Tally
from mars_server.publication.closing import close_weeks
from mars_server.publication.restore import adopt
from mars_server.storage.ledger import store
from mars_server.tables.compose import FloorRules
from mars_server.tables.crowd import proposed
from mars_server.tables.downloads import data_files
from mars_server.tables.week import Week, encode
from tests.server.conftest import database_url, new_database, postgres_server
from tests.server.publication import kit
from tests.server.publication.kit import Counted

SMALL = replace(kit.PRODUCT, crowd=100)
YEAR = list(span("2026-W02", "2027-W01"))


__all__ = ["database_url", "new_database", "postgres_server"]


def small_week(chance: random.Random) -> Counted:
    """Some hundred requests, of which many say little; who uses what changes over the year."""
    os = {name: chance.randrange(14) for name in kit.PRODUCT.platforms}
    ages = {"10": chance.randrange(12), "100": chance.randrange(12)}
    versions = {"0.5.1": 30, "0.5.2": 5 + chance.randrange(30)}
    return Counted(
        plain=60,
        tables={"v": versions, "os": os, "ia": ages, "lang": {"en": chance.randrange(90)}},
        pairs={("0.5.2", "linux"): chance.randrange(9)},
    )


def year(seed: int = 1) -> dict[str, Counted]:
    chance = random.Random(seed)
    return {name: small_week(chance) for name in YEAR}


def sums(weeks: list[Week], table: str) -> list[tuple[str, str]]:
    """The first and the last day of every sum of ``table`` in any file, once for each."""
    files = {name: data.decode() for name, data in data_files(weeks).items()}
    found = set()
    for row in csv.DictReader(io.StringIO(files[f"{table}.csv"])):
        found.add((row["first_day"], sunday(row["week"]).isoformat()))
    for week in json.loads(files[f"{table}.json"])["weeks"]:
        first = monday(week["first_week"]).isoformat()
        found.add((first, sunday(week["week"]).isoformat()))
    for week in weeks:
        inner = json.loads(files[f"{week.week}.json"])
        crossed = [] if table != "v-os" else inner["version_platform"]
        if inner["tables"].get(table) or crossed:
            first = inner["periods"][table]["first_week"]
            found.add((monday(first).isoformat(), sunday(week.week).isoformat()))
        for row in csv.DictReader(io.StringIO(files[f"{week.week}.csv"])):
            if row["table"] == table:
                found.add((row["first_day"], sunday(week.week).isoformat()))
    return sorted(found)


@pytest.mark.parametrize("product", [SMALL, kit.PRODUCT], ids=["100", "1000"])
def test_h15_no_two_sums_of_a_table_share_a_week(tmp_path: Path, product: Product) -> None:
    """Else their difference would be a sum that nobody floored, at a quarter's end above all."""
    weeks = kit.published(tmp_path, year(), product=product)
    lengths = set()
    for table in (*NAMES, "v-os"):
        found = sums(weeks, table)
        for (_, end), (begin, _) in pairwise(found):
            assert end < begin, table
        lengths |= {week.periods[table].every for week in weeks}
    assert lengths == {1, 4, 13}


def test_h15_version_by_platform_tells_no_shorter_sum_of_either(tmp_path: Path) -> None:
    weeks = kit.published(tmp_path, year())
    for week in weeks:
        for one, other in combinations(("v", "os", "v-os"), 2):
            periods = week.periods[one], week.periods[other]
            assert periods[0].last <= periods[1].last or other != "v-os"
        if week.pairs:
            assert week.closes("v") and week.closes("os")


def test_h15_a_line_that_comes_late_is_in_no_sum(tmp_path: Path, database_url: str) -> None:
    """Two projects; into one comes a late line for a week of a period that has not ended."""
    from mars_server.storage import open_database

    engine = open_database(database_url)
    late = Tally()
    late.cells["2026-01-06", "os", "linux"] = 500
    late.cells["2026-01-06", "level", "tracked"] = 500
    late.pairs["2026-01-06", "0.5.2", "linux"] = 500
    rules = FloorRules(SMALL)
    weeks: list[Week] = []
    for name in YEAR[:4]:
        kit.count(engine, name, year()[name])
        weeks = close_weeks(engine, rules, kit.LATER)
        with engine.begin() as connection:
            store(connection, late)
    without = kit.published(tmp_path, dict(list(year().items())[:4]), product=SMALL)
    assert weeks[2].tables["os"], "weeks 2 to 4 end a period"
    assert [week.tables for week in weeks] == [week.tables for week in without]
    engine.dispose()


def test_h15_a_rebuild_gives_the_same_sums(tmp_path: Path) -> None:
    """Week by week, all at once, and again with another product file."""
    for name in "ab":
        (tmp_path / name).mkdir()
    engine = kit.database(tmp_path / "a")
    for name, counted in year().items():
        kit.count(engine, name, counted)
        close_weeks(engine, FloorRules(SMALL), kit.LATER)
    one_by_one = data_files(close_weeks(engine, FloorRules(SMALL), kit.LATER))
    assert one_by_one == data_files(kit.published(tmp_path / "b", year(), product=SMALL))
    other = replace(SMALL, crowd=0, releases=(*SMALL.releases, "0.6.0"))
    assert one_by_one == data_files(close_weeks(engine, FloorRules(other), kit.LATER))


def test_h15_every_number_of_summed_weeks_is_floored(tmp_path: Path) -> None:
    for name, content in data_files(kit.published(tmp_path, year(), product=SMALL)).items():
        if name.endswith(".json"):
            for _, value in kit.numbers(json.loads(content)):
                assert value is None or value == "<10" or (type(value) is int and value % 10 == 0)
                assert value != 0


def few(n: int = 0) -> Counted:
    os = {"linux": 8, "windows": 6 + n % 3, "macos": 2}
    return Counted(plain=80, tables={"os": os, "v": {"0.5.2": 16 + n % 3}})


@pytest.mark.parametrize("lost", [False, True])
def test_h15_a_sum_whose_weeks_were_lost_says_no_data(tmp_path: Path, lost: bool) -> None:
    """The database is lost within a period: no part of a sum is shown as the whole."""
    for name in "ab":
        (tmp_path / name).mkdir()
    names = list(span("2026-W14", "2026-W22"))
    counted = {name: few(n) for n, name in enumerate(names)}
    whole = kit.published(tmp_path / "a", counted, product=SMALL)
    gone = 2 if lost else 0
    engine = kit.database(tmp_path / "b")
    if lost:
        old = {f"{week.week}.json": encode(week) for week in whole[:gone]}
        adopt(engine, FloorRules(SMALL), kit.data_folder(tmp_path, old), kit.LATER)
    for name in names[gone:]:
        kit.count(engine, name, counted[name])
    weeks = close_weeks(engine, FloorRules(SMALL), kit.LATER)
    assert [encode(week) for week in weeks[:3]] == [encode(week) for week in whole[:3]]
    assert weeks[3].closes("os")
    assert weeks[3].tables["os"] == (() if lost else whole[3].tables["os"])
    assert weeks[7].tables["os"] == whole[7].tables["os"], "the next period is whole again"
    line = next(row for row in data_files(weeks)["os.csv"].decode().splitlines() if "-W17" in row)
    assert line.startswith("2026-W17,2026-03-30,,,,4," if lost else "2026-W17,2026-03-30,linux,30")


def test_h15_counts_that_are_not_those_of_the_published_week_are_in_no_sum(tmp_path: Path) -> None:
    """Logs were counted anew before the folder was taken over, and some were gone."""
    whole = kit.published(tmp_path, {"2026-W14": few()}, product=SMALL)
    (tmp_path / "b").mkdir()
    engine = kit.database(tmp_path / "b", {"2026-W14": Counted(tables={"os": {"linux": 40}})})
    data = kit.data_folder(tmp_path, {"2026-W14.json": encode(whole[0])})
    adopt(engine, FloorRules(SMALL), data, kit.LATER)
    for name in ("2026-W15", "2026-W16", "2026-W17"):
        kit.count(engine, name, few())
    assert close_weeks(engine, FloorRules(SMALL), kit.LATER)[-1].tables["os"] == ()


@pytest.mark.parametrize("name", ["level", "v", "ia"])
def test_h15_counts_with_the_same_sum_but_other_tables_are_in_no_sum(
    tmp_path: Path, name: str
) -> None:
    """The total of the published week alone does not say that it was made of these counts."""
    ages = {"1": 30, "10": 30, "100": 40}
    true = Counted(plain=50, tables={"v": {"0.5.2": 100}, "os": {"linux": 8}, "ia": ages})
    other = {
        "level": replace(true, plain=10, tables={**true.tables, "cc": {"IS": 140}}),
        "v": replace(true, tables={**true.tables, "v": {"0.5.1": 50, "0.5.2": 50}}),
        "ia": replace(true, tables={**true.tables, "ia": {**ages, "1": 45, "100": 25}}),
    }
    before = dict.fromkeys(span("2026-W09", "2026-W13"), true)
    whole = kit.published(tmp_path, {**before, "2026-W14": true}, product=SMALL)
    assert [whole[-1].periods[each].every for each in ("v", "ia", "os")] == [1, 1, 4]
    rest = span("2026-W15", "2026-W17")
    for counted, same in ((true, True), (other[name], False)):
        (tmp_path / str(same)).mkdir()
        engine = kit.database(tmp_path / str(same), {**before, "2026-W14": counted})
        old = {f"{week.week}.json": encode(week) for week in whole}
        adopt(engine, FloorRules(SMALL), kit.data_folder(tmp_path / str(same), old), kit.LATER)
        for each in rest:
            kit.count(engine, each, true)
        rest = span("2026-W15", "2026-W17")
        rows = close_weeks(engine, FloorRules(SMALL), kit.LATER)[-1].tables["os"]
        assert bool(rows) is same


# --- The crowd ---

PRODUCT = replace(kit.PRODUCT, crowd=0)


def tracked(hits: int) -> Counted:
    return Counted(plain=40, tables={"v": {"0.5.2": hits}})


def flooded(folder: Path, forged: Mapping[int, int], number: int = 30) -> list[Week]:
    """Weeks of 108 requests with metrics (100 installations), and so many ``forged`` ones."""
    weeks = {kit.week(n): tracked(108 + forged.get(n, 0)) for n in range(number)}
    return kit.published(folder, weeks, product=PRODUCT)


def test_h16_a_flood_of_some_weeks_proposes_no_larger_crowd(tmp_path: Path) -> None:
    """Nor of thirteen, of which the first look disturbed, nor of every second one, where it is the
    honest weeks that do."""
    for n, weeks in enumerate((range(28, 30), range(17, 30), range(0, 30, 2))):
        (tmp_path / str(n)).mkdir()
        found = flooded(tmp_path / str(n), dict.fromkeys(weeks, 1238))
        assert proposed(found, 0) == 0
    assert any("disturbed" in week.flags for week in found)


def test_h16_a_flood_of_a_quarter_proposes_and_changes_nothing(tmp_path: Path) -> None:
    """Nothing can tell it from a project that has grown; so a person decides, by other figures."""
    kit.database(
        tmp_path, {kit.week(n): tracked(108 + (2476 if n > 8 else 0)) for n in range(30)}
    ).dispose()
    product = tmp_path / "product.toml"
    product.write_text(kit.PRODUCT_TOML.replace("crowd = 1000", "crowd = 0"))
    before = product.read_bytes()
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("mars-server"), "publish", "--json"),
            *("--db", f"sqlite:///{tmp_path}/counts.db", "--out", str(tmp_path / "site")),
            *("--product", str(product), "--now", "2027-01-01T00:00:00Z"),
        ],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["crowd"], told["crowd_proposed"]) == (0, 1000)
    assert "only if your downloads or sales agree" in done.stderr
    assert product.read_bytes() == before
    for path in (tmp_path / "site/data").glob("2026-W??.json"):
        assert json.loads(path.read_bytes())["crowd"] == 0


def test_h16_a_smaller_crowd_is_proposed_by_the_first_week_without_doubt(tmp_path: Path) -> None:
    """One week of an outage proposes none; weeks that stay low do, once they are the usual ones."""
    weeks = flooded(tmp_path, dict.fromkeys(range(24), 1238))
    assert proposed(weeks[:24], 1000) == 1000
    for low in (25, 26, 27, 28):
        assert weeks[low - 1].flags == ("disturbed",)
        assert proposed(weeks[:low], 1000) == 1000
    assert proposed(weeks[:29], 1000) == 0, "the lower limit of 108 hits is below 100"
    away = [*weeks[28:], replace(weeks[0], flags=("steered",))]
    assert proposed(away, 1000) == 1000
    assert proposed([*away, replace(weeks[-1], flags=("incomplete",))], 1000) == 1000
    assert proposed([*away, replace(weeks[-1], flags=("steered",))], 1000) == 0
    assert proposed([], 1000) == 1000, "nothing is known"


@pytest.mark.parametrize(
    ("hits", "crowd"), [(190, 0), (250, 100), (2120, 100), (2260, 1000), (24_000, 10_000)]
)
def test_h16_the_crowd_is_a_power_of_ten_below_half_the_lower_limit(
    tmp_path: Path, hits: int, crowd: int
) -> None:
    weeks = kit.published(tmp_path, {kit.week(n): tracked(hits) for n in range(15)})
    assert proposed(weeks, 0) == crowd
    assert proposed(weeks[:12], 0) == 0, "too few weeks"
    low = weeks[-1].tracked
    assert low is not None and 2 * crowd <= low.low
