"""A site with error events: what a simulated population tells of two domains, week by week."""

from __future__ import annotations

from functools import cache

from mars.wire.catalogue import Catalogue
from mars.wire.events import Domain
from mars_server.site.charts.store import ChartStore
from mars_server.site.pages.render import Contents
from mars_server.site.pages.site import Site
from mars_server.tables.statistics_week import StatisticsWeek
from tests.server.publication import kit
from tests.server.site import answers_kit
from tests.server.site.test_stored_site import undrawn
from tests.server.tables import failed
from tests.server.tables.failed import DOMAIN, RELEASES, WEEKS, Habits

PRONE = {"key_missing": 0.2, "damaged": 0.03, "other": 0.2, "cancelled": 0.3}
NEW = Domain(
    "sync",
    (failed.cause("no_network", "There is no way to the server.", expected=True),),
    "Fetching mail from the server.",
)
"""Of which nothing is published yet."""
CATALOGUE = Catalogue(
    "examplemail", "stable", RELEASES, answers_kit.CATALOGUE.metrics, domains=(DOMAIN, NEW)
)
POOL = 8
"""Machines whose waits are known; few, since nothing is measured here."""


@cache
def weekly(size: int = 8_000, weeks: int = 18) -> tuple[StatisticsWeek, ...]:
    """What is published, from the first week of the domain on."""
    habits = Habits(size, PRONE, breaks={"key_missing": weeks - 5})
    made = failed.simulated(DOMAIN, habits, WEEKS[:weeks], 1, POOL)
    return tuple(failed.published(made.reports, DOMAIN))


def contents(
    weeks: tuple[StatisticsWeek, ...] | None = None, catalogue: Catalogue | None = CATALOGUE
) -> Contents:
    reports = weekly() if weeks is None else weeks
    return Contents(kit.PRODUCT, [], reports=reports, catalogue=catalogue)


def site(
    weeks: tuple[StatisticsWeek, ...] | None = None, catalogue: Catalogue | None = CATALOGUE
) -> Site:
    return Site(contents(weeks, catalogue), ChartStore(renderer=undrawn))
