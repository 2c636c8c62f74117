"""Which shares of declared statistics sentences and charts tell, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

import pytest

from mars.wire.catalogue import Catalogue
from mars_server.site.charts.answers import answers_chart, is_drawn, told
from mars_server.site.declared import Declared, Statistics, statistics
from mars_server.site.language import language
from mars_server.site.pages.answers import columns, commonest, finding, told_between
from mars_server.tables.floor import floor
from mars_server.tables.quarters import Summed
from mars_server.tables.statistics_week import Entry, Share, StatisticsWeek, Value
from tests.server.site import answers_kit
from tests.server.site.answers_kit import CATALOGUE, ENCRYPTED, FOLDERS, PROTOCOL, WEEKS, page, site

SAY = language("en")


def changed(
    weeks: Sequence[StatisticsWeek], n: int, name: str, **to: object
) -> list[StatisticsWeek]:
    """``weeks`` with other members of one entry of the ``n``-th."""
    found = list(weeks)
    entries = tuple(
        replace(each, **to) if each.name == name else each  # type: ignore[arg-type]
        for each in found[n].entries
    )
    found[n] = replace(found[n], entries=entries)
    return found


def asked(shares: Sequence[Mapping[str, Share]], total: int = 1000) -> Declared:
    """An entry with these shares week by week."""
    weeks = []
    for name, by_value in zip(WEEKS, shares, strict=False):
        rows = tuple(Value(each, floor(total // 2), share) for each, share in by_value.items())
        made = answers_kit.entry(ENCRYPTED, Summed(1, name, name), {"true": total})
        entry = replace(made, values=rows)
        weeks.append(replace(answers_kit.document(name), entries=(entry,)))
    found = statistics(None, weeks, []).entry("examplemail", ENCRYPTED.key)
    assert found is not None
    return found


def yes(percent: int, low: int, high: int) -> Mapping[str, Share]:
    return {"true": Share(percent, low, high)}


# --- What nobody knows is neither told nor drawn ---


def test_a_share_of_which_nothing_is_known_is_not_told() -> None:
    entry = asked([yes(95, 0, 100), yes(90, 0, 100)])
    assert "%" not in finding(entry, SAY).replace("95% interval", "").replace("7% of", "")
    assert not told(entry.periods)
    assert not is_drawn(entry)
    assert columns(entry) == ["true"], "tables tell it with its interval"


@pytest.mark.parametrize(("total", "drawn"), [(30, True), (20, False)])
def test_shares_of_few_reports_are_not_drawn(total: int, drawn: bool) -> None:
    assert is_drawn(asked([yes(50, 40, 60)] * 2, total)) == drawn


@pytest.mark.parametrize(("high", "drawn"), [(70, True), (71, False)])
def test_shares_with_wide_intervals_are_not_drawn(high: int, drawn: bool) -> None:
    assert is_drawn(asked([yes(50, 30, high)] * 2)) == drawn


def test_a_chart_leaves_open_what_is_not_known() -> None:
    one = {"true": Share(60, 50, 70), "false": Share(40, 10, 80)}
    bands = answers_chart(asked([one, one]), SAY).datasets["bands"]
    assert {row["series"] for row in bands} == {"true"}
    assert {row["top"] for row in bands} == {0.6}


def test_what_moved_is_told_with_its_interval() -> None:
    text = finding(asked([yes(50, 45, 55), yes(70, 56, 75)]), SAY)
    assert f"In {WEEKS[0]} yes stood at 50% (45–55%)." in text


def test_what_chance_explains_did_not_move() -> None:
    assert "stood at" not in finding(asked([yes(50, 45, 56), yes(70, 56, 75)]), SAY)
    assert "stood at" not in finding(asked([yes(70, 56, 75), yes(50, 45, 56)]), SAY)


def test_a_disturbed_period_is_no_yardstick() -> None:
    entry = asked([yes(50, 45, 55), yes(60, 50, 65), yes(75, 70, 80)])
    first, *others = entry.periods
    forged = replace(entry, periods=(replace(first, flags=("disturbed",)), *others))
    assert f"In {WEEKS[1]} yes stood at 60%" in finding(forged, SAY)
    assert f"In {WEEKS[0]} yes" not in finding(forged, SAY)


# --- Those who did not agree ---


def common(weeks: Sequence[StatisticsWeek], catalogue: Catalogue | None = CATALOGUE) -> str | None:
    found = commonest(statistics(catalogue, weeks, []).projects["examplemail"])
    return None if found is None else found.metric.key


def test_only_an_entry_that_is_still_collected_stands_for_those_who_agreed() -> None:
    weeks = answers_kit.weekly()
    assert common(weeks) == "folders"
    gone = replace(FOLDERS, withdrawn=date(2026, 11, 1))
    assert common(weeks, replace(CATALOGUE, metrics=(gone, PROTOCOL))) == "protocol"
    expired = replace(FOLDERS, expires=date(2026, 11, 1))
    assert common(weeks, replace(CATALOGUE, metrics=(expired, PROTOCOL))) == "protocol"


def test_a_flagged_period_stands_for_nobody() -> None:
    """A few forged reports of a low rate look like many installations."""
    weeks = answers_kit.weekly()
    assert common(changed(weeks, -1, FOLDERS.name, flags=("disturbed",))) == "encryption_used"
    assert common([*weeks[:-1], replace(weeks[-1], flags=("incomplete",))]) != "folders"


def test_a_period_that_is_not_the_newest_stands_for_nobody() -> None:
    weeks = answers_kit.weekly()
    (last,) = (each for each in weeks[-1].entries if each.name == FOLDERS.name)
    empty = answers_kit.entry(FOLDERS, last.period, {})
    kept = {name: getattr(empty, name) for name in Entry.__dataclass_fields__}
    assert common(changed(weeks, -1, FOLDERS.name, **kept)) == "encryption_used"


def test_the_note_on_those_who_agreed_stands_at_its_entry() -> None:
    text = page(site(answers_kit.weekly()), "statistics/examplemail/index.html")
    (where,) = (part for part in text.split("<section") if "those who agreed" in part)
    assert 'id="folders"' in where
    assert "very likely at least 21% of all that fetch the news" in where
    catalogue = page(site(answers_kit.weekly()), "statistics/index.html")
    assert "0.9 days late on average" in catalogue


# --- Numbers that explain each other ---


def test_installations_are_told_with_the_reports_that_they_follow_from() -> None:
    text = page(site(answers_kit.weekly()), "statistics/examplemail/index.html")
    said = "installations took part (95% interval 890–1,197): 250 reports came, and each"
    assert f"{said} installation sends one in 25% of the weeks on average." in text


def test_the_catalogue_says_of_which_weeks_its_numbers_are() -> None:
    text = page(site(answers_kit.weekly()), "statistics/index.html")
    row = text.partition("#agent")[2].partition("</tr>")[0]
    assert f'<span class="range">{WEEKS[-1]}</span>' in row
    row = text.partition("#smartcard")[2].partition("</tr>")[0]
    assert '<span class="range">2026-W31–W34</span>' in row


def test_the_history_has_intervals_and_flags() -> None:
    text = page(site(answers_kit.weekly()), "statistics/examplemail/index.html")
    history = (
        text.partition('id="folders"')[2].partition("newest first")[2].partition("</table>")[0]
    )
    rows = {row.partition("<")[0]: row for row in history.split('<th scope="row">')[1:]}
    assert "<td>disturbed</td>" in rows[WEEKS[9]]
    assert "disturbed" not in rows[WEEKS[8]]
    entry = statistics(CATALOGUE, answers_kit.weekly(), []).entry("examplemail", "folders")
    assert entry is not None
    for row in entry.periods[9].figures.values[1:]:
        assert f"<td>{told_between(row.share, SAY)}</td>" in rows[WEEKS[9]]
    assert told_between(Share(45, 41, 49), SAY) == "45% (41–49%)"
    assert told_between(Share(None, 0, 5), SAY) == "0–5%"


# --- Names and work ---


def test_no_key_is_the_name_of_something_else_on_the_page() -> None:
    (week,) = answers_kit.weekly(WEEKS[:1])
    keys = ("content", "main", "top", "header", "footer")
    metrics = tuple(replace(FOLDERS, key=key) for key in keys)
    text = page(
        site([week], replace(CATALOGUE, metrics=metrics)), "statistics/examplemail/index.html"
    )
    ids = [part.partition('"')[0] for part in text.split(' id="')[1:]]
    assert len(set(ids)) == len(ids)
    assert set(keys) < set(ids)


class Walked(list[StatisticsWeek]):
    """Weeks that note how often somebody walks through all of them."""

    walks = 0

    def __iter__(self) -> Iterator[StatisticsWeek]:
        self.walks += 1
        return super().__iter__()


def walks(weeks: int) -> int:
    documents = Walked(answers_kit.weekly(WEEKS[:weeks]))
    assert isinstance(statistics(CATALOGUE, documents, []), Statistics)
    return documents.walks


def test_the_work_grows_with_the_weeks_and_not_with_their_square() -> None:
    assert walks(18) == walks(3)
