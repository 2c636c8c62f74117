"""A decision on a full disk, beside a later one, or under a clock that was set back: it holds."""

from __future__ import annotations

import pytest

from mars.errors import MarsError, StateError
from mars.testing.memory import MemoryStore, session
from mars.testing.world import World
from tests.hostile.test_last_moment_before_leaving import DAY


def test_f_a_revocation_that_cannot_be_stored_holds_and_is_stored_later() -> None:
    world = World()
    world.publish()
    mars = world.mars()
    mars.consent.grant("tracked")
    world.store.full = True
    assert not mars.consent.revoke()
    assert mars.consent.level == "off"
    with pytest.raises(MarsError):
        mars._client.fetch()
    world.store.full = False
    session(mars._client, world.clock, 30 * DAY)
    assert world.server.visits == []
    decision = world.client().load().decision
    assert decision is not None
    assert decision.level == "off"


class FullAtTimes(MemoryStore):
    """A disk without room for the next ``refused`` writes."""

    refused = 0

    def write(self, name: str, data: bytes) -> None:
        if self.refused:
            self.refused -= 1
            raise StateError("state-unwritable", "The disk is full; make room.")
        super().write(name, data)


@pytest.mark.parametrize("take_back", ["country", "revoke", "revoke twice", "another"])
def test_f_a_country_taken_back_is_never_sent_again_whatever_is_stored(take_back: str) -> None:
    store = FullAtTimes()
    world = World(store=store)
    world.publish()
    mars = world.mars()
    assert mars.consent.grant("tracked", ["cc"], country="IS")
    store.refused = 1
    if take_back == "country":
        assert not mars.consent.grant("tracked", ["cc"], country="")
    elif take_back == "another":
        assert not mars.consent.grant("tracked", ["cc"], country="DE")
    elif take_back == "revoke":
        assert not mars.consent.revoke()
        assert mars.consent.revoke()
    else:
        store.refused = 2  # what is settled after a decision would store it, too
        assert not mars.consent.revoke()
        store.refused = 2
        assert not mars.consent.revoke()
    assert mars.consent.country == ""
    shown = mars.preview()
    assert shown is None or not shown.values
    mars._client.update(lambda state: (state, None))
    assert world.mars().consent.country == ""
    assert mars.consent.grant("tracked", ["cc"])
    assert not mars.preview().values  # type: ignore[union-attr]


def test_f_a_grant_after_a_revocation_that_was_not_stored_brings_nothing_back() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked", ["cc"], stats=True, country="IS")
    world.store.full = True
    assert not mars.consent.revoke()
    assert not mars.consent.grant("tracked", ["cc"])
    assert mars.consent.level == "off"
    world.store.full = False
    assert mars.consent.grant("tracked", ["cc"])
    assert mars.consent.country == ""
    assert "statistics" not in mars._client.load().decision.purposes  # type: ignore[union-attr]


def test_f_an_age_reset_that_cannot_be_stored_holds_at_once() -> None:
    world = World(crowd=1000)
    mars = world.mars()
    mars.consent.grant("tracked", ["ia"])
    world.clock.advance(40 * DAY)
    assert mars.preview().values == {"ia": "100"}  # type: ignore[union-attr]
    world.store.full = True
    mars.reset_age()
    assert mars.preview().values == {"ia": "1"}  # type: ignore[union-attr]
    world.store.full = False
    mars._client.update(lambda state: (state, None))
    assert world.mars().preview().values == {"ia": "1"}  # type: ignore[union-attr]


def test_f_a_revocation_holds_after_the_clock_was_set_back() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("plain")
    world.clock.step(-DAY)
    world.store.full = True
    assert not mars.consent.revoke()
    assert mars.consent.level == "off"
    world.store.full = False
    mars._client.update(lambda state: (state, None))
    assert world.mars().consent.level == "off"


def test_f_a_later_decision_elsewhere_stands_before_one_that_was_not_stored() -> None:
    world = World()
    mars = world.mars()
    mars.consent.grant("tracked")
    world.store.full = True
    assert not mars.consent.revoke()
    world.store.full = False
    world.clock.advance(1)
    world.grant("plain")
    assert mars.consent.level == "plain"
