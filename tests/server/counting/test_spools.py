"""Spools counted by the program, exactly once, on both databases and by every driver."""

from __future__ import annotations

import gzip
import json
import subprocess
from collections.abc import Callable
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from mars.factory import system_clock
from mars.wire.keyfile import REPORTS, encode
from mars.wire.times import DAY as DAY_SECONDS
from mars.wire.times import week_of
from mars_server.common.config import load_catalogue
from mars_server.counting.count_pass import Counted, count_once
from mars_server.counting.executors import here
from mars_server.counting.intake_keys import load_keys
from mars_server.counting.progress import Progress
from mars_server.counting.reports import Opening
from mars_server.counting.store_port import Ledger, Sizes
from mars_server.daylog.format import spool_of
from mars_server.storage import ledger as storage
from mars_server.storage import open_database, reading
from mars_server.storage.schema import openings, sources, statistics_weeks
from tests.server.counting.commands import PROGRAM, run, run_json
from tests.server.counting.dying import CrashError, Dying
from tests.server.counting.examples import ALLOW, line
from tests.server.counting.spools import (
    DAY,
    LATER,
    METRICS,
    NEXT,
    WEEK,
    cells,
    keys_of,
    many,
    product_of,
    report,
    sealed,
    secret,
    shown,
    spool,
    written,
)
from tests.server.serving import kit

TINY = Sizes(span=5_000, checkpoint=8_000, steps=2)
"""Some three lines a task, and a transaction every two."""


@pytest.fixture
def told(tmp_path: Path) -> list[object]:
    """What follows the logs on the command line, but the database."""
    return ["--product", product_of(tmp_path), "--keys", keys_of(tmp_path, WEEK)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.mkdir()
    return path


# --- What the command prints ---


def test_a_dry_run_tells_sums_and_reasons(folder: Path, told: list[object]) -> None:
    bodies = [*many(3), sealed(report(key="ip"), 7), sealed(report(), 0), *many(2, week=NEXT)]
    written(folder / "a.log", spool(bodies))
    out = run_json("count", folder, *told, "--dry-run")
    assert out["statistics"] == cells(3)
    assert out["dropped"] == {"undeclared": 1}
    assert (out["repeated"], out["waiting"]) == (1, 2)
    assert (out["lines"], out["hits"], out["rejected"], out["days"]) == (8, 0, 8, {})
    told_to_people = run("count", folder, *told, "--dry-run").stdout.decode()
    assert "3 reports counted, 1 dropped (1 undeclared), 1 counted before, 2 wait" in told_to_people


def test_access_logs_and_spools_go_together(folder: Path, told: list[object]) -> None:
    written(folder / "spool.log", spool(many(3)))
    written(folder / "access.log", line() * 2)
    out = run_json("count", folder, *told, "--dry-run")
    assert out["statistics"] == cells(3)
    assert (out["lines"], out["hits"], out["rejected"]) == (6, 2, 4)


def test_the_sums_of_the_database_are_the_operators(
    folder: Path, told: list[object], database_url: str
) -> None:
    bodies = [*many(3), sealed(report(key="ip"), 7), *many(2, week=NEXT)]
    written(folder / "a.log", spool(bodies))
    out = run_json("count", folder, *told, "--db", database_url)
    kept = shown(database_url)
    for name in ("statistics", "dropped", "waiting"):
        assert kept[name] == out[name]
    assert kept["dropped_weeks"] == {WEEK: {"undeclared": 1}}
    text = run("counts", "show", "--db", database_url).stdout.decode()
    assert "3 reports, 1 dropped (1 undeclared), 2 wait" in text
    assert f"{WEEK}           3  mail/encrypted is true in 0.5.2" in text


# --- Key files ---


def test_keys_may_be_named_as_a_shell_expands_them(
    folder: Path, told: list[object], tmp_path: Path
) -> None:
    """``--keys keys/*.json``: click takes the first for the option, the others are logs to it."""
    written(folder / "a.log", spool([*many(1), *many(2, week=NEXT)]))
    out = run_json("count", folder, *told, keys_of(tmp_path, NEXT), "--dry-run")
    assert out["statistics"] == {**cells(1), **cells(2, NEXT)}


def test_a_passphrase_opens_the_keys(folder: Path, tmp_path: Path) -> None:
    written(folder / "a.log", spool(many(2)))
    keys = keys_of(tmp_path, WEEK, phrase=b"correct horse")
    told = ("count", folder, "--product", product_of(tmp_path), "--keys", keys, "--dry-run")
    phrase = written(tmp_path / "phrase", b"correct horse\n")
    assert run_json(*told, "--passphrase-file", phrase)["statistics"] == cells(2)
    wrong = written(tmp_path / "wrong", b"battery staple\n")
    refused = run_json(*told, "--passphrase-file", wrong, code=1)
    assert refused["reason"] == "passphrase-wrong"
    assert run_json(*told, code=1)["reason"] == "passphrase-needed"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "keys-missing"), (b"{}", "key-damaged"), (b"\x00" * 500_000, "key-damaged")],
)
def test_a_key_file_that_is_none_is_told(
    folder: Path, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    keys = tmp_path / "keys.json"
    if content is not None:
        keys.write_bytes(content)
    told = ("--product", product_of(tmp_path), "--keys", keys, "--dry-run")
    assert run_json("count", folder, *told, code=1)["reason"] == reason


def test_keys_of_error_reports_are_told_from_those_of_the_intake(
    folder: Path, tmp_path: Path
) -> None:
    keys = written(tmp_path / "r.secret", encode(REPORTS, {"0.5.2": secret(WEEK)}, None))
    told = ("--product", product_of(tmp_path), "--keys", keys, "--dry-run")
    assert run_json("count", folder, *told, code=1)["reason"] == "keys-other-kind"


def test_a_registry_that_is_wrong_is_told(folder: Path, told: list[object], tmp_path: Path) -> None:
    (tmp_path / "metrics.toml").write_text("[mail.encrypted]\ntype = 'bool'\n")
    refused = run_json("count", folder, *told, "--dry-run", code=1)
    assert refused["reason"] == "metrics-invalid"
    assert "mail.encrypted" in refused["message"]


# --- Exactly once ---


def test_a_spool_counts_once_however_often_it_is_given(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    url = new_database()
    path = written(folder / "a.log", spool(many(5)))
    assert run_json("count", folder, *told, "--db", url)["statistics"] == cells(5)
    written(folder / "copy of a.log", path.read_bytes())
    written(folder / "packed.gz", gzip.compress(path.read_bytes()))
    again = run_json("count", folder, *told, "--db", url)
    assert (again["statistics"], again["lines"]) == ({}, 0)
    assert shown(url)["statistics"] == cells(5)


def test_reports_wait_for_keys_that_come_later(
    folder: Path, told: list[object], tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    content = spool([*many(5), *many(3, week=NEXT)], date(2026, 11, 29))
    written(folder / "a.log", content)
    bare = ("count", folder, "--product", product_of(tmp_path), "--db", url)
    first = run_json(*bare)
    assert (first["statistics"], first["waiting"], first["lines"]) == ({}, 8, 9)
    assert "has lines that no given key opens (8)" in first["notes"][0]
    second = run_json(*bare, "--keys", keys_of(tmp_path, WEEK))
    assert (second["statistics"], second["waiting"], second["lines"]) == (cells(5), 3, 0)
    assert run_json(*bare, "--keys", keys_of(tmp_path, WEEK))["waiting"] == 0
    third = run_json(*bare, "--keys", keys_of(tmp_path, NEXT))
    assert (third["statistics"], third["waiting"]) == (cells(3, NEXT), 0)
    assert "notes" not in third
    kept = shown(url)
    assert kept["statistics"] == {**cells(5), **cells(3, NEXT)}
    assert (kept["waiting"], kept["lines"]) == (0, 9)
    assert run_json(*bare, "--keys", keys_of(tmp_path, WEEK, NEXT))["repeated"] == 0


def test_a_packed_spool_waits_for_keys_too(
    folder: Path, told: list[object], tmp_path: Path, database_url: str
) -> None:
    written(folder / "a.log.gz", gzip.compress(spool([*many(5), *many(3, week=NEXT)])))
    run("count", folder, *told, "--db", database_url)
    out = run_json("count", folder, *told, "--keys", keys_of(tmp_path, NEXT), "--db", database_url)
    assert (out["statistics"], out["waiting"], out["lines"]) == (cells(3, NEXT), 0, 0)
    assert shown(database_url)["statistics"] == {**cells(5), **cells(3, NEXT)}


def test_a_spool_that_was_packed_while_its_lines_waited_is_read_again(
    folder: Path, told: list[object], tmp_path: Path, database_url: str
) -> None:
    path = written(folder / "a.log", spool([*many(5), *many(3, week=NEXT)]))
    run("count", folder, *told, "--db", database_url)
    written(folder / "a.log.gz", gzip.compress(path.read_bytes()))
    path.unlink()
    out = run_json("count", folder, *told, "--keys", keys_of(tmp_path, NEXT), "--db", database_url)
    assert (out["statistics"], out["waiting"]) == (cells(3, NEXT), 0)


def test_two_databases_each_have_every_report(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    written(folder / "a.log", spool(many(5)))
    urls = [new_database(), new_database()]
    for url in urls:
        run("count", folder, *told, "--db", url)
    assert [shown(url)["statistics"] for url in urls] == [cells(5), cells(5)]


def test_two_counters_at_once_count_once(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    url = new_database()
    for number in range(4):
        written(folder / f"{number}.log", spool(many(40, 20 * number), name=str(number)))
    command = [*PROGRAM, "count", folder, *told, "--db", url, "--json"]
    running = [subprocess.Popen(list(map(str, command)), stdout=-1) for _ in range(2)]
    found = [json.loads(one.communicate(timeout=120)[0]) for one in running]
    assert [one.returncode for one in running] == [0, 0]
    assert sum(one["repeated"] for one in found) == 4 * 40 - 100
    assert shown(url)["statistics"] == cells(100)


def test_a_pool_of_processes_counts_alike(
    folder: Path, told: list[object], database_url: str
) -> None:
    for number in range(3):
        written(folder / f"{number}.log", spool(many(30, 20 * number), name=str(number)))
    out = run_json("count", folder, *told, "--db", database_url, "--jobs", "2")
    assert (out["statistics"], out["repeated"]) == (cells(70), 20)


def opening_of(folder: Path, *weeks: str) -> Opening:
    catalogue = load_catalogue(product_of(folder))
    return Opening(catalogue, load_keys([keys_of(folder, *weeks)], lambda _: b""))


def one_pass(ledger: Ledger, paths: Path | list[str], opening: Opening | None) -> Counted:
    clock = system_clock()
    using = (ALLOW, here, Progress(clock, None), ledger, clock.now)
    names = [str(paths)] if isinstance(paths, Path) else paths
    return count_once(names, *using, sizes=TINY, opening=opening)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies", range(3))
def test_a_crash_at_any_point_changes_no_sum(
    tmp_path: Path, new_database: Callable[[], str], dies: int, after: bool
) -> None:
    """In the first count, and while lines are read again for new keys."""
    content = spool([*many(12), *many(9, week=NEXT)], date(2026, 11, 29))
    path = written(tmp_path / "a.log", content)
    engine = open_database(new_database())
    for weeks in ((WEEK,), (WEEK, NEXT)):
        opening = opening_of(tmp_path, *weeks)
        with pytest.raises(CrashError):
            one_pass(Dying(storage.Ledger(engine), dies, after=after), path, opening)
        one_pass(storage.Ledger(engine), path, opening)
    ledger = storage.Ledger(engine)
    assert one_pass(ledger, path, opening).reports.repeated == 0
    (source,) = ledger.sources()
    assert (source.lines, source.waiting, source.position) == (22, 0, len(content))
    engine.dispose()
    url = engine.url.render_as_string(hide_password=False).replace("+psycopg", "")
    assert shown(url)["statistics"] == {**cells(12), **cells(9, NEXT)}


@pytest.mark.parametrize("alone", [WEEK, NEXT])
def test_keys_that_are_missing_for_a_part_of_a_spool_lose_nothing(
    tmp_path: Path, database_url: str, alone: str
) -> None:
    """One run with both keys dies half-way, the next has one alone, then both are there."""
    path = written(tmp_path / "a.log", spool([*many(12), *many(9, week=NEXT)]))
    engine = open_database(database_url)
    both, second = opening_of(tmp_path, WEEK, NEXT), opening_of(tmp_path, alone)
    with pytest.raises(CrashError):
        one_pass(Dying(storage.Ledger(engine), 2, after=True), path, both)
    one_pass(storage.Ledger(engine), path, second)
    one_pass(storage.Ledger(engine), path, both)
    (source,) = storage.Ledger(engine).sources()
    assert (source.lines, source.waiting) == (22, 0)
    engine.dispose()
    assert shown(database_url)["statistics"] == {**cells(12), **cells(9, NEXT)}


# --- Another registry ---


def metrics(folder: Path, *names: str) -> None:
    """What a registry declares, as far as the usual one declares it."""
    whole = METRICS.split("\n[")
    path = folder / "metrics.toml"
    path.write_text("\n[".join(one for one in whole if not one.strip() or one.startswith(names)))


@pytest.mark.parametrize("content", [None, ""])
def test_without_a_registry_no_spool_is_opened(
    folder: Path, told: list[object], tmp_path: Path, content: str | None
) -> None:
    written(folder / "a.log", spool(many(3)))
    (tmp_path / "metrics.toml").unlink()
    if content is not None:
        (tmp_path / "metrics.toml").write_text(content)
    url = f"sqlite:///{tmp_path}/none.db"
    assert run_json("count", folder, *told, "--db", url, code=1)["reason"] == "metrics-missing"
    assert not (tmp_path / "none.db").exists()


def test_what_an_older_registry_refused_counts_by_the_right_one(
    folder: Path, told: list[object], tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    written(folder / "a.log", spool([*many(5), sealed(report(key="ip"), 9)]))
    metrics(tmp_path, "mail.accounts")
    first = run_json("count", folder, *told, "--db", url)
    assert (first["statistics"], first["dropped"]) == ({}, {"undeclared": 6})
    assert "More than half of the reports" in first["notes"][0]
    assert run_json("count", folder, *told, "--db", url)["repeated"] == 0
    metrics(tmp_path, "mail")
    second = run_json("count", folder, *told, "--db", url)
    assert (second["statistics"], second["lines"]) == (cells(5), 0)
    assert "notes" not in second
    kept = shown(url)
    assert (kept["statistics"], kept["dropped"]) == (cells(5), {"undeclared": 1})
    again = run_json("count", folder, *told, "--db", url)
    assert (again["statistics"], again["repeated"]) == ({}, 0)


def test_reports_whose_key_was_not_given_to_another_registry_leave_what_was_dropped(
    folder: Path, told: list[object], tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """As where each week's key file is given alone: they count, and are not dropped as well."""
    url, keys = new_database(), [keys_of(tmp_path, WEEK), keys_of(tmp_path, NEXT)]
    written(folder / "a.log", spool([*many(5), *many(3, 20, NEXT)]))
    base = ["count", folder, "--product", told[1], "--db", url]
    metrics(tmp_path, "mail.accounts")
    assert run_json(*base, "--keys", keys[0], "--keys", keys[1])["dropped"] == {"undeclared": 8}
    metrics(tmp_path, "mail")
    for one in keys:
        run_json(*base, "--keys", one)
    kept = shown(url)
    assert kept["statistics"] == {**cells(5), **cells(3, NEXT)}
    assert (kept["dropped"], kept["waiting"]) == ({}, 0)


def test_a_spool_of_which_more_may_count_by_another_registry_stays(
    folder: Path, told: list[object], tmp_path: Path, database_url: str
) -> None:
    content = spool(many(5))
    written(folder / "a.log", content)
    engine = open_database(database_url)
    metrics(tmp_path, "mail.accounts")
    run("count", folder, *told, "--db", database_url)
    assert reading.overview(engine).positions == {}
    metrics(tmp_path, "mail")
    run("count", folder, *told, "--db", database_url)
    assert list(reading.overview(engine).positions.values()) == [len(content)]
    engine.dispose()


# --- Another spool with the same id ---


@pytest.mark.parametrize("n", [3, 5, 9])
def test_a_stranger_s_spool_with_the_id_of_ours_is_told_and_ours_is_kept(
    folder: Path, told: list[object], new_database: Callable[[], str], n: int
) -> None:
    """Shorter than ours, as long, and longer."""
    url = new_database()
    name = sha256(b"a").hexdigest()[:32]
    path = written(folder / f"spool-{DAY}-{name}.log", spool(many(n, 100, value="false")))
    run("count", folder, *told, "--db", url)
    written(path, ours := spool(many(5)))
    refused = run_json("count", folder, *told, "--db", url, code=1)
    assert (refused["reason"], refused["statistics"]) == ("log-changed", {})
    assert run_json("retain", "--spool", folder, "--db", url)["spools"] == []
    written(path, ours.replace(name.encode(), b"1" * 32))
    assert run_json("count", folder, *told, "--db", url)["statistics"] == cells(5)


def test_retain_takes_spools_alone(folder: Path, told: list[object], database_url: str) -> None:
    path = written(folder / f"spool-{DAY}-{sha256(b'a').hexdigest()[:32]}.log", spool(many(3)))
    run("count", folder, *told, "--db", database_url)
    gone = run_json("retain", "--spool", folder, "--db", database_url)
    assert (gone["spools"], gone["logs"]) == ([path.name], [])
    assert not path.exists()


# --- Weeks that are published ---


def close(url: str, week: str) -> None:
    engine = open_database(url)
    with engine.begin() as connection:
        connection.execute(insert(statistics_weeks).values(week=week, published=1, late=0))
    engine.dispose()


def digests(url: str) -> int:
    engine = open_database(url)
    with engine.connect() as connection:
        n = connection.scalar(select(func.count()).select_from(openings))
    engine.dispose()
    return int(n or 0)


def test_reports_of_a_published_week_are_dropped_as_late(
    folder: Path, told: list[object], tmp_path: Path, database_url: str
) -> None:
    written(folder / "a.log", spool(many(3)))
    run("count", folder, *told, "--db", database_url)
    close(database_url, WEEK)
    written(folder / "b.log", spool([*many(5), *many(2, week=NEXT)], LATER, "b"))
    both = [*told, "--keys", keys_of(tmp_path, NEXT)]
    out = run_json("count", folder, *both, "--db", database_url)
    assert (out["statistics"], out["dropped"]) == (cells(2, NEXT), {"late": 2})
    kept = shown(database_url)
    assert kept["statistics"] == {**cells(3), **cells(2, NEXT)}
    assert (kept["dropped"], kept["late"]) == ({"late": 2}, 0)


def test_digests_go_once_their_week_is_long_past_and_closed(
    tmp_path: Path, database_url: str
) -> None:
    engine = open_database(database_url)
    ledger, opening = storage.Ledger(engine), opening_of(tmp_path, WEEK)
    path = written(tmp_path / "a.log", spool(many(3)))
    one_pass(ledger, path, opening)
    sunday = int(datetime(2026, 11, 29, tzinfo=UTC).timestamp())
    for days, left in [(43, 3), (42, 3), (43, 0)]:
        ledger.commit([], sunday + days * DAY_SECONDS)
        assert digests(database_url) == left
        if days == 43 and left:
            close(database_url, WEEK)
    engine.dispose()


# --- What a spool says of itself ---


def test_a_spool_on_standard_input_is_opened(told: list[object]) -> None:
    content = spool(many(3))
    assert run_json("count", "-", *told, "--dry-run", stdin=content)["statistics"] == cells(3)


def test_a_spool_on_standard_input_waits_as_a_file_does(
    told: list[object], tmp_path: Path, folder: Path, database_url: str
) -> None:
    product, content = told[:2], spool(many(3))
    first = run_json("count", "-", *product, "--db", database_url, stdin=content)
    assert (first["waiting"], len(first["notes"])) == (3, 1), "and nothing of the time of day"
    written(folder / "a.log", content)
    out = run_json("count", folder, *told, "--db", database_url)
    assert (out["statistics"], out["waiting"]) == (cells(3), 0)


@pytest.mark.parametrize(
    ("week", "day", "said"),
    [
        (NEXT, DAY, "No key that was given opens a line"),
        (WEEK, date(2027, 1, 1), "All reports are"),
    ],
)
def test_keys_that_do_not_fit_the_spools_are_told(
    folder: Path, told: list[object], week: str, day: date, said: str
) -> None:
    written(folder / "a.log", spool(many(3, week=week), day))
    notes = run_json("count", folder, *told, "--dry-run")["notes"]
    assert notes[-1].startswith(said)


def test_one_is_no_plural(folder: Path, told: list[object]) -> None:
    written(folder / "a.log", spool([*many(1), *many(1, week=NEXT)]))
    ran = run("count", folder, *told, "--dry-run")
    said = "1 report counted, 0 dropped, 0 counted before, 1 waits for its key"
    assert said in ran.stdout.decode()
    assert "1 reports" not in ran.stderr.decode()


def test_lost_reports_are_told_and_do_not_look_like_lost_answers(
    folder: Path, told: list[object], database_url: str
) -> None:
    written(folder / "a.log", spool(many(3), lost=4))
    out = run_json("count", folder, *told, "--db", database_url)
    assert "lacks 4 reports" in out["notes"][0]
    assert shown(database_url)["dropped"] == {"lost": 4}
    engine = open_database(database_url)
    with engine.connect() as connection:
        assert not connection.exec_driver_sql("SELECT * FROM gaps").all()
        assert connection.scalar(select(sources.c.format)) == "spool"
    engine.dispose()


@pytest.mark.parametrize("form", ["combined", "json"])
def test_a_spool_is_one_whatever_format_is_asked_for(
    folder: Path, told: list[object], database_url: str, form: str
) -> None:
    written(folder / "a.log", spool(many(3)))
    for expected in (cells(3), {}):
        out = run_json("count", folder, *told, "--db", database_url, "--format", form)
        assert out["statistics"] == expected
        assert "notes" not in out


def test_the_open_part_of_a_spool_is_refused(folder: Path, told: list[object]) -> None:
    part = b"# mars unfinished spool v1\n" + spool(many(2)).partition(b"\n")[2]
    path = written(folder / "moved.log", part)
    assert run_json("count", path, *told, "--dry-run", code=1)["reason"] == "log-unfinished"


def test_a_day_counted_anew_does_not_touch_reports(
    folder: Path, told: list[object], tmp_path: Path, database_url: str
) -> None:
    written(folder / "a.log", spool(many(3)))
    written(folder / "access.log", line() * 2)
    run("count", folder, *told, "--db", database_url)
    again = ("counts", "recount", "2026-11-21", folder, "--db", database_url)
    assert run_json(*again, "--product", product_of(tmp_path))["hits"] == 2
    assert shown(database_url)["statistics"] == cells(3)


# --- Which spools may go ---


def test_a_spool_goes_once_it_is_read_and_stays_while_a_line_waits(
    tmp_path: Path, told: list[object], database_url: str
) -> None:
    """As ``retain`` names its files by day and id."""
    folder, logs = tmp_path / "spool", tmp_path / "logs"
    logs.mkdir()
    names = {}
    for name, bodies in (("read", many(3)), ("waits", [*many(3, 9), *many(1, week=NEXT)])):
        content = spool(bodies, name=name)
        names[name] = f"spool-{DAY}-{spool_of(content).id}.log"  # type: ignore[union-attr]
        written(folder / names[name], content)
    retain = ("retain", "--log", logs, "--spool", folder, "--db", database_url)
    run("count", folder, *told, "--db", database_url)
    assert run_json(*retain)["spools"] == [names["read"]]
    run("count", folder, *told, "--keys", keys_of(tmp_path, NEXT), "--db", database_url)
    assert run_json(*retain)["spools"] == [names["waits"]]


def test_what_a_server_took_is_counted(told: list[object], tmp_path: Path) -> None:
    """From the socket to the sums; while the server runs its spool is open, and not looked at."""
    week = week_of(system_clock().now())
    with kit.served(unix=True, spool=True) as server:
        for body in [*many(3, week=week), sealed(report(), 0, week), sealed(b"{}", 9, week)]:
            assert kit.status(server.ask(kit.post(body))) == 204
        keys = keys_of(tmp_path, week)
        command = ("count", server.spools, *told, "--keys", keys, "--dry-run")
        assert run_json(*command)["lines"] == 0
        assert server.stop() == 0
        out = run_json(*command)
    assert out["statistics"] == cells(3, week)
    assert (out["dropped"], out["waiting"]) == ({"other-type": 1}, 0)
