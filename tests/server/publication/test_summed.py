"""Tables of several weeks, where weeks were published before, get lost, or stop."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from mars.errors import ConfigError
from mars_server.common.calendar import span
from mars_server.publication.closing import close_weeks
from mars_server.publication.restore import adopt
from mars_server.tables.compose import FloorRules
from mars_server.tables.crowd import tracked
from mars_server.tables.downloads import data_files
from mars_server.tables.floor import floor
from mars_server.tables.noise import Noise
from mars_server.tables.week import Tables, Week, decode, encode
from tests.server.publication import kit
from tests.server.publication.kit import Counted

OLD = {path.name: path.read_bytes() for path in Path(__file__).with_name("format_1").iterdir()}
"""Two weeks as they were published before there were periods, 800 hits each."""
SMALL = FloorRules(replace(kit.PRODUCT, crowd=100))


def few(n: int = 0) -> Counted:
    os = {"linux": 8, "windows": 6 + n % 3, "macos": 2}
    return Counted(plain=80, tables={"os": os, "v": {"0.5.2": 16 + n % 3}})


def old_site(folder: Path) -> Path:
    return kit.data_folder(folder, {name: OLD[name] for name in OLD if name.endswith(".json")})


def test_a_site_that_published_before_keeps_its_weeks(tmp_path: Path) -> None:
    """Byte for byte; the new periods begin after, and the old weeks are what they judge by."""
    engine = kit.database(tmp_path)
    adopt(engine, SMALL, old_site(tmp_path), kit.LATER)
    for n, name in enumerate(span("2026-W04", "2026-W08")):
        kit.count(engine, name, few(n))
    weeks = close_weeks(engine, SMALL, kit.LATER)
    files = data_files(weeks)
    assert {name: files[name] for name in OLD} == OLD
    assert [week.of_old for week in weeks] == [True] * 2 + [False] * 5
    assert {week.periods["os"].every for week in weeks[2:]} == {1}, "its platforms were not hidden"
    rows = files["os.csv"].decode().splitlines()
    assert rows[0] == "week,first_day,value,count,percent,weeks,base"
    assert rows[1] == "2026-W02,2026-01-05,linux,190,33,1,580"
    assert [tracked(week) is not None for week in weeks] == [True] * 7
    assert tracked(weeks[0]) != tracked(weeks[2])


def test_where_the_old_weeks_hid_most_the_first_period_begins_after_them(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    hidden = [decode(OLD[f"2026-W0{n}.json"]) for n in (2, 3)]
    for week in hidden:
        rows = week.tables["os"]
        gone = tuple(replace(row, count=rows[3].count) for row in rows[:4]) + rows[4:]
        few_of = replace(week, tables={**week.tables, "os": gone})
        with_file = {f"{week.week}.json": encode(few_of)}
        data = kit.data_folder(tmp_path / week.week, with_file)
        adopt(engine, SMALL, data, kit.LATER)
    for n, name in enumerate(span("2026-W04", "2026-W13")):
        kit.count(engine, name, few(n))
    weeks = close_weeks(engine, SMALL, kit.LATER)
    period = weeks[-1].periods["os"]
    assert (period.every, period.first, period.last) == (13, "2026-W04", "2026-W13")
    assert weeks[-1].count("os", "linux") is not None


def test_a_pause_ends_a_period_and_none_reaches_over_it(tmp_path: Path) -> None:
    weeks = kit.published(
        tmp_path,
        {"2026-W14": few(), "2026-W15": few(), "2027-W03": few(), "2027-W04": few()},
        product=SMALL.product,
    )
    assert [(week.week, bool(week.tables["os"])) for week in weeks] == [
        ("2026-W14", False),
        ("2026-W15", False),
        ("2027-W03", False),
        ("2027-W04", True),
    ]
    assert weeks[-1].periods["os"].name == "2027-W03..2027-W04"
    assert weeks[-1].count("os", "linux") is not None


def test_a_rare_value_is_judged_week_by_week_whatever_the_period(tmp_path: Path) -> None:
    """Four weeks at fifty, the last one of a period: one row for the whole of it. A single week
    below thirty at its end makes it part of ``other``."""
    chance = random.Random(2)
    weeks = {
        name: Counted(plain=50, tables={"cc": {"IS": 8}}) for name in span("2026-W02", "2026-W13")
    }
    for name in span("2026-W14", "2026-W26"):
        weeks[name] = Counted(plain=50, tables={"cc": {"IS": 55 + chance.randrange(9), "DE": 3}})
    for name in span("2026-W27", "2026-W39"):
        weeks[name] = Counted(plain=50, tables={"cc": {"IS": 55 if name != "2026-W39" else 29}})
    found = kit.published(tmp_path, weeks)
    by_week = {week.week: week for week in found}
    assert by_week["2026-W14"].periods["cc"].every == 13, "nothing of it was ever told"
    ends = by_week["2026-W26"]
    assert {row.value for row in ends.tables["cc"]} == {"IS", "other", "none"}
    assert ends.count("cc", "IS") is not None
    periods = {week.periods["cc"].every for week in found if week.week > "2026-W26"}
    assert periods == {1}
    assert by_week["2026-W38"].count("cc", "IS") is not None
    assert by_week["2026-W39"].count("cc", "IS") is None


@pytest.mark.parametrize("noise", [None, Noise(b"a secret of thirty-two bytes ....", 1.0)])
def test_the_noise_of_a_sum_is_its_own(tmp_path: Path, noise: Noise | None) -> None:
    """One sample a sum, which no week and no listing has; the same when it is drawn again."""
    counted = {name: few() for name in span("2026-W14", "2026-W17")}
    for name in "ab":
        (tmp_path / name).mkdir()
    first = kit.published(tmp_path / "a", counted, product=SMALL.product, noise=noise)
    assert first == kit.published(tmp_path / "b", counted, product=SMALL.product, noise=noise)
    drawn = 0
    if noise is not None:
        cell = ("2026-W14..2026-W17", "os", "linux", repr(noise.epsilon))
        drawn = noise.sample("examplemail", "stable", *cell)
    assert first[-1].count("os", "linux") == floor(4 * 8 + drawn)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"crowd": 150}, "periods or its crowd"),
        ({"tracked": None}, "those who send metrics"),
        ({"first": "2026-W18"}, "periods or its crowd"),
        ({"every": 2}, "periods or its crowd"),
        ({"last": "2026-W40"}, "periods or its crowd"),
        ({"first": "2020-W01"}, "periods or its crowd"),
    ],
)
def test_a_week_that_cannot_be_is_not_taken_over(
    tmp_path: Path, change: dict[str, object], why: str
) -> None:
    weeks = kit.published(
        tmp_path, {name: few() for name in span("2026-W14", "2026-W17")}, product=SMALL.product
    )
    week: Week = weeks[-1]
    period = {"os": replace(week.periods["os"], **change)} if change.keys() <= PERIOD else {}  # type: ignore[arg-type]
    others = {} if period else change
    forged = replace(week, periods={**week.periods, **period}, **others)  # type: ignore[arg-type]
    (tmp_path / "b").mkdir()
    data = kit.data_folder(tmp_path, {f"{week.week}.json": encode(forged)})
    with pytest.raises(ConfigError, match=why):
        adopt(kit.database(tmp_path / "b"), SMALL, data, kit.LATER)


PERIOD = {"first", "last", "every"}


def test_a_variable_that_came_later_begins_a_period_of_its_own(tmp_path: Path) -> None:
    """Weeks that were published before it had a table stay readable, and have none."""
    names = list(span("2026-W14", "2026-W18"))
    whole = kit.published(tmp_path, {name: few() for name in names[:4]}, product=SMALL.product)
    (tmp_path / "b").mkdir()
    engine = kit.database(tmp_path / "b")
    old = {}
    for week in whole:
        tables = Tables({name: rows for name, rows in week.tables.items() if name != "cc"})
        periods = {name: each for name, each in week.periods.items() if name != "cc"}
        old[f"{week.week}.json"] = encode(replace(week, tables=tables, periods=periods))
    adopt(engine, SMALL, kit.data_folder(tmp_path, old), kit.LATER)
    kit.count(engine, names[4], few())
    weeks = close_weeks(engine, SMALL, kit.LATER)
    assert [encode(week) for week in weeks[:4]] == list(old.values())
    assert weeks[4].periods["cc"].name == "2026-W18"
    assert data_files(weeks)["cc.csv"].decode().splitlines()[1].startswith("2026-W18,")
