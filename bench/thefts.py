"""The long trials of what a thief of keys can do: random histories on the rules of trust, and many
clients over two years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from mars.wire.times import DAY
from tests.mars.theft import PERIOD, Result, Theft
from tests.mars.trust import sequences

HISTORIES, AT_ONCE = 10_000, 100
CLIENTS = 40
STOLEN = (1, 3, 5, 10)
"""Days for which the thief serves."""
RELEASE = 150
"""Days from the rotation to the release that ends the theft of root."""


def histories() -> list[str]:
    """What the rules of trust and their model make of a publisher, a thief and an installation."""
    seen: Counter[str] = Counter()
    parts = [range(first, first + AT_ONCE) for first in range(0, HISTORIES, AT_ONCE)]
    try:
        with ProcessPoolExecutor() as pool:
            for part in pool.map(sequences.search, parts):
                seen += part
    except sequences.BrokenError as error:
        print(error)
        return ["the rules of trust in random histories"]
    print(
        f"{HISTORIES:,} random histories of {seen['events']:,} events on the rules of trust, with "
        f"{seen['accepted']:,} documents accepted, {seen['evidence found']:,} contradictions found "
        f"and {seen['overruled by a release']:,} times a release that overruled what was followed: "
        f"all as the model has it; {seen['histories rescued from the wrong one']:,} installations "
        "were on a thief's history at the end, and each believed the next release that pinned the "
        "right one"
    )
    return []


def theft() -> list[str]:
    """40 clients for two years, after the keys of the news were stolen, or root's too."""
    failed: list[str] = []
    with ProcessPoolExecutor() as pool:
        for days in STOLEN:
            results = list(pool.map(Theft(days).client, range(CLIENTS)))
            print(
                f"news keys stolen for {_days(days)}: {_sum(each.duped for each in results)} of "
                f"{CLIENTS} clients showed news of the thief, "
                f"{_sum(each.asked for each in results)} asked the thief's server in two years; "
                f"the last showed honest news {_last(results):.1f} days after the rotation",
                flush=True,
            )
            if any(each.asked or each.later for each in results):
                failed.append(f"a thief of the news keys leads clients away ({_days(days)})")
            if any(each.honest is None or each.honest > PERIOD for each in results):
                failed.append(f"honest news within one period of the rotation ({_days(days)})")
        for days in STOLEN:
            rooted = Theft(days, root=True, span=RELEASE + 90, release=RELEASE)
            results = list(pool.map(rooted.client, range(CLIENTS)))
            print(
                f"root stolen too, for {_days(days)}: "
                f"{_sum(each.captured for each in results)} of {CLIENTS} clients still asked the "
                "thief's server 90 days after the rotation, "
                f"{_sum(each.after_release for each in results)} after the start of a release that "
                "pins the keys of after it",
                flush=True,
            )
            if any(each.after_release or each.healed is None for each in results):
                failed.append(f"a release that pins right ends a theft of root ({_days(days)})")
    return failed


def _days(number: int) -> str:
    return f"{number} day{'s' * (number > 1)}"


def _sum(those: Iterable[int]) -> int:
    """How many of them."""
    return sum(map(bool, those))


def _last(results: Iterable[Result]) -> float:
    return max(each.honest or 0 for each in results) / DAY
