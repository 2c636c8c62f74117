"""The file of what is counted: what it holds, when something of it can be told, and its bounds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars.errors import StateError
from mars.failures.counts import Counts, Day, Seen
from mars.failures.kept import LIMIT, Kept, added, decode, encode
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.failures.kit import DECRYPTION, MONDAY

TODAY = MONDAY // DAY
DAMAGED = next(one for one in DECRYPTION.entries if one.key == "damaged")
A_DAY = Day({"damaged": 1}, {"damaged": {}}, late=1, succeeded=3)


def counts(*days: int) -> Counts:
    return Counts(dict.fromkeys(days, A_DAY))


def hashes(number: int) -> Counts:
    """Of a week in which as many subjects failed as are known again."""
    found = dict.fromkeys(n.to_bytes(8, "big") for n in range(4_096))
    weeks = (week_start(MONDAY) - n * WEEK for n in range(number))
    return Counts({}, tuple(Seen(week, bytes([n]) * 16, found) for n, week in enumerate(weeks)))


def test_what_is_written_is_read() -> None:
    kept = {"decryption": Kept(MONDAY, replace(hashes(1), days=counts(TODAY).days))}
    assert decode(encode(kept)) == kept
    assert encode(decode(encode(kept))) == encode(kept)
    assert decode(encode({})) == {}


@pytest.mark.parametrize("since", [MONDAY, MONDAY - 1, MONDAY + 1, MONDAY + DAY])
@pytest.mark.parametrize("agreed", [None, MONDAY, MONDAY + 1, MONDAY - WEEK])
def test_nothing_is_told_before_seven_whole_days_are_counted(
    since: int, agreed: int | None
) -> None:
    kept = Kept(since, counts(*range(TODAY - 20, TODAY + 20)))
    begun = max(since, agreed or 0)
    whole = begun + -begun % DAY  # the first midnight
    for now in range(MONDAY, MONDAY + 12 * DAY, DAY // 4):
        said = kept.value(DECRYPTION, DAMAGED, now, agreed)
        assert said == ("2-9" if now >= whole + WEEK else None)


def test_what_is_gained_is_added_where_it_is_counted_and_nothing_else_stays() -> None:
    kept = {"decryption": Kept(MONDAY - WEEK, counts(TODAY - 1)), "sync": Kept(MONDAY)}
    after = added(
        kept, {"decryption": counts(TODAY), "sync": counts(TODAY)}, {"decryption"}, MONDAY
    )
    assert after == {"decryption": Kept(MONDAY - WEEK, counts(TODAY - 1, TODAY))}
    begun = added({}, {}, {"decryption"}, MONDAY)
    assert begun == {"decryption": Kept(MONDAY)}, "also where nothing failed"
    assert added(begun, {}, {"decryption"}, MONDAY - DAY)["decryption"].since == MONDAY - DAY
    assert added(begun, {}, set(), MONDAY) == {}


def test_i31_days_that_a_clock_that_was_ahead_had_dropped_are_not_told_as_none() -> None:
    true = {"decryption": Kept(MONDAY - 4 * WEEK, counts(*range(TODAY - 7, TODAY + 1)))}
    ahead = added(true, {"decryption": counts(TODAY + 30)}, {"decryption"}, MONDAY + 30 * DAY)
    assert ahead["decryption"].value(DECRYPTION, DAMAGED, MONDAY + 31 * DAY, None) == "1"
    back = added(ahead, {"decryption": counts(TODAY)}, {"decryption"}, MONDAY)["decryption"]
    said = [back.value(DECRYPTION, DAMAGED, MONDAY + n * DAY, None) for n in (0, 6, 7)]
    assert said == [None, None, "1"]
    quiet = added({"decryption": Kept(MONDAY)}, {}, {"decryption"}, MONDAY + 30 * DAY)
    assert quiet == {"decryption": Kept(MONDAY)}, "nothing is written where nothing changed"


def test_a_file_that_would_be_too_large_forgets_subjects_and_then_refuses() -> None:
    many = {f"domain{n}": Kept(MONDAY, hashes(2)) for n in range(20)}
    many["decryption"] = Kept(MONDAY, replace(hashes(2), days=counts(TODAY).days))
    data = encode(many)
    assert len(data) <= LIMIT
    assert decode(data)["decryption"].counts == counts(TODAY)
    names = {f"a_long_name_of_a_cause_{n}": 1 for n in range(400)}
    full = Kept(MONDAY, Counts({TODAY - n: Day(names) for n in range(16)}))
    with pytest.raises(StateError):
        encode({f"domain{n}": full for n in range(10)})


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data + b" ",
        lambda data: data.replace(b"1", b"01", 1),
        lambda data: data.replace(b"decryption", b"De/cryption"),
        lambda data: data.replace(b'"since": ', b'"since": -'),
        lambda data: data.replace(b'"seen": []', b'"seen": [1]'),
        lambda data: b'{"domains": {"decryption": 1}}',
        lambda data: b"[]",
        lambda data: b"\xff\xfe",
    ],
)
def test_what_is_not_as_it_was_written_is_refused_as_a_whole(damage: object) -> None:
    data = encode({"decryption": Kept(MONDAY, counts(TODAY))})
    assert callable(damage)
    assert damage(data) != data
    with pytest.raises(StateError):
        decode(damage(data))
