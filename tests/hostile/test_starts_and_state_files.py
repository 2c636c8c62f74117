"""The schedule and the state of a living client."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mars.adapters.files import Folder
from mars.channels.memory import Memory
from mars.core import schedule
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.core.schedule import HOUR, LATE_LEAST, Schedule
from mars.errors import StateError, TransportError
from mars.testing.memory import START, SeededChance, session
from mars.testing.world import World

DAY = 86_400
UNREACHABLE = TransportError("tor-unavailable", "No Tor here.")


def a_world(seed: int = 1, level: str = "tracked") -> World:
    world = World(seed=seed)
    world.publish()
    world.grant(level)
    return world


def test_e17_asleep_for_20_days_then_started_no_fetch_in_the_first_minutes() -> None:
    early = 0
    for seed in range(150):
        world = a_world(seed)
        session(world.client(), world.clock, 60)
        world.clock.suspend(20 * DAY)
        session(world.client(), world.clock, 300)
        early += len(world.server.visits)
    assert early <= 150 * 0.05


@pytest.mark.parametrize("ahead", [-10 * DAY, 0, 1, LATE_LEAST - 1])
def test_e17_what_is_due_within_minutes_of_a_start_waits_too(ahead: int) -> None:
    """Due when the session begins or just after it: by its time it would betray the start."""
    for seed in range(500):
        chance, now, ran = SeededChance(seed), START, None
        plan = Schedule(due=START + ahead)
        while now < START + LATE_LEAST:
            plan, sleep = schedule.look(plan, now, ran, chance)
            assert sleep, f"a request {now - START} s after the start"
            now, ran = now + sleep, sleep


def test_e17_resume_from_suspend_within_a_session_does_not_fetch_at_once() -> None:
    early = 0
    for seed in range(100):
        world = a_world(seed)
        client = world.client()
        client.step(None)
        world.clock.suspend(20 * DAY)
        client.step(60)
        early += len(world.server.visits)
    assert early == 0


def test_e18_fifty_starts_a_day_and_a_crash_loop_fetch_once_a_period() -> None:
    world = a_world()
    for _ in range(30 * 50):  # 30 days
        session(world.client(), world.clock, 20 * 60, crash=True)
        world.clock.suspend(DAY // 50 - 20 * 60)
        # A wait that is not stored by an orderly end may starve, but never repeat.
        assert len(world.server.visits) <= 10


def test_e18_the_next_time_is_on_disk_before_the_attempt() -> None:
    world = a_world()
    seen: list[int] = []

    class Crashing:
        def fetch(self, request: object) -> object:
            stored = states.decode(world.store.files[STATE_FILE])
            assert stored is not None
            kept = Memory.of(stored).schedule
            assert kept is not None
            seen.append(kept.due - world.clock.wall)
            raise KeyboardInterrupt  # the process dies here

    for _ in range(3):
        client = world.client()
        client.ports = client.ports.__class__(
            **{**vars(client.ports), "fetcher": lambda _plan: Crashing()}
        )
        with pytest.raises(KeyboardInterrupt):
            session(client, world.clock, 40 * DAY)
    assert len(seen) == 3
    assert all(ahead >= 3 * DAY for ahead in seen)


def test_e19_three_failures_then_the_next_period() -> None:
    world = a_world()
    world.server.unreachable = UNREACHABLE
    client = world.client()
    while len(client.journal()) < 9 and world.clock.running < 400 * DAY:
        world.clock.advance(client.step(HOUR))
    entries = client.journal()
    times = [entry["time"] for entry in entries]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for number, gap in enumerate(gaps):
        low, high = ((HOUR, 6 * HOUR), (6 * HOUR, DAY), (2 * DAY, 10 * DAY))[number % 3]
        assert low <= gap <= high, (number, gap)
    assert [entry["reason"] for entry in entries] == ["tor-unavailable"] * 9
    assert world.server.visits == []


def test_e20_check_now_ten_times_is_one_plain_request() -> None:
    world = a_world()
    client = world.client()
    done = [client.check() for _ in range(10)]
    assert sum(outcome is not None for outcome in done) == 1
    assert len(world.server.visits) == 1
    assert "?" not in world.server.visits[0]


def test_e21_of_two_processes_one_fetches(tmp_path: Path) -> None:
    held = Folder(tmp_path)
    script = (
        "import sys\n"
        "from mars.adapters.files import Folder\n"
        "from mars.errors import StateError\n"
        "try:\n"
        "    with Folder(sys.argv[1]).lock('fetcher'): print('mine')\n"
        "except StateError as error: print(error.reason)\n"
    )

    def other() -> str:
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout.strip()

    with held.lock("fetcher"):
        assert other() == "locked"
    assert other() == "mine"


def test_e21_the_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    script = (
        "import sys, time\n"
        "from mars.adapters.files import Folder\n"
        "with Folder(sys.argv[1]).lock('fetcher'):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        with pytest.raises(StateError), Folder(tmp_path).lock("fetcher"):
            pass
        process.kill()
    with Folder(tmp_path).lock("fetcher", wait=60):
        pass


GARBAGE = {
    "empty": b"",
    "truncated": b'{"version": 1, "installed": 17952',
    "garbage": os.urandom(300),
    "list": b"[]",
    "deep": b"[" * 100_000,
    "newer": b'{"version": 99}',
    "nul": b"\0" * 4096,
    "wrong types": json.dumps(
        {"version": 1, "schedule": 5, "trust": [], "seen": {"a": "b"}, "server": "x", "pick": "y"}
    ).encode(),
}
