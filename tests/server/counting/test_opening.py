"""What becomes of each line of a spool: a cell of the sums, a reason, or a wait."""

from __future__ import annotations

from datetime import date

import pytest

from mars.wire.catalogue import Catalogue
from mars_server.counting.reports import Dropped, Opening, Statistic, sums, unseen
from tests.server.counting import spools
from tests.server.counting.spools import (
    DAY,
    NEXT,
    WEEK,
    found,
    opened,
    opening,
    report,
    sealed,
    spool,
)

__all__ = ["opening"]


def test_equal_reports_are_added_by_week_entry_release_and_value(opening: Opening) -> None:
    bodies = [
        *spools.many(3),
        *spools.many(2, 10, value="false"),
        *spools.many(4, 20, key="accounts", value="2-4", release="other"),
        *spools.many(1, 30, key="python", value="3.11"),
    ]
    assert found(opening, spool(bodies)).counted == {
        Statistic(WEEK, "mail/encrypted", "0.5.2", "true"): 3,
        Statistic(WEEK, "mail/encrypted", "0.5.2", "false"): 2,
        Statistic(WEEK, "mail/accounts", "other", "2-4"): 4,
        Statistic(WEEK, "mail/python", "0.5.2", "3.11"): 1,
    }


@pytest.mark.parametrize(("key", "reason"), [("old", "expired"), ("gone", "withdrawn")])
def test_nothing_counts_from_the_first_day_on_which_it_is_not_collected(
    opening: Opening, key: str, reason: str
) -> None:
    content = [sealed(report(key=key))]
    assert found(opening, spool(content), DAY).counted.total() == 1
    first = date(2026, 11, 26)
    assert found(opening, spool(content), first).dropped == {Dropped(WEEK, reason): 1}


def test_a_line_for_a_key_that_is_not_given_waits(opening: Opening) -> None:
    bodies = [*spools.many(2), *spools.many(3, week=NEXT)]
    tally = opened(opening, spool(bodies))
    assert tally.waiting == 3
    assert sums(tally.opened, unseen()).counted.total() == 2


def test_of_lines_that_are_read_again_only_the_others_wait(opening: Opening) -> None:
    done = Opening(opening.catalogue, {}, again=True, done=opening.ids)
    bodies = [*spools.many(2), *spools.many(3, week=NEXT)]
    tally = opened(done, spool(bodies))
    assert (tally.waiting, tally.opened) == (3, {})


def test_equal_lines_count_once_however_they_are_written(opening: Opening) -> None:
    fresh = unseen()
    twice = opened(opening, spool([sealed(), sealed()]))
    crlf = opened(opening, spool([sealed()]).replace(b"\n", b"\r\n"))
    assert sums(twice.opened, fresh).counted.total() == 1
    again = sums(crlf.opened, fresh)
    assert (again.counted.total(), again.repeated) == (0, 1)


@pytest.mark.parametrize("step", [1, 700, 1369, 4096])
def test_pieces_of_any_size_give_the_same(opening: Opening, step: int) -> None:
    content = spool([*spools.many(5), *spools.many(2, week=NEXT), sealed(b"{}", 99)])
    whole, cut = opened(opening, content), opened(opening, content, step=step)
    assert cut == whole
    assert (whole.lines, whole.waiting) == (9, 2)


def test_lines_equal_in_two_tallies_are_added_and_counted_once(opening: Opening) -> None:
    one = opened(opening, spool(spools.many(3)))
    one.add(opened(opening, spool(spools.many(4, 2))))
    out = sums(one.opened, unseen())
    assert (out.counted.total(), out.repeated, one.lines) == (6, 1, 9)


def test_a_report_of_a_closed_week_is_late_and_one_of_no_worth_is_not(opening: Opening) -> None:
    content = spool([*spools.many(2), sealed(report(value="perhaps"), 9)])
    out = sums(opened(opening, content).opened, unseen(), {WEEK})
    assert out.dropped == {Dropped(WEEK, "late"): 2, Dropped(WEEK, "bad-value"): 1}
    assert not out.counted


def test_a_product_without_a_registry_declares_nothing(opening: Opening) -> None:
    bare = Opening(Catalogue("examplemail", "stable"), opening.keys)
    assert found(bare, spool([sealed()])).dropped == {Dropped(WEEK, "undeclared"): 1}
