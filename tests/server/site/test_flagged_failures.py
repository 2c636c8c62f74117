"""Figures that somebody disturbed are marked wherever they stand, the catalogues included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars_server.tables.statistics_week import StatisticsWeek
from tests.server.site import answers_kit
from tests.server.site.answers_kit import FOLDERS, page
from tests.server.site.failures_kit import site, weekly
from tests.server.site.test_told_shares import changed


def disturbed(*keys: str) -> tuple[StatisticsWeek, ...]:
    """The published weeks, with a flag on these entries."""
    return tuple(
        replace(
            week,
            entries=tuple(
                replace(each, flags=("disturbed",) if each.metric.key in keys else each.flags)
                for each in week.entries
            ),
        )
        for week in weekly()
    )


@pytest.mark.parametrize("path", ["failures/index.html", "failures/decryption/index.html"])
def test_a_forged_cause_is_marked_beside_its_share(path: str) -> None:
    def row(weeks: tuple[StatisticsWeek, ...]) -> str:
        found = page(site(weeks), path).partition('#damaged">')[2]
        return found.partition("</tr>")[0]

    assert "%" in row(weekly())
    assert "disturbed" not in row(weekly())
    assert "disturbed" in row(disturbed("damaged"))


def test_a_forged_statistic_is_marked_in_the_catalogue() -> None:
    weeks = changed(answers_kit.weekly(), -1, FOLDERS.name, flags=("disturbed",))
    found = page(answers_kit.site(weeks), "statistics/index.html").partition('#folders">')[2]
    assert "disturbed" in found.partition("</tr>")[0]


def test_what_resolved_late_is_marked_in_its_sentence() -> None:
    found = page(site(disturbed("late")), "failures/decryption/index.html")
    assert "Disturbed: " in found.partition("failures that resolved later")[2].partition("</p>")[0]
