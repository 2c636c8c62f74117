"""What may be sent: every value that can be said is declared, and the document says just that."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date, timedelta
from math import exp, isclose
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.testing.memory import SeededChance
from mars.wire import randomized, report, times
from mars.wire.catalogue import Catalogue, digest
from mars.wire.registry import (
    BOOL,
    BUCKET,
    ENUM,
    VERSION,
    Metric,
    is_entry,
    questions,
    read_metrics,
)
from mars.wire.report import Report
from mars.wire.sealed import SMALL, room

TEXTS = {name: name for name in ("label", "description", "reason", "owner", "review")}
BASE = Metric(
    key="x",
    project="examplemail",
    sensitivity="technical",
    expires=date(2027, 12, 31),
    type=BOOL,
    **TEXTS,  # type: ignore[arg-type]
)
ENTRIES = {
    "bool": BASE,
    "enum": replace(BASE, type=ENUM, values=("imap", "pop3")),
    "bucket": replace(BASE, type=BUCKET, bounds=(1, 10, 100)),
    "version": replace(BASE, type=VERSION),
}


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        *(("bool", True, "true"), ("bool", False, "false"), ("enum", "imap", "imap")),
        *(("bucket", 0, "0"), ("bucket", -5, "0"), ("bucket", 1, "1-9"), ("bucket", 9, "1-9")),
        *(("bucket", 10, "10-99"), ("bucket", 99, "10-99"), ("bucket", 100, "100+")),
        *(("bucket", 10**30, "100+"), ("version", "3.11", "3.11"), ("version", "3.11.2", "3.11")),
        *(("version", "8.0.36-log", "8.0"), ("version", "10.5.11", "10.5")),
        *(("version", "3", None), ("version", "3.011", None), ("version", "3.11\n", None)),
        *(
            ("version", "MariaDB v10.5", None),
            ("version", 3.11, None),
            ("version", "99999.1", None),
        ),
        *(("bool", 1, None), ("bool", "true", None), ("bool", None, None), ("enum", "IMAP", None)),
        *(
            ("enum", "jmap", None),
            ("enum", "", None),
            ("bucket", True, None),
            ("bucket", 1.0, None),
        ),
        *(("bucket", "1", None), ("bucket", None, None), ("enum", ["imap"], None)),
    ],
)
def test_only_what_is_declared_can_be_said(kind: str, value: object, said: str | None) -> None:
    metric = ENTRIES[kind]
    if said is not None:
        assert metric.said(value) == said
        assert metric.fits(said)
        return
    with pytest.raises(WireError) as caught:
        metric.said(value)
    assert caught.value.reason == "bad-value"
    assert "Maria" not in caught.value.message


@pytest.mark.parametrize("kind", ["bool", "enum", "bucket"])
@given(st.text(max_size=12))
def test_a_report_fits_by_its_known_values_alone(kind: str, text: str) -> None:
    metric = ENTRIES[kind]
    assert metric.fits(text) == (text in metric.values_known)
    assert all(map(metric.fits, metric.values_known))


@given(st.sets(st.integers(1, 2**53 - 1), min_size=1, max_size=32), st.integers(0, 2**54))
def test_every_number_has_one_range(bounds: set[int], number: int) -> None:
    metric = replace(BASE, type=BUCKET, bounds=tuple(sorted(bounds)))
    first, plus, last = metric.said(number).partition("-")
    low, high = int(first.rstrip("+")), int(last) if plus else None
    assert low <= number
    assert "+" in first or number <= (low if high is None else high)
    assert len(set(metric.values_known)) == len(metric.values_known)


def documents() -> st.SearchStrategy[Catalogue]:
    days = st.dates(date(2026, 1, 1), date(2100, 1, 1))
    entry = st.builds(
        lambda metric, number, day, more, rate: replace(
            metric, key=f"k{number}", expires=day, declared=more, rate=round(rate, 4)
        ),
        st.sampled_from(sorted(ENTRIES.values(), key=lambda it: it.type)),
        st.integers(0, 99),
        days,
        days | st.none(),
        st.floats(0.0001, 1),
    )
    entries = st.lists(entry, max_size=5, unique_by=lambda it: it.key).map(tuple)
    releases = st.lists(st.sampled_from(["0.1", "0.5.2", "10.0.9999"]), unique=True).map(tuple)
    return st.builds(lambda some, those: Catalogue("p", "stable", those, some), entries, releases)


@given(documents())
def test_a_document_is_read_as_it_was_written(catalogue: Catalogue) -> None:
    data = catalogue.encode()
    assert Catalogue.decode(data) == catalogue
    assert Catalogue.decode(data).encode() == data


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"statistics": {}}, "a list of at most 512"),
        ({"statistics": [{}] * 513}, "a list of at most 512"),
        ({"statistics": [{"key": "x", "project": "p", "rate": "0.25000"}]}, "must be like 0.25"),
        ({"statistics": [{"key": "x", "project": "p", "epsilon": "1e0"}]}, "must be like 0.25"),
    ],
)
def test_a_document_of_another_form_is_none(member: dict[str, Any], said: str) -> None:
    plain = {**json.loads(Catalogue("p", "stable").encode()), **member}
    with pytest.raises(WireError) as caught:
        Catalogue.decode(json.dumps(plain).encode())
    assert caught.value.reason == "bad-payload"
    assert said in caught.value.message


def test_the_digest_is_the_hash_that_root_signs() -> None:
    data = Catalogue("p", "stable").encode()
    assert digest(data) == hashlib.sha256(data).hexdigest() != digest(data + b" ")


ASKED = BASE.question


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({"owner": "others", "review": "#2", "expires": date(2028, 1, 1)}, True),
        ({"rate": 0.1}, True),
        ({"rate": 0.3}, False),
        ({"epsilon": 1.0}, True),
        *(({name: "other"}, False) for name in ("label", "description", "reason")),
        ({"sensitivity": "interaction"}, False),
        ({"type": ENUM, "values": ("a", "b")}, False),
        ({"type": BUCKET, "bounds": (1,)}, False),
    ],
)
def test_a_yes_is_one_to_no_larger_question(change: dict[str, Any], covered: bool) -> None:
    assert ASKED.covers(replace(BASE, **change).question) is covered


def test_a_yes_to_a_random_answer_is_none_to_a_truer_one() -> None:
    asked = replace(BASE, epsilon=1.0).question
    assert asked.covers(replace(BASE, epsilon=0.5).question)
    assert not asked.covers(replace(BASE, epsilon=1.1).question)
    assert not asked.covers(BASE.question)


def test_questions_have_the_names_of_their_entries() -> None:
    assert questions([BASE]) == {"examplemail/x": ASKED}
    names = ("a/b", "a-b/c_d", "a", "/b", "a/", "a/b/c", "A/b", "-a/b", "a/B", "a/b c")
    assert [is_entry(name) for name in names] == [True, True, *[False] * 8]


def test_of_a_version_nothing_is_known_beforehand() -> None:
    assert ENTRIES["version"].values_known == ()


def test_other_than_a_text_fits_nothing() -> None:
    assert not any(metric.fits(value) for metric in ENTRIES.values() for value in (True, 1, None))  # type: ignore[arg-type]


def test_an_entry_is_looked_up_by_its_name_and_a_release_by_the_list() -> None:
    catalogue = Catalogue("examplemail", "stable", ("0.5.2",), (BASE,))
    assert catalogue.metric("examplemail/x") == BASE
    assert Report("examplemail", "stable", "p", "x", "other", "true").name == "p/x"
    assert catalogue.metric("examplemail/y") is None
    assert [catalogue.release(it) for it in ("0.5.2", "0.5", "dev")] == ["0.5.2", "other", "other"]


def test_the_longest_report_fits_into_the_small_body() -> None:
    longest = Report(*("x" * 40,) * 4, "9999.9999.9999", "9" * 33)
    assert len(longest.encode()) < room(SMALL)
    assert report.decode(longest.encode()) == longest


@pytest.mark.parametrize(("before", "live"), [(1, True), (0, False), (-1, False)])
def test_the_first_expired_day_collects_nothing(before: int, live: bool) -> None:
    assert BASE.is_live(BASE.expires - timedelta(before)) is live
    gone = replace(BASE, withdrawn=date(2027, 1, 1))
    assert gone.is_live(date(2027, 1, 1) - timedelta(before)) is live


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rate": 0}, "rate must be"),
        ({"rate": 1.0001}, "rate must be"),
        ({"rate": 0.00001}, "rate must be"),
        ({"rate": True}, "rate must be"),
        ({"rate": "0.25"}, "rate must be"),
        ({"rate": float("nan")}, "rate must be"),
        ({"epsilon": 1.0}, "must state its rate"),
        ({"epsilon": -1.0, "rate": 0.1}, "epsilon must be"),
        ({"epsilon": 11, "rate": 0.1}, "epsilon must be"),
        ({"type": "version", "epsilon": 1.0, "rate": 0.1}, "no version"),
        ({"declared": "2026-12-01"}, "declared must be a date"),
        ({"project": "Examplemail"}, "not a project's name"),
        ({"project": "-x"}, "not a project's name"),
        ({"project": "a/b"}, "not a project's name"),
    ],
)
def test_members_of_another_form_are_refused(change: dict[str, Any], said: str) -> None:
    entry = {**TEXTS, "project": "examplemail", "sensitivity": "technical", "type": "bool"}
    found, faults = read_metrics({"x": {**entry, "expires": date(2027, 1, 1), **change}})
    assert found == ()
    assert any(said in fault.what for fault in faults)


def test_one_name_is_declared_once() -> None:
    entry = {**TEXTS, "sensitivity": "technical", "type": "bool", "expires": date(2027, 1, 1)}
    found, faults = read_metrics({"p": {"x": entry}, "x": {**entry, "project": "p"}})
    assert found == ()
    assert [it.what for it in faults] == ["p/x is declared twice"] * 2


@pytest.mark.parametrize(("epsilon", "values"), [(1.0986, 2), (1.0, 5), (0.5, 32), (0.0, 3)])
def test_a_random_answer_is_as_likely_as_is_said(epsilon: float, values: int) -> None:
    names, chance, many = [f"v{n}" for n in range(values)], SeededChance(5), 20_000
    drawn = [randomized.answered("v1", names, epsilon, chance.uniform) for _ in range(many)]
    true, false = randomized.truth(epsilon, values), randomized.other(epsilon, values)
    assert isclose(true + (values - 1) * false, 1) or not epsilon
    assert not epsilon or isclose(true / false, exp(epsilon))
    for name in names:
        share = true if name == "v1" else false
        assert (
            abs(drawn.count(name) / many - share) < 5 * (share * (1 - share) / many) ** 0.5 + 1e-9
        )


@pytest.mark.parametrize(
    ("epsilon", "values", "words"),
    [
        (1.0986, 2, "One time in two a random answer is sent instead of the true one."),
        (0.0, 2, "The true value is sent."),
        (0.01, 2, "In 99% of reports a random answer is sent instead of the true one."),
        (2.0, 2, "In 24% of reports a random answer is sent instead of the true one."),
    ],
)
def test_randomness_in_words(epsilon: float, values: int, words: str) -> None:
    assert randomized.in_words(epsilon, values) == words


@pytest.mark.parametrize(
    ("time", "week"),
    [
        ("2026-11-29T23:59:59Z", "2026-W48"),
        ("2026-11-30T00:00:00Z", "2026-W49"),
        ("2027-01-03T23:59:59Z", "2026-W53"),
        ("2027-01-04T00:00:00Z", "2027-W01"),
        ("1970-01-05T00:00:00Z", "1970-W02"),
        ("2024-12-30T00:00:00Z", "2025-W01"),
    ],
)
def test_weeks_are_those_of_iso(time: str, week: str) -> None:
    seconds = times.parse_time(time)
    assert times.week_of(seconds) == week
    assert str(times.monday(week)) == times.format_time(times.week_start(seconds))[:10]
    assert times.week_start(seconds) <= seconds < times.week_start(seconds) + times.WEEK


@given(st.integers(0, times.LAST))
def test_a_week_begins_on_its_monday(seconds: int) -> None:
    start = times.week_start(seconds)
    assert start % times.WEEK == 4 * times.DAY
    assert times.week_of(max(start, 0)) == times.week_of(seconds)
    assert times.number_of(times.day_of(seconds)) == seconds // times.DAY


@pytest.mark.parametrize("text", ["2027-W53", "2026-W54", "2026-W00", "2026-48", "0000-W01", ""])
def test_a_week_that_does_not_exist(text: str) -> None:
    assert not times.is_week(text)
    with pytest.raises(WireError):
        times.monday(text)
