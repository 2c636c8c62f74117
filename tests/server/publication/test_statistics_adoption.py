"""Statistics that were published are taken over by a new database, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mars.errors import ConfigError, MarsError, StateError, WireError
from mars_server.common.calendar import span
from mars_server.publication.restore import adopt
from mars_server.tables.floor import NO_DATA
from mars_server.tables.statistics_week import encode
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports
from tests.server.publication.reports_kit import BOXES, CATALOGUE, GPG

FIRST = f"statistics-{kit.week(0)}.json"


def published(folder: Path) -> bytes:
    engine = kit.database(folder)
    reports.count_all(engine, reports.usual_weeks(1))
    return encode(reports.close(engine)[0])


def new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_a_lost_database_takes_over_what_was_published(
    tmp_path: Path, publish: kit.Publish
) -> None:
    site = tmp_path / "site"
    engine = kit.database(tmp_path, kit.usual_weeks(2))
    reports.count_all(engine, reports.usual_weeks(5))
    publish(engine, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    before = kit.tree(site)
    fresh = kit.database(new(tmp_path / "new"))
    with pytest.raises(StateError) as refusal:
        publish(fresh, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    assert refusal.value.reason == "published-unknown"
    outcome = publish(fresh, site, kit.RULES, kit.LATER, adopt=True, catalogue=CATALOGUE)
    assert kit.tree(site) == before
    assert (outcome.new, outcome.new_reports) == (0, 0)
    reports.count(fresh, kit.week(5), reports.USUAL)
    week = publish(fresh, site, kit.RULES, kit.LATER, catalogue=CATALOGUE).reports[-1]
    entry = week.entry(GPG.name)
    assert entry is not None
    assert [row.value for row in entry.values] == ["2.2", "2.4", "other"], "listed stays listed"


def test_no_part_of_a_sum_is_published_as_the_whole(tmp_path: Path) -> None:
    """A period that began before the database was lost is no data; the next one has figures."""
    few = {BOXES.name: {"0.5.2": {"0": 7}}}
    engine = kit.database(new(tmp_path / "a"))
    for name in span("2026-W01", "2026-W03"):
        reports.count(engine, name, few)
    old = {f"statistics-{week.week}.json": encode(week) for week in reports.close(engine)}
    engine = kit.database(new(tmp_path / "b"))
    for name in span("2026-W03", "2026-W03"):  # logs that were left, counted before
        reports.count(engine, name, few)
    adopt(engine, kit.RULES, kit.data_folder(tmp_path, old), kit.LATER)
    for name in span("2026-W04", "2026-W26"):
        reports.count(engine, name, few)
    weeks = {week.week: week.entry(BOXES.name) for week in reports.close(engine)}
    lost, whole = weeks["2026-W04"], weeks["2026-W08"]
    assert lost is not None and whole is not None
    assert (lost.period.first, lost.total) == ("2026-W02", NO_DATA)
    assert (whole.period.first, whole.total.value) == ("2026-W05", 20)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ((b'"week": "2026-W02"', b'"week": "2026-W03"'), "changed|week"),
        ((b'"examplemail",\n "channel"', b'"other",\n "channel"'), "belongs to"),
        ((b'"stable"', b'"beta"'), "belongs to"),
        ((b'"flags": []', b'"flags": [\n  "hacked"\n ]'), "flags"),
        ((b'"type": "bool"', b'"type": "text"'), "declares"),
        ((b'"key": "pane"', b'"key": "<b>"'), "declares"),
        ((b'"last_week": "2026-W02"', b'"last_week": "2027-W02"'), "changed|periods"),
        ((b'"total": 120', b'"total": 123'), "multiple of ten"),
        ((b'"total": 120', b'"total": null'), "figures"),
        ((b'"total": 120', b'"total": 920'), "add up"),
        ((b'"count": 90', b'"count": 990'), "add up"),
        ((b'"value": "true"', b'"value": "maybe"'), "figures"),
        ((b'"release": "other"', b'"release": "<b>"'), "figures"),
        ((b'"estimate": 500', b'"estimate": 5000'), "figures"),
        ((b'"percent": 27', b'"percent": 127'), "figures"),
        ((b'"consenting": null', b'"consenting": 101'), "figures"),
    ],
)
def test_a_week_that_cannot_be_is_not_taken_over(
    tmp_path: Path, change: tuple[bytes, bytes], why: str
) -> None:
    good = published(new(tmp_path / "a"))
    assert change[0] in good
    engine = kit.database(new(tmp_path / "b"))
    data = kit.data_folder(tmp_path, {FIRST: good.replace(*change, 1)})
    with pytest.raises(MarsError, match=why) as refusal:
        adopt(engine, kit.RULES, data, kit.LATER)
    assert isinstance(refusal.value, WireError | ConfigError)
    assert FIRST in refusal.value.message
    assert kit.kept(engine, lambda kept: kept.statistics.published()) == {}


def test_only_what_the_index_names_is_taken_over(tmp_path: Path) -> None:
    made = kit.database(new(tmp_path / "a"))
    reports.count_all(made, reports.usual_weeks(2))
    good = {f"statistics-{week.week}.json": encode(week) for week in reports.close(made)}
    data = kit.data_folder(tmp_path, good)
    engine = kit.database(new(tmp_path / "b"))
    forged = good[FIRST].replace(b'"estimate": 500', b'"estimate": 510')
    assert forged != good[FIRST]
    (data / FIRST).write_bytes(forged)
    with pytest.raises(ConfigError, match=f"{FIRST} is not the file that the index names"):
        adopt(engine, kit.RULES, data, kit.LATER)
    (data / FIRST).unlink()
    with pytest.raises(ConfigError, match=f"{FIRST}, which the index names, is missing"):
        adopt(engine, kit.RULES, data, kit.LATER)
    assert kit.kept(engine, lambda kept: kept.statistics.published()) == {}
    (data / FIRST).write_bytes(good[FIRST])
    adopt(engine, kit.RULES, data, kit.LATER)
    assert list(kit.kept(engine, lambda kept: kept.statistics.published())) == [
        kit.week(0),
        kit.week(1),
    ]
