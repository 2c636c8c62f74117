"""Entries that begin, end or change in the middle of what is published of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mars.wire.registry import Metric
from mars.wire.times import DAY, WEEK, parse_time
from mars_server.common.calendar import SETTLE_DAYS, monday, span
from mars_server.publication.restore import adopt
from mars_server.tables.floor import NO_DATA
from mars_server.tables.statistics_week import Entry, encode
from tests.server.publication import kit
from tests.server.publication import reports_kit as reports
from tests.server.publication.reports_kit import CATALOGUE, PANE

MAIL = replace(PANE, key="mail", type="enum", values=("a", "b", "c"), rate=1.0)
FORMS = {
    "bool": replace(MAIL, type="bool", values=()),
    "enum": MAIL,
    "fewer": replace(MAIL, values=("a", "b")),
    "bucket": replace(MAIL, type="bucket", values=(), bounds=(1, 10)),
    "version": replace(MAIL, type="version", values=()),
}
SAID = {"bool": ("false", "true"), "bucket": ("0", "10+"), "version": ("1.2", "2.4")}
WEEKS = list(span("2026-W01", "2026-W26"))


class Site:
    """Weeks of reports of one entry, each published before the next one is counted."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._engine = kit.database(folder)
        self._weeks = iter(WEEKS)
        self.entries: list[Entry] = []

    def week(self, metric: Metric, **values: int) -> Entry:
        """Publishes the next week; ``values`` are the reports of the newest release."""
        return self.publish(metric, self.count(metric, **values))

    def count(self, metric: Metric, **values: int) -> str:
        """Counts the next week, and publishes nothing."""
        name = next(self._weeks)
        told = {value.replace("_", "."): n for value, n in values.items()}
        others = {PANE.name: {"0.5.2": {"true": 1}}}
        reports.count(self._engine, name, {**others, metric.name: {"0.5.2": told}})
        return name

    def publish(self, metric: Metric, week: str) -> Entry:
        """Publishes all that is counted on the first day on which ``week`` is settled."""
        now = parse_time(f"{monday(week)}T00:00:00Z") + WEEK + SETTLE_DAYS * DAY
        declared = replace(CATALOGUE, metrics=(metric,))
        self.documents = reports.close(self._engine, declared, now=now)
        self.entries = [each for week in self.documents if (each := week.entry(metric.name))]
        return self.entries[-1]

    def is_taken_over(self) -> bool:
        files = {f"statistics-{each.week}.json": encode(each) for each in self.documents}
        (self._folder / "new").mkdir()
        engine = kit.database(self._folder / "new")
        adopt(engine, kit.RULES, kit.data_folder(self._folder, files), kit.LATER)
        return reports.close(engine) == self.documents


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


# --- A change of form ---


def test_two_forms_stand_in_no_sum(site: Site) -> None:
    """The week of the change holds both, and the next one may; whoever loses the database takes
    over what was published."""
    for _ in range(3):
        site.week(MAIL, a=40, b=30, c=130)
    fewer = FORMS["fewer"]
    for _ in range(2):
        mixed = site.week(fewer, a=40, b=30, c=130)
        assert (mixed.total, mixed.values, mixed.installations) == (NO_DATA, (), None)
    assert site.week(fewer, a=140, b=60).total.value == 200
    assert site.is_taken_over()


def test_weeks_published_at_once_after_a_change_are_of_the_form_of_before(site: Site) -> None:
    """As after a holiday, or where a key came late: on which of their days it changed is not
    known. A thousand installations, told as 250 by the new rate."""
    slow, all_of_them = replace(MAIL, rate=0.25), replace(MAIL, rate=1.0)
    site.week(slow, a=250)
    for _ in range(4):
        last = site.count(slow, a=250)
    site.publish(all_of_them, last)
    assert [each.installations for each in site.entries[1:]] == [None] * 4
    assert site.week(all_of_them, a=600).installations is None, "it changed in this week, or before"
    guess = site.week(all_of_them, a=1000).installations
    assert guess and guess.installations == 1000
    assert site.is_taken_over()


@pytest.mark.parametrize("after", FORMS)
@pytest.mark.parametrize("before", FORMS)
def test_what_is_no_value_any_more_is_never_in_the_sums(
    site: Site, before: str, after: str
) -> None:
    """As where a spool was opened before the entry changed, and its week is published later."""
    old, new = (SAID.get(each, ("a", "b")) for each in (before, after))
    site.week(FORMS[before], **dict.fromkeys(old, 50))
    for _ in range(6):
        last = site.week(FORMS[after], **(dict.fromkeys(new, 60) | dict.fromkeys(old, 30)))
    assert sum(each.count.least for each in last.values) == last.total.least
    assert sum(each.total.least for each in last.releases) == last.total.least
    kept = {each.value for each in last.values if each.count.least}
    assert kept <= {*new, "other"} and kept
    assert site.is_taken_over()


def test_another_rate_is_no_disturbance(site: Site) -> None:
    for _ in range(6):
        site.week(replace(MAIL, rate=0.07), a=70, b=70)
    faster = replace(MAIL, rate=0.5)
    told = [site.week(faster, a=500, b=500) for _ in range(5)]
    assert [each.total.value for each in told] == [None, None, 1000, 1000, 1000]
    assert [each.flags for each in told] == [()] * 5
    guess = told[-1].installations
    assert guess and guess.low <= 2000 <= guess.high


# --- An entry that begins or ends within its period ---


def quarter_of(site: Site, metric: Metric, weeks: range) -> Entry:
    """The last of two quarters whose second is one sum; nine reports in each of ``weeks``."""
    for n in range(26):
        collected = n < 13 or n in weeks
        last = site.week(metric, **({"a": 7, "b": 2} if collected else {}))
    assert last.period.weeks == 13
    return last


def test_installations_are_those_of_the_weeks_in_which_it_was_collected(site: Site) -> None:
    """Nine installations, all of them each week, until it ends after two of thirteen weeks."""
    ends = replace(MAIL, rate=0.9, withdrawn=date(2026, 4, 13))  # Monday of week 16
    last = quarter_of(site, ends, range(13, 15))
    assert (last.total.value, last.flags) == (10, ())
    guess = last.installations
    assert guess and guess.low <= 10 <= guess.high
    assert 5 <= guess.installations <= 15


def test_a_part_of_a_week_widens_the_interval_and_alone_tells_no_number(site: Site) -> None:
    ends = replace(MAIL, withdrawn=date(2026, 1, 14))  # Wednesday of the third week
    whole = [site.week(ends, a=100, b=100) for _ in range(2)]
    third = site.week(ends, a=30, b=30)
    assert whole[-1].installations and whole[-1].installations.installations == 200
    assert (third.total.value, third.installations, third.consenting) == (60, None, None)
    assert [each.share and each.share.percent for each in third.values][:2] == [50, 50]
    assert site.is_taken_over()


def test_an_entry_that_had_expired_and_is_renewed_is_not_told_as_if_it_never_had(
    site: Site,
) -> None:
    """Clients stop on that day, and begin anew when they know: eight hundred installations."""
    ends = replace(MAIL, rate=0.25, expires=date(2026, 1, 24))  # Saturday of week 4
    renewed = replace(ends, expires=date(2031, 1, 1))
    for _ in range(3):
        site.week(ends, a=200)
    site.week(renewed, a=143)
    site.week(renewed, a=130)
    for _ in range(2):
        site.week(renewed, a=200)
    shown = [each.total.value for each in site.entries]
    assert shown == [200, 200, 200, 140, None, 200, 200]
    guesses = [each.installations for each in site.entries]
    assert [guess and guess.low <= 800 <= guess.high for guess in guesses] == [
        *[True] * 3,
        *[None] * 2,
        *[True] * 2,
    ]
    assert site.is_taken_over()


# --- A new entry ---


def test_a_new_entry_is_not_silent_for_a_quarter(site: Site) -> None:
    """Its first week is a part of one, and few have it then."""
    new = replace(MAIL, declared=date(2026, 1, 2))
    site.week(new, a=3)
    for _ in range(12):
        site.week(new, a=90, b=50)
    assert [each.total.value for each in site.entries] == ["<10", *[140] * 12]


def test_in_its_first_quarter_no_more_than_four_weeks_are_summed(site: Site) -> None:
    for _ in range(13):
        site.week(MAIL, a=4)
    assert max(each.period.weeks for each in site.entries) <= 5
    assert max(each.period.every for each in site.entries) == 4


def test_a_week_before_the_quarter_decides_for_four_weeks_at_most(site: Site) -> None:
    new = replace(MAIL, declared=date(2026, 3, 23))  # Monday of week 13
    for n in range(14):
        last = site.week(new, **({"a": 4} if n > 11 else {}))
    assert (last.period.first, last.period.every) == ("2026-W14", 4)


# --- Disturbances ---


def test_ordinary_chance_is_none(site: Site) -> None:
    rare = replace(MAIL, rate=0.07)
    for count in (12, 15, 9, 12, 11, 14, 30, 3, 28):
        assert site.week(rare, a=count).flags == ()
