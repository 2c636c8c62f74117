"""What becomes of each line of a spool: a cell of the sums, a reason, or a wait."""

from __future__ import annotations

from datetime import date

import pytest

from mars.wire.catalogue import Catalogue
from mars.wire.sealed import LARGE
from mars_server.common.config import load_catalogue
from mars_server.counting.intake_keys import load_keys
from mars_server.counting.opening import SpoolCounting, is_stale
from mars_server.counting.reports import Dropped, Opening, Reports, Statistic, sums, unseen
from mars_server.counting.tally import Tally
from tests.server.counting import spools
from tests.server.counting.spools import DAY, NEXT, WEEK, report, sealed, spool

ANY = pytest.param


@pytest.fixture
def opening(tmp_path_factory: pytest.TempPathFactory) -> Opening:
    folder = tmp_path_factory.mktemp("product")
    catalogue = load_catalogue(spools.product_of(folder))
    return Opening(catalogue, load_keys([spools.keys_of(folder, WEEK)], lambda _: b""))


def opened(opening: Opening, content: bytes, day: date = DAY, step: int = 0) -> Tally:
    counting = SpoolCounting(opening, day)
    for at in range(0, len(content), step or len(content)):
        counting.feed(content[at : at + (step or len(content))])
    return counting.take()


def found(opening: Opening, content: bytes, day: date = DAY) -> Reports:
    return sums(opened(opening, content, day).opened, unseen())


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


TEXTS = {
    "undeclared": report(key="hostname"),
    "other-product": report(product="othermail"),
    "unknown-release": report(release="0.4.0"),
    "bad-value": report(value="perhaps"),
    "extra-member": report()[:-1] + b',"id":"4711"}',
    "other-type": report().replace(b'"statistics"', b'"event"'),
    "bad-payload": report().replace(b',"value":"true"', b""),
    "bad-json": report()[:-1],
}


@pytest.mark.parametrize("reason", TEXTS)
def test_what_is_not_declared_is_dropped_with_a_reason(opening: Opening, reason: str) -> None:
    out = found(opening, spool([sealed(TEXTS[reason])]))
    assert out.dropped == {Dropped(WEEK, reason): 1}
    assert not out.counted


@pytest.mark.parametrize(
    "text",
    [
        report(channel="beta"),
        report(value="True"),
        report(key="accounts", value="3"),
        report(key="python", value="3.11.2"),
        report(key="python", value="3.011"),
        report(value="true\x00"),
        report().replace(b'"value":"true"', b'"value":true'),
        report().replace(b'"value":"true"', b'"value":"true","value":"false"'),
        b"[]",
        b"",
        b"\xff\xfe",
    ],
)
def test_a_text_that_only_nearly_is_a_report_counts_for_nothing(
    opening: Opening, text: bytes
) -> None:
    out = found(opening, spool([sealed(text)]))
    assert not out.counted
    assert out.dropped.total() == 1


@pytest.mark.parametrize(("key", "reason"), [("old", "expired"), ("gone", "withdrawn")])
def test_nothing_counts_from_the_first_day_on_which_it_is_not_collected(
    opening: Opening, key: str, reason: str
) -> None:
    content = [sealed(report(key=key))]
    assert found(opening, spool(content), DAY).counted.total() == 1
    first = date(2026, 11, 26)
    assert found(opening, spool(content), first).dropped == {Dropped(WEEK, reason): 1}


BODY = sealed()
BROKEN = {
    "unopenable": BODY[:-1] + bytes((BODY[-1] ^ 1,)),
    "other-type": sealed(size=LARGE),
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_body_that_holds_no_report_is_dropped(opening: Opening, reason: str) -> None:
    assert found(opening, spool([BROKEN[reason]])).dropped == {Dropped(WEEK, reason): 1}


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"!",
        b"AQ",
        b"A" * 1368,
        b'- - - [21/Nov/2026:00:00:00 +0000] "GET /motd/motd.json HTTP/1.1" 200 1843 "-" "-"',
        b"\x02" * 1400,
        b"x" * 300_000,
    ],
)
def test_a_line_that_is_no_body_is_dropped_under_the_spools_week(
    opening: Opening, line: bytes
) -> None:
    tally = opened(opening, spool([], more=line + b"\n"))
    assert sums(tally.opened, unseen()).dropped == {Dropped(WEEK, "bad-body"): 1}
    assert (tally.lines, tally.hits) == (2, 0)


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


DAYS = [
    (date(2026, 11, 15), True),
    (date(2026, 11, 16), False),
    (date(2026, 11, 23), False),
    (date(2026, 12, 6), False),
    (date(2026, 12, 7), True),
]


@pytest.mark.parametrize(("day", "stale"), DAYS)
def test_a_body_that_is_played_back_later_than_a_week_is_worth_nothing(
    opening: Opening, day: date, stale: bool
) -> None:
    assert is_stale(day, WEEK) is stale
    out = found(opening, spool([sealed()]), day)
    assert out.dropped == ({Dropped(WEEK, "stale"): 1} if stale else {})
    assert out.counted.total() == int(not stale)


def test_a_late_copy_does_not_stand_for_the_one_that_came_in_time(opening: Opening) -> None:
    fresh = unseen()
    late = opened(opening, spool([sealed()]), date(2026, 12, 20))
    assert sums(late.opened, fresh).counted.total() == 0
    assert sums(opened(opening, spool([sealed()])).opened, fresh).counted.total() == 1


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


def test_neither_a_key_nor_a_report_shows_where_a_task_is_shown(opening: Opening) -> None:
    """As in the log of a worker on a cluster."""
    text = repr(opening)
    assert spools.secret(WEEK).hex() not in text
    assert repr(spools.secret(WEEK)) not in text
    assert "keys" not in text


def test_a_product_without_a_registry_declares_nothing(opening: Opening) -> None:
    bare = Opening(Catalogue("examplemail", "stable"), opening.keys)
    assert found(bare, spool([sealed()])).dropped == {Dropped(WEEK, "undeclared"): 1}
