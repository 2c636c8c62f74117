"""The trust state as it is kept: read back whole or not at all, and what a release makes of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mars.errors import MarsError, StateError
from mars.testing.memory import MemoryKey, MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import TrustState, verify
from mars.wire import times
from mars.wire.steering import Steering

NOW = EXAMPLE_NOW
PUBLISHER = Publisher(seeds=[b"c" * 32])
NEW = TrustState.initial()
SEEN = verify(PUBLISHER.document(), PUBLISHER.trust(), NEW, NOW, MemoryOpenPGP()).state
STRANGE = Steering("examplemail", "stable", 9, 1, 1)
"""Of an epoch that nobody has reached."""


def test_a_state_survives_being_written_and_read() -> None:
    publisher = Publisher(seeds=[b"c" * 32], openpgp=[MemoryKey()])
    root = publisher.trust()
    publisher.rotate(seeds=[b"d" * 32])
    state = verify(publisher.document(), root, NEW, NOW, MemoryOpenPGP()).state
    assert state.openpgp
    assert state.keys is not None
    assert TrustState.decode(state.encode()) == state
    assert TrustState.decode(NEW.encode()) == NEW
    assert NEW.order < state.order < replace(state, serial=NOW + 1).order
    assert replace(state, serial=NOW + 1).order < replace(state, epoch=3).order
    assert replace(state, epoch=9).order < replace(state, gen=2).order


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"type": "trust"},
        {"product": "other"},
        {"epoch": 2},
        {"keys": {}},
        {"keys": [1]},
        {"hashes": {}},
        {"hashes": {"1": "0" * 64}},
        {"hashes": {"²": "0" * 64}},
        {"hashes": {str(n): "0" * 64 for n in range(257)}},
        {"steering": "{}"},
        {"steering": STRANGE.encode().decode()},
        {"release": "x"},
        {"serial": -1},
        {"serial": times.LAST + 1},
        {"digest": "xyz"},
        {"digest": "0" * 63},
        {"openpgp": 1},
        {"keys": "{}"},
        {"evidence": {}},
        {"evidence": [{}]},
        {"evidence": [{"kind": "other", "number": 1, "known": "", "other": ""}]},
        {"evidence": [{"kind": "motd", "number": 1, "known": "", "other": ""}] * 33},
    ],
)
def test_a_damaged_state_is_an_error_of_its_own(changes: dict[str, Any]) -> None:
    data = json.dumps({**json.loads(SEEN.encode()), **changes}).encode()
    with pytest.raises(StateError) as caught:
        TrustState.decode(data)
    assert caught.value.reason == "state-invalid"


def test_a_state_with_keys_of_another_epoch_is_an_error() -> None:
    publisher = replace(PUBLISHER, chain=[])
    publisher.rotate(seeds=[b"d" * 32])
    plain = json.loads(SEEN.encode()) | {"keys": publisher.key_set().plain()}
    with pytest.raises(StateError):
        TrustState.decode(json.dumps(plain).encode())


def test_a_state_that_has_judged_nothing_has_no_epoch() -> None:
    for changes in ({"epoch": 1}, {"gen": 1}, {"steering": STRANGE.encode().decode()}):
        plain = json.loads(NEW.encode()) | changes
        with pytest.raises(StateError):
            TrustState.decode(json.dumps(plain).encode())


def test_a_release_that_pins_an_epoch_not_reached_starts_again() -> None:
    publisher = replace(PUBLISHER, chain=[])
    publisher.rotate(seeds=[b"d" * 32])
    pinned = publisher.trust(gen=2)
    moved = verify(publisher.document(NOW + 60), pinned, SEEN, NOW, MemoryOpenPGP())
    assert moved.news
    assert (moved.state.epoch, moved.state.gen) == (2, 2)
    assert list(moved.state.hashes) == [2]


def test_a_release_that_pins_the_epoch_already_reached_keeps_the_floor() -> None:
    publisher = replace(PUBLISHER, chain=[])
    publisher.rotate(seeds=[b"d" * 32])
    reached = verify(
        publisher.document(NOW + 60), PUBLISHER.trust(), NEW, NOW, MemoryOpenPGP()
    ).state
    pinned = publisher.trust(gen=2)
    with pytest.raises(MarsError) as caught:
        verify(publisher.document(NOW), pinned, reached, NOW, MemoryOpenPGP())
    assert caught.value.reason == "rollback"
    same = verify(publisher.document(NOW + 60), pinned, reached, NOW, MemoryOpenPGP())
    assert same.state == replace(reached, gen=2)
    assert not same.news
