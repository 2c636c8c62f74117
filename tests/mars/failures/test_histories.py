"""Random histories of failing applications, against the slow reference of what the docs say."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mars.failures.counts import MOST_DAYS, MOST_KEYS, TOLD, Counts, merged, told, total
from mars.failures.machine import Event
from mars.failures.stream import Failure, Stream
from mars.testing.memory import MemoryClock, SeededChance
from mars.wire.times import DAY, WEEK
from tests.mars.failures import reference
from tests.mars.failures.kit import DECRYPTION, MONDAY

PROCESSES = 2
HOUR = 3_600


class Both:
    """Some processes of an application that share a folder, each beside its reference."""

    def __init__(self, grace: int, late: int, start: int) -> None:
        self.domain = replace(DECRYPTION, grace=grace, late=late)
        self.clock = MemoryClock(start)
        self.chance = SeededChance(1)
        self.kept: Counts | None = Counts()
        self.written = reference.Written()
        self.streams = [self.stream() for _ in range(PROCESSES)]
        self.models = [self.model(n) for n in range(PROCESSES)]
        self.handles: list[list[tuple[Failure, reference.Handle]]] = [[], []]
        self.watch()
        self.events: list[Event] = []
        for number in range(PROCESSES):
            self.begin(number)

    def stream(self) -> Stream:
        return Stream("decryption", self.domain, self.clock, self.chance, raises=True)

    def model(self, number: int) -> reference.Process:
        return reference.Process(self.domain.grace, self.domain.late, watched=not number)

    def watch(self) -> None:
        """The first process has a subscriber."""
        self.subscription = self.streams[0].subscribe()

    def begin(self, number: int) -> None:
        self.models[number].look(self.now[1])
        if self.kept is not None:
            self.streams[number].known(self.kept)
            self.models[number].know(self.written, self.clock.now())

    @property
    def now(self) -> tuple[int, int]:
        return self.clock.wall, int(self.clock.running)

    # --- what happens -----------------------------------------------------------------------

    def fail(self, number: int, cause: str, subject: Any, device: str | None) -> None:
        said = {} if device is None else {"device": device}
        said = said if cause == "key_missing" else {}
        failure = self.streams[number].fail(cause, subject, **said)
        handle = self.models[number].fail(cause, subject, said, *self.now)
        self.handles[number].append((failure, handle))

    def resolve(self, number: int, which: int) -> None:
        if self.handles[number]:
            failure, handle = self.handles[number][-1 - which % len(self.handles[number])]
            failure.resolved()
            self.models[number].resolve(handle, *self.now)

    def succeed(self, number: int, tries: int) -> None:
        self.streams[number].succeeded(tries)
        self.models[number].succeed(tries, self.clock.now())

    def passes(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def step(self, seconds: int) -> None:
        self.clock.step(seconds)

    def write(self, number: int) -> None:
        if self.kept is None:
            assert not self.streams[number].gained()
            self.models[number].look(self.now[1])
            return
        gained = self.streams[number].gained()
        after = merged(self.kept, gained, self.clock.now())
        self.kept = Counts.read(json.loads(json.dumps(after.plain())))
        assert self.kept.plain() == after.plain()
        self.streams[number].known(self.kept)
        self.models[number].write(self.written, *self.now)
        assume(len(self.written.keys) <= MOST_KEYS >= len(self.models[number].keys))
        assume(len({one.day for one in self.written.counts}) < MOST_DAYS)

    def fail_to_write(self, number: int) -> None:
        self.streams[number].regain(self.streams[number].gained())
        self.models[number].look(self.now[1])

    def restart(self, number: int) -> None:
        """What was not written is lost, as in a crash."""
        self.compare_events()
        self.streams[number] = self.stream()
        told = self.models[number].told
        self.models[number] = self.model(number)
        self.models[number].told = told
        self.handles[number] = []
        if not number:
            self.watch()
        self.begin(number)

    def decide(self, on: bool) -> None:
        """The user takes a yes back, or gives one."""
        if on == (self.kept is not None):
            return
        self.kept, self.written = (Counts() if on else None), reference.Written()
        for number in range(PROCESSES):
            if on:
                self.begin(number)
            else:
                self.streams[number].forget()
                self.models[number].look(self.now[1])
                self.models[number].forget()

    # --- what comes of it -------------------------------------------------------------------

    def compare_events(self) -> None:
        self.models[0].look(self.now[1])
        while (event := self.subscription.get(0)) is not None:
            self.events.append(event)
        found = [(one.kind, one.name, one.dimensions, one.time) for one in self.events]
        assert found == self.models[0].told
        assert not self.subscription.lost

    def compare(self, ago: int) -> None:
        self.compare_events()
        if self.kept is None:
            return
        now = self.clock.now()
        since = now - ago * DAY
        days = [n for n in range(now // DAY - TOLD, now // DAY) if n * DAY >= since]
        said = reference.told(self.written, now, since)
        assert vars(total(self.kept, days)) == said
        counts = {one.name: said["failed"].get(one.name, 0) for one in self.domain.names}
        device = said["last"].get("key_missing", {}).get("device", "none")
        found = told(self.kept, self.domain, now, since)
        assert found.pop("failed_share") == share(counts, said["succeeded"])
        assert found == {
            **counts,
            "key_missing.device": device,
            "key_missing.verified": "none",
            "late": said["late"],
        }
        self.never_twice(days)

    def never_twice(self, days: list[int]) -> None:
        """No subject counts twice in what is told, as long as all knew a key in common."""
        marks = [(one.subject, one.key) for one in self.written.counts if one.day in days]
        named = [one for one in marks if one[1] is not None]
        assert len(named) == len(set(named))


def share(counts: dict[str, int], succeeded: int) -> str:
    """As the docs have it."""
    failed = sum(count for name, count in counts.items() if name != "cancelled")
    if failed + succeeded < 20:
        return "few"
    if not failed:
        return "none"
    percent = 100 * failed / (failed + succeeded)
    return "below_1" if percent < 1 else "below_10" if percent < 10 else "more"


CAUSES = ("damaged", "cancelled", "damaged", "key_missing", "other")
SUBJECTS = ("a", "a", "b", b"a", 1, None)
DEVICES = ("own", "other", None)
STEPS = (-WEEK - DAY, -DAY, -HOUR, HOUR, DAY, WEEK + DAY)
WEIGHTS = {
    "fail": 40,
    "resolve": 16,
    "succeed": 4,
    "passes": 24,
    "write": 14,
    "fail_to_write": 2,
    "restart": 2,
    "agree": 2,
    "withdraw": 1,
    "step": 1,
    "compare": 4,
}


def happens(both: Both, chance: random.Random) -> None:
    """One thing, of those that may follow from one another."""
    grace, late = both.domain.grace, both.domain.late
    spans = (0, 1, 1, grace - 1, grace, grace, late - grace, late - 1, late, HOUR, DAY, WEEK)
    (what,) = chance.choices([*WEIGHTS], [*WEIGHTS.values()])
    number = chance.randrange(PROCESSES)
    if what == "fail":
        both.fail(number, chance.choice(CAUSES), chance.choice(SUBJECTS), chance.choice(DEVICES))
    elif what == "resolve":
        both.resolve(number, chance.randrange(5))
    elif what == "succeed":
        both.succeed(number, chance.randrange(30))
    elif what == "passes":
        both.passes(max(chance.choice(spans), 0))
    elif what == "step":
        both.step(chance.choice(STEPS))
    elif what == "compare":
        both.compare(chance.randrange(9))
    elif what in ("agree", "withdraw"):
        both.decide(what == "agree")
    else:
        getattr(both, what)(number)


@settings(max_examples=250, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    length=st.integers(1, 150),
    times=st.sampled_from([(60, DAY), (0, 60), (30, 90), (DAY, WEEK)]),
    start=st.sampled_from([0, DAY - 31, WEEK - 61, WEEK - DAY // 2]),
)
def test_any_history_counts_as_the_reference_has_it(
    seed: int, length: int, times: tuple[int, int], start: int
) -> None:
    both, chance = Both(*times, MONDAY + start), random.Random(seed)
    for _ in range(length):
        happens(both, chance)
    both.passes(times[0])
    for number in range(PROCESSES):
        both.write(number)
    for _ in range(9):
        both.compare(8)
        both.passes(DAY)
