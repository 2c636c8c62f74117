"""What a closed spool and the part of one say of themselves, as readers take it from their head."""

from __future__ import annotations

from datetime import date

import pytest

from mars_server.daylog.format import (
    UNFINISHED_SPOOL,
    Gap,
    Spool,
    gap,
    id_line,
    is_unfinished,
    lost_line,
    own_id,
    spool_line,
    spool_of,
)

TOKEN = "0123456789abcdef0123456789abcdef"
DAY = "2026-11-24"
HEAD = spool_line(TOKEN, DAY)


def test_a_spool_says_its_id_and_its_day() -> None:
    assert HEAD == b"# mars spool v1 id=0123456789abcdef0123456789abcdef day=2026-11-24\n"
    assert spool_of(HEAD + b"AYYz\n") == Spool(TOKEN, date(2026, 11, 24))
    assert own_id(HEAD) == TOKEN


def test_a_copy_from_an_editor_is_the_same_spool() -> None:
    assert spool_of(b"\xef\xbb\xbf" + HEAD.replace(b"\n", b"\r\n")) == Spool(
        TOKEN, date(2026, 11, 24)
    )


def test_a_spool_says_what_it_lacks() -> None:
    assert gap(HEAD + lost_line(7, DAY)) == Gap(DAY, 7)
    assert gap(HEAD) is None


@pytest.mark.parametrize(
    "head",
    [
        id_line(TOKEN),
        UNFINISHED_SPOOL,
        b"\n" + HEAD,
        HEAD[:-1],
        HEAD.replace(b"v1", b"v2"),
        HEAD.replace(b"-24", b"-31"),
        HEAD.replace(b"0123", b"0 23"),
        b"",
    ],
)
def test_what_is_no_closed_spool(head: bytes) -> None:
    assert spool_of(head) is None


def test_a_part_of_a_spool_is_unfinished() -> None:
    assert is_unfinished(UNFINISHED_SPOOL + b"AYYz\n")
    assert not is_unfinished(HEAD)
