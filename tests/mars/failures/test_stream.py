"""What an application does with a stream: nothing that it does wrong, or at once, or twice, or in
the middle of something else, reaches it, or is counted wrongly."""

from __future__ import annotations

import asyncio
import enum
import gc
import os
import pickle
import signal
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date

import pytest

from mars.errors import ConfigError
from mars.failures import stream as streams
from mars.failures.counts import Counts, Day, merged, total
from mars.failures.machine import FAILED, LATE, Event
from mars.failures.stream import Failure, Stream
from mars.testing.memory import MemoryClock, SeededChance
from mars.wire.events import Domain
from mars.wire.times import DAY
from tests.mars.failures.kit import DECRYPTION, GRACE, MONDAY
from tests.waiting import until


class Decryption(enum.StrEnum):
    DAMAGED = "damaged"


class Plain(str, enum.Enum):  # noqa: UP042 - some write it so
    KEY_MISSING = "key_missing"


class Installation:
    """A stream and what is kept of it."""

    def __init__(self, domain: Domain | None = DECRYPTION, *, raises: bool = False) -> None:
        self.clock = MemoryClock(MONDAY)
        self.kept = Counts()
        self.stream = Stream("decryption", domain, self.clock, SeededChance(1), raises=raises)
        self.stream.known(self.kept)

    def today(self) -> Day:
        self.kept = merged(self.kept, self.stream.gained(), self.clock.now())
        self.stream.known(self.kept)
        return total(self.kept, [self.clock.now() // DAY])


class Odd:
    """Whatever one asks of it raises."""

    def _raise(self, *_: object) -> str:
        raise RuntimeError("odd")

    __repr__ = __str__ = __bytes__ = _raise
    __hash__ = __eq__ = __len__ = __index__ = __int__ = _raise  # type: ignore[assignment]


class OddText(str):
    encode = __add__ = __getitem__ = __len__ = __iter__ = Odd._raise  # type: ignore[assignment]
    __hash__ = __eq__ = __repr__ = __str__ = __format__ = Odd._raise  # type: ignore[assignment]


class OddNumber(int):
    to_bytes = bit_length = __index__ = __repr__ = __hash__ = Odd._raise  # type: ignore[assignment]
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = Odd._raise  # type: ignore[assignment]


def test_causes_and_dimensions_are_names_or_members_of_an_enumeration() -> None:
    here = Installation()
    here.stream.fail(Decryption.DAMAGED)
    here.stream.fail(Plain.KEY_MISSING, device="own", verified=True)
    here.stream.fail("damaged")
    here.stream.succeeded(3)
    here.clock.advance(GRACE)
    day = here.today()
    assert day.failed == {"damaged": 2, "key_missing": 1}
    assert day.last["key_missing"] == {"device": "own", "verified": "true"}
    assert (day.succeeded, here.stream.faults) == (3, {})


WRONG: dict[str, Callable[[Stream], object]] = {
    "cause": lambda stream: stream.fail("nothing"),
    "text": lambda stream: stream.fail("/home/me/secret.txt does not exist"),
    "unhashable": lambda stream: stream.fail([]),  # type: ignore[arg-type]
    "odd cause": lambda stream: stream.fail(Odd()),  # type: ignore[arg-type]
    "odd text": lambda stream: stream.fail(OddText("damaged")),
    "dimension": lambda stream: stream.fail("damaged", device="own"),
    "value": lambda stream: stream.fail("key_missing", device="mine"),
    "number": lambda stream: stream.fail("key_missing", verified=1),
    "odd value": lambda stream: stream.fail("key_missing", device=Odd()),
    "unhashable value": lambda stream: stream.fail("key_missing", verified=[]),
    "tries": lambda stream: stream.succeeded(-1),
    "half a try": lambda stream: stream.succeeded(0.5),  # type: ignore[arg-type]
    "maxlen": lambda stream: stream.subscribe(0),
    "subject": lambda stream: stream.fail("damaged", subject=object()),  # type: ignore[arg-type]
    "unhashable subject": lambda stream: stream.fail("damaged", {}),  # type: ignore[arg-type]
    "odd subject": lambda stream: stream.fail("damaged", Odd()),  # type: ignore[arg-type]
    "bool subject": lambda stream: stream.fail("damaged", True),
    "float subject": lambda stream: stream.fail("damaged", 1.0),  # type: ignore[arg-type]
    "long text": lambda stream: stream.fail("damaged", "a" * 100_000),
    "long bytes": lambda stream: stream.fail("damaged", b"a" * 100_000),
    "large number": lambda stream: stream.fail("damaged", 1 << 1_000_000),
}


@pytest.mark.parametrize("do", WRONG.values(), ids=WRONG)
def test_what_is_wrong_counts_nowhere_and_is_told_without_its_words(
    do: Callable[[Stream], object],
) -> None:
    here = Installation()
    do(here.stream)
    here.clock.advance(GRACE)
    assert here.today() == Day()
    (fault,) = here.stream.faults.values()
    assert fault.reason in ("undeclared", "bad-value", "bad-subject", "wrong-call")
    assert "secret" not in fault.message
    assert fault.message.endswith(".")


@pytest.mark.parametrize("do", WRONG.values(), ids=WRONG)
def test_in_tests_what_is_wrong_is_raised(do: Callable[[Stream], object]) -> None:
    with pytest.raises(Exception, match=r"\[(undeclared|bad-value|bad-subject|wrong-call)\]"):
        do(Installation(raises=True).stream)


def test_what_a_subject_overrides_is_not_called() -> None:
    here = Installation(raises=True)
    here.stream.fail("damaged", OddText("a"))
    here.stream.fail("damaged", "a")
    here.stream.fail("damaged", OddNumber(2))
    here.stream.fail("damaged", 2)
    here.clock.advance(GRACE)
    assert here.today().failed == {"damaged": 2}


@pytest.mark.parametrize("one", ["s", b"s"])
def test_a_subject_that_is_too_long_is_never_copied(one: str | bytes) -> None:
    here, subject = Installation(), one * 5_000_000
    tracemalloc.start()
    try:
        here.stream.fail("damaged", subject)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 500_000
    assert [one.reason for one in here.stream.faults.values()] == ["bad-subject"]


def test_faults_that_are_remembered_are_few() -> None:
    here = Installation()
    for number in range(1000):
        here.stream.fail(f"cause_{number}")
    assert len(here.stream.faults) == streams.MOST_FAULTS


def test_of_a_domain_that_is_not_declared_nothing_counts() -> None:
    here = Installation(None)
    here.stream.fail("damaged").resolved()
    here.clock.advance(GRACE)
    assert here.today() == Day()
    assert [one.reason for one in here.stream.faults.values()] == ["undeclared"]
    here.stream.declare(DECRYPTION)
    here.stream.fail("damaged")
    here.clock.advance(GRACE)
    assert here.today().failed == {"damaged": 1}


def test_a_domain_that_is_declared_anew_has_its_new_times_at_once() -> None:
    here = Installation()
    here.stream.fail("damaged")
    here.stream.declare(replace(DECRYPTION, grace=10))
    here.clock.advance(10)
    assert here.today().failed == {"damaged": 1}


def test_a_cause_that_has_ended_counts_no_more_and_is_no_fault() -> None:
    ended = replace(DECRYPTION.names[1], withdrawn=date.fromordinal(719163 + MONDAY // DAY + 1))
    here = Installation(replace(DECRYPTION, names=(ended, *DECRYPTION.names[2:])), raises=True)
    for _ in range(2):
        here.stream.fail("damaged")
        here.clock.advance(GRACE)
        assert here.today().failed == ({} if _ else {"damaged": 1})
        here.clock.advance(DAY - GRACE)


def test_i29_no_subject_is_kept_in_clear() -> None:
    here = Installation()
    subject = "message 4711 of somebody"
    kept = [here.stream.fail("damaged", subject)]
    with here.stream.subscribe() as events:
        here.stream.fail("damaged", f"{subject}, again")
        here.clock.advance(GRACE)
        kept += [events.get(0)]  # type: ignore[list-item]
        here.today()
        found, reached = [], [*kept, here.stream, here.kept, events]
        seen = set()
        while reached:
            one = reached.pop()
            if id(one) in seen or isinstance(one, type | type(sys)) or callable(one):
                continue
            seen.add(id(one))
            found.append(one)
            reached += gc.get_referents(one)
    texts = [one for one in found if isinstance(one, str | bytes)]
    assert len(texts) > 10
    assert not [one for one in texts if "4711" in str(one)]


def test_i30_off_counts_nothing_and_on_nothing_of_before() -> None:
    here = Installation()
    here.stream.fail("damaged", "a")
    here.clock.advance(GRACE)
    gained = here.stream.gained()
    assert gained
    failure = here.stream.fail("damaged", "b")
    here.stream.forget()
    here.stream.regain(gained)
    here.clock.advance(GRACE)
    failure.resolved()
    here.stream.succeeded()
    assert not here.stream.gained()
    here.stream.known(Counts())
    here.stream.regain(gained)
    assert not here.stream.gained()


# --- subscribers ------------------------------------------------------------------------------


def test_every_subscriber_is_told_each_event_with_a_hash_of_its_subject() -> None:
    here = Installation()
    several = [here.stream.subscribe() for _ in range(3)]
    failure = here.stream.fail("key_missing", "a", device="own")
    here.stream.fail("damaged").resolved()
    here.clock.advance(GRACE)
    failure.resolved()
    for events in several:
        failed, late = events.get(0), events.get(0)
        assert failed is not None
        assert late is not None
        assert (failed.kind, failed.name, failed.dimensions) == (
            FAILED,
            "key_missing",
            {"device": "own"},
        )
        assert (late.kind, late.subject) == (LATE, failed.subject)
        with pytest.raises(TypeError):
            failed.dimensions["device"] = "other"  # type: ignore[index]
        assert (failed.time, late.time) == (MONDAY + GRACE, MONDAY + GRACE)
        assert len(failed.subject or "") == 16
        assert events.get(0) is None


def test_who_subscribes_is_told_where_nothing_counts() -> None:
    here = Installation()
    here.stream.forget()
    with here.stream.subscribe() as events:
        here.stream.fail("damaged")
        here.clock.advance(GRACE)
        assert events.get(0) is not None
    assert not here.stream.gained()


def test_who_subscribes_is_told_of_what_failed_before_counting_ended() -> None:
    here = Installation()
    with here.stream.subscribe() as events:
        here.stream.fail("damaged")
        here.clock.advance(GRACE)
        here.stream.forget()
        assert events.get(0) is not None


def test_without_subscribers_no_event_is_held() -> None:
    here = Installation()
    here.stream.fail("damaged")
    here.clock.advance(GRACE)
    here.stream.look()
    assert here.stream._machine.told == []


def test_a_full_queue_loses_the_oldest_and_says_how_many() -> None:
    here = Installation()
    small, large = here.stream.subscribe(maxlen=10), here.stream.subscribe()
    for number in range(25):
        here.stream.fail("damaged", number)
    here.clock.advance(GRACE)
    here.stream.look()
    newest = list(iter(lambda: small.get(0), None))
    everything = list(iter(lambda: large.get(0), None))
    assert (len(newest), small.lost, large.lost) == (10, 15, 0)
    assert newest == everything[15:]


def test_a_subscription_that_nobody_holds_is_gone() -> None:
    here = Installation()
    here.stream.forget()
    here.stream.subscribe()
    gc.collect()
    here.stream.fail("damaged")
    assert not here.stream._machine.watched


def test_closing_wakes_who_waits_and_tells_no_more() -> None:
    here = Installation()
    events = here.stream.subscribe()
    seen: list[Event | None] = []
    reader = threading.Thread(target=lambda: seen.extend(events), daemon=True)
    reader.start()
    here.stream.fail("damaged")
    here.clock.advance(GRACE)
    here.stream.look()
    until(lambda: seen and events._wakers)
    time.sleep(0.1)
    events.close()
    reader.join(10)
    assert not reader.is_alive()
    here.stream.fail("damaged")
    here.clock.advance(GRACE)
    here.stream.look()
    assert (len(seen), events.get(0), events.get()) == (1, None, None)


class RunningClock(MemoryClock):
    """A thousand times as fast as the real one."""

    def monotonic(self) -> float:
        return time.monotonic() * 1000


def test_who_waits_is_told_when_the_grace_ends_though_nobody_calls() -> None:
    stream = Stream("decryption", replace(DECRYPTION, grace=1), RunningClock(), SeededChance(1))
    events = stream.subscribe()
    seen: list[Event | None] = []
    reader = threading.Thread(target=lambda: seen.append(events.get(60)), daemon=True)
    reader.start()
    time.sleep(0.05)
    stream.fail("damaged")
    reader.join(30)
    assert [one and one.kind for one in seen] == [FAILED]


def test_asyncio_waits_for_events_and_for_the_end() -> None:
    stream = Stream("decryption", replace(DECRYPTION, grace=1), RunningClock(), SeededChance(1))

    async def main() -> list[str]:
        seen: list[str] = []
        events, others = stream.subscribe(), stream.subscribe()

        async def read() -> None:
            seen.extend([event.kind async for event in events])

        reading = asyncio.create_task(read())
        cancelled = asyncio.create_task(others.aget())
        await asyncio.sleep(0.01)
        cancelled.cancel()
        threading.Thread(target=stream.fail, args=("damaged",)).start()
        first = await others.aget()
        stream.fail("damaged")
        assert first is not None
        assert await asyncio.wait_for(others.aget(), 30) is not None
        asyncio.get_running_loop().call_later(0.05, events.close)
        await asyncio.wait_for(reading, 30)
        return seen

    assert asyncio.run(main()) == [FAILED, FAILED]


def test_a_loop_that_was_closed_stops_nobody() -> None:
    here = Installation()
    events = here.stream.subscribe()
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(events.aget())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    here.stream.fail("damaged")
    here.clock.advance(GRACE)
    assert events.get(0) is not None
    assert here.stream.faults == {}
    waiting._log_destroy_pending = False  # type: ignore[attr-defined]
    del waiting


# --- threads, and what comes in the middle -----------------------------------------------------


def test_threads_that_hammer_are_all_counted_and_every_subscriber_told() -> None:
    here = Installation()
    events = here.stream.subscribe(maxlen=100_000)
    threads, each, rounds = 8, 24, 16
    assert threads * each * 5 < streams.MOST_WAITING, "however long one is at work, none is lost"
    start = threading.Barrier(threads)

    def hammer(number: int, first: int) -> None:
        start.wait()
        for one in range(first, first + each):
            here.stream.fail("damaged", f"{number} {one}")
            here.stream.fail("other", one)
            here.stream.fail("cancelled").resolved()
            here.stream.succeeded()

    for round_ in range(rounds):
        running = [threading.Thread(target=hammer, args=(n, round_ * each)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    each *= rounds
    here.clock.advance(GRACE)
    day = here.today()
    told = list(iter(lambda: events.get(0), None))
    assert (here.stream.lost, here.stream.faults) == (0, {})
    assert day.failed == {"damaged": threads * each, "other": each}
    assert day.succeeded == threads * each
    assert len(told) == (threads + 1) * each


def test_who_waits_long_for_another_loses_a_call_and_no_time() -> None:
    here = Installation()
    with here.stream._working:
        for _ in range(streams.MOST_WAITING):
            here.stream.fail("damaged")
        before = time.monotonic()
        here.stream.fail("damaged")
        assert time.monotonic() - before < 10
        assert not here.stream.gained()
    here.clock.advance(GRACE)
    assert here.today().failed == {"damaged": streams.MOST_WAITING}
    assert here.stream.lost == 1


def test_what_is_said_while_subscribers_are_told_is_worked_off_too() -> None:
    here = Installation()
    events = here.stream.subscribe()
    with events._waking(lambda: here.stream.fail("other")):
        here.stream.fail("damaged")
    assert not here.stream._inbox


def test_a_destructor_or_a_signal_in_the_middle_of_a_call_may_call_too() -> None:
    here = Installation()
    calls = 0

    def call(*_: object) -> None:
        nonlocal calls
        calls += 1
        here.stream.fail("other")

    class Dies:
        def __init__(self) -> None:
            self.itself = self

        def __del__(self) -> None:
            call()

    before = signal.signal(signal.SIGALRM, call)
    threshold = gc.get_threshold()
    try:
        gc.set_threshold(5)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for number in range(5_000):
            Dies()
            here.stream.fail("damaged", number)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.set_threshold(*threshold)
        signal.signal(signal.SIGALRM, before)
    gc.collect()
    here.clock.advance(GRACE)
    assert here.today().failed == {"damaged": 5_000, "other": calls}
    assert calls > 5_000


def test_i31_a_child_of_a_fork_counts_nothing_that_its_parent_counts() -> None:
    here = Installation()
    here.stream.fail("damaged", "written")
    here.clock.advance(GRACE)
    here.today()
    here.stream.fail("damaged", "unwritten")
    here.clock.advance(GRACE)
    here.stream.look()
    here.stream.fail("damaged", "pending")
    reading, writing = os.pipe()
    here.stream._working.acquire()  # as where another thread works at that moment
    here.stream.fail("damaged", "waiting")
    child = os.fork()
    if not child:
        with suppress(Exception):  # no test goes on in a child
            here.stream.fail("damaged", "written")
            here.stream.fail("other", "of the child")
            here.clock.advance(GRACE)
            gained = here.stream.gained()
            hashes = sum(len(one.hashes) for one in gained.seen)
            os.write(writing, pickle.dumps((gained.days, hashes)))
        os._exit(0)
    here.stream._working.release()
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        days, hashes = pickle.loads(pipe.read())
    assert [day.failed for day in days.values()] == [{"other": 1}]
    assert hashes == 1
    os.waitpid(child, 0)
    here.stream.look()
    here.clock.advance(GRACE)
    assert here.today().failed == {"damaged": 4}


def test_a_failure_that_never_began_resolves_quietly() -> None:
    Failure().resolved()


def test_wrong_calls_in_tests_are_the_developers() -> None:
    with pytest.raises(ConfigError, match="is not declared"):
        Installation(raises=True).stream.fail("nothing")
