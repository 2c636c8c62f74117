"""The pure core against the slow reference, on lines made to be misread."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mars_server.counting.blocks import LINE_BOUND, Lines
from mars_server.counting.formats import COMBINED, detect
from mars_server.counting.tally import GROUPS_BOUND, Counting, Tally, merge, named
from tests.server.counting import reference
from tests.server.counting.examples import (
    ALLOW,
    ALLOWED,
    HITS,
    NO_HITS,
    STAMP,
    UNENDED,
    line,
    shuffled,
    tally,
)


def assert_equal(found: Tally, expected: reference.Reference) -> None:
    assert (found.lines, found.hits) == (expected.lines, expected.hits)
    assert dict(found.cells) == dict(expected.cells)
    assert dict(found.pairs) == dict(expected.pairs)
    assert found.lines == found.hits + found.rejected


@pytest.mark.parametrize("hit", HITS, ids=range(len(HITS)))
def test_is_a_hit(hit: bytes) -> None:
    expected = reference.count(hit, ALLOWED)
    assert expected.hits == 1
    assert_equal(tally(hit, ALLOW), expected)


@pytest.mark.parametrize("other", NO_HITS, ids=range(len(NO_HITS)))
def test_is_no_hit(other: bytes) -> None:
    expected = reference.count(other, ALLOWED)
    assert expected.hits == 0
    assert_equal(tally(other, ALLOW), expected)


def test_an_unended_line_is_in_nothing() -> None:
    assert_equal(tally(UNENDED, ALLOW), reference.Reference())
    assert_equal(tally(b"", ALLOW), reference.Reference())


@pytest.mark.parametrize("seed", range(20))
def test_mixtures_equal_the_reference(seed: int) -> None:
    data = shuffled(seed, 400, days=1 + seed % 4)
    assert_equal(tally(data, ALLOW), reference.count(data, ALLOWED))


_PIECES = st.sampled_from(
    [
        *HITS,
        *NO_HITS,
        *b'[ ] " ? & = / : 200 GET HTTP/1.1 \n \r'.split(b" "),
        b"\n",
        b" ",
        STAMP,
        b"/motd/motd.json",
        b'] "GET /motd/motd.json',
        b' HTTP/1.1" 200 ',
        b"v=0.5.2",
    ]
)


@settings(deadline=None)  # a busy machine is no defect
@given(st.lists(_PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
def test_any_bytes_equal_the_reference(data: bytes) -> None:
    assert_equal(tally(data, ALLOW), reference.count(data, ALLOWED))


@settings(deadline=None)  # a busy machine is no defect
@given(st.integers(0, 2**16), st.lists(st.integers(0, 60_000), max_size=6))
def test_the_sum_over_any_cuts_is_the_same(seed: int, cuts: list[int]) -> None:
    data = shuffled(seed, 100)
    marks = [0, *sorted(cuts), len(data)]
    chunks = [data[a:b] for a, b in itertools.pairwise(marks)]
    lines = Lines(named(COMBINED).shorten)
    parts = [tally(block[1:], ALLOW) for block in map(lines.feed, chunks) if block]
    assert_equal(merge(parts), reference.count(data, ALLOWED))
    assert_equal(merge(reversed(parts)), reference.count(data, ALLOWED))


@pytest.mark.parametrize(
    "long",
    [
        line(before=b"x" * 3_000_000),
        line(before=b"x" * 3_000_000 + b'"'),
        line(before=b"x" * 3_000_000 + b"["),
        line(after=b'" 200 ' + b"y" * 3_000_000),
        line(b"?v=" + b"1" * 3_000_000),
        b"[" * 3_000_000 + line(),
        b'"' * 3_000_000 + line(),
        b"\x00" * 3_000_000 + b"\n" + line(),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("size", [1000, 65_536, 1_048_576])
def test_lines_of_three_megabytes_count_as_short_ones_do(long: bytes, size: int) -> None:
    data = line() + long + line(b"?v=0.5.1") + UNENDED
    chunks = (data[at : at + size] for at in range(0, len(data), size))
    counting = Counting(ALLOW)
    for block in map(Lines(named(COMBINED).shorten).feed, chunks):
        assert len(block) <= LINE_BOUND + 2 * size
        counting.add(block)
    assert_equal(counting.take(), reference.count(data, ALLOWED))


def test_all_distinct_queries_are_folded_and_still_exact() -> None:
    data = b"".join(line(b"?v=0.5.2&x=%d" % n) for n in range(3 * GROUPS_BOUND))
    counting = Counting(ALLOW)
    for at in range(0, len(data), 1 << 20):  # blocks of whole lines
        start = data.rfind(b"\n", 0, at) + 1
        end = data.rfind(b"\n", 0, at + (1 << 20)) + 1
        counting.add(b"\n" + data[start:end])
    assert_equal(counting.take(), reference.count(data, ALLOWED))


def test_the_format_is_seen_in_the_first_lines() -> None:
    assert detect(b"") == "combined"
    assert detect(b"# id\n" + line()) == "combined"
    assert detect(b'# id\n{"ts":1}\n{"ts":2}\n') == "json"
    assert detect(b'ail":1}\n{"ts":1}\n{"ts":2}\n{') == "json"
