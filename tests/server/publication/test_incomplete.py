"""Weeks of which the server could not write down every answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import insert

from mars_server.common.calendar import days
from mars_server.publication.closing import close_weeks
from mars_server.site.pages.address import parse
from mars_server.storage import open_database
from mars_server.storage.schema import gaps
from mars_server.tables.compose import FALSE_ALARM, FloorRules
from mars_server.tables.noise import Noise
from tests.server.publication.kit import FIRST, LATER, PRODUCT, Counted, count, site, week

PLAIN = FloorRules(PRODUCT)
NOISY = replace(PLAIN, noise=Noise(b"k" * 32, 1.0))


@pytest.mark.parametrize(("lost", "told"), [(0, False), (9, False), (10, True), (5000, True)])
def test_from_ten_answers_on_it_is_told(lost: int, told: bool) -> None:
    assert PLAIN.lacks(FIRST, lost) is told


def test_noise_hides_a_few_and_tells_many() -> None:
    weeks = [week(number) for number in range(400)]
    alarms = sum(NOISY.lacks(name, 0) for name in weeks)
    assert alarms <= 4 * FALSE_ALARM * len(weeks) + 2
    assert all(NOISY.lacks(name, 1000) for name in weeks)
    # One answer more or less decides in hardly any week.
    assert sum(NOISY.lacks(name, 9) != NOISY.lacks(name, 10) for name in weeks) <= 3


@pytest.mark.parametrize(("plain", "code"), [(5, ""), (400, ""), (400, "de/")])
def test_every_page_with_the_week_says_so(tmp_path: Path, plain: int, code: str) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/counts.db")
    count(engine, FIRST, Counted(plain=400))
    count(engine, week(1), Counted(plain=plain))
    with engine.begin() as connection:
        connection.execute(insert(gaps).values(day=days(week(1))[3], lost=77))
    pages = site(close_weeks(engine, PLAIN, LATER))
    engine.dispose()
    wanted = ("nvollständig",) if code else ("ncomplete",)
    for path in ("", "hits/", "events/"):
        address = parse(f"{code}{path}")
        assert address is not None
        content = pages.content(address)
        assert content is not None
        assert all(word in content.decode() for word in wanted), path
