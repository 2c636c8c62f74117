"""``mars.reports``: what an application hands over, and what its user sees and decides."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from mars.errors import ConfigError
from mars.testing.memory import machine
from mars.wire.reports.direct import Direct
from mars.wire.times import DAY
from tests.mars.channels.kit import posted
from tests.mars.channels.reporting import (
    a_world,
    fault,
    kept,
    meet,
    memory,
    read,
    released,
    running,
    until_posted,
)


def broken(text: str) -> None:
    raise ValueError(text)


def caught(text: str = "what a user typed") -> ValueError:
    try:
        broken(text)
    except ValueError as error:
        return error
    raise AssertionError


def test_a_logged_exception_becomes_a_report_and_the_log_names_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """C13."""
    world = a_world()
    mars, logger = world.mars(modules=["tests"]), logging.getLogger("an application")
    handler = mars.reports.handler()
    logger.addHandler(handler)
    try:
        logger.error("It failed.", exc_info=caught())
        logger.error("No exception.")
        logger.warning("Not so bad.", exc_info=caught())
    finally:
        logger.removeHandler(handler)
    (report,) = kept(world)
    assert report.fault.names[-1] == "tests.mars.test_reports_api:broken"
    lines = [one.getMessage() for one in caplog.records if "TELEMETRY" in one.getMessage()]
    assert lines == [f"TELEMETRY {report.guid}"]
    assert "what a user typed" not in "".join(map(str, world.store.files.values()))


def test_what_nobody_caught_in_a_thread_becomes_a_report_and_hooks_go_again() -> None:
    world = a_world()
    mars = world.mars(modules=["tests"])
    heard: list[Any] = []
    before, threading.excepthook = threading.excepthook, heard.append
    try:
        mars.reports.install(sys=False, unraisable=False)
        thread = threading.Thread(target=broken, args=("x",))
        thread.start()
        thread.join()
        mars.reports.uninstall()
        assert threading.excepthook == heard.append
    finally:
        threading.excepthook = before
    assert [one.fault.types for one in kept(world)] == [("ValueError",)]
    assert len(heard) == 1, "who was there before is called as before"


def test_the_application_s_own_package_is_that_of_who_makes_it() -> None:
    world = a_world()
    from mars import Mars
    from mars.providers import inline

    ports = vars(world.ports())
    del ports["is_own_fetcher"]
    mars = Mars(
        world.publisher.product,
        world.version,
        world.trust,
        url=world.url,
        registry=world.registry,
        isolate=inline,
        **ports,
    )
    mars.reports.report(caught())
    assert kept(world)[0].fault.names[-1] == "tests.mars.test_reports_api:broken"


def test_a_rule_that_cannot_be_read_is_told_and_the_others_of_ours_hold() -> None:
    world = a_world()
    mars = world.mars(modules=["tests"], ignored=["and or"])
    mars.reports.report(KeyboardInterrupt())
    mars.reports.report(caught())
    assert len(kept(world)) == 1
    assert mars.status()["problem"]["reason"] == "rule-invalid"
    other = a_world()
    ignoring = other.mars(modules=["tests"], ignored=["tests.mars.test_reports_api:broken"])
    ignoring.reports.report(caught())
    assert kept(other) == []


def test_modules_that_are_one_text_are_a_mistake() -> None:
    world = a_world()
    assert world.mars(modules="tests").status()["problem"]["reason"] == "wrong-call"
    assert world.mars(ignored="a b").status()["problem"]["reason"] == "wrong-call"


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({"reports": "ask"}, "ask"),
        ({"reports": "always"}, "always"),
        ({"reports": "never"}, "never"),
        ({"errors": True}, "ask"),
        ({"errors": False}, "never"),
        ({"errors": True, "reports": "always"}, "always"),
        ({"errors": True, "reports": "never"}, "never"),
        ({"errors": False, "reports": "always"}, "never"),
        ({}, "never"),
    ],
)
def test_each_answer_has_its_mode_everywhere(given: dict[str, Any], mode: str) -> None:
    world = a_world("never")
    mars = world.mars()
    assert mars.consent.grant("plain", **given)
    assert mars.reports.mode == mode
    status = mars.status()
    assert (status["reports"], status["errors"]) == (mode, mode != "never")
    assert status["error_reports"]["mode"] == mode
    assert bool(status["purposes"]["reports"]) is (mode != "never")
    assert "deletions" not in status["purposes"], "nobody is asked for these"


def test_a_yes_of_which_no_mode_is_said_keeps_the_one_that_was_chosen() -> None:
    world = a_world("always")
    mars = world.mars()
    mars.consent.grant("tracked")
    assert mars.reports.mode == "always"
    mars.consent.grant("plain", errors=True)
    assert mars.reports.mode == "always"
    mars.consent.grant("plain", errors=False)
    mars.consent.grant("plain", errors=True)
    assert mars.reports.mode == "ask", "a yes that was taken back is begun anew"
    mars.consent.grant("off")
    assert mars.reports.mode == "never"


def test_a_mode_that_is_none_is_refused_and_nothing_is_kept() -> None:
    world = a_world("ask")
    mars = world.mars()
    assert not mars.consent.grant("tracked", reports="sometimes")
    assert mars.status()["problem"]["reason"] == "mode-unknown"
    assert (mars.consent.level, mars.reports.mode) == ("plain", "ask")
    with pytest.raises(ConfigError):
        world.mars(debug=True).consent.grant("plain", reports="")


def test_without_a_registry_nobody_can_agree_to_reports() -> None:
    world = a_world("ask")
    world.registry = None
    world.store.files.clear()
    mars = world.mars()
    mars.consent.grant("plain", reports="ask")
    assert mars.status()["problem"]["reason"] == "not-offered"
    assert mars.reports.mode == "never"


def test_both_ways_say_what_they_mean_and_the_two_ways_round_the_crowd() -> None:
    meaning = a_world().mars().reports.meaning
    assert meaning.keys() == {"crowd", "direct"}
    for words in ("ten installations", "90 days", "knows the fault's frames", "one person can"):
        assert words in meaning["crowd"]
    for words in ("GUID", "message", "deleted"):
        assert words in meaning["direct"]


def test_a_user_sees_reports_by_number_guid_and_id_and_takes_all_of_them_along() -> None:
    world = a_world()
    meet(world, fault())
    reports = world.mars().reports
    (one,) = reports.list()
    assert reports.show(1) == reports.show(one["id"]) == reports.show(one["telemetry"]) == one
    assert reports.show("nothing") is None
    (whole,) = reports.export()
    assert whole["fault"] == {"types": one["types"], "frames": one["frames"]}


def test_a_preview_of_a_crowd_report_makes_the_share_that_goes() -> None:
    world = a_world()
    meet(world, fault())
    shown = world.mars().reports.preview(1)
    share = kept(world)[0].share
    assert share
    assert world.mars().reports.send(1)
    until_posted(world)
    assert posted(world)[0].sealed == shown
    assert kept(world)[0].share == share


def test_without_consent_nothing_is_released() -> None:
    world = a_world("ask")
    meet(world, fault())
    world.host = machine(environ={"MARS_REPORTS": "never"})
    mars = world.mars()
    assert not mars.reports.send(1)
    assert mars.status()["problem"]["reason"] == "no-consent"
    assert "(MARS_REPORTS: no error reports)" in mars.status()["problem"]["message"]
    assert memory(world).pending == ()


def test_what_was_sent_is_not_released_again() -> None:
    world = a_world()
    released(world)
    until_posted(world)
    mars = world.mars()
    assert not mars.reports.send(1, "direct")
    assert mars.status()["problem"]["reason"] == "already-sent"
    running(world, DAY)
    assert len(posted(world)) == 1


def test_what_is_released_before_the_thread_has_seen_it_has_its_guid_and_counts() -> None:
    world = a_world()
    meet(world, fault())
    reports = world.mars().reports
    assert reports.send(1, "direct")
    (one,) = reports.list()
    until_posted(world)
    said = read(posted(world)[0])
    assert isinstance(said, Direct)
    assert one["guid"] == one["telemetry"] == said.guid
    reports.forget(1)
    assert memory(world).made == 1
    assert memory(world).seen, "or the same fault would be reported again once it is gone"


def test_an_application_that_meets_no_fault_loads_nothing_for_it() -> None:
    script = (
        "import sys\n"
        "from tests.mars.channels.kit import a_world\n"
        "world = a_world(agreed=False)\n"
        "for name in [n for n in sys.modules if n.startswith('nacl') or 'faults' in n]:\n"
        "    del sys.modules[name]\n"
        "mars = world.mars()\n"
        "mars.status(), mars.reports.list(), mars.reports.note()\n"
        "print([n for n in sys.modules if 'mars.faults' in n or 'reports.crowd' in n])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
