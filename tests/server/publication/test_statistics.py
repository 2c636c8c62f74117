"""Which weeks of statistics are published, when, and what stands in them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert

from mars.errors import StateError
from mars.wire.times import WEEK, parse_time
from mars_server.common.calendar import days as days_of
from mars_server.common.calendar import span
from mars_server.counting.reports import DIGEST_BYTES, Digests, Statistic
from mars_server.publication.closing import close_weeks, waiting_reports
from mars_server.storage import open_database
from mars_server.storage.openings import note_opened, store_opened
from mars_server.storage.schema import dropped
from mars_server.storage.schema import statistics_weeks as closed
from mars_server.tables.floor import floor
from mars_server.tables.statistics import Counts
from mars_server.tables.statistics_week import Entry, StatisticsWeek, encode
from tests.server.counting import spools
from tests.server.counting.commands import run, run_json
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports
from tests.server.publication.reports_kit import BOXES, CATALOGUE, GPG, PANE, RELEASES, USUAL


def opened_at(engine: Engine, time: str, *weeks: str) -> None:
    """As if a spool had been opened for the last time at ``time``, with keys of these weeks."""
    keys = {sha256(week.encode()).hexdigest()[:16]: week for week in weeks or (kit.week(0),)}
    with engine.begin() as connection:
        note_opened(connection, keys, parse_time(time))


def files(site: Path) -> dict[str, bytes]:
    """The documents of statistics, and their tables."""
    found = kit.tree(site / "data")
    return {name: content for name, content in found.items() if name.startswith("statistics-")}


def of(weeks: list[StatisticsWeek], name: str) -> list[Entry]:
    return [entry for week in weeks if (entry := week.entry(name)) is not None]


def panes(true: int, false: int = 0, release: str = "0.5.2") -> Counts:
    return {PANE.name: {release: {"true": true, "false": false}}}


def opened(lines: range) -> Digests:
    """Reports of the first week, each line another."""
    one = Statistic(kit.week(0), PANE.name, "0.5.2", "true")
    return {one: b"".join(n.to_bytes(DIGEST_BYTES, "big") for n in lines)}


def test_only_whole_settled_weeks_are_published(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(3))
    now = parse_time("2026-01-20T23:59:59Z")
    assert [each.week for each in reports.close(engine, now=now)] == ["2026-W02"]
    weeks = reports.close(engine, now=now + 1)
    assert [each.week for each in weeks] == ["2026-W02", "2026-W03"]
    assert weeks[0].entry(PANE.name) is not None


def test_a_week_waits_until_spools_are_opened_after_its_end(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), USUAL)
    opened_at(engine, "2026-01-07T12:00:00Z")
    assert reports.close(engine) == []
    assert kit.kept(engine, lambda kept: waiting_reports(kept.statistics, kit.LATER)) == [
        kit.week(0)
    ]
    opened_at(engine, "2026-01-12T00:10:00Z")
    assert len(reports.close(engine)) == 1
    assert kit.kept(engine, lambda kept: waiting_reports(kept.statistics, kit.LATER)) == []


def test_reports_of_a_later_week_settle_a_week(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(2))
    opened_at(engine, "2026-01-12T12:00:00Z")
    assert [week.week for week in reports.close(engine)] == [kit.week(0)]


def test_reports_of_next_week_settle_nothing_before_it_begins(tmp_path: Path) -> None:
    """A clock that is ahead seals to the next key; what is opened later would be late."""
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(2))
    opened_at(engine, "2026-01-11T12:00:00Z")  # a Sunday
    assert reports.close(engine) == []


def test_a_time_given_by_hand_decides_alone(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), USUAL)
    opened_at(engine, "2026-01-07T12:00:00Z")
    close_weeks(engine, kit.RULES, kit.LATER, chosen=True, catalogue=CATALOGUE)
    assert len(reports.close(engine)) == 1


def test_nothing_is_closed_where_nothing_is_declared(tmp_path: Path) -> None:
    """Else a product file without metrics.toml beside it would lose the week for ever."""
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    reports.count(engine, kit.week(0), USUAL)
    assert reports.close(engine, replace(CATALOGUE, metrics=())) == []
    assert kit.kept(engine, lambda kept: waiting_reports(kept.statistics, kit.LATER)) == [
        kit.week(0)
    ]
    assert len(reports.close(engine)) == 1


def test_weeks_published_one_by_one_equal_weeks_published_at_once(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    weeks = {kit.week(n): {**USUAL, **panes(70 + 9 * n, 40)} for n in range(20) if n not in (7, 11)}
    at_once, one_by_one = (kit.database(tmp_path / name) for name in "ab")
    reports.count_all(at_once, weeks)
    for week, counts in weeks.items():
        reports.count(one_by_one, week, counts)
        reports.close(one_by_one)
    assert reports.close(one_by_one) == reports.close(at_once)


def test_a_published_week_never_changes(tmp_path: Path, publish: kit.Publish) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(3))
    site = tmp_path / "site"
    publish(engine, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    before = files(site)
    assert len(before) == 6
    reports.count(engine, kit.week(1), panes(500))
    other = replace(CATALOGUE, metrics=(replace(PANE, label="Other", rate=0.5),))
    publish(engine, site, kit.RULES, kit.LATER, catalogue=other)
    assert files(site) == before
    path = site / f"data/statistics-{kit.week(0)}.json"
    path.write_bytes(path.read_bytes().replace(b"Reading", b"Hidden!"))
    with pytest.raises(StateError, match=f"statistics-{kit.week(0)}") as refusal:
        publish(engine, site, kit.RULES, kit.LATER, catalogue=CATALOGUE)
    assert refusal.value.reason == "published-differs"


@pytest.mark.parametrize(("stray", "published"), [(9, []), (10, ["2025-W01"])])
def test_an_old_week_of_a_few_reports_is_left_out_as_of_hits(
    tmp_path: Path, stray: int, published: list[str]
) -> None:
    """A spool of a wrong clock, far before the others."""
    engine = kit.database(tmp_path)
    reports.count(engine, "2025-W01", panes(stray))
    reports.count_all(engine, reports.usual_weeks(2))
    weeks = [week.week for week in reports.close(engine)]
    assert weeks == [*published, kit.week(0), kit.week(1)]
    assert kit.kept(engine, lambda kept: waiting_reports(kept.statistics, kit.LATER)) == []


def test_a_gap_is_no_data_and_a_week_without_reports_of_an_entry_is_few(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), panes(90))
    reports.count(engine, kit.week(2), USUAL)
    weeks = reports.close(engine)
    assert [entry.total.value for entry in of(weeks, PANE.name)] == [90, None, 120]
    assert of(weeks, GPG.name)[0].total == floor(0)
    assert all(entry.total.missing and not entry.values for entry in weeks[1].entries)


def test_late_reports_are_dropped_and_told_floored_once(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(1))
    reports.close(engine)
    with engine.begin() as connection:
        stored = store_opened(connection, opened(range(37)))
    assert stored.counted.total() == 0
    for n in (1, 2):
        reports.count(engine, kit.week(n), USUAL)
    weeks = reports.close(engine)
    assert [week.late.value for week in weeks] == ["<10", 30, "<10"]
    assert of(weeks, PANE.name)[0].total.value == 120


def test_publishing_waits_for_a_counter_and_a_counter_for_publishing(database_url: str) -> None:
    """On PostgreSQL too: a count that has begun is in the week, one that begins later is late."""
    engine = open_database(database_url)
    reports.count(engine, kit.week(0), panes(90))
    first, second = opened(range(50)), opened(range(50, 60))
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(closed.select()).all()
            publishing = pool.submit(reports.close, engine)
            with pytest.raises(TimeoutError):
                publishing.result(timeout=0.5)
            assert store_opened(connection, first).counted.total() == 50
        weeks = publishing.result(timeout=30)
    assert of(weeks, PANE.name)[0].total.value == 140
    with engine.begin() as connection:
        assert store_opened(connection, second).dropped.total() == 10
    engine.dispose()


def test_statistics_are_published_where_there_are_no_hits_and_hits_where_none_are_declared(
    tmp_path: Path, publish: kit.Publish
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    engine = kit.database(tmp_path / "a")
    reports.count_all(engine, reports.usual_weeks(1))
    outcome = publish(engine, tmp_path / "a/site", kit.RULES, kit.LATER, catalogue=CATALOGUE)
    assert (len(outcome.weeks), len(outcome.reports), outcome.new_reports) == (0, 1, 1)
    data = tmp_path / "a/site/data"
    told = json.loads((data / f"statistics-{kit.week(0)}.json").read_bytes())
    assert told["entries"][2]["total"] == 120
    listing = json.loads((data / "index.json").read_bytes())["files"]
    assert f"statistics-{kit.week(0)}.json" in [file["name"] for file in listing]
    engine = kit.database(tmp_path / "b", kit.usual_weeks(1))
    outcome = publish(engine, tmp_path / "b/site", kit.RULES, kit.LATER)
    assert (len(outcome.weeks), len(outcome.reports)) == (1, 0)
    assert not list((tmp_path / "b/site/data").glob("statistics*"))


def test_lost_reports_make_a_week_incomplete(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(2))
    with engine.begin() as connection:
        row = {"week": kit.week(1), "reason": "lost"}
        connection.execute(insert(dropped).values(n=12, **row))
    assert [week.flags for week in reports.close(engine)] == [(), ("incomplete",)]


# --- Periods ---


def test_a_rare_entry_is_summed_before_it_is_floored(tmp_path: Path) -> None:
    """Its first week was hidden: four weeks are summed then, and a quarter where that has been
    known for one."""
    engine = kit.database(tmp_path)
    names = list(span("2026-W01", "2026-W26"))
    for name in names:
        reports.count(engine, name, {PANE.name: {"0.5.2": {"true": 7, "false": 1}}})
    entries = of(reports.close(engine), PANE.name)
    spans = list(dict.fromkeys(entry.period for entry in entries))
    assert [each.name for each in spans] == [
        *("2026-W01", "2026-W02..2026-W04", "2026-W05..2026-W08", "2026-W09..2026-W13"),
        "2026-W14..2026-W26",
    ]
    shown = {entry.period.name: entry.total.value for entry in entries if entry.values}
    assert list(shown.values()) == ["<10", 20, 30, 40, 100]
    assert all(entry.total.missing != bool(entry.values) for entry in entries)


def test_an_entry_with_enough_reports_stands_in_each_week(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count_all(engine, reports.usual_weeks(15))
    entries = of(reports.close(engine), PANE.name)
    assert {entry.period.every for entry in entries} == {1}
    assert all(entry.total.value == 120 for entry in entries)


def test_reports_of_two_forms_are_not_summed(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    few = {BOXES.name: {"0.5.2": {"0": 7}}}
    for name in span("2026-W01", "2026-W05"):
        reports.count(engine, name, few)
    reports.close(engine, now=parse_time("2026-02-04T00:00:00Z"))
    declared = replace(CATALOGUE, metrics=(replace(BOXES, bounds=(1, 10, 100)),))
    for n, name in enumerate(span("2026-W06", "2026-W13")):
        reports.count(engine, name, few)
        now = parse_time("2026-02-11T00:00:00Z") + n * WEEK
        entries = of(reports.close(engine, declared, now=now), BOXES.name)
    assert [each.total.value for each in entries[5:8]] == [None, None, "<10"]
    assert {each.period.weeks for each in entries[5:8]} == {1}
    assert (entries[-1].period.first, entries[-1].total.value) == ("2026-W09", 30)


def test_what_is_published_follows_from_floors_and_never_from_what_they_hide(
    tmp_path: Path,
) -> None:
    """Which periods are chosen, too: two truths with the same floors give the same documents."""
    documents = []
    for name, extra in (("a", 0), ("b", 2)):
        (tmp_path / name).mkdir()
        engine = kit.database(tmp_path / name)
        for n, week in enumerate(span("2026-W01", "2026-W18")):
            true, false = 120 + 10 * (n % 3) + extra, 30 + extra
            counts = {"0.5.2": {"true": true, "false": false}, "other": {"true": 3 + extra}}
            few = {"0.5.2": {"0": 3 + extra}} if n < 1 else {}
            reports.count(engine, week, {PANE.name: counts, BOXES.name: few})
        both = replace(CATALOGUE, metrics=(PANE, BOXES))
        documents.append([encode(week) for week in reports.close(engine, both)])
    assert documents[0] == documents[1]
    assert len(documents[0]) == 18


# --- Rows ---


def versions(count: int, release: str = "0.5.2") -> Counts:
    return {GPG.name: {release: {"2.4": 200, "1.4": count}}}


def test_a_version_is_listed_from_its_fourth_week_at_fifty_until_it_falls_below_thirty(
    tmp_path: Path,
) -> None:
    engine = kit.database(tmp_path)
    counts = [50, 50, 50, 49, 50, 50, 50, 50, 30, 30, 29, 500]
    for n, count in enumerate(counts):
        reports.count(engine, kit.week(n), versions(count))
    rows = [[row.value for row in entry.values] for entry in of(reports.close(engine), GPG.name)]
    listed = [n for n, row in enumerate(rows) if "1.4" in row]
    assert listed == [7, 8, 9]
    assert rows[7] == ["1.4", "2.4", "other"]
    assert all("2.4" in row for row in rows[3:])
    assert rows[0] == ["other"]


def test_a_release_is_listed_likewise_but_the_newest_from_its_first_day(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    for n, count in enumerate([50, 50, 50, 50, 30, 29]):
        counts = {"0.5.1": {"true": count}, "0.1.0": {"true": 49}, "other": {"true": 200}}
        reports.count(engine, kit.week(n), {PANE.name: counts})
    entries = of(reports.close(engine), PANE.name)
    rows = [[each.release for each in entry.releases] for entry in entries]
    assert rows == [["0.5.2", "other"]] * 3 + [["0.5.1", "0.5.2", "other"]] * 2 + [
        ["0.5.2", "other"]
    ]
    assert [each.total.value for each in entries[3].releases] == [50, "<10", 240]


def test_a_newest_release_that_is_followed_by_another_must_be_high_for_four_weeks(
    tmp_path: Path,
) -> None:
    engine = kit.database(tmp_path)
    for n in range(2):
        reports.count(engine, kit.week(n), panes(200))
    reports.close(engine)
    newer = replace(CATALOGUE, releases=(*RELEASES, "0.6.0"))
    rows = []
    for n in range(2, 5):
        reports.count(engine, kit.week(n), panes(200))
        entry = of(reports.close(engine, newer), PANE.name)[-1]
        rows.append([each.release for each in entry.releases])
    assert rows == [["0.6.0", "other"], ["0.5.2", "0.6.0", "other"], ["0.5.2", "0.6.0", "other"]]


def test_a_release_that_is_hidden_tells_nothing_of_its_values(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    reports.count(engine, kit.week(0), {PANE.name: {"0.5.2": {"true": 9}, "other": {"true": 30}}})
    newest, other = of(reports.close(engine), PANE.name)[0].releases
    assert (newest.total.value, newest.values) == ("<10", ())
    assert [row.count.value for row in other.values] == ["<10", 30]


def test_far_more_reports_than_before_are_disturbed(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    for n, count in enumerate([200, 210, 190, 900, 200]):
        reports.count(engine, kit.week(n), panes(count))
    flags = [entry.flags for entry in of(reports.close(engine), PANE.name)]
    assert flags == [(), (), (), ("disturbed",), ()]


def test_a_week_without_any_report_makes_its_period_incomplete(tmp_path: Path) -> None:
    engine = kit.database(tmp_path)
    few = {PANE.name: {"0.5.2": {"true": 7}}}
    for name in (*span("2026-W01", "2026-W05"), *span("2026-W07", "2026-W13")):
        reports.count(engine, name, few)
    eighth = of(reports.close(engine), PANE.name)[7]
    assert (eighth.total.value, eighth.flags) == (20, ("incomplete",))


# --- What is declared ---


def test_expired_and_withdrawn_entries_are_told_without_figures(tmp_path: Path) -> None:
    """``expires`` is the first day on which nothing is collected."""
    engine = kit.database(tmp_path)
    said = {"0.5.2": {"true": 90}}
    counts = {PANE.name: said, "examplemail/gone": said, "examplemail/new": said}
    reports.count_all(engine, dict.fromkeys(span("2026-W02", "2026-W06"), counts))
    monday = date(2026, 1, 19)  # of week 4
    metrics = (
        replace(PANE, expires=monday),
        replace(PANE, key="gone", withdrawn=date(2026, 1, 20)),
        replace(PANE, key="new", declared=date(2026, 1, 26)),
    )
    weeks = reports.close(engine, replace(CATALOGUE, metrics=metrics))
    told = {
        key: [entry.week for entry in weeks if not entry.entries[at].total.missing]
        for at, key in enumerate(("gone", "new", "pane"))
    }
    assert told == {
        "gone": ["2026-W02", "2026-W03", "2026-W04"],
        "new": ["2026-W05", "2026-W06"],
        "pane": ["2026-W02", "2026-W03"],
    }
    assert weeks[-1].entries[2].metric.expires == monday


def test_how_many_of_those_who_fetch_the_news_send_it(tmp_path: Path) -> None:
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    reports.count_all(engine, reports.usual_weeks(2))
    first, second = of(reports.close(engine), PANE.name)
    assert first.consenting == 35  # 390 of at most 1,100, whose fetches are late by 0.9 days
    assert second.consenting is None, "its hits are not published"


def test_more_than_all_who_fetch_the_news_cannot_send_it(tmp_path: Path) -> None:
    """Forged, then, or the news are lost; neither is told as everybody."""
    engine = kit.database(tmp_path, kit.usual_weeks(1))
    reports.count(engine, kit.week(0), panes(500))
    (entry,) = of(reports.close(engine), PANE.name)
    assert (entry.flags, entry.consenting) == (("disturbed",), None)


# --- The whole way ---


def test_from_sealed_bodies_to_published_files(tmp_path: Path, cache: Path) -> None:
    """``count --keys`` opens a spool, ``publish`` tells what it holds in tens, with the hits."""
    product, database = spools.product_of(tmp_path), f"sqlite:///{tmp_path}/counts.db"
    bodies = spools.many(43) + spools.many(24, first=100, value="false")
    (tmp_path / "spool.log").write_bytes(spools.spool(bodies))
    keys = str(spools.keys_of(tmp_path, spools.WEEK))
    base = ("--product", str(product), "--db", database)
    told = run_json("count", str(tmp_path / "spool.log"), "--keys", keys, *base)
    assert told["statistics"][spools.WEEK]["mail/encrypted"] == {"0.5.2": {"false": 24, "true": 43}}
    site = tmp_path / "site"
    options = ("--out", str(site), "--chart-cache", str(cache), "--now", "2026-12-03T00:00:00Z")
    told = run_json("publish", *base, *options)
    assert told["statistics_weeks"] == [spools.WEEK]
    assert (told["new_statistics_weeks"], told["waiting_statistics_weeks"]) == (1, [])
    week = json.loads((site / f"data/statistics-{spools.WEEK}.json").read_bytes())
    (entry,) = (each for each in week["entries"] if each["key"] == "encrypted")
    assert (entry["total"], entry["weeks"]) == (60, 1)
    assert [(row["value"], row["count"]) for row in entry["values"]] == [
        ("false", 20),
        ("true", 40),
    ]
    before = kit.tree(site)
    again = run_json("publish", *base, *options)
    assert again["files_written"] == 0
    assert kit.tree(site) == before
    assert all(
        number is None or number == "<10" or int(str(number)) % 10 == 0
        for _, number in kit.numbers(week)
    )


@pytest.mark.parametrize(("days", "told"), [(6, [spools.WEEK]), (7, [])])
def test_days_whose_spools_did_not_come_in_time_are_told(
    tmp_path: Path, cache: Path, days: int, told: list[str]
) -> None:
    """Sunday's is carried over after the week is published: its reports are lost."""
    product, database = spools.product_of(tmp_path), f"sqlite:///{tmp_path}/counts.db"
    for n, day in enumerate(days_of(spools.WEEK)[:days]):
        content = spools.spool(spools.many(11, first=100 * n), date.fromisoformat(day), day)
        spools.written(tmp_path / f"spool/{n}.log", content)
    base = ("--product", str(product), "--db", database)
    keys = str(spools.keys_of(tmp_path, spools.WEEK))
    run_json("count", str(tmp_path / "spool"), "--keys", keys, *base)
    options = ("--out", str(tmp_path / "site"), "--chart-cache", str(cache))
    done = run("publish", *base, *options, "--now", "2026-12-03T00:00:00Z", "--json")
    assert json.loads(done.stdout)["statistics_weeks_with_missing_days"] == told
    assert (f"Days without a spool: {spools.WEEK}" in done.stderr.decode()) == bool(told)
