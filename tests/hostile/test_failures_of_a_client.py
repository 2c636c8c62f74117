"""Group I, error events of a client: of which days something is told, whom it could give away, and
what stays of it once a user has said no."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from mars import Mars
from mars.channels.upcoming import Memory
from mars.core.records import FAILURES_FILE, STATE_FILE
from mars.failures.subjects import HASH_BYTES, as_bytes
from mars.ports import Platform
from mars.testing.memory import START, machine, session
from mars.testing.world import World
from mars.wire.events import Domain
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.channels.kit import Between, a_world, posted, read
from tests.mars.failures.kit import DECRYPTION

ONE = replace(DECRYPTION, names=DECRYPTION.names[1:2], rate=1.0)
"""Of three entries, each drawn in one week of three."""
HOUR = 3_600
"""That the application runs on a day."""
SUBJECT = "Message-ID: <4711@example.org> from alice"


def failing(domain: Domain = ONE, *, agreed: bool = True, **more: Any) -> World:
    return a_world(domains=(domain,), agreed=agreed, **more)


def days(world: World, mars: Mars, number: int, each: Callable[[], object] = int) -> None:
    """The application runs for an hour, and ``each`` happens on each day."""
    for _ in range(number):
        each()
        session(mars._client, world.clock, HOUR)
        world.clock.suspend(DAY - HOUR)


def told(world: World) -> set[tuple[str, str]]:
    reports = [read(request)[1] for request in posted(world)]
    return {(one.key, one.value) for one in reports}


def until_sealed(world: World, mars: Mars) -> None:
    """Until a report of failures is ready to go."""
    fail = mars.failures("decryption").fail
    for _ in range(40):
        if world.clock.wall > START + 2 * WEEK and Memory.of(mars._client.load()).upcoming:
            return
        days(world, mars, 1, lambda: fail("damaged"))
    raise AssertionError("no report was drawn in forty days")


def test_i28_no_day_before_the_yes_is_told() -> None:
    """It was shown on this computer alone before, and much failed."""
    world = failing(agreed=False)
    world.grant("plain")
    mars = world.mars()
    mars.statistics.show()
    days(world, mars, 10, lambda: mars.failures("decryption").fail("damaged"))
    assert mars.failures_seen()[0]["entries"][0]["value"] == "2-9"
    assert mars.statistics.choose({"decryption/*": True})
    values = []
    for _ in range(4 * 7):
        values.append(mars.failures_seen()[0]["entries"][0]["value"])
        days(world, mars, 1)
    assert values == [None] * 7 + ["0"] * 21
    assert told(world)
    assert told(world) <= {("damaged", "0"), ("late", "0"), ("failed_share", "few")}


@pytest.mark.parametrize("after", [0, 1, 3 * DAY, WEEK - 1])
def test_i28_no_week_that_begins_within_seven_days_of_the_yes_is_drawn(after: int) -> None:
    world = failing(agreed=False)
    world.clock.advance(week_start(START) + WEEK + after - START)
    world.grant("plain", events=True)
    first = week_start(world.clock.wall + WEEK + WEEK - 1)
    mars, drawn = world.mars(), set[int]()
    for _ in range(4 * 7):
        days(world, mars, 1, lambda: mars.failures("decryption").fail("damaged"))
        drawn |= {draw.week for draw in Memory.of(mars._client.load()).draws.pending}
        assert world.clock.wall > first or not posted(world)
    assert min(drawn) >= first


@pytest.mark.parametrize(
    "host",
    [
        machine(environ={"DO_NOT_TRACK": "1"}),
        machine(environ={"CI": "true"}),
        machine(environ={"MARS_LEVEL": "plain"}),
        machine(policy=b"events = false"),
        machine(policy=b'refused = ["events"]'),
        machine(policy=b"\xff"),
    ],
    ids=["do not track", "CI", "level", "no events", "refused", "damaged policy"],
)
def test_i28_what_policy_or_environment_forbid_is_neither_counted_nor_told(host: Platform) -> None:
    world = failing()
    days(world, world.mars(), 1)
    assert FAILURES_FILE in world.store.files
    world.host = host
    mars = world.mars()
    assert not mars.failures_seen()[0]["on"]
    days(world, mars, 3 * 7, lambda: mars.failures("decryption").fail("damaged"))
    mars.stop()
    assert FAILURES_FILE not in world.store.files
    assert posted(world) == []


@pytest.mark.parametrize("veto", ["decryption/*", "*", "decryption/damaged"])
def test_i28_what_the_administrator_vetoes_is_not_told(veto: str) -> None:
    world = failing()
    world.host = machine(policy=f'[statistics]\nveto = ["{veto}"]'.encode())
    mars = world.mars()
    days(world, mars, 4 * 7, lambda: mars.failures("decryption").fail("damaged"))
    others = {"late", "failed_share"} if veto == "decryption/damaged" else set[str]()
    assert {key for key, _ in told(world)} <= others
    said = {one["name"] for one in mars.failures_seen()[0]["entries"] if one["value"]}
    assert said == {f"decryption/{key}" for key in others}


def test_i29_nothing_of_a_subject_leaves_or_is_on_disk() -> None:
    world = failing(replace(DECRYPTION, rate=1.0))
    mars = world.mars()
    stream = mars.failures("decryption")
    subjects = [f"{SUBJECT} {number}" for number in range(40)]
    with stream.subscribe() as events:
        for subject in subjects:
            stream.fail("key_missing", subject=subject, device="own")
        days(world, mars, 2)
        (kept,) = json.loads(world.store.files[FAILURES_FILE])["domains"].values()
        hashes = b64decode(kept["seen"][0]["hashes"])
        days(world, mars, 4 * 7 - 2)
        seen = [event for _ in subjects if (event := events.get(0)) is not None]
    assert len(seen) * HASH_BYTES == len(hashes) == len(subjects) * HASH_BYTES
    assert posted(world)
    written = [*world.store.files.values(), *(request.golden for request in world.server.requests)]
    written += [(one.sealed or "").encode() for one in world.server.requests]
    shown = json.dumps([mars.status(), mars.failures_seen(), mars.journal(), [*map(str, seen)]])
    everything = b"\0".join([*written, shown.encode(), hashes])
    assert b"alice" not in everything
    short = partial(hashlib.blake2b, digest_size=HASH_BYTES)
    for data in (form for one in subjects for form in (one.encode(), as_bytes(one))):
        for digest in (short, hashlib.blake2b, hashlib.sha256, hashlib.sha1, hashlib.md5):
            plain = digest(data).digest()[:HASH_BYTES]
            assert plain not in everything
            assert plain.hex().encode() not in everything


def test_i29_a_dimension_that_is_not_declared_is_counted_and_told_nowhere() -> None:
    world = failing(replace(DECRYPTION, rate=1.0))
    mars = world.mars(raises=False)
    for said in ({"device": SUBJECT}, {"sender": "alice"}, {"verified": "alice"}):
        mars.failures("decryption").fail("key_missing", **said)
    mars.failures(SUBJECT).fail("alice")
    world.clock.advance(DAY)
    mars.failures_seen()
    assert b"alice" not in b"\0".join(world.store.files.values())
    assert not any(one["week"] + one["today"] for one in mars.failures_seen()[0]["names"])


def test_i29_what_is_no_name_of_a_domain_or_cause_is_repeated_nowhere() -> None:
    mars = failing().mars(raises=False)
    mars.failures(SUBJECT).fail(SUBJECT)
    mars.failures("decryption").fail(SUBJECT)
    assert len(mars.status()["streams"]["problems"]) == 3
    assert "alice" not in json.dumps(mars.status())


@pytest.mark.parametrize(
    "no",
    [
        lambda mars: mars.consent.revoke(),
        lambda mars: mars.consent.grant("plain", events=False),
        lambda mars: mars.statistics.choose({"decryption/*": False}),
    ],
)
def test_i30_a_no_removes_what_was_counted_at_once_and_for_ever(
    no: Callable[[Mars], bool],
) -> None:
    """A report of it was sealed already."""
    world = failing()
    mars = world.mars()
    until_sealed(world, mars)
    went = len(posted(world))
    command = replace(world, registry=None).mars()
    assert no(command), "in another process, which knows no registry"
    assert FAILURES_FILE not in world.store.files
    kept = json.loads(world.store.files[STATE_FILE]).get("statistics", {})
    assert "upcoming" not in kept
    assert kept.get("draws", {}).get("pending", []) == []
    days(world, mars, 4 * 7, lambda: mars.failures("decryption").fail("damaged"))
    mars.stop()
    assert FAILURES_FILE not in world.store.files
    assert len(posted(world)) == went


def test_i30_a_process_that_writes_while_another_says_no_writes_nothing() -> None:
    """The no is stored just before the lock under which counts are written."""
    world = failing()
    mars = world.mars()
    mars.failures("decryption").fail("damaged")
    world.clock.advance(120)

    between: Any = Between(world, lambda: world.mars().consent.grant("plain", events=False))
    mars._client.ports = replace(mars._client.ports, store=between)
    mars.stop()
    assert between.done
    assert FAILURES_FILE not in world.store.files


def test_i30_a_yes_given_anew_begins_anew() -> None:
    """Between two looks, so that nothing saw the no."""
    world = failing()
    mars = world.mars()
    until_sealed(world, mars)
    went = len(posted(world))
    assert world.mars().consent.grant("plain", events=False)
    assert world.mars().consent.grant("plain", events=True)
    days(world, mars, 6)
    assert len(posted(world)) == went
    assert {one["value"] for one in mars.failures_seen()[0]["entries"]} == {None}


def test_i31_what_a_crash_lost_is_told_by_nobody_and_counted_once() -> None:
    world = failing()
    crashed = world.mars()
    crashed.failures("decryption").fail("damaged", subject=1)
    world.clock.advance(120)
    crashed.failures_seen()
    crashed.failures("decryption").fail("damaged", subject=2)
    again = world.mars()
    for subject in (1, 2):
        again.failures("decryption").fail("damaged", subject=subject)
    world.clock.advance(120)
    (name,) = again.failures_seen()[0]["names"]
    assert name["today"] == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b'{"version": 1, "domains": {}}\n',
        lambda data: data.replace(b'"damaged": 1', b'"damaged": -1', 1),
    ],
)
def test_i31_what_is_lost_is_not_told_as_nothing_that_failed(
    damage: Callable[[bytes], bytes],
) -> None:
    """For seven days nothing is told, whatever was lost."""
    world = failing()
    mars = world.mars()
    until_sealed(world, mars)
    went = len(posted(world))
    world.store.files[FAILURES_FILE] = damage(world.store.files[FAILURES_FILE])
    days(world, mars, 6)
    assert len(posted(world)) == went
    assert {one["value"] for one in mars.failures_seen()[0]["entries"]} == {None}
