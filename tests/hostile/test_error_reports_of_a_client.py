"""Group J, as far as the client goes: what of a fault leaves, when, and what it tells of who sent
it."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from mars.channels.filing import Filing
from mars.channels.sending import (
    AGAIN,
    DELETION_SPREAD,
    SPREAD,
    TRIES,
    Memory,
    begun,
    ended,
    first,
)
from mars.core.schedule import HOUR, LATE_LEAST
from mars.errors import TransportError
from mars.testing.memory import START, SeededChance, session
from mars.testing.world import World
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Answer, Known
from mars.wire.sealed import ID_BYTES, LARGE, key_of
from mars.wire.times import DAY
from tests.mars.channels.kit import INTAKE, posted
from tests.mars.channels.reporting import (
    a_world,
    alike,
    answering,
    fault,
    inside,
    kept,
    meet,
    memory,
    outer,
    read,
    released,
    running,
    until_posted,
)

SECRETS = (
    "/home/jonas/mail",
    "jonas@example.org",
    "hunter2",
    "ghp_0123456789abcdef",
    "10.11.12.13",
    "secretexampleonion.onion",
)


def posted_days(world: World) -> list[int]:
    return [one["time"] // DAY for one in world.mars().journal() if one["sent"]]


def sent_at(world: World) -> list[int]:
    return [one["time"] for one in world.mars().journal() if one["channel"] == "reports"]


def test_j01_a_report_and_a_deletion_are_of_one_size_whatever_they_say() -> None:
    world = a_world()
    for number, message in enumerate(("", "x" * 2_000), 1):
        report = released(world, number=number, message=message)
        until_posted(world, number)
    world.mars().reports.forget(report.guid)
    released(world, "crowd", 3)
    bodies = [one.body or b"" for one in until_posted(world, 4)]
    assert {len(body) for body in bodies} == {LARGE}
    kinds = {type(read(one)) for one in posted(world)}
    assert kinds == {Direct, Deletion, Share}
    texts = [outer(one) for one in posted(world)]
    assert len({len(text) for text in texts}) == 1, "nor does the intake's key tell"
    starts = {body[: 1 + ID_BYTES] for body in bodies}
    assert starts == {b"\x01" + (key_of(body) or b"") for body in bodies}


def test_j02_a_release_whose_key_was_deleted_sends_nothing() -> None:
    world = a_world("always")
    world.version = "0.4.9"
    meet(world, fault())
    running(world, 10 * DAY)
    assert posted(world) == []
    assert kept(world), "it waits, in case the registry changes"


def test_j06_j17_keys_and_points_of_one_installation_have_nothing_in_common() -> None:
    world = a_world()
    for number, way in enumerate(("direct", "direct", "crowd", "crowd"), 1):
        world.clock.suspend(3 * DAY)  # three a week
        released(world, way, number)
        until_posted(world, number)
    heads = [inside(one)[0] for one in posted(world)]
    direct = [head for head in heads if head["kind"] == "direct"]
    crowd = [head for head in heads if head["kind"] == "crowd"]
    for heads_of, names in (
        (direct, ("key", "nonce")),
        (crowd, ("x", "y", "commitments", "nonce")),
    ):
        assert len(heads_of) == 2
        for name in names:
            assert len({head[name] for head in heads_of}) == 2, name
    secret = memory(world).secret
    assert len(secret) == 64
    assert all(secret not in str(head) for head in heads)


def test_j09_no_address_that_is_asked_for_holds_a_guid() -> None:
    world = a_world()
    report = released(world)
    until_posted(world)
    answering(world, [(report.guid, Answer("resolved", 1, "Fixed."))])
    world.mars().reports.forget(report.guid)
    running(world, 20 * DAY)
    for request in world.server.requests:
        assert report.guid not in request.golden.decode("latin-1")
        assert report.guid[:13] not in request.golden.decode("latin-1")
        assert "?" not in request.url


def test_j10_ten_deletions_of_one_user_link_no_more_than_chance() -> None:
    """The attacker takes the nearest deletion in time for one of the same user."""
    right = guesses = 0
    for seed in range(150):
        chance = SeededChance(seed)
        ours = Memory()
        for number in range(10):
            ours = ours.deleting(f"{number}", START, chance)
        times = [(one.due, True) for one in ours.pending]
        times += [(START + int(chance.uniform(0, DELETION_SPREAD)), False) for _ in range(90)]
        times.sort()
        for at, (due, is_ours) in enumerate(times):
            if is_ours:
                near = [times[i] for i in (at - 1, at + 1) if 0 <= i < len(times)]
                right += min(near, key=lambda one: abs(one[0] - due))[1]
                guesses += 1
    assert guesses == 1_500
    assert right / guesses <= 9 / 99 + 0.03, "nine of the ninety-nine others are the user's"


def test_j10_the_deletions_that_were_asked_for_at_once_go_on_days_of_their_own() -> None:
    world = a_world()
    for number in range(1, 4):
        released(world, number=number)
    until_posted(world, 3)
    for one in kept(world):
        world.mars().reports.forget(one.id)
    asked = world.clock.now()
    until_posted(world, 6)
    assert Counter(posted_days(world)).most_common(1)[0][1] == 1
    assert world.clock.now() - asked > 2 * DAY
    deleted = {read(one).guid for one in posted(world)[3:]}  # type: ignore[union-attr]
    assert deleted == {one.guid for one in kept(world)}


def test_j10_nobody_else_s_report_can_be_forgotten() -> None:
    world = a_world()
    released(world)
    other = a_world(seed=2)
    guid = released(other).guid
    assert world.mars().reports.forget(guid) == ""
    assert len(kept(world)) == 1
    assert memory(world).find(guid, deletion=True) is None


class Careless(Exception):
    """Says what it should not, in every place."""

    def __repr__(self) -> str:
        return " ".join(SECRETS)

    __str__ = __repr__


def careless(password: str) -> None:
    path, token = SECRETS[0], SECRETS[3]
    try:
        raise KeyError(f"{path} {token} {password}")
    except KeyError as error:
        error.add_note(SECRETS[1])
        raise Careless(password, *SECRETS) from error


@pytest.mark.parametrize("way", ["direct", "crowd"])
def test_j12_j13_nothing_of_messages_arguments_and_locals_is_kept_or_sent(way: str) -> None:
    world = a_world()
    mars = world.mars(modules=["tests"])
    try:
        careless(SECRETS[2])
    except Careless as error:
        mars.reports.report(error)
    running(world, HOUR)
    (report,) = kept(world)
    assert report.fault.types[-1] == "KeyError"
    assert any("careless" in frame for frame in report.fault.frames)
    assert mars.reports.send(1, way)
    until_posted(world)
    head, rest = inside(posted(world)[0])
    everything = b"".join(world.store.files.values()).decode() + str(head)
    everything += rest.decode("latin-1") + posted(world)[0].sealed
    for secret in SECRETS:
        assert secret not in everything


def test_j14_a_sink_that_cannot_keep_anything_hurts_nobody() -> None:
    world = a_world()
    mars = world.mars(modules=["tests"])
    world.store.full = True
    try:
        careless("x")
    except Careless as error:
        mars.reports.report(error)
    world.store.full, world.store.unreadable = False, True
    try:
        careless("y")
    except Careless as error:
        mars.reports.report(error)
    world.store.unreadable = False
    assert kept(world) == []


def test_j14_a_fault_is_kept_while_its_own_thread_holds_the_state_s_lock() -> None:
    """As in the collector of garbage: to wait for the lock would be for ever."""
    world = a_world()
    client = world.client()
    with world.store.lock("state"):
        line = Filing(client, client.queue).take(fault())
    assert line == f"TELEMETRY {kept(world)[0].guid}"


def test_j15_a_loop_of_crashes_keeps_three_files_and_sends_nothing() -> None:
    world = a_world("ask")
    for number in range(50):
        client = world.client()
        session(client, world.clock, 1, crash=True)
        Filing(client, client.queue).take(fault(number))
    assert len(world.store.names("report-")) <= 6
    assert posted(world) == []
    running(world, HOUR)
    assert len(kept(world)) == 3


def test_j15_a_fault_whose_report_was_forgotten_makes_no_other() -> None:
    world = a_world()
    for _ in range(3):
        meet(world, fault())
        running(world, HOUR)
        for one in kept(world):
            assert world.mars().reports.forget(one.id) == "removed"
        world.clock.suspend(8 * DAY)
    meet(world, fault())
    running(world, HOUR)
    assert kept(world) == []
    assert memory(world).made == 1


def test_j15_without_any_look_no_more_than_three_files_are_written() -> None:
    world = a_world()
    meet(world, *[fault(number) for number in range(100)])
    assert len(kept(world)) == 3


def test_j16_what_the_publisher_says_is_text_and_nothing_else() -> None:
    world = a_world()
    released(world)
    evil = "<b onload=x>\x1b[31m\u202e.exe\x00"
    answering(
        world, faults=[Known(Rule.parse("ValueError"), 0)], answers=(Answer("known", 1, evil),)
    )
    running(world, 15 * DAY)
    (one,) = world.mars().reports.list()
    assert one["help"]["summary"] == "<b onload=x>[31m.exe"


def test_j18_an_intake_that_answers_wrongly_brings_nobody_back_for_days_nor_a_fourth_time() -> None:
    """Whatever it answers: it would else know a circuit again."""
    for answer in ((503, b""), (204, b"hello")):
        world = a_world()
        world.server.answers[INTAKE] = answer
        released(world)
        running(world, 27 * DAY)
        times = sent_at(world)
        assert len(times) == TRIES
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(AGAIN[0] <= gap <= AGAIN[1] + 2 * DAY + 5 * HOUR for gap in gaps)


def test_j18_no_two_tries_have_bytes_in_common() -> None:
    world = a_world()
    world.server.answers[INTAKE] = (503, b"")
    released(world, "crowd")
    bodies = [one.body or b"" for one in until_posted(world, 3)]
    assert not alike(bodies)
    boxes = [outer(one) for one in posted(world)]
    assert len({box[-500:] for box in boxes}) == 3, "nor for who holds the intake's key"


def test_j18_the_time_of_a_second_try_is_nobody_s() -> None:
    """Drawn anew for each try, over five days: seen through a day's width it tells little."""
    chance, gaps = SeededChance(3), Counter[int]()
    for _ in range(2_000):
        made = Memory().released("a", START, chance)
        pending = made.pending[0]
        after = begun(made, pending, START, chance)
        gaps[(after.pending[0].due - START) // DAY] += 1
    assert sorted(gaps) == [2, 3, 4, 5, 6]
    assert max(gaps.values()) / 2_000 < 0.25


def test_j18_a_try_of_which_nothing_left_costs_none_and_goes_on_another_day() -> None:
    chance = SeededChance(1)
    made = Memory().released("a", START, chance)
    tried = begun(made, made.pending[0], START, chance)
    after = ended(tried, tried.pending[0], START + DAY, chance, left=False, done=False)
    assert after.pending[0].tries == 0
    assert START + DAY <= after.pending[0].due <= START + 3 * DAY


def test_j17_the_order_of_the_queue_is_not_that_of_what_goes() -> None:
    orders = Counter[tuple[str, ...]]()
    for seed in range(1_200):
        chance, made = SeededChance(seed), Memory()
        for name in ("a", "b", "c"):
            made = made.released(name, START, chance)
        order = []
        while made.pending:
            one = first(made.pending, START)
            assert one is not None
            order.append(one.id)
            made = made.without(one)
        orders[tuple(order)] += 1
    assert len(orders) == 6
    expected = 1_200 / 6
    assert sum((n - expected) ** 2 / expected for n in orders.values()) < 20.5  # p = 0.001, 5 df


def test_j17_no_report_goes_because_a_fault_was_met_or_released() -> None:
    """Its time is uniform over seven days, whatever happened when."""
    chance = SeededChance(5)
    dues = sorted(Memory().released("a", START, chance).pending[0].due - START for _ in range(700))
    assert all(abs(due / SPREAD - (at + 0.5) / 700) < 0.07 for at, due in enumerate(dues))


def test_j18_after_weeks_offline_nothing_goes_at_the_start_and_no_two_on_a_day() -> None:
    world = a_world("always")
    meet(world, fault(1), fault(2), fault(3))
    running(world, HOUR)
    world.clock.suspend(20 * DAY)
    world.publish()
    back = world.clock.now()
    running(world, 12 * DAY)
    after = [at for at in sent_at(world) if at >= back]
    assert len(after) == 3
    assert min(after) >= back + LATE_LEAST
    assert len(set(posted_days(world))) == len(posted_days(world))


def test_e05_without_tor_no_report_goes_and_none_is_lost() -> None:
    world = a_world("always")
    world.server.unreachable = TransportError("tor-unavailable", "No Tor.")
    meet(world, fault())
    running(world, 12 * DAY)
    assert world.server.visits == []
    assert [one["state"] for one in world.mars().reports.list()] == ["queued"]


def test_e05_no_report_goes_directly_whatever_was_agreed_to() -> None:
    world = a_world("always")
    world.grant("plain", reports="always", direct=True)
    released(world)
    running(world, 60)
    shown = world.mars().preview(channel="reports")
    assert shown is not None
    assert shown.direct is None
