"""Nothing of a crowd report can be read before ten installations have met its fault."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select

from mars.wire.reports.crowd import recover
from mars_server.storage.triage import arrivals
from mars_server.storage.triage.schema import metadata
from mars_server.storage.triage.store import open_triage
from tests.server.counting.spools import LATER, NEXT, WEEK
from tests.server.triage import kit
from tests.server.triage.kit import PLANTED, PRODUCT, RELEASE, Sender, Triage, poisoned

Bodies = Callable[[Sender], list[bytes]]
NINE: dict[str, Bodies] = {
    "nine": lambda sender: sender.crowd(range(9)),
    "nine and replays of the same bodies": lambda sender: sender.crowd(range(9)) * 2,
    "nine who send again": lambda sender: [*sender.crowd(range(9)), *_again(sender)],
    "nine and poisoned shares": lambda sender: [*sender.crowd(range(9)), *_poison(sender)],
    "nine and one of another release": lambda sender: [
        *sender.crowd(range(9)),
        *sender.crowd([9], release="0.5.1"),
    ],
    "nine and one of another fault": lambda sender: [
        *sender.crowd(range(9)),
        *sender.crowd([9], kit.fault("plantedmail.other:thing")),
    ],
}


def _again(sender: Sender) -> list[bytes]:
    shares = (kit.share(number, again=1) for number in range(9))
    return [sender.body(share.inner(), kit.to()) for share in shares]


def _poison(sender: Sender) -> list[bytes]:
    """As many points that are on another polynomial as would do."""
    shares = (replace(share, y=share.y + 1) for share in map(kit.share, range(9, 20)))
    return [sender.body(share.inner(), kit.to()) for share in shares]


def contents(triage: Triage) -> bytes:
    """All bytes of the database: the files of SQLite, or all rows of PostgreSQL."""
    if triage.url.startswith("sqlite"):
        file = Path(triage.url.removeprefix("sqlite:///"))
        return b"".join(path.read_bytes() for path in file.parent.glob(f"{file.name}*"))
    engine = open_triage(triage.url)
    found: list[bytes] = []
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(select(table)):
                found += [_bytes(value, table.c[name].type) for name, value in row._mapping.items()]
    return b"\n".join(found)


def _bytes(value: Any, kind: object) -> bytes:
    return bytes(value) if isinstance(kind, LargeBinary) and value else str(value).encode()


@pytest.mark.parametrize("bodies", NINE.values(), ids=NINE)
def test_j20_nothing_of_nine_is_readable_with_all_keys_and_all_state(
    triage: Triage, bodies: Bodies
) -> None:
    found = triage.open(bodies(triage.sender))
    assert found["readable"] == 0
    told = triage.ask("list")
    assert told["groups"] == []
    assert told["unread"]["shares"] >= 9
    assert not [word for word in PLANTED if word in contents(triage)]
    engine = open_triage(triage.url)
    with engine.connect() as connection:
        assert arrivals.ripe(connection) == {}
        shares = arrivals.shares_of(connection, kit.share(0).tag)
    assert len(shares) == 9
    assert recover(shares, PRODUCT, RELEASE) is None


def test_the_words_are_found_where_they_stand(triage: Triage) -> None:
    """The search above would see them."""
    triage.open(triage.sender.direct([1]))
    assert [word for word in PLANTED if word in contents(triage)] == list(PLANTED)


def test_j20_the_tenth_opens_it(triage: Triage) -> None:
    assert triage.open(triage.sender.crowd(range(9)))["readable"] == 0
    assert triage.open(triage.sender.crowd([9]))["readable"] == 1
    (group,) = triage.groups()
    assert (group["crowd"], group["direct"], group["releases"]) == (10, 0, [RELEASE])
    (told,) = triage.ask("show", group["group"])["faults"]
    assert told["frames"] == list(kit.FAULT.frames)
    assert triage.open(triage.sender.crowd([10]))["readable"] == 0
    assert triage.groups()[0]["crowd"] == 11


def test_shares_of_several_weeks_gather(triage: Triage) -> None:
    triage.open(triage.sender.crowd(range(5)))
    later = replace(triage, weeks=(WEEK, NEXT), sender=Sender(NEXT), number=9)
    assert later.open(later.sender.crowd(range(5, 10)), LATER)["readable"] == 1


def test_j20_ten_that_lie_hide_nothing_of_the_others(triage: Triage) -> None:
    lies = (poisoned(kit.share(number)) for number in range(10, 20))
    bodies = [triage.sender.body(share.inner(), kit.to()) for share in lies]
    assert triage.open(bodies)["readable"] == 0
    assert triage.open(triage.sender.crowd([1]))["readable"] == 1
    assert triage.groups()[0]["crowd"] == 11


def test_shares_go_after_ninety_days_unread(triage: Triage) -> None:
    triage.open(triage.sender.crowd(range(9)))
    assert triage.tell("retain", "--now", "2027-02-23T00:00:00Z")["expired"]["shares"] == 0
    assert triage.tell("retain", "--now", "2027-02-24T00:00:00Z")["expired"]["shares"] == 9
    assert triage.ask("list")["unread"] == {"faults": 0, "shares": 0}
