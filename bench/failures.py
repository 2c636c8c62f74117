"""What a call of the failure stream costs beside a log line that is off, in time and memory.

    python -m bench.failures [--write]      # --write puts the table into docs/performance.md

Each call is timed alone, the calls of one kind in turn with those of the logger, and what timing
itself takes is left out: the median. Two keys are in use, as in most weeks.
"""

from __future__ import annotations

import gc
import logging
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import date

from bench import page
from mars.factory import system_chance, system_clock
from mars.failures.counts import Counts, Seen, merged, told
from mars.failures.stream import Failure, Stream
from mars.failures.subjects import HASH_BYTES, KEY_BYTES
from mars.wire.events import Dimension, Domain, ErrorName
from mars.wire.times import DAY, WEEK, week_start

CALLS, ROUND = 3_000, 100
"""Of each kind, in rounds; fewer than may be pending."""
LIMIT = 5.0
"""Microseconds."""
MANY, WARM = 100_000, 20_000
"""Failures while memory is watched, and before."""
GROWTH = 64
"""KiB by which memory may grow meanwhile."""
DEVICES = 10_000

LOGGER = logging.getLogger("bench.failures")
Call = Callable[[int], object]


def domain() -> Domain:
    def cause(name: str, *dimensions: Dimension) -> ErrorName:
        text = "of the bench"
        return ErrorName(
            name, text, text, text, "technical", date(9999, 1, 1), dimensions=dimensions
        )

    device = Dimension("device", ("own", "other"))
    return Domain(
        "decryption", (cause("key_missing", device, Dimension("verified")), cause("other"))
    )


def stream() -> Stream:
    """One that counts, in the second week of its life."""
    clock = system_clock()
    made = Stream("decryption", domain(), clock, system_chance())
    before = week_start(clock.now()) - WEEK
    made.known(Counts(seen=(Seen(before, bytes(KEY_BYTES), {bytes(HASH_BYTES): None}),)))
    return made


def calls() -> dict[str, Call]:
    """What is timed, each on a stream of its own; the argument grows by one."""
    new, same, alone, wide, works, told_too = (stream() for _ in range(6))
    events = told_too.subscribe()
    resolving = [stream().fail("other", number) for number in range(CALLS)]

    def resolved(number: int) -> None:
        resolving[number].resolved()

    def subscribed(number: int) -> Failure:
        assert events is not None
        return told_too.fail("other", f"device {number}")

    return {
        "`fail`, a new subject": lambda n: new.fail("other", f"device {n}"),
        "`fail`, a subject that is pending": lambda _: same.fail("other", "device"),
        "`fail`, without a subject": lambda _: alone.fail("other"),
        "`fail`, with two dimensions": lambda _: wide.fail(
            "key_missing", "message", device="own", verified=True
        ),
        "`fail`, a new subject, and a subscriber": subscribed,
        "`succeeded`": lambda _: works.succeeded(),
        "`resolved`": resolved,
    }


def timed(call: Call, first: int) -> list[int]:
    """Nanoseconds of each of a round."""
    clock = time.perf_counter_ns
    found = []
    for number in range(first, first + ROUND):
        began = clock()
        call(number)
        found.append(clock() - began)
    return found


def medians() -> dict[str, float]:
    """Microseconds of each kind of call, without those of timing."""
    LOGGER.setLevel(logging.INFO)
    kinds: dict[str, Call] = {
        "nothing": lambda _: None,
        "`Logger.debug` that is off": lambda n: LOGGER.debug("device %s failed", n),
        **calls(),
    }
    found: dict[str, list[int]] = {name: [] for name in kinds}
    for first in range(0, CALLS, ROUND):
        for name, call in kinds.items():
            found[name] += timed(call, first)
    each = {name: statistics.median(times) / 1000 for name, times in found.items()}
    bare = each.pop("nothing")
    return {name: median - bare for name, median in each.items()}


def growth() -> tuple[float, float]:
    """KiB that a stream holds after ``WARM`` failures, and by how much more after ``MANY``; what
    counts is taken now and then, as the client's thread does."""
    tracemalloc.start()
    bare = tracemalloc.get_traced_memory()[0]
    watched, kept = stream(), Counts()
    held = [0.0, 0.0]
    for number in range(WARM + MANY):
        watched.fail("other", f"device {number}")
        if number % 10_000 == 9_999:
            kept = merged(kept, watched.gained(), system_clock().now())
            watched.known(kept)
        if number + 1 in (WARM, WARM + MANY):
            gc.collect()
            held[number + 1 > WARM] = (tracemalloc.get_traced_memory()[0] - bare) / 1024
    tracemalloc.stop()
    return held[0], held[1] - held[0]


def crowd() -> tuple[float, str]:
    """Seconds in which so many devices fail, and what a report says of them a day later."""
    declared, clock = domain(), system_clock()
    hit = Stream("decryption", declared, clock, system_chance())
    hit.declare(Domain("decryption", declared.names, grace=0))
    hit.known(Counts())
    began = time.perf_counter()
    for number in range(DEVICES):
        hit.fail("other", f"device {number}")
    took = time.perf_counter() - began
    tomorrow = clock.now() + DAY
    said = told(merged(Counts(), hit.gained(), tomorrow), declared, tomorrow)
    entry = next(one for one in declared.entries if one.key == "other")
    return took, entry.said(said["other"])


def measured() -> page.Told:
    bench, each = page.Told(), medians()
    off = each["`Logger.debug` that is off"]
    bench.say(f"{page.machine()}.\n")
    bench.say("| call | µs, median | `Logger.debug` = 1 |\n|---|---|---|")
    for name, took in each.items():
        bench.say(f"| {name} | {took:.2f} | {took / off:.0f} |")
    held, more = growth()
    took, said = crowd()
    new = each["`fail`, a new subject"]
    limits = {
        f"`fail` of a new subject {new:.1f} µs, at most {LIMIT:.0f} µs": new <= LIMIT,
        f"memory of a stream {held:.0f} KiB after {WARM:,} failures, {round(more):+d} KiB after "
        f"{MANY:,} more, at most {GROWTH} KiB": more <= GROWTH,
        f"{DEVICES:,} devices in {took:.2f} s, at most 1 s, told as `{said}`": (
            took <= 1 and said == "100+"
        ),
    }
    bench.say("")
    for what, holds in limits.items():
        bench.hold(what, holds)
    return bench


def main(arguments: Sequence[str] = ()) -> int:
    return page.main("failures", "what counting failures costs", measured, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
