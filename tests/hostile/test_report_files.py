"""E22: files of error reports that are none of ours, stand elsewhere or were not written whole."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars.adapters.files import Folder, clear
from mars.channels.filing import Filing
from mars.channels.queue import UNSENT_KEPT, Queue, decode, name_of
from mars.errors import StateError
from mars.testing.memory import START, session
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import REPORT, a_world, fault

WHOLE = REPORT.encode()


def changed(**members: object) -> bytes:
    return json.dumps({**json.loads(WHOLE), **members}).encode()


DAMAGED = {
    "empty": b"",
    "half written": WHOLE[: len(WHOLE) // 2],
    "too large": WHOLE.ljust(64 * 1024 + 1),
    "too deep": b"[" * 60_000,
    "not ASCII": WHOLE.replace(b"linux", "línux".encode("latin-1")),
    "another report's": changed(id="f" * 16),
    "of a later version": changed(version=2),
    "with a member that we do not know": changed(more=1),
    "a fault that is none": changed(fault={"types": ["a b"], "frames": []}),
    "a release that is none": changed(release="0.5.1.dev1"),
    "a way that is none": changed(way="loud"),
    "a share that is none": changed(share="?"),
    "a day before the epoch": changed(day=-1),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_e22_a_file_that_is_no_report_is_left_told_and_not_sent(tmp_path: Path, kind: str) -> None:
    store, data = Folder(tmp_path), DAMAGED[kind]
    queue, good = Queue(store), replace(REPORT, id="1" * 16)
    store.write(name_of(REPORT.id), data)
    queue.write(good)
    for now in (START, START + UNSENT_KEPT - DAY):
        assert [*queue.settle(now)] == [good.id], "the others go on"
    assert queue.damage is not None
    assert queue.damage.reason == "report-damaged"
    assert name_of(REPORT.id) in queue.damage.message
    assert store.read(name_of(REPORT.id)) == data
    queue.settle(START + UNSENT_KEPT)
    assert store.names("report-") == (name_of(REPORT.id),)


def test_e22_a_report_under_another_name_is_not_that_report(tmp_path: Path) -> None:
    """As a copy that somebody made: it would be sent twice."""
    queue = Queue(Folder(tmp_path))
    queue.write(REPORT)
    for name in ("report-00112233aabbccdd", "report-00112233aabbccdd.json.json", "report-2.json"):
        (tmp_path / name).write_bytes(WHOLE)
    assert [*queue.all()] == [REPORT.id]
    assert len(queue.damaged) == 3


@pytest.mark.parametrize("kind", ["link", "folder"])
def test_e22_what_cannot_be_read_stops_reports_alone_and_loses_none(
    tmp_path: Path, kind: str
) -> None:
    """What could not be read this once must not be taken for what was never there."""
    world, store = a_world(), Folder(tmp_path / "state")
    for name, data in world.store.files.items():
        store.write(name, data)
    mars = world.mars(store=store, modules=["tests"])
    client = mars._client
    Filing(client, client.queue).take(fault())
    session(client, world.clock, 60)
    assert mars.reports.send(1, "direct")
    (name,) = store.names("report-")
    place = store.path / "report-ffffffffffffffff.json"
    if kind == "link":
        place.symlink_to(store.path / name)
    else:
        place.mkdir()
    session(client, world.clock, 12 * DAY)
    assert posted(world) == []
    assert world.server.visits, "the news were asked for all the same"
    with pytest.raises(StateError) as caught:
        client.queue.all()
    assert caught.value.reason == "state-unreadable"
    assert str(place) in caught.value.message
    place.unlink() if kind == "link" else place.rmdir()
    session(client, world.clock, 9 * DAY)
    assert len(posted(world)) == 1


def test_e22_a_crash_while_a_report_was_written_leaves_none(tmp_path: Path) -> None:
    store = Folder(tmp_path)
    store.write("state.json", b"{}")
    half = tmp_path / f".{name_of(REPORT.id)}-x1"
    half.write_bytes(WHOLE[:100])
    queue = Queue(store)
    assert (queue.all(), queue.damage) == ({}, None)
    clear(tmp_path)
    assert not half.exists()


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_e22_a_report_is_read_as_it_was_written_or_not_at_all(data: bytes) -> None:
    assert decode(data, REPORT.id) is None
    assert decode(WHOLE, REPORT.id) == REPORT
