"""``Mars.failures`` of an application: failures come in, are kept, shown, told and forgotten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mars import Mars, streams
from mars.core.records import FAILURES_FILE
from mars.errors import ConfigError
from mars.failures.counts import total
from mars.failures.kept import decode as decode_kept
from mars.testing.memory import START, session
from mars.testing.world import World
from mars.wire.events import Dimension, Domain
from mars.wire.report import decode
from mars.wire.times import DAY, WEEK, week_start
from tests.mars.channels.kit import a_world, catalogue, posted, read
from tests.mars.failures.kit import DECRYPTION, cause

TOLD = week_start(START) + 2 * WEEK
"""The first whole week that begins at least seven days after a yes at ``START``, a Saturday."""
OFTEN = replace(DECRYPTION, rate=1.0)
"""Each of its eight entries is drawn in one week of eight."""


FEW = replace(
    OFTEN, names=(cause("key_missing", Dimension("device", ("own", "other"))), OFTEN.names[2])
)
"""Of five entries, each drawn in one week of five."""


def failing(domain: Domain = OFTEN, *, agreed: bool = True) -> World:
    return a_world(domains=(domain,), agreed=agreed)


def counts(world: World) -> dict[str, tuple[int, int]]:
    """Of each cause, as it is listed."""
    (domain,) = world.mars().failures_seen()
    return {one["name"]: (one["week"], one["today"]) for one in domain["names"]}


def test_a_failure_is_counted_kept_and_shown() -> None:
    world = failing()
    mars = world.mars()
    stream = mars.failures("decryption")
    assert mars.failures("decryption") is stream
    stream.fail("key_missing", subject="message 1", device="own", verified=True)
    stream.fail("key_missing", subject="message 1")
    stream.fail("damaged", subject="message 2").resolved()
    stream.succeeded(5)
    world.clock.advance(120)
    (domain,) = mars.failures_seen()
    shown = {one["name"]: one for one in domain["names"]}
    assert (shown["key_missing"]["today"], shown["key_missing"]["week"]) == (1, 0)
    assert shown["key_missing"]["last"] == {"device": "own", "verified": "true"}
    assert (shown["damaged"]["today"], domain["succeeded"]["today"]) == (0, 5)
    assert (domain["agreed"], domain["on"], domain["name"]) == (True, True, "decryption/*")
    assert shown["cancelled"]["expected"]
    assert counts(world)["key_missing"] == (0, 1), "another process sees it"
    world.clock.advance(DAY)
    assert counts(world)["key_missing"] == (1, 0)
    assert json.loads(json.dumps(domain)) == domain
    assert mars.status()["streams"] == {"mode": "on", "to_ask": [], "problems": [], "lost": 0}
    assert (mars.status()["failures"], mars.status()["events"]) == (0, True), "as in the command's"


HOURS = 3 * 3_600
"""That the application runs on a day."""


def days(world: World, mars: Mars, number: int, each: Callable[[], object] = int) -> None:
    """The application runs for some hours, and ``each`` happens on each day."""
    for _ in range(number):
        each()
        session(mars._client, world.clock, HOURS)
        world.clock.suspend(DAY - HOURS)


def told(world: World) -> dict[str, str]:
    """What was reported of each entry last."""
    reports = [read(request)[1] for request in posted(world)]
    assert {one.purpose for one in reports} <= {"events"}
    return {one.name: one.value for one in reports}


def test_what_is_told_is_what_was_counted_in_seven_whole_days_after_the_yes() -> None:
    world = failing(FEW)
    mars = world.mars()
    stream = mars.failures("decryption")

    def fails() -> None:
        for number in range(2):
            subject = f"{world.clock.wall} {number}"
            stream.fail("key_missing", subject=subject, device="other")
        stream.fail("cancelled")
        stream.succeeded(300)

    days(world, mars, (TOLD - START) // DAY, fails)
    assert told(world) == {}
    days(world, mars, 6 * 7, fails)
    assert len(told(world)) >= 4
    assert (
        told(world).items()
        <= {
            "decryption/key_missing": "10-99",
            "decryption/key_missing.device": "other",
            "decryption/cancelled": "2-9",
            "decryption/failed_share": "below_1",
            "decryption/late": "0",
        }.items()
    )


def test_an_installation_where_nothing_fails_says_so() -> None:
    """Or shares would be those of the ones that fail."""
    world = failing(FEW)
    days(world, world.mars(), (TOLD - START) // DAY + 4 * 7)
    assert len(told(world)) >= 4
    assert set(told(world).values()) <= {"0", "none", "few"}


def test_without_a_yes_nothing_is_kept_and_a_failure_costs_nothing() -> None:
    world = failing(agreed=False)
    world.grant("tracked")
    mars = world.mars()
    mars.failures("decryption").fail("key_missing", subject="message 1")
    days(world, mars, 2)
    assert FAILURES_FILE not in world.store.files
    assert mars.failures_seen()[0]["counted"] is None
    assert mars.status()["streams"]["mode"] == "off"


def test_local_mode_counts_and_shows_and_tells_nothing() -> None:
    world = failing(agreed=False)
    world.grant("plain")
    mars = world.mars()
    assert mars.statistics.show()
    stream = mars.failures("decryption")
    days(world, mars, 3 * 7, lambda: stream.fail("damaged"))
    assert counts(world)["damaged"] == (7, 0)
    (domain,) = mars.failures_seen()
    values = {one["name"]: (one["value"], one["said"]) for one in domain["entries"]}
    assert values["decryption/damaged"] == ("2-9", "2-9")
    assert (domain["on"], mars.status()["streams"]["mode"], posted(world)) == (False, "local", [])
    assert mars.statistics.show(False)
    assert FAILURES_FILE not in world.store.files
    stream.fail("damaged")
    days(world, mars, 1)
    assert FAILURES_FILE not in world.store.files


def test_a_yes_in_a_running_application_begins_to_count_at_once() -> None:
    world = failing(agreed=False)
    world.grant("plain")
    mars = world.mars()
    stream = mars.failures("decryption")
    stream.fail("damaged")
    world.clock.advance(120)
    assert mars.statistics.choose({"decryption/*": True})
    stream.fail("damaged")
    world.clock.advance(120)
    (domain,) = mars.failures_seen()
    assert {one["name"]: one["today"] for one in domain["names"]}["damaged"] == 1


def test_a_no_in_local_mode_begins_anew() -> None:
    world = failing()
    mars = world.mars()
    mars.statistics.show()
    stream = mars.failures("decryption")
    stream.fail("damaged")
    world.clock.advance(120)
    mars.failures_seen()
    stream.fail("damaged")
    world.clock.advance(120)
    assert mars.statistics.choose({"decryption/*": False})
    assert counts(world)["damaged"] == (0, 0)
    stream.fail("damaged")
    world.clock.advance(120)
    mars.stop()
    assert counts(world)["damaged"] == (0, 1)


def test_what_is_no_decision_leaves_nothing_behind() -> None:
    world = failing(agreed=False)
    assert not world.mars().consent.grant("no such level")
    assert world.store.files == {}


def test_two_processes_add_up_and_a_subject_of_both_counts_once() -> None:
    world = failing()
    first, second = world.mars(), world.mars()
    for mars in (first, second):
        mars.failures("decryption").fail("damaged")
    first.failures("decryption").fail("other", subject="message 1")
    world.clock.advance(120)
    first.failures_seen()
    second.failures_seen()
    second.failures("decryption").fail("other", subject="message 1")
    world.clock.advance(120)
    second.stop()
    assert counts(world) == {
        "key_missing": (0, 0),
        "damaged": (0, 2),
        "cancelled": (0, 0),
        "other": (0, 1),
    }


def test_what_could_not_be_written_is_written_later() -> None:
    world = failing()
    mars = world.mars()
    mars.failures("decryption").fail("damaged")
    world.clock.advance(120)
    world.store.full = True
    mars.failures_seen()
    assert mars.status()["problem"]["reason"] == "state-unwritable"
    world.store.full = False
    assert counts(world)["damaged"] == (0, 0)
    mars.stop()
    assert counts(world)["damaged"] == (0, 1)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"{}",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"damaged": 1', b'"damaged": true'),
        lambda data: data.replace(b'"late"', b'"lat"'),
        lambda data: data.replace(b'"version": 1', b'"version": 2'),
        lambda data: b"[" * 100_000,
        lambda data: b"\xff" * 10,
    ],
)
def test_a_damaged_file_is_nothing_kept_and_is_told(damage: Callable[[bytes], bytes]) -> None:
    world = failing()
    mars = world.mars()
    days(world, mars, 10, lambda: mars.failures("decryption").fail("damaged"))
    mars.stop()
    whole = world.store.files[FAILURES_FILE]
    world.store.files[FAILURES_FILE] = damage(whole)
    assert world.client().status()["problem"]["reason"] == "state-damaged"
    after = world.mars()
    (domain,) = after.failures_seen()
    assert FAILURES_FILE in after.status()["problem"]["message"]
    assert not any(one["week"] for one in domain["names"])
    assert domain["entries"][0]["value"] is None, "for seven days"


def test_what_is_wrong_with_calls_is_told_and_raised_in_tests() -> None:
    world = failing()
    mars = world.mars(raises=False)
    mars.failures("decryption").fail("no_such_cause")
    mars.failures("no_such_domain").fail("damaged")
    mars.failures("decryption").fail("damaged", subject=3.5)  # type: ignore[arg-type]
    problems = mars.status()["streams"]["problems"]
    assert {one["reason"] for one in problems} == {"undeclared", "bad-subject"}
    assert "3.5" not in json.dumps(problems)
    strict = world.mars()
    with pytest.raises(ConfigError):
        strict.failures("no_such_domain")
    with pytest.raises(ConfigError):
        strict.failures("decryption").fail("no_such_cause")


class Odd(str):
    """Whatever one asks of it raises."""

    def _raise(self, *_: object) -> str:
        raise RuntimeError("odd")

    __str__ = __repr__ = __format__ = _raise
    __hash__ = __eq__ = _raise  # type: ignore[assignment]


class OddThing:
    __str__ = __repr__ = Odd._raise
    __hash__ = Odd._raise  # type: ignore[assignment]


def test_what_is_no_name_of_a_domain_is_not_called_repeated_or_kept() -> None:
    mars = failing().mars(raises=False)
    wrong: list[Any] = [OddThing(), None, 5, "", "alice@example.org", Odd("alice"), Odd("al ice")]
    for one in wrong:
        mars.failures(one).fail("damaged")
    assert mars.failures(Odd("decryption")) is mars.failures("decryption")
    for number in range(100):
        mars.failures(f"wrong_{number}").fail("damaged")
    problems = mars.status()["streams"]["problems"]
    assert len(problems) <= 2 * (streams.MOST_UNDECLARED + 1)
    assert "'wrong_1' is no domain" in str(problems)
    assert "example.org" not in str(problems)
    assert "al ice" not in str(problems)


def test_a_developer_is_told_in_tests_where_causes_do_not_say_what_fails() -> None:
    world = failing()
    mars = world.mars()
    for name in ("other", "damaged", "damaged", "damaged", "damaged", "other"):
        mars.failures("decryption").fail(name)
        world.clock.advance(120)
        mars.failures_seen()
        shares = [one["reason"] for one in mars.status()["streams"]["problems"]]
    assert shares == ["too-much-other"], "two of six"
    mars.failures("decryption").fail("damaged")
    for _ in range(4):
        mars.failures("decryption").fail("key_missing")
    world.clock.advance(120)
    mars.failures_seen()
    assert mars.status()["streams"]["problems"] == [], "two of eleven"


def test_the_user_chooses_a_domain_as_it_was_listed_and_is_asked_again() -> None:
    world = failing(agreed=False)
    world.grant("plain")
    mars = world.mars()
    (domain,) = mars.failures_seen()
    assert (domain["agreed"], domain["on"]) == (False, False)
    assert mars.statistics.choose({domain["name"]: True})
    assert mars.failures_seen()[0]["agreed"]
    later = failing(replace(OFTEN, description="Decrypting anything."), agreed=False)
    later.store = world.store
    changed = later.mars()
    assert changed.status()["streams"]["to_ask"] == ["decryption/*"]
    assert changed.statistics.to_ask == ()
    (domain,) = changed.failures_seen()
    assert (domain["agreed"], domain["changed"], domain["on"]) == (False, True, False)
    more = failing(replace(OFTEN, names=(*OFTEN.names, cause("new"))), agreed=False)
    more.store = world.store
    assert more.mars().failures_seen()[0]["on"], "a new cause asks nothing new"


def test_a_report_of_an_entry_is_shown_before_it_goes() -> None:
    world = failing()
    mars = world.mars()
    days(world, mars, 10)
    shown = mars.statistics.preview("decryption/damaged")
    assert shown is not None
    report = decode(shown["text"].encode())
    assert (report.purpose, report.name, report.value) == ("events", "decryption/damaged", "0")
    assert mars.statistics.entries() == [], "which lists statistics"


FORKING = """
import os, sys
from mars import Mars
mars = Mars("examplemail", "0.5.1", "trust.json", registry="registry.json", folder="state")
mars.consent.grant("plain", events=True)
stream = mars.failures("decryption")
mars.start()
stream.fail("damaged", subject="in the parent")
child = os.fork()
stream.fail("other" if child else "cancelled")
if child:
    os.waitpid(child, 0)
sys.exit()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_fork_and_an_exit_without_a_word_lose_nothing_and_count_nothing_twice(
    tmp_path: Path,
) -> None:
    (tmp_path / "trust.json").write_bytes(World().trust)
    declared = catalogue(domains=(replace(OFTEN, grace=0),))
    (tmp_path / "registry.json").write_bytes(declared.encode())
    done = subprocess.run(
        [sys.executable, "-c", FORKING],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    kept = decode_kept((tmp_path / "state" / FAILURES_FILE).read_bytes())["decryption"].counts
    assert total(kept, kept.days).failed == {"damaged": 1, "other": 1, "cancelled": 1}
    assert b"parent" not in (tmp_path / "state" / FAILURES_FILE).read_bytes()


def test_where_nothing_fails_nothing_is_written() -> None:
    world = failing()
    mars = world.mars()
    session(mars._client, world.clock, DAY)
    written = world.store.files[FAILURES_FILE]
    writes = world.store.writes
    for _ in range(5):
        mars.failures_seen()
    assert world.store.files[FAILURES_FILE] is written
    assert world.store.writes == writes


def test_forgetting_everything_forgets_what_was_counted() -> None:
    world = failing()
    mars = world.mars()
    mars.failures_seen()
    assert FAILURES_FILE in world.store.files
    world.client().forget(lambda: None)
    assert FAILURES_FILE not in world.store.files
