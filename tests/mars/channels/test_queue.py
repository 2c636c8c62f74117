"""The files of error reports: read as they were written or not at all, wherever they lie."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.adapters.files import Folder
from mars.channels.queue import MOST, Queue, decode, name_of
from mars.channels.sending import Memory, Pending, Upcoming
from mars.core.state import State
from mars.errors import StateError
from mars.ports import Store
from mars.testing.memory import START, MemoryStore, SeededChance
from mars.wire.times import DAY, WEEK
from tests.mars.channels.reporting import REPORT


@pytest.fixture(params=["disk", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Folder(tmp_path / "none yet") if request.param == "disk" else MemoryStore()


def test_a_store_names_its_files(store: Store) -> None:
    assert store.names("report-") == ()
    for name in ("report-b.json", "report-a.json", "state.json"):
        store.write(name, b"{}")
    assert store.names("report-") == ("report-a.json", "report-b.json")
    store.delete("report-a.json")
    assert store.names("report-") == ("report-b.json",)


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError) as error:
        Folder(tmp_path / "file").names("report-")
    assert error.value.reason == "state-unreadable"
    with pytest.raises(StateError):
        MemoryStore(unreadable=True).names("report-")


def test_reports_are_kept_with_all_that_is_said_of_them(store: Store) -> None:
    queue = Queue(store)
    whole = replace(REPORT, way="direct", message="é\u202e", sent=START, told="x", gone=True)
    queue.write(whole)
    assert queue.all() == {REPORT.id: whole}
    assert queue.get(REPORT.id) == whole
    queue.delete(REPORT.id)
    assert queue.all() == {}


@given(st.binary(max_size=60), st.integers(0, 400))
def test_what_was_changed_is_read_as_nothing_or_as_a_report(garbage: bytes, at: int) -> None:
    data = REPORT.encode()
    for changed in (data[:at] + garbage + data[at + len(garbage) :], garbage, data[:at]):
        found = decode(changed, REPORT.id)
        assert found is None or found.encode() == decode(found.encode(), REPORT.id).encode()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"id": "1" * 16},
        {"day": -1},
        {"day": True},
        {"fault": {"types": []}},
        {"release": "0.5.1.dev"},
        {"way": "loud"},
        {"nonce": "xyz"},
        {"share": "?"},
        {"gone": 1},
        {"more": 1},
    ],
)
def test_a_member_that_is_not_understood_makes_it_none(change: dict[str, object]) -> None:
    said = {**json.loads(REPORT.encode()), **change}
    assert decode(json.dumps(said).encode(), REPORT.id) is None


def test_the_oldest_of_too_many_go_and_no_deletion_that_is_still_to_go() -> None:
    queue = Queue(MemoryStore())
    asked = replace(REPORT, id="0" * 16, way="direct", sent=0, deletion=START)
    queue.write(asked)
    for number in range(MOST + 3):
        queue.write(replace(REPORT, id=f"{number + 1:016x}", day=START - (number % 5) * DAY))
    kept = queue.settle(START)
    assert len(kept) == MOST
    assert asked.id in kept
    assert min(one.day for one in kept.values() if one != asked) == START - 4 * DAY
    assert len(queue.all()) == MOST


def test_days_of_a_clock_that_was_ahead_are_put_right() -> None:
    queue = Queue(MemoryStore())
    queue.write(replace(REPORT, day=START + 400 * DAY, sent=START + 400 * DAY))
    kept = queue.settle(START)[REPORT.id]
    assert (kept.day, kept.sent) == (START, START)
    assert queue.all()[REPORT.id] == kept


def test_names_say_nothing_and_others_files_are_not_ours() -> None:
    queue = Queue(MemoryStore({"report-.json": b"", "report-x": b"{}", "reporting": b""}))
    assert queue.all() == {}
    assert queue.damaged == {"report-.json", "report-x"}
    assert name_of(REPORT.id) == "report-00112233aabbccdd.json"


def test_what_is_remembered_is_read_back() -> None:
    memory = Memory(
        secret="ab" * 32,
        pending=(Pending("a", False, START, 5, 1, False), Pending("a", True, START)),
        upcoming=Upcoming("a", True, 2, "cd" * 32, "ef" * 64),
        seen=("x", "y"),
        week=START,
        made=2,
    )
    assert Memory.of(memory.into(State())) == memory
    assert Memory.of(State().keeping("reports", {"pending": [1], "secret": "x"})) == Memory()


def test_weeks_count_by_the_last_one_whatever_the_clock_does() -> None:
    memory = Memory(secret="00" * 32)
    for number in range(3):
        memory = memory.taking(f"{number}", START) or memory
    assert memory.made == 3
    assert memory.taking("more", START) is None
    assert memory.taking("more", START - 2 * DAY) is None
    ahead = memory.taking("more", START + 10 * WEEK)
    assert ahead is not None
    assert (back := ahead.taking("again", START)) is not None, "a clock far ahead is forgotten"
    assert back.made == 1
    assert memory.taking("0", START + WEEK) is None, "once for each fault, not for each week"


def test_a_secret_stays() -> None:
    chance = SeededChance(1)
    made = Memory().with_secret(chance)
    assert len(made.secret) == 64
    assert made.with_secret(chance) == made
