"""The background thread of ``Mars``: starts and ends at once, is alone, and sleeps."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mars import consent, factory
from mars.channels.memory import Memory
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.core.schedule import HOUR, Schedule
from mars.errors import StateError, TransportError
from mars.ports import Store
from mars.testing.world import World
from mars.wire.times import DAY
from tests.waiting import PATIENCE, until


def test_start_and_stop_take_milliseconds_and_leave_no_thread() -> None:
    world = World()
    world.grant("plain")
    mars = world.mars()
    before = set(threading.enumerate())
    begun = time.thread_time()  # of this thread alone, however busy the machine
    mars.start()
    mars.start()
    started = time.thread_time() - begun
    until(lambda: mars.status()["fetching_here"])
    begun = time.thread_time()
    mars.stop()
    mars.stop()
    stopped = time.thread_time() - begun
    assert started < 0.1
    assert stopped < 0.2
    until(lambda: not since(before))


def test_stop_does_not_wait_for_a_fetch_that_hangs() -> None:
    world, entered, leave = World(), threading.Event(), threading.Event()
    world.grant("plain")

    class Hanging:
        def fetch(self, request: object) -> object:
            entered.set()
            leave.wait(PATIENCE)
            raise TransportError("timeout", "Too late.")

    before = set(threading.enumerate())
    mars = world.mars(fetcher=lambda _plan: Hanging())
    mars.start()
    assert mars.check_now()
    assert entered.wait(PATIENCE)
    begun = time.monotonic()
    mars.stop()
    assert time.monotonic() - begun < PATIENCE / 2
    assert since(before), "the fetch hangs still"
    leave.set()
    until(lambda: not since(before))


def since(before: set[threading.Thread]) -> list[threading.Thread]:
    """Threads of the client that were not there before; a test that failed may have left one."""
    return [one for one in threading.enumerate() if one.name == "mars" and one not in before]


def test_a_mistake_of_ours_ends_in_the_status_and_not_the_thread() -> None:
    world = World()
    world.grant("plain")

    class Broken:
        def fetch(self, request: object) -> object:
            raise ValueError("ours")

    before = set(threading.enumerate())
    mars = world.mars(fetcher=lambda _plan: Broken())
    mars.start()
    mars.check_now()
    until(lambda: mars.status()["problem"] is not None)
    assert mars.status()["problem"]["reason"] == "internal"
    assert since(before)
    mars.stop()


def test_two_objects_share_one_fetcher_and_the_second_takes_over(tmp_path: Path) -> None:
    world = World()
    turns: list[object] = []
    first = world.mars(store=factory.folder(str(tmp_path)))
    second = world.mars(store=factory.folder(str(tmp_path)), on_turn=turns.append)
    first.start()
    until(lambda: first.status()["fetching_here"])
    second.start()
    until(lambda: turns)
    assert not second.status()["fetching_here"]
    first.stop()
    second.consent.grant("plain")  # wakes it; by itself it asks again within the hour
    until(lambda: second.status()["fetching_here"])
    second.stop()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_neither_fetches_nor_holds_the_lock(tmp_path: Path) -> None:
    world = World()
    store = factory.folder(str(tmp_path))
    mars = world.mars(store=store)
    mars.start()
    until(lambda: mars.status()["fetching_here"])
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - in the child
        try:
            fine = not mars.status()["running"] and not mars.status()["fetching_here"]
            mars.start()
            time.sleep(0.1)
            fine = fine and not mars.status()["fetching_here"]  # the parent has it
            mars.stop()
            os.write(ready[1], b"y" if fine else b"n")
            os.read(go[0], 1)
        finally:
            os._exit(0)
    try:
        assert os.read(ready[0], 1) == b"y"
        mars.stop()
        until(lambda: not _is_locked(store))  # while the child still lives
    finally:
        os.write(go[1], b"x")
        os.waitpid(child, 0)
        for end in (*ready, *go):
            os.close(end)


def _is_locked(store: Store) -> bool:
    try:
        with store.lock("fetcher"):
            return False
    except StateError as error:
        assert error.reason == "locked"
        return True


def test_importing_and_starting_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(World().trust)
    script = (
        "import sys, time\n"
        "from mars import Mars\n"
        "mars = Mars('examplemail', '0.5.1', sys.argv[1] + '/trust.json', folder=sys.argv[1])\n"
        "mars.consent.grant('tracked')\n"
        "mars.start()\n"
        "while not mars.status()['fetching_here']: time.sleep(0.05)\n"
        "mars.stop()\n"
        "print([name for name in ('requests', 'stem', 'nacl', 'gnupg', 'click', 'urllib3',\n"
        "    'packaging', 'msgspec', 'ssl', 'hashlib', 'asyncio') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "[]"


def test_a_host_that_never_stops_it_keeps_what_is_left_of_a_wait(tmp_path: Path) -> None:
    (tmp_path / "trust.json").write_bytes(World().trust)
    now = factory.system_clock().now()
    decided = replace(states.first(now), decision=consent.Decision.of("plain", now - DAY))
    state = Memory(schedule=Schedule(due=now - DAY, wait=2 * HOUR)).into(decided)
    factory.folder(str(tmp_path)).write(STATE_FILE, states.encode(state))
    script = (
        "import sys, time\n"
        "from mars import Mars\n"
        "mars = Mars('examplemail', '0.5.1', sys.argv[1] + '/trust.json', folder=sys.argv[1])\n"
        "mars.start()\n"
        "while not mars.status()['fetching_here']: time.sleep(0.05)\n"
        "time.sleep(4)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=60)
    after = states.decode((tmp_path / STATE_FILE).read_bytes())
    assert after is not None
    kept = Memory.of(after).schedule
    assert kept is not None
    assert kept.wait is not None
    assert 2 * HOUR - 90 <= kept.wait < 2 * HOUR


def test_idle_writes_nothing_more_often_than_hourly() -> None:
    world = World()
    world.grant("plain")
    client = world.client()
    first = client.step(None)
    assert first <= HOUR
    written = world.store.writes
    for _ in range(20):
        sleep = client.step(HOUR)
        world.clock.advance(min(sleep, 60))
    assert world.store.writes == written


def test_an_idle_thread_sleeps(tmp_path: Path) -> None:
    world = World()
    mars = world.mars(store=factory.folder(str(tmp_path)))
    mars.consent.grant("tracked")
    others = set(threading.enumerate())
    mars.start()
    until(lambda: mars.status()["fetching_here"])
    (thread,) = since(others)
    until(lambda: asleep(thread))  # once it has done what there was to do
    mars.stop()


def asleep(thread: threading.Thread) -> bool:
    """Whether it did not wake up for a second and a half."""
    before = switches(thread)
    time.sleep(1.5)
    return switches(thread) == before


def switches(thread: threading.Thread) -> int:
    """How often the thread has gone to sleep so far."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text("ascii")
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def test_stop_and_start_in_mid_fetch_never_fetches_twice_at_once() -> None:
    world, leave = World(), threading.Event()
    world.grant("plain")
    at_once: list[int] = []
    inside: set[int] = set()

    class Slow:
        def fetch(self, request: object) -> object:
            inside.add(threading.get_ident())
            at_once.append(len(inside))
            leave.wait(PATIENCE)
            inside.discard(threading.get_ident())
            raise TransportError("timeout", "Too late.")

    mars = world.mars(fetcher=lambda _plan: Slow())
    mars.start()
    assert mars.check_now()
    until(lambda: at_once)
    mars.stop()
    world.clock.advance(2 * HOUR)
    mars.start()
    mars.check_now()
    time.sleep(0.1)
    leave.set()
    until(lambda: not inside)
    mars.stop()
    assert set(at_once) == {1}
