"""Keys of the news are stolen; ``python -m bench.soak theft`` lives through two years of it."""

from __future__ import annotations

from tests.mars.theft import PERIOD, Theft

CLIENTS = 6


def test_a_thief_of_the_news_keys_captures_nobody_and_is_over_one_period_later() -> None:
    theft = Theft(10, begins=14, span=50)
    results = [theft.client(number) for number in range(CLIENTS)]
    assert all(each.duped for each in results), "each met the thief, or this proves nothing"
    assert [each.asked for each in results] == [0] * CLIENTS
    assert [each.later for each in results] == [0] * CLIENTS
    assert all(each.honest is not None and each.honest <= PERIOD for each in results)


def test_a_thief_of_root_captures_until_a_release_pins_the_keys_that_came_after() -> None:
    theft = Theft(10, root=True, begins=14, span=185, release=130)
    results = [theft.client(number) for number in range(3)]
    assert [each.captured for each in results] == [True] * 3
    assert [each.after_release for each in results] == [0] * 3
    assert all(each.healed is not None and each.healed <= PERIOD for each in results)
