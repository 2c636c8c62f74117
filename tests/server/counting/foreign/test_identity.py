"""Which log is this? The rules alone, without files."""

from __future__ import annotations

import pytest

from mars.errors import StateError
from mars_server.counting.foreign.identity import (
    HEAD,
    SCALES,
    WINDOW,
    Face,
    Source,
    has_time,
    holds,
    identify,
    ladder,
)
from mars_server.counting.foreign.identity import tail as hash_of_tail
from mars_server.daylog.format import own_id
from tests.server.counting.examples import line

ID = b"# mars access log v1 id=0123456789abcdef0123456789abcdef\n"
TIMED = b"".join(line(stamp=b"21/Nov/2026:10:11:%02d +0000" % n) for n in range(60))
TIMELESS = line(before=b"- - - ", stamp=b"21/Nov/2026:00:00:00 +0000") * 20


def tail(content: bytes, position: int) -> str:
    return hash_of_tail(content[max(0, position - WINDOW) : position])


def face(content: bytes, inode: str | None = None, *, cut_short: bool = False) -> Face:
    head = content[:HEAD]
    return Face(
        own=own_id(head),
        ladder=ladder(head),
        timeless=not has_time(head),
        length=len(content),
        tail_at=lambda position: tail(content, position),
        inode=inode,
        cut_short=cut_short,
    )


def source(content: bytes, number: int = 1, inode: str | None = None) -> Source:
    head = content[:HEAD]
    end = len(content)
    known = own_id(head), ladder(head), end, tail(content, end), inode
    return Source(number, *known, timeless=not has_time(head))


def test_the_scales_are_rising_and_end_with_the_head() -> None:
    assert list(SCALES) == sorted(set(SCALES))
    assert SCALES[-1] == HEAD


def test_a_new_log_is_counted_from_its_start() -> None:
    assert identify(face(TIMED), []).start == 0
    assert identify(face(TIMED), [source(line(b"?x"))]).start == 0


def test_a_log_without_a_whole_line_waits() -> None:
    assert identify(face(b"x\n"), []).start is None


def test_a_grown_log_is_continued() -> None:
    verdict = identify(face(TIMED), [source(TIMED[:1000], 1), source(TIMED[:500], 2)])
    assert (verdict.source and verdict.source.id, verdict.start) == (1, 1000)


def test_a_copy_that_ends_early_counts_nothing() -> None:
    verdict = identify(face(TIMED[:500]), [source(TIMED)])
    assert (verdict.source, verdict.start) == (None, None)


def test_a_log_that_begins_alike_and_goes_on_otherwise_is_new() -> None:
    other = TIMED[:300] + line(b"?other") * 40
    assert identify(face(other), [source(TIMED[:800])]).start == 0


def test_a_timed_log_is_known_without_its_inode() -> None:
    assert identify(face(TIMED, "1:2"), [source(TIMED, inode="1:1")]).start == len(TIMED)


def test_a_timeless_log_with_another_inode_is_another_while_the_first_is_there() -> None:
    known = source(TIMELESS, 7, "1:1")
    here, other = face(TIMELESS, "1:1"), face(TIMELESS, "1:2")
    assert holds(here, [known]) == [known]
    assert holds(other, [known]) == []
    assert identify(here, [known], {7}).start == len(TIMELESS)
    assert identify(other, [known], {7}).start == 0
    assert identify(other, [known]).start == len(TIMELESS)  # moved, its inode is gone


def test_a_copy_cut_within_the_lines_of_midnight_is_no_new_log() -> None:
    whole = TIMELESS + TIMED
    assert not source(whole).timeless
    verdict = identify(face(TIMELESS, "1:2"), [source(whole, 1, "1:1")], {1})
    assert (verdict.start, verdict.timeless) == (None, False)
    begun = source(TIMELESS, 1, "1:1")  # counted while it held nothing but midnight
    verdict = identify(face(whole, "1:1"), [begun], {1})
    assert (verdict.source, verdict.start, verdict.timeless) == (begun, len(TIMELESS), False)


def test_a_timeless_archive_cut_short_is_no_new_log() -> None:
    known = source(TIMELESS, 1, "1:1")
    assert identify(face(TIMELESS[:400], cut_short=True), [known]).start is None
    assert identify(face(TIMELESS[:400]), [known]).start == 0  # truncated and begun anew


def test_an_id_decides_alone() -> None:
    known = source(ID + TIMELESS)
    grown = identify(face(ID + TIMELESS + line()), [known])
    assert grown.start == len(ID + TIMELESS)
    other = ID.replace(b"0123", b"3210")
    assert identify(face(other + TIMELESS), [known]).start == 0
    assert identify(face(ID + TIMELESS[:300]), [known]).start is None


def test_a_changed_log_of_our_own_is_refused() -> None:
    with pytest.raises(StateError) as error:
        identify(face(ID + TIMELESS.replace(b"motd.json", b"motd.jsox")), [source(ID + TIMELESS)])
    assert error.value.reason == "log-changed"


@pytest.mark.parametrize(
    ("head", "timeless"),
    [
        (TIMED, False),
        (TIMELESS, True),
        (TIMELESS + TIMED, False),
        (b'{"ts":1795219200.5}\n', False),
        (b'{"time":"2026-11-21T00:00:00Z"}\n', True),
        (b'{"msec":"1795219200.123"}\n', False),
        (b"", True),
    ],
)
def test_timeless_means_no_time_of_day(head: bytes, timeless: bool) -> None:
    assert has_time(head) is not timeless


def test_short_logs_that_begin_with_the_same_line_are_told_apart() -> None:
    one = line() * 3
    other = line() + line(stamp=b"21/Nov/2026:10:11:13 +0000")
    assert identify(face(other), [source(one)]).start == 0
    assert identify(face(line() * 2), [source(one)]).waits


@pytest.mark.parametrize(
    "content",
    [b"\n" * 3000, b"x" * 2000 + b"\n", TIMED * 30, line(), b""],
    ids=["empty lines", "a long line", "with times", "a line", "nothing"],
)
def test_a_ladder_only_grows_and_fits_its_column(content: bytes) -> None:
    whole = ladder(content[:HEAD])
    assert len("".join(whole)) <= 1000
    ends = [at + 1 for at, byte in enumerate(content[:3000]) if byte == 10]
    for end in {*ends[::9], *ends[-9:]}:
        shorter = ladder(content[:end])
        assert len(shorter) > 0
        assert whole[: len(shorter)] == shorter


@pytest.mark.parametrize(
    ("lines", "inode", "outcome"),
    [
        (1, "1:1", "changed"),
        (1, None, "new"),
        (2, "1:2", "new"),
        (4, None, "doubtful"),
        (7, "1:2", "doubtful"),
    ],
)
def test_what_is_left_of_a_log_is_its_file_and_another_is_new_while_that_is_there(
    lines: int, inode: str | None, outcome: str
) -> None:
    whole = TIMED[: 8 * len(line())]
    left = whole[: lines * len(line())] + line(b"?on") * 30
    known = source(whole, inode="1:1")
    verdict = identify(face(left, inode), [known])
    assert verdict.changed == (outcome == "changed")
    assert verdict.doubtful == (outcome == "doubtful")
    assert verdict.start == {"changed": len(whole), "doubtful": None, "new": 0}[outcome]
    beside = identify(face(left, inode), [known], (), lambda _: True)
    assert beside.start == (len(whole) if outcome == "changed" else 0)


def test_a_short_rest_is_a_copy_unless_it_is_the_same_file() -> None:
    known = source(TIMED, inode="1:1")
    assert identify(face(TIMED[:500], "1:2"), [known]).waits
    assert identify(face(TIMED[:500], "1:1"), [known]).changed


def test_first_lines_beyond_the_first_mark_make_no_two_logs_alike() -> None:
    long = line(before=b"x" * 1100)
    known = source(long * 3, inode="1:1")
    other = line(before=b"y" * 1101) * 9
    assert identify(face(other, "1:1"), [known]).start == 0
