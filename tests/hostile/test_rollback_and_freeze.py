"""Time, rollback, freeze, and where the next fetch goes."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from mars.channels.memory import Memory
from mars.channels.servers import Server
from mars.core import schedule
from mars.core.channel import Ending
from mars.core.state import App
from mars.errors import MarsError, TransportError, TrustError
from mars.testing.memory import MemoryOpenPGP
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust import Accepted, Equivocation, Offered, RefusedError, TrustState, verify
from mars.wire import envelope, times
from mars.wire import motd as motds
from mars.wire.steering import MAX_STEERING, Steering
from mars.wire.times import DAY

NOW = EXAMPLE_NOW
PUBLISHER = Publisher(seeds=[b"c" * 32])
ROOT = PUBLISHER.trust()
NEW = TrustState.initial()
ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
BUILT_IN = "http://duckduckgogg42xjoc72x3sjasowoarfbgcmvfimaftt6twagswzczad.onion"


def judge(data: bytes, state: TrustState = NEW, now: int = NOW, **root: Any) -> Accepted:
    return verify(data, replace(ROOT, **root), state, now, MemoryOpenPGP())


def refused(data: bytes, state: TrustState = NEW, now: int = NOW, **root: Any) -> MarsError:
    with pytest.raises(MarsError) as caught:
        judge(data, state, now, **root)
    return caught.value


def kept(data: bytes, state: TrustState, now: int) -> tuple[str, TrustState]:
    """Reason and state of a refusal that is remembered."""
    error = refused(data, state, now)
    assert isinstance(error, RefusedError)
    return error.reason, error.state


def seen() -> TrustState:
    """After the first document."""
    return judge(PUBLISHER.document()).state


SEEN = seen()


def test_c01_older_serial_is_rejected_as_rollback() -> None:
    error = refused(PUBLISHER.document(NOW - 1), SEEN)
    assert isinstance(error, RefusedError)
    assert (error.reason, error.state) == ("rollback", SEEN)


def test_c02_same_document_again_is_no_news() -> None:
    again = judge(PUBLISHER.document(), SEEN, NOW + DAY)
    assert not again.news
    assert again.state == SEEN


def test_c03_two_documents_with_one_serial_are_rejected_and_kept_as_evidence() -> None:
    before, other = seen(), PUBLISHER.document(news="other")
    reason, state = kept(other, before, NOW)
    assert reason == "equivocation"
    twin = hashlib.sha256(envelope.decode(other).payload).hexdigest()
    assert state.evidence == (Equivocation("motd", NOW, before.digest, twin),)
    assert replace(state, evidence=()) == before
    # The same twin once more adds nothing; the first document is still good.
    assert kept(other, state, NOW) == ("equivocation", state)
    assert judge(PUBLISHER.document(), state).state == state


def test_c03_evidence_is_bounded_and_keeps_the_first() -> None:
    state = SEEN
    for n in range(20):
        state = state.with_evidence(Equivocation("motd", NOW, SEEN.digest, f"{n:064x}"))
    assert len(state.evidence) == 8
    assert state.evidence[0].other == f"{0:064x}"
    assert TrustState.decode(state.encode()) == state


def test_c04_expired_document_with_newer_serial_raises_the_floor_and_is_not_shown() -> None:
    late = NOW + 60 * DAY
    newer = PUBLISHER.document(NOW + DAY)
    reason, state = kept(newer, SEEN, late)
    assert reason == "expired"
    assert state.serial == NOW + DAY
    assert (state.accepted, state.issued, state.expires) == (NOW, NOW, SEEN.expires)
    assert state.stale_since(late) == SEEN.expires
    assert refused(PUBLISHER.document(), state, NOW + DAY).reason == "rollback"
    # The clock was wrong after all: the same document is then news.
    assert judge(newer, state, NOW + DAY).news


def test_c04_expired_first_document_leaves_nothing_to_show() -> None:
    reason, state = kept(PUBLISHER.document(), NEW, NOW + 45 * DAY)
    assert reason == "expired"
    assert state.serial == NOW
    assert state.accepted == 0
    assert state.stale_since(NOW + 45 * DAY) is None


def test_c05_frozen_document_is_stale_from_its_expiry() -> None:
    document, state = PUBLISHER.document(), seen()
    for days in range(45):
        state = judge(document, state, NOW + days * DAY).state
        assert state.stale_since(NOW + days * DAY) is None
    for days in range(45, 61):
        reason, state = kept(document, state, NOW + days * DAY)
        assert reason == "expired"
        assert state.stale_since(NOW + days * DAY) == NOW + 45 * DAY


def test_c05_the_last_second_is_valid_and_the_next_is_not() -> None:
    document = PUBLISHER.document()
    assert judge(document, now=NOW + 45 * DAY - 1).news
    assert refused(document, now=NOW + 45 * DAY).reason == "expired"


@pytest.mark.parametrize(
    ("lifetime", "due"),
    [
        (0, "bad-lifetime"),
        (-DAY, "bad-lifetime"),
        (14 * DAY - 1, "bad-lifetime"),
        (14 * DAY, None),
        (60 * DAY, None),
        (60 * DAY + 1, "bad-lifetime"),
    ],
)
def test_c06_lifetime_is_14_to_60_days(lifetime: int, due: str | None) -> None:
    document = PUBLISHER.document(expires=NOW + lifetime)
    if due is None:
        assert judge(document).news
    else:
        assert refused(document).reason == due


def test_c07_document_from_the_future_is_rejected() -> None:
    assert refused(PUBLISHER.document(NOW + 2 * DAY)).reason == "future"
    assert refused(PUBLISHER.document(NOW + DAY + 1)).reason == "future"
    assert judge(PUBLISHER.document(NOW + DAY)).news


def test_c08_clock_before_the_build_date_does_not_revive_an_expired_document() -> None:
    old = PUBLISHER.document(NOW - 50 * DAY)
    # The clock stands inside the document's life, but this release was built after it.
    wrong = NOW - 49 * DAY
    assert judge(old, now=wrong).news
    assert refused(old, now=wrong, built=NOW).reason == "expired"
    assert refused(old, now=wrong, minimum_serial=NOW - 50 * DAY, built=NOW).reason == "expired"
    assert judge(old, now=wrong, built=NOW - 6 * DAY).news


def test_c08_last_accepted_issue_is_a_lower_bound_of_the_time() -> None:
    # The serial may lag behind the date, so a later serial may carry an earlier date.
    late = NOW + 30 * DAY
    state = judge(PUBLISHER.document(late, serial=NOW), now=late).state
    short = PUBLISHER.document(NOW + 1, expires=NOW + 15 * DAY)
    assert judge(short, now=NOW + 2 * DAY).news
    assert refused(short, state, NOW + 2 * DAY).reason == "expired"


@pytest.mark.parametrize("clock", [0, NOW - 2 * DAY])
def test_c08_future_is_judged_by_the_raw_clock(clock: int) -> None:
    assert refused(PUBLISHER.document(), now=clock, built=NOW).reason == "future"


class Middle:
    """``mars.ports.Chance`` that always draws the middle."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2

    def choice(self, items: Any) -> Any:
        return items[0]

    def token(self, size: int) -> bytes:
        return bytes(size)


def test_c09_a_year_2099_for_one_day_postpones_nothing_for_decades() -> None:
    far = times.parse_time("2099-01-01T00:00:00Z")
    stored = schedule.Schedule(due=far + 5 * DAY)
    looked, sleep = schedule.look(stored, NOW, None, Middle())
    assert sleep
    assert looked.due <= NOW + 33 * DAY


def test_c10_a_clock_that_steps_back_a_year_causes_no_burst() -> None:
    stored = schedule.Schedule(due=NOW + DAY)
    fetches = 0
    for hour in range(24 * 20):
        stored, sleep = schedule.look(stored, NOW - 365 * DAY + hour * 3600, 3600, Middle())
        if not sleep:
            fetches += 1
            stored = schedule.attempt(stored, NOW - 365 * DAY + hour * 3600, Middle())
    assert fetches == 0


def test_c10_a_clock_that_flaps_while_no_time_is_known_causes_no_burst() -> None:
    """Each time it is right again the fetch is overdue, and an overdue one waits."""
    stored = schedule.Schedule(due=NOW + DAY)
    for hour in range(24 * 20):
        now = NOW + hour * 3600 - (365 * DAY if hour % 2 else 0)
        stored, sleep = schedule.look(stored, now, 3600, Middle())
        assert sleep


def test_c10_a_clock_before_a_time_that_is_known_changes_nothing() -> None:
    stored = schedule.Schedule(due=NOW + DAY)
    for back in (2 * DAY, 365 * DAY):
        looked, sleep = schedule.look(stored, NOW - back, 3600, Middle(), floor=NOW)
        assert looked == stored
        assert sleep


def test_c11_fresh_installation_accepts_an_old_document_that_has_not_expired() -> None:
    old = PUBLISHER.document(NOW - 40 * DAY)
    assert judge(old).news
    assert refused(old, minimum_serial=NOW - 30 * DAY).reason == "rollback"


def test_c12_restored_state_has_the_floor_of_its_snapshot_and_the_built_in_minimum() -> None:
    snapshot = SEEN.encode()
    judge(PUBLISHER.document(NOW + 3 * DAY), SEEN, NOW + 3 * DAY)
    restored = TrustState.decode(snapshot)
    assert judge(PUBLISHER.document(NOW + DAY), restored, NOW + 3 * DAY).news
    assert refused(PUBLISHER.document(NOW - DAY), restored).reason == "rollback"
    minimum = {"minimum_serial": NOW + 2 * DAY, "gen": 2}
    late = NOW + 3 * DAY
    assert refused(PUBLISHER.document(NOW + DAY), restored, late, **minimum).reason == "rollback"


@pytest.mark.parametrize(
    ("asked", "obeyed"),
    [
        (1, 3 * DAY),
        (3 * DAY + 3 * 3600, 3 * DAY + 6 * 3600),
        (604_800, 604_800),
        (604_801, 604_800),
        (2**53 - 1, 30 * DAY),
    ],
)
def test_c13_reportback_next_is_clamped_and_rounded(asked: int, obeyed: int) -> None:
    motd = judge(PUBLISHER.document(reportback_next=asked)).motd
    assert schedule.steered(motd.reportback_next) == obeyed


def test_c13_zero_is_the_default_interval() -> None:
    motd = judge(PUBLISHER.document(reportback_next=0)).motd
    assert schedule.next_interval(Middle(), motd.reportback_next) == 13 * DAY // 2


@pytest.mark.parametrize("asked", ["-1", '"604800"', "9007199254740992", "1.5", "null"])
def test_c13_reportback_next_of_another_form_refuses_the_document(asked: str) -> None:
    payload = motds.encode(PUBLISHER.motd(reportback_next=77)).replace(b"77", asked.encode(), 1)
    error = refused(envelope.encode(PUBLISHER.envelope(payload)))
    assert error.reason in {"bad-number", "bad-payload"}


BAD_SERVERS = (
    "https://example.org",
    "http://127.0.0.1",
    "http://expyuzz4wqqyqhjn.onion",
    ONION.replace("2gzy", "3gzy"),
    ONION + "/",
    ONION + "/motd/motd.json",
    ONION + "?x=1",
    ONION + ":80",
    ONION.replace("http://", "http://user@"),
    ONION.replace("http://", "HTTP://"),
    ONION.upper(),
    ONION + "\n",
    "x" * 20_000,
    "",
)


APP = App("examplemail", "0.5.1", f"{BUILT_IN}/motd/motd.json")


@pytest.mark.parametrize("server", BAD_SERVERS, ids=range(len(BAD_SERVERS)))
def test_c14_only_a_bare_onion_address_moves_the_client(server: str) -> None:
    publisher, payload = replace(PUBLISHER), motds.encode(PUBLISHER.motd(reportback_server=server))
    publisher.steer(servers=(server,))
    found = judge(envelope.encode(publisher.envelope(payload)))
    note = "too-large" if len(server) > MAX_STEERING else "bad-payload"
    assert f"steering: {note}" in found.notes
    assert Memory().accepted(found, NOW).asked(APP) == ""


def test_c14_only_a_document_of_root_moves_the_client() -> None:
    found = judge(PUBLISHER.document(reportback_server=ONION, reportback_next=30 * DAY))
    assert found.notes == ("steering: differs",)
    settled = replace(Memory().accepted(found, NOW), schedule=schedule.Schedule(due=NOW))
    settled = settled.settled(Ending(found, left=True), NOW, Middle(), APP)
    assert settled.asked(APP) == ""
    assert settled.schedule is not None
    assert settled.schedule.period == 0


def moved() -> Memory:
    """After news with a steering document that names another server."""
    publisher = replace(PUBLISHER)
    publisher.steer(servers=(ONION,))
    found = judge(publisher.document())
    known = replace(Memory().accepted(found, NOW), schedule=schedule.Schedule(due=NOW))
    known = known.settled(Ending(found, left=True), NOW, Middle(), APP)
    assert known.server == Server(ONION, NOW)
    assert known.asked(APP) == ONION
    return known


@pytest.mark.parametrize(("left", "expected"), [(False, 9), (True, 3)])
def test_c15_a_silent_server_is_left_after_three_periods_and_tried_again_after_as_many(
    left: bool, expected: int
) -> None:
    """Three periods of three tries, or of one."""
    silent = Ending(error=TransportError("timeout", "Nothing came."), left=left)
    known, asked = moved(), list[str]()
    for _ in range(3 * expected):
        asked.append(known.asked(APP))
        known = known.settled(silent, NOW + DAY, Middle(), APP)
    assert asked == [*[ONION] * expected, *[""] * expected, *[ONION] * expected]


def offered(reason: str, issued: int) -> Ending:
    """A document of that time, whose signatures hold, and that was refused all the same."""
    error = TrustError(reason, "No.")
    error.offered = Offered(issued, Steering("examplemail", "stable", 1, 0, 0))
    return Ending(error=error, left=True)


@pytest.mark.parametrize("reason", ["expired", "rollback", "equivocation", "keys-expired"])
def test_c15_a_server_without_news_is_left_after_thirty_days_and_news_bring_it_back(
    reason: str,
) -> None:
    quiet, old = moved(), offered(reason, NOW)
    for _ in range(4):
        quiet = quiet.settled(old, NOW + 30 * DAY, Middle(), APP)
        assert quiet.asked(APP) == ONION, "no lost period"
    young = quiet.settled(offered(reason, NOW + 2 * DAY), NOW + 31 * DAY, Middle(), APP)
    assert young.asked(APP) == ONION, "what it offers is younger"
    left = quiet.settled(old, NOW + 31 * DAY, Middle(), APP)
    assert left.asked(APP) == ""
    still = left.settled(offered(reason, NOW + 30 * DAY), NOW + 35 * DAY, Middle(), APP)
    assert still.asked(APP) == "", "these news are older than the turn"
    newer = offered(reason, NOW + 32 * DAY)
    back = left.settled(newer, NOW + 35 * DAY, Middle(), APP)
    assert back.asked(APP) == ONION
    lost = Ending(error=TransportError("timeout", "No."), left=True)
    again = back.settled(lost, NOW + 42 * DAY, Middle(), APP)
    assert again.asked(APP) == "", "one lost period is enough, else news would come too seldom"


@pytest.mark.parametrize("changes", [{"product": "other"}, {"channel": "beta"}])
def test_c16_document_of_another_product_or_channel_is_rejected(changes: dict[str, Any]) -> None:
    (member,) = changes
    assert refused(PUBLISHER.document(**changes)).reason == f"wrong-{member}"


def test_the_digest_is_of_the_payload_alone() -> None:
    # Another envelope around the same payload (a further holder signed) is the same document.
    members = json.loads(PUBLISHER.document())
    members["signatures"].append({"sig": base64.b64encode(bytes(64)).decode()})
    assert not judge(json.dumps(members).encode(), SEEN).news
