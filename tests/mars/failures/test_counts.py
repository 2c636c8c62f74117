"""What is kept of failures: bounded, forgiving to read, and told as the domain has declared it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars.failures import counts as rules
from mars.failures.counts import Counts, Day, Seen, merged, recent, told, total
from mars.failures.subjects import HASH_BYTES, KEY_BYTES, MOST
from mars.wire.times import DAY, LAST, WEEK
from tests.mars.failures.kit import DECRYPTION, MONDAY

TODAY = MONDAY // DAY + 3
NOW = TODAY * DAY + 5
NAMES = st.sampled_from([one.name for one in DECRYPTION.names])
COUNT = st.integers(1, 2_000)
DAYS = st.builds(
    Day,
    failed=st.dictionaries(NAMES, COUNT),
    late=st.integers(0, 9),
    succeeded=st.integers(0, 9),
)
KEYS = st.builds(
    Seen,
    week=st.sampled_from([MONDAY, MONDAY - WEEK]),
    key=st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES),
    hashes=st.dictionaries(st.binary(min_size=HASH_BYTES, max_size=HASH_BYTES), st.none()),
)
COUNTS = st.builds(
    Counts,
    days=st.dictionaries(st.integers(TODAY - 7, TODAY + 1), DAYS),
    seen=st.lists(KEYS, max_size=4, unique_by=lambda one: one.key).map(tuple),
)


def one_day(day: int = TODAY - 1, **failed: int) -> Counts:
    return Counts({day: Day(failed)})


@given(COUNTS)
def test_what_is_written_is_read_back(counts: Counts) -> None:
    assert Counts.read(json.loads(json.dumps(counts.plain()))) == counts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=40)
@given(JSON, COUNTS, st.data())
def test_what_cannot_be_understood_costs_itself_alone(
    junk: Any, counts: Counts, data: st.DataObject
) -> None:
    Counts.read(junk)
    plain = counts.plain()
    for member in ("days", "seen"):
        assert Counts.read({**plain, member: junk}).plain()
    if plain["days"]:
        broken = data.draw(st.sampled_from(sorted(plain["days"])))
        plain["days"][broken] = {**plain["days"][broken], "failed": junk or []}
        if not isinstance(junk, dict):
            left = Counts.read(plain)
            assert len(left.days) == len(counts.days) - 1
            assert left.seen == counts.seen


@given(st.lists(COUNTS, min_size=2, max_size=5))
@settings(max_examples=50)
def test_what_processes_gain_adds_up_in_any_order(each: list[Counts]) -> None:
    forward, backward = Counts(), Counts()
    before = [one.plain() for one in each]
    for one, other in zip(each, reversed(each), strict=True):
        forward, backward = merged(forward, one, NOW), merged(backward, other, NOW)
    assert dict(forward.days) == dict(backward.days)
    assert total(forward, range(TODAY - 7, TODAY + 2)).succeeded == sum(
        day.succeeded for one in each for day in one.days.values()
    )
    assert [one.plain() for one in each] == before


def test_at_most_sixteen_days_and_four_keys_are_kept_the_nearest() -> None:
    far = Counts(
        {TODAY + n: Day({"other": 1}) for n in range(-40, 40)},
        tuple(Seen(MONDAY + n * WEEK, bytes([n + 5]) * KEY_BYTES, {}) for n in range(-5, 5)),
    )
    kept = merged(Counts(), far, NOW)
    assert sorted(kept.days) == [*range(TODAY - 7, TODAY + 9)]
    assert sorted(one.week for one in kept.seen) == [MONDAY + n * WEEK for n in (-1, 0, 1, 2)]
    assert merged(kept, Counts(), NOW + 9 * DAY).days.keys() == {*range(TODAY + 2, TODAY + 9)}


def test_of_too_many_subjects_the_newest_are_kept() -> None:
    key = bytes(KEY_BYTES)
    old, new = (
        {n.to_bytes(HASH_BYTES, "big"): None for n in range(first, first + MOST)}
        for first in (0, 100)
    )
    kept = Counts(seen=(Seen(MONDAY, key, old),))
    (seen,) = merged(kept, Counts(seen=(Seen(MONDAY, key, new),)), NOW).seen
    assert set(seen.hashes) == set(new)
    too_many = Counts(seen=(Seen(MONDAY, key, {**old, **new}),)).plain()
    assert Counts.read(too_many).seen == ()


def test_i29_nothing_that_is_kept_is_finer_than_a_day_or_in_the_order_of_the_failures() -> None:
    hashes = {n.to_bytes(HASH_BYTES, "big"): (TODAY, "other") for n in (3, 1, 2)}
    gained = Counts({TODAY: Day({"other": 3})}, (Seen(MONDAY, bytes(KEY_BYTES), hashes),))
    plain = json.dumps(merged(Counts(), gained, NOW).plain())
    assert str(NOW)[:6] not in plain
    turned = dict(reversed(hashes.items()))
    again = Counts(gained.days, (Seen(MONDAY, bytes(KEY_BYTES), turned),))
    assert json.dumps(merged(Counts(), again, NOW).plain()) == plain


def test_counts_saturate() -> None:
    much = one_day(other=rules.MOST_COUNTED)
    assert merged(much, much, NOW) == much


def test_a_clock_beyond_the_year_9999_breaks_nothing() -> None:
    later = LAST + 5 * DAY
    gained = Counts({later // DAY: Day({"other": 1})}, (Seen(later, bytes(KEY_BYTES), {}),))
    assert merged(Counts(), gained, later).plain() == {"days": {}, "seen": []}


def test_the_last_seven_complete_days_are_told_and_none_before_the_yes() -> None:
    days = {TODAY + n: Day({"damaged": 1}, late=1) for n in range(-9, 2)}
    assert told(Counts(days), DECRYPTION, NOW)["damaged"] == 7
    since = (TODAY - 3) * DAY
    for yes, counted in ((since, 3), (since + 1, 2), (since - 1, 3), (NOW, 0)):
        said = told(Counts(days), DECRYPTION, NOW, yes)
        assert (said["damaged"], said["late"]) == (counted, counted)


def test_every_entry_of_a_domain_can_say_what_is_told() -> None:
    last = {"key_missing": {"device": "other", "verified": "true"}}
    days = {TODAY - 1: Day({"key_missing": 150, "gone": 7}, last, late=1, succeeded=10_000)}
    said = told(Counts(days), DECRYPTION, NOW)
    words = {entry.key: entry.said(said.pop(entry.key)) for entry in DECRYPTION.entries}
    assert words == {
        "key_missing": "100+",
        "key_missing.device": "other",
        "key_missing.verified": "true",
        "damaged": "0",
        "cancelled": "0",
        "other": "0",
        "failed_share": "below_10",
        "late": "1",
    }
    assert said == {}


def test_dimensions_are_those_of_the_last_failure_and_only_declared_ones() -> None:
    def device(*last: dict[str, str] | None) -> object:
        days = {
            TODAY - 7 + n: Day({"key_missing": 1}, {"key_missing": one})
            for n, one in enumerate(last)
            if one is not None
        }
        return told(Counts(days), DECRYPTION, NOW)["key_missing.device"]

    assert device() == "none"
    assert device({"device": "own"}, {"device": "other"}, None) == "other"
    assert device({"device": "own"}, {}) == "none"
    assert device({"device": "gone"}) == "none"


@pytest.mark.parametrize(
    ("failed", "succeeded", "share"),
    [
        ({}, 19, "few"),
        ({}, 20, "none"),
        ({"other": 20}, 0, "more"),
        ({"cancelled": 1_000}, 19, "few"),
        ({"cancelled": 1_000}, 20, "none"),
        ({"other": 1, "cancelled": 50}, 100, "below_1"),
        ({"other": 1, "damaged": 1}, 100, "below_10"),
        ({"other": 10_000}, 2_000_000, "below_1"),
        ({"other": 10, "gone": 1_000}, 90, "more"),
    ],
)
def test_the_failed_share_leaves_out_what_is_expected(
    failed: dict[str, int], succeeded: int, share: str
) -> None:
    days = {TODAY - 1: Day(failed, succeeded=succeeded)}
    assert told(Counts(days), DECRYPTION, NOW)["failed_share"] == share


def test_keys_of_the_last_week_and_of_weeks_to_come_are_recent() -> None:
    keys = [Seen(MONDAY + n * WEEK, b"", {}) for n in (-2, -1, 0, 1)]
    assert recent(keys, NOW) == (keys[2], keys[1], keys[3])
