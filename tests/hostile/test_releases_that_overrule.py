"""What a release overrules, whichever program starts first, and what it brings to download."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars.channels.memory import Memory
from mars.channels.reading import offered
from mars.core.records import STATE_FILE
from mars.daemon import write_current
from mars.errors import MarsError
from mars.ports import Request, Response
from mars.testing.memory import MemoryServer
from mars.testing.publisher import Publisher
from mars.testing.world import World
from mars.wire.motd import Message
from mars.wire.times import DAY
from tests.hostile.steering import a_world, news, next_url, onion

OTHER = onion("b")


def stolen(world: World) -> Publisher:
    """Whoever stole root's keys of epoch 1 made an epoch 2 of his own, and news in it."""
    thief = replace(world.publisher, chain=[])
    thief.rotate(world.clock.wall, seeds=[b"t" * 32])
    return thief


def overrun(world: World) -> Publisher:
    """A client that followed the thief and shows what he says."""
    thief = stolen(world)
    alert = Message("alert", {"en": "Install this"}, severity="critical")
    world.clock.advance(DAY)
    world.server.body = thief.document(world.clock.wall, messages=(alert,), news="Lies.")
    assert world.client().fetch().ok
    assert [message.id for message in world.client().claim()] == ["alert"]
    return thief


def test_a26_a_release_overrules_before_it_fetches_and_shows_nothing_of_the_other_history(
    tmp_path: Path,
) -> None:
    world = a_world()
    overrun(world)
    before = world.mars()
    write_current(tmp_path / "current.json", before)
    assert "Lies." in (tmp_path / "current.json").read_text()
    world.publisher.rotate(world.clock.wall, seeds=[b"n" * 32])
    world.pinned = world.publisher.trust(gen=2).encode()
    after = world.mars()
    reading, status = after.motd(), after.status()
    assert (reading, status["serial"], status["problem"]) == (None, None, None)
    assert after._client.claim() == ()
    write_current(tmp_path / "current.json", after)
    assert not (tmp_path / "current.json").exists()
    after._client.step(None)
    table = json.loads(world.store.files[STATE_FILE])
    assert (table["document"], table["trust"]["gen"]) == (None, 2)
    assert [found["number"] for found in table["trust"]["evidence"]] == [2]
    assert before.motd() is None, "nor does the older program, which is still there"
    world.publish(messages=(Message("alert", {"en": "Do not install that"}),))
    assert before._client.fetch().ok
    shown = world.client().claim()
    assert [message.title for message in shown] == ["Do not install that"], "his id hides no other"
    assert world.client().claim() == ()


def test_b20_across_a_rotation_an_id_is_shown_anew_and_within_one_epoch_once() -> None:
    world = a_world()
    assert world.client().fetch().ok
    assert len(world.client().claim()) == 1
    for _ in range(2):
        news(world)
        assert world.client().fetch().ok
        assert world.client().claim() == ()
    world.publisher.rotate(world.clock.wall, seeds=[b"n" * 32])
    news(world)
    assert world.client().fetch().ok
    assert len(world.client().claim()) == 1
    assert world.client().claim() == ()


@pytest.mark.parametrize("order", [*itertools.permutations((1, 2, 3))])
def test_a26_programs_of_three_releases_on_one_state_never_turn_it_back(
    order: tuple[int, ...],
) -> None:
    """The second release pins the keys of a rotation, the third a thief's end."""
    world = a_world()
    honest = world.publisher
    pinned = {1: world.pinned}
    thief = stolen(world)
    honest.rotate(world.clock.wall, seeds=[b"n" * 32])
    pinned[2] = honest.trust(gen=2).encode()
    honest.rotate(world.clock.wall, seeds=[b"o" * 32])
    pinned[3] = honest.trust(gen=3).encode()
    orders = []
    for round_ in range(2):
        for gen in order:
            world.pinned = pinned[gen]
            client = world.client()
            client.update(lambda state: (state, None))
            world.clock.advance(DAY)
            for publisher in (thief, honest):
                world.server.body = publisher.document(world.clock.wall)
                outcome = client.fetch(asked="plain")
                held = Memory.of(client.load()).trust_state()
                assert outcome.ok is (publisher is honest) or (gen, round_) != (3, 1)
                orders.append(held.order)
    assert orders == sorted(orders)
    held = Memory.of(world.client().load()).trust_state()
    assert (held.gen, held.epoch) == (3, 3)
    assert held.hashes[3] == honest.trust().digest


def test_a26_a_state_that_a_newer_release_wrote_is_kept_by_an_older_program() -> None:
    world = a_world()
    old = world.pinned
    world.publisher.rotate(world.clock.wall, seeds=[b"n" * 32])
    world.pinned = world.publisher.trust(gen=7).encode()
    news(world)
    assert world.client().fetch().ok
    kept = Memory.of(world.client().load())
    world.pinned = old
    client = world.client()
    client.update(lambda state: (state, None))
    assert Memory.of(client.load()) == kept
    news(world)
    assert client.fetch().ok
    assert Memory.of(client.load()).trust["gen"] == 7


def test_a26_a_release_that_crashes_at_its_start_overrules_at_the_next() -> None:
    world = a_world()
    overrun(world)
    world.publisher.rotate(world.clock.wall, seeds=[b"n" * 32])
    world.pinned = world.publisher.trust(gen=2).encode()
    before = dict(world.store.files)
    world.store.full = True
    with pytest.raises(MarsError):
        world.client().step(None)
    assert world.store.files == before
    world.store.full = False
    world.client().step(None)
    assert Memory.of(world.client().load()).trust["epoch"] == 2
    assert world.mars().motd() is None


@pytest.mark.parametrize("later", [-1, 1])
def test_a26_what_another_process_learned_meanwhile_is_not_lost(later: int) -> None:
    """Both asked at once; the one from which steering and downloads were withheld ends last."""
    world = a_world()
    assert world.client().fetch().ok
    late = world.client()
    world.clock.advance(DAY)
    now, publisher = world.clock.wall, world.publisher

    class Slow(MemoryServer):
        def fetch(self, request: Request) -> Response:
            publisher.steer(now, servers=(OTHER,))
            publisher.offer(now)
            world.server = MemoryServer(publisher.document(now + later))
            assert world.client().fetch(asked="plain").ok
            return super().fetch(request)

    slow = Slow(replace(publisher, x_steering=None).document(now))
    late.ports = replace(late.ports, fetcher=lambda _plan: slow)
    assert late.fetch(asked="plain").ok
    held = Memory.of(world.client().load())
    motd = held.motd()
    assert motd is not None
    assert held.trust["serial"] == motd.serial == max(now, now + later)
    assert held.trust_state().release is not None
    assert next_url(world).startswith(f"{OTHER}/")


def test_a24_a_release_document_is_kept_and_never_one_older_than_what_is_installed() -> None:
    world = a_world()
    world.publisher.offer(world.clock.wall, release="0.5.1")
    news(world)
    assert world.client().fetch().ok
    assert world.mars().status()["release"] == "0.5.1"
    world.version = "0.5.2"
    assert world.mars().status()["release"] is None
    kept = Memory.of(world.client().load()).trust_state().release
    assert kept is not None
    versions = ("0.5.1", "0.5", "0.5.1rc1", "0.5.2", "0.6.0.dev1", "dev", "")
    found = [offered(kept, version) is kept for version in versions]
    assert found == [True, True, True, False, False, False, False]
    assert offered(None, "0.5.1") is None
