"""What anybody may post to the intake, and what the sums make of it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from hashlib import blake2b
from pathlib import Path

import pytest

from mars.factory import system_clock
from mars.wire.query import AllowList
from mars.wire.sealed import LARGE
from mars_server.common.calendar import is_stale
from mars_server.counting.count_pass import dry_run
from mars_server.counting.progress import Progress
from mars_server.counting.reports import Dropped, Opening, sums, unseen
from mars_server.counting.tasks import Done, Task, perform
from tests.server.conftest import database_url, new_database, postgres_server
from tests.server.counting import spools
from tests.server.counting.commands import run, run_json
from tests.server.counting.examples import ALLOW, line
from tests.server.counting.spools import (
    NEXT,
    WEEK,
    cells,
    found,
    many,
    opened,
    opening,
    report,
    sealed,
    secret,
    shown,
    spool,
    written,
)
from tests.server.counting.test_spools import folder, told

__all__ = ["database_url", "folder", "new_database", "opening", "postgres_server", "told"]


TEXTS = {
    "undeclared": report(key="hostname"),
    "other-product": report(product="othermail"),
    "unknown-release": report(release="0.4.0"),
    "bad-value": report(value="perhaps"),
    "extra-member": report()[:-1] + b',"id":"4711"}',
    "other-type": report().replace(b'"statistics"', b'"event"'),
    "bad-payload": report().replace(b',"value":"true"', b""),
    "bad-json": report()[:-1],
}


@pytest.mark.parametrize("reason", TEXTS)
def test_i13_what_is_not_declared_is_dropped_with_a_reason(opening: Opening, reason: str) -> None:
    out = found(opening, spool([sealed(TEXTS[reason])]))
    assert out.dropped == {Dropped(WEEK, reason): 1}
    assert not out.counted


@pytest.mark.parametrize("key", ["old", "gone"])
@pytest.mark.parametrize("late_first", [True, False])
def test_i14_a_copy_after_the_last_day_of_an_entry_takes_nothing_from_it(
    opening: Opening, key: str, late_first: bool
) -> None:
    content, fresh = spool(many(3, key=key)), unseen()
    days = [spools.DAY, date(2026, 11, 26)]
    for day in reversed(days) if late_first else days:
        out = sums(opened(opening, content, day).opened, fresh)
        assert (out.counted.total(), out.dropped.total()) == ((3, 0) if day == days[0] else (0, 3))


@pytest.mark.parametrize(
    "text",
    [
        report(channel="beta"),
        report(value="True"),
        report(key="accounts", value="3"),
        report(key="python", value="3.11.2"),
        report(key="python", value="3.011"),
        report(value="true\x00"),
        report().replace(b'"value":"true"', b'"value":true'),
        report().replace(b'"value":"true"', b'"value":"true","value":"false"'),
        b"[]",
        b"",
        b"\xff\xfe",
    ],
)
def test_i13_a_text_that_only_nearly_is_a_report_counts_for_nothing(
    opening: Opening, text: bytes
) -> None:
    out = found(opening, spool([sealed(text)]))
    assert not out.counted
    assert out.dropped.total() == 1


BODY = sealed()


def test_i13_a_body_that_holds_no_report_is_dropped(opening: Opening) -> None:
    broken = BODY[:-1] + bytes((BODY[-1] ^ 1,))
    assert found(opening, spool([broken])).dropped == {Dropped(WEEK, "unopenable"): 1}


def test_i13_a_body_of_the_size_of_error_reports_is_not_opened(opening: Opening) -> None:
    tally = opened(opening, spool([sealed(size=LARGE)]))
    assert (tally.passed, tally.waiting, tally.opened) == (1, 0, {})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"!",
        b"AQ",
        b"A" * 1368,
        b'- - - [21/Nov/2026:00:00:00 +0000] "GET /motd/motd.json HTTP/1.1" 200 1843 "-" "-"',
        b"\x02" * 1400,
        b"x" * 300_000,
    ],
)
def test_i13_a_line_that_is_no_body_is_dropped_under_the_spools_week(
    opening: Opening, line: bytes
) -> None:
    tally = opened(opening, spool([], more=line + b"\n"))
    assert sums(tally.opened, unseen()).dropped == {Dropped(WEEK, "bad-body"): 1}
    assert (tally.lines, tally.hits) == (2, 0)


DAYS = [
    (date(2026, 11, 15), True),
    (date(2026, 11, 16), False),
    (date(2026, 11, 23), False),
    (date(2026, 12, 6), False),
    (date(2026, 12, 7), True),
]


@pytest.mark.parametrize(("day", "stale"), DAYS)
def test_i14_a_body_that_is_played_back_later_than_a_week_is_worth_nothing(
    opening: Opening, day: date, stale: bool
) -> None:
    assert is_stale(day, WEEK) is stale
    out = found(opening, spool([sealed()]), day)
    assert out.dropped == ({Dropped(WEEK, "stale"): 1} if stale else {})
    assert out.counted.total() == int(not stale)


def test_i14_a_late_copy_does_not_stand_for_the_one_that_came_in_time(opening: Opening) -> None:
    fresh = unseen()
    late = opened(opening, spool([sealed()]), date(2026, 12, 20))
    assert sums(late.opened, fresh).counted.total() == 0
    assert sums(opened(opening, spool([sealed()])).opened, fresh).counted.total() == 1


def test_i16_neither_a_key_nor_a_report_shows_where_a_task_is_shown(opening: Opening) -> None:
    """As in the log of a worker on a cluster."""
    text = repr(opening)
    assert spools.secret(WEEK).hex() not in text
    assert repr(spools.secret(WEEK)) not in text
    assert "keys" not in text


def test_i13_nothing_of_a_report_is_told_or_kept(
    folder: Path, told: list[object], tmp_path: Path
) -> None:
    """Neither what was not declared, nor what an attacker hid in a line."""
    secrets = [b"marker-in-a-value", b"marker-in-a-key", b"marker-in-a-member", b"marker-in-a-line"]
    texts = [
        report(value="marker-in-a-value"),
        report(key="marker-in-a-key"),
        report()[:-1] + b',"marker-in-a-member":"x"}',
        b"marker-in-a-line",
    ]
    bodies = [sealed(text, number) for number, text in enumerate(texts)]
    written(folder / "a.log", spool(bodies, more=b"marker-in-a-line\n"))
    database = tmp_path / "c.db"
    ran = run("count", folder, *told, "--db", f"sqlite:///{database}", "--json")
    assert json.loads(ran.stdout)["dropped"]
    for said in (ran.stdout, ran.stderr, database.read_bytes()):
        assert not [one for one in secrets if one in said]


@pytest.mark.parametrize("times", [2, 1000])
def test_i14_a_body_that_was_posted_many_times_counts_once(opening: Opening, times: int) -> None:
    assert found(opening, spool([sealed()] * times)).counted.total() == 1


def test_i14_a_body_under_another_key_is_another_and_cannot_be_opened(opening: Opening) -> None:
    """The id of a key stands outside of the box, for anybody to change."""
    body = sealed(week=NEXT)
    moved = body[:1] + sealed()[1:9] + body[9:]
    assert found(opening, spool([moved])).dropped == {Dropped(WEEK, "unopenable"): 1}


@pytest.mark.parametrize("bit", [8 * 9, 8 * 40 + 7, 8 * 41, 8 * 1023 + 7])
def test_i14_a_body_that_was_changed_is_no_second_one(opening: Opening, bit: int) -> None:
    """Nor is the bit changed that X25519 does not look at, the last of the ephemeral key."""
    body = bytearray(sealed())
    body[bit // 8] ^= 1 << bit % 8
    out = found(opening, spool([sealed(), bytes(body)]))
    assert (out.counted.total(), out.dropped) == (1, {Dropped(WEEK, "unopenable"): 1})


def test_i14_a_body_that_stands_in_two_spools_counts_once(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    """Sent twice by whoever saw it, on another day or to another process."""
    url = new_database()
    written(folder / "a.log", spool(many(4)))
    run("count", folder, *told, "--db", url)
    written(folder / "b.log", spool(many(5), date(2026, 11, 30), "b"))
    out = run_json("count", folder, *told, "--db", url)
    assert (out["statistics"], out["repeated"]) == (cells(1), 4)
    assert shown(url)["statistics"] == cells(5)


def test_i14_two_spools_of_one_run_count_a_body_once(
    folder: Path, told: list[object], new_database: Callable[[], str]
) -> None:
    url = new_database()
    for name in ("a", "b", "c"):
        written(folder / f"{name}.log", spool(many(4), name=name))
    assert run_json("count", folder, *told, "--db", url)["repeated"] == 8
    assert shown(url)["statistics"] == cells(4)


def test_i15_lines_for_keys_that_nobody_has_are_not_read_again_each_time(
    folder: Path, told: list[object], database_url: str
) -> None:
    """Anybody can send such, and a spool lies there for five weeks."""
    junk = [b"\x01" + bytes(8) + bytes([number]) * 1015 for number in range(20)]
    written(folder / "a.log", spool([*many(5), *junk]))
    assert run_json("count", folder, *told, "--db", database_url)["waiting"] == 20
    again = run_json("count", folder, *told, "--db", database_url)
    assert (again["waiting"], again["repeated"], again["lines"]) == (0, 0, 0)
    assert shown(database_url)["waiting"] == 20


def test_i16_only_tasks_over_spools_hold_keys(tmp_path: Path, opening: Opening) -> None:
    """For they may run on other computers."""
    seen: dict[str, Task] = {}

    def watched(tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        for task in tasks:
            seen[Path(task.path).name] = task
            yield perform(task, allow)

    written(tmp_path / "access.log", line() * 3)
    written(tmp_path / "access.log.gz", gzip.compress(line(b"?v=1") * 3))
    written(tmp_path / "spool.log", spool(many(2)))
    paths = [str(path) for path in tmp_path.iterdir()]
    dry_run(paths, ALLOW, watched, Progress(system_clock(), None), opening=opening)
    assert [name for name, task in seen.items() if task.opening] == ["spool.log"]
    assert len(seen) == 3


def test_i16_whoever_has_the_database_cannot_look_for_a_body_in_it(opening: Opening) -> None:
    """As one that he saw on its way, to learn in which cell it stands."""
    body = sealed()
    (digests,) = opened(opening, spool([body])).opened.values()
    guesses = [blake2b(data, digest_size=16, person=b"mars-report").digest() for data in (body,)]
    assert digests not in guesses


def test_i16_the_secret_keys_go_nowhere(folder: Path, told: list[object], tmp_path: Path) -> None:
    database = tmp_path / "c.db"
    written(folder / "a.log", spool(many(3)))
    ran = run("count", folder, *told, "--db", f"sqlite:///{database}")
    for said in (ran.stdout, ran.stderr, database.read_bytes()):
        assert secret(WEEK) not in said
        assert secret(WEEK).hex().encode() not in said
