"""Weeks of faults are published once; answers to error reports last as long as they are given."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from mars.errors import ConfigError, StateError, WireError
from mars_server.common.calendar import monday
from mars_server.storage import open_database
from mars_server.tables.faults import FaultRow, Faults
from mars_server.tables.floor import floor
from tests.server.publication import kit
from tests.server.site import reports_kit
from tests.server.site.reports_kit import answers, faults

Site = tuple[Engine, Path, kit.Publish]


@pytest.fixture
def site(tmp_path: Path, publish: kit.Publish) -> Site:
    return kit.database(tmp_path, kit.usual_weeks(1)), tmp_path / "site", publish


def change(data: Faults, at: int, count: int) -> Faults:
    """With another number in the first row of a week."""
    weeks = list(data.weeks)
    row = replace(weeks[at].rows[0], count=floor(count))
    weeks[at] = replace(weeks[at], rows=(row, *weeks[at].rows[1:]))
    return replace(data, weeks=tuple(weeks))


def now(week: int, days: int) -> int:
    """So many days after the end of a week, in Unix seconds."""
    first = monday(kit.week(week + 1)).toordinal() - monday("1970-W01").toordinal()
    return (first - 3 + days) * 86_400


def test_a_week_is_published_once_and_never_changes(site: Site) -> None:
    engine, out, publish = site
    first = publish(engine, out, kit.RULES, kit.LATER, faults=faults(2))
    assert (first.new_faults, [week.week for week in first.faults]) == (
        2,
        [kit.week(0), kit.week(1)],
    )
    before = (out / f"data/faults-{kit.week(0)}.json").read_bytes()
    assert Faults.decode(before).weeks == faults(1).weeks
    second = publish(engine, out, kit.RULES, kit.LATER, faults=change(faults(3), 0, 90))
    assert (second.new_faults, second.other_faults) == (1, [kit.week(0)])
    assert (out / f"data/faults-{kit.week(0)}.json").read_bytes() == before
    assert second.faults == [*reports_kit.weeks(3)]
    assert second.foreign == []


def test_what_is_published_stays_without_the_file(site: Site) -> None:
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER, faults=faults(3))
    before = kit.tree(out)
    again = publish(engine, out, kit.RULES, kit.LATER)
    assert again.written == 0
    assert kit.tree(out) == before
    assert publish(engine, out, kit.RULES, kit.LATER, faults=faults(3)).written == 0
    kit.assert_floored(out)


def test_another_folder_gets_the_same_bytes(site: Site, tmp_path: Path) -> None:
    engine, out, publish = site
    given: dict[str, Any] = {"faults": faults(3), "answers": answers()}
    publish(engine, out, kit.RULES, kit.LATER, **given)
    publish(engine, tmp_path / "other", kit.RULES, kit.LATER, **given)
    assert kit.tree(tmp_path / "other") == kit.tree(out)


def test_a_week_that_is_not_two_days_over_is_refused(site: Site) -> None:
    engine, out, publish = site
    for days in (0, 1):
        with pytest.raises(ConfigError) as refusal:
            publish(engine, out, kit.RULES, now(1, days), faults=faults(2), chosen=True)
        assert refusal.value.reason == "week-not-over"
    assert not (out / "data").exists()
    assert publish(engine, out, kit.RULES, now(1, 2), faults=faults(2), chosen=True).new_faults == 2


def test_a_file_of_another_product_is_refused_and_nothing_is_kept(site: Site) -> None:
    engine, out, publish = site
    for other in (replace(faults(1), product="other"), replace(faults(1), channel="beta")):
        with pytest.raises(ConfigError) as refusal:
            publish(engine, out, kit.RULES, kit.LATER, faults=other)
        assert refusal.value.reason == "wrong-product"
    assert publish(engine, out, kit.RULES, kit.LATER).faults == []


def test_a_changed_file_of_the_site_is_found_out(site: Site) -> None:
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER, faults=faults(2))
    path = out / f"data/faults-{kit.week(1)}.json"
    path.write_bytes(path.read_bytes().replace(b"10", b"90"))
    with pytest.raises(StateError) as refusal:
        publish(engine, out, kit.RULES, kit.LATER)
    assert refusal.value.reason == "published-differs"


def test_a_lost_database_takes_them_over(site: Site, tmp_path: Path) -> None:
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER, faults=faults(3))
    before = kit.tree(out)
    fresh = open_database(f"sqlite:///{tmp_path}/fresh.db")
    kit.count(fresh, kit.week(0), kit.USUAL)
    with pytest.raises(StateError) as refusal:
        publish(fresh, out, kit.RULES, kit.LATER)
    assert refusal.value.reason == "published-unknown"
    outcome = publish(fresh, out, kit.RULES, kit.LATER, adopt=True)
    assert outcome.faults == [*reports_kit.weeks(3)]
    assert kit.tree(out) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b'"examplemail"', b'"other"'),
        lambda data: data.replace(b'"count": 60', b'"count": 70'),
        lambda data: data.replace(b'"count": 60', b'"count": 63'),
        lambda data: data.replace(b"W02", b"W03"),
    ],
)
def test_no_changed_week_is_taken_over(
    site: Site, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    """Also where the index, unsigned, was changed with it; but for figures that could be."""
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER, faults=faults(1))
    path = out / f"data/faults-{kit.week(0)}.json"
    path.write_bytes(spoil(path.read_bytes()))
    fresh = open_database(f"sqlite:///{tmp_path}/fresh.db")
    with pytest.raises((ConfigError, WireError)):
        publish(fresh, out, kit.RULES, kit.LATER, adopt=True)
    assert kit.kept(fresh, lambda weeks: weeks.faults.published()) == {}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"count": 7}, "not-floored"),
        ({"count": 0}, "not-floored"),
        ({"count": 11}, "not-floored"),
        ({"count": True}, "not-floored"),
        ({"count": 20.0}, "not-floored"),
        ({"count": None}, "faults-invalid"),
        ({"release": "0.5.2/../.."}, "faults-invalid"),
        ({"release": 1}, "faults-invalid"),
        ({"fault": ""}, "faults-invalid"),
        ({"fault": "A" * 2001}, "faults-invalid"),
        ({"fault": "\ud800"}, "faults-invalid"),
        ({"fault": ["A"]}, "faults-invalid"),
    ],
)
def test_a_figure_that_is_none_is_refused(changes: dict[str, object], reason: str) -> None:
    row = {"fault": "A", "release": "0.5.2", "count": 10, **changes}
    data = {"format": "mars-faults/1", "product": "examplemail", "channel": "stable"}
    data |= {"weeks": [{"week": "2026-W02", "faults": [row]}]}  # type: ignore[dict-item]
    with pytest.raises(WireError) as refusal:
        Faults.decode(json.dumps(data).encode())
    assert refusal.value.reason == reason


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"format": "mars-faults/2"}'),
        faults(2).encode().replace(b"W02", b"W04"),
        faults(1).encode().replace(b"W02", b"W54"),
        faults(1).encode().replace(b"2026-W02", b"1999-W02"),
        faults(1).encode().replace(b'"KeyError', b'"AKeyError'),
    ],
)
def test_a_file_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(WireError) as refusal:
        Faults.decode(data)
    assert refusal.value.reason == "faults-invalid"


def test_what_is_written_is_read() -> None:
    assert Faults.decode(faults(3).encode()) == faults(3)
    row = FaultRow("ValueError | möbel:öffnen", "0.5", floor(3))
    one = Faults("examplemail", "stable", (reports_kit.week(0, {}),))
    one = replace(one, weeks=(replace(one.weeks[0], rows=(row,)),))
    assert Faults.decode(one.encode()) == one


# --- Answers ---


def test_answers_are_shown_as_they_are_served_and_go_when_they_are_not_given(site: Site) -> None:
    engine, out, publish = site
    many = answers(reports_kit.rich(1_000))
    publish(engine, out, kit.RULES, kit.LATER, answers=many)
    assert (out / "data/status.json").read_bytes() == many.document
    assert (out / "de/answers/2/index.html").is_file()
    few = publish(engine, out, kit.RULES, kit.LATER, answers=answers())
    assert (out / "data/status.json").read_bytes() == answers().document
    assert not (out / "answers/2/index.html").exists(), "of no document is half left"
    assert few.foreign == []
    assert not few.answers_gone
    none = publish(engine, out, kit.RULES, kit.LATER)
    assert none.answers_gone
    assert none.foreign == []
    assert not (out / "data/status.json").exists()
    assert not list(out.rglob("answers/**/*.html"))
    assert not publish(engine, out, kit.RULES, kit.LATER).answers_gone


def test_files_of_others_beside_the_answers_stay(site: Site) -> None:
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER, answers=answers())
    (out / "answers/mine.html").write_text("mine")
    outcome = publish(engine, out, kit.RULES, kit.LATER)
    assert outcome.foreign == ["answers/mine.html"]
    assert (out / "answers/mine.html").read_text() == "mine"


def test_a_site_without_reports_is_what_it_was(site: Site, tmp_path: Path) -> None:
    """To the byte, the index included: neither a link nor a rule of style more."""
    engine, out, publish = site
    publish(engine, out, kit.RULES, kit.LATER)
    names = set(kit.tree(out))
    assert not [name for name in names if "answers" in name or "faults" in name or "status" in name]
    plain = kit.tree(out)
    publish(engine, out, kit.RULES, kit.LATER, answers=answers())
    publish(engine, out, kit.RULES, kit.LATER)
    assert kit.tree(out) == plain
