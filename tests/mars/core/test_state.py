"""The state file: whatever is read, nothing raises; what is written is read back."""

from __future__ import annotations

import json

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mars.channels.memory import SEEN_LIMIT, Memory
from mars.channels.servers import Server
from mars.consent import Decision
from mars.core import journal
from mars.core import state as states
from mars.core.schedule import Schedule
from mars.core.state import App, State
from mars.testing.world import ONION

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
SECTIONS = sorted(json.loads(states.encode(Memory().into(State()))))
TIMES = st.integers(0, 2**53 - 1)

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no reason to fail."""


@unhurried
@given(st.binary(max_size=200))
def test_any_bytes_are_a_state_or_none(data: bytes) -> None:
    states.decode(data)
    journal.decode(data)


@unhurried
@given(st.dictionaries(st.sampled_from(SECTIONS), JSON))
def test_any_json_is_a_state_or_none(table: dict[str, object]) -> None:
    found = states.decode(json.dumps(table | {"version": 1}).encode())
    assert found is not None
    assert states.decode(states.encode(found)) == found


@unhurried
@given(
    st.builds(
        State,
        installed=st.none() | TIMES,
        decision=st.none()
        | st.builds(
            Decision.of,
            st.sampled_from(["off", "plain", "tracked"]),
            TIMES,
            st.dictionaries(st.sampled_from(["statistics", "reports", "else"]), TIMES),
            variables=st.lists(st.text(max_size=4), max_size=3).map(tuple),
            asked=st.lists(st.text(max_size=4), max_size=3).map(tuple),
            direct=st.booleans(),
        ),
        country=st.none() | st.text(max_size=3),
    )
)
def test_what_is_written_is_read_back(state: State) -> None:
    assert states.decode(states.encode(state)) == state


@unhurried
@given(
    st.builds(
        Memory,
        pick=st.none() | st.floats(0, 1),
        schedule=st.none()
        | st.builds(Schedule, due=TIMES, wait=st.none() | TIMES, failures=TIMES, period=TIMES),
        document=st.none() | st.text(max_size=50),
        seen=st.dictionaries(st.text(max_size=4), st.dictionaries(st.text(max_size=4), TIMES)),
        server=st.none()
        | st.builds(Server, st.just(f"http://{ONION}"), TIMES, TIMES, st.booleans()),
        heard=st.none() | TIMES,
        began=st.none() | TIMES,
        spent=st.booleans(),
        chained=st.none() | TIMES,
        chaining=st.booleans(),
        checked=st.none() | TIMES,
    )
)
def test_what_a_channel_remembers_is_read_back(known: Memory) -> None:
    found = states.decode(states.encode(known.into(State())))
    assert found is not None
    assert Memory.of(found) == known


def test_what_the_application_says_of_itself_is_read_back() -> None:
    app = App("examplemail", "0.5.1", "http://x/", ("en", "is"), "is_IS", built=5)
    assert App.of(json.loads(json.dumps(app.profile()))) == app
    assert App.of({"languages": "en", "built": True, "version": 5}) == App(
        "", "5", "", (), by_hand=True
    )


ENTRY = {"level": "plain", "url": "", "sent": "", "route": "", "reason": None}


def test_the_journal_is_bounded() -> None:
    data: bytes | None = None
    for number in range(journal.KEPT + 50):
        data = journal.add(data, {**ENTRY, "time": number})
    entries = journal.decode(data)
    assert len(entries) == journal.KEPT
    assert entries[-1] == {**ENTRY, "time": journal.KEPT + 49}
    for number in range(journal.KEPT):
        data = journal.add(data, {**ENTRY, "time": number, "sent": "x" * 16_384})
    assert data is not None
    assert journal.LIMIT - 20_000 < len(data) <= journal.LIMIT, "reports are long"
    assert journal.decode(data)[-1]["time"] == journal.KEPT - 1


def test_what_was_shown_is_bounded() -> None:
    seen = {str(number): 1 for number in range(1_000)}
    found = Memory.of(Memory().saw(seen).into(State()))
    assert len(found.shown) == SEEN_LIMIT
    assert "999" in found.shown
