"""ISO weeks and the moment from which a week may be published."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mars.errors import WireError
from mars.wire.times import parse_time
from mars_server.common.calendar import days, following, monday, settled, span, sunday, week_of


@pytest.mark.parametrize(
    ("day", "week"),
    [
        ("2026-01-01", "2026-W01"),
        ("2025-12-29", "2026-W01"),
        ("2027-01-03", "2026-W53"),
        ("2027-01-04", "2027-W01"),
        ("2024-12-30", "2025-W01"),
    ],
)
def test_the_year_of_a_week_is_the_iso_year(day: str, week: str) -> None:
    assert week_of(date.fromisoformat(day)) == week


@given(st.dates(min_value=date(1971, 1, 1), max_value=date(2200, 1, 1)))
def test_every_day_lies_in_its_week(day: date) -> None:
    week = week_of(day)
    assert monday(week) <= day <= sunday(week)
    assert day.isoformat() in days(week)
    assert monday(following(week)) == sunday(week) + timedelta(days=1)


@pytest.mark.parametrize(
    "text", ["2026-W00", "2026-W54", "2025-W53", "2026W01", "2026-W1", "2026-W٠١", "", "2026-W01\n"]
)
def test_no_other_text_is_a_week(text: str) -> None:
    with pytest.raises(WireError):
        monday(text)


@pytest.mark.parametrize(
    ("now", "week"),
    [
        ("2026-03-24T23:59:59Z", "2026-W11"),  # one second before two days after W12
        ("2026-03-25T00:00:00Z", "2026-W12"),
        ("2026-03-31T23:59:59Z", "2026-W12"),
    ],
)
def test_a_week_settles_two_days_after_its_end(now: str, week: str) -> None:
    assert settled(parse_time(now)) == week


def test_a_span_crosses_the_year() -> None:
    assert list(span("2026-W52", "2027-W02")) == ["2026-W52", "2026-W53", "2027-W01", "2027-W02"]
    assert list(span("2026-W02", "2026-W01")) == []
