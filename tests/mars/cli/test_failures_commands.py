"""``mars failures``: what is counted at this computer, at a terminal, and chosen as a whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mars import Mars, factory
from mars.core.records import FAILURES_FILE
from mars.testing.memory import MemoryClock, machine
from mars.wire.times import DAY
from tests.mars.channels.kit import METRICS, catalogue, publishing
from tests.mars.cli.conftest import Desk
from tests.mars.failures.kit import DECRYPTION

REGISTRY = catalogue(*METRICS, domains=(DECRYPTION,)).encode()


@pytest.fixture
def failing(desk: Desk) -> Desk:
    """Whose application declares a domain of failures."""
    desk.publisher.steer(factory.system_clock().now() - 120, **publishing(REGISTRY))
    desk.pin(1000)
    (desk.folder / "registry.json").write_bytes(REGISTRY)
    return desk


def application(desk: Desk, clock: MemoryClock) -> Mars:
    return Mars(
        "examplemail",
        "0.5.1",
        desk.trust,
        folder=desk.state,
        registry=REGISTRY,
        host=machine(),
        clock=clock,
    )


def fails(desk: Desk) -> None:
    """Nine days ago until now."""
    clock = MemoryClock(factory.system_clock().now() - 9 * DAY)
    mars = application(desk, clock)
    mars.consent.grant("plain", events=True)
    for _ in range(9):
        mars.failures("decryption").fail("damaged")
        mars.failures("decryption").succeeded(30)
        clock.advance(DAY)
        mars.stop()
    mars.failures("decryption").fail("key_missing", device="own")
    clock.advance(120)
    mars.stop()


def test_counts_are_shown_with_what_would_be_told_of_them(failing: Desk) -> None:
    fails(failing)
    found = failing.run("failures", "show", "--registry", str(failing.folder / "registry.json"))
    assert found.code == 0
    assert "7 in seven days, 0 today, would tell 2-9" in found.out
    assert "cancelled (expected)" in found.out
    late = next(line for line in found.out.splitlines() if "resolved late" in line)
    assert late.endswith("0 in seven days, 0 today, would tell 0")
    told = failing.run(
        "failures", "show", "--json", "--registry", str(failing.folder / "registry.json")
    ).json
    (domain,) = told["domains"]
    since = f"since {domain['counted'][:10]}; told is what seven complete days after that had"
    assert since in found.out
    assert (told["mode"], told["to_ask"], domain["on"]) == ("on", [], True)
    names = {one["name"]: (one["week"], one["today"]) for one in domain["names"]}
    assert (names["damaged"], names["key_missing"]) == ((7, 0), (0, 1))
    values = {one["name"]: one["value"] for one in domain["entries"]}
    assert values["decryption/failed_share"] == "below_10"


def test_without_a_yes_nothing_is_counted_and_that_is_said(failing: Desk) -> None:
    failing.grant("plain", "--stats")
    registry = ("--registry", str(failing.folder / "registry.json"))
    found = failing.run("failures", "show", *registry)
    assert found.out.startswith("off  decryption/*")
    assert "nothing is counted" in found.out
    assert failing.run("failures", "show", *registry, "--json").json["mode"] == "off"
    none = failing.run("failures", "show")
    assert (none.code, none.out) == (0, "")
    assert "--registry" in none.err


def test_who_looks_for_failures_among_statistics_is_told_where_they_are(failing: Desk) -> None:
    failing.grant("plain")
    path = failing.folder / "registry.json"
    path.write_bytes(catalogue(domains=(DECRYPTION,)).encode())
    found = failing.run("stats", "list", "--registry", str(path))
    assert (found.code, found.out) == (0, "")
    assert "mars failures show" in found.err
    assert "--registry" not in found.err, "it was named"
    for words in (("consent", "on", "decryption"), ("show", "decryption/damaged")):
        wrong = failing.run("stats", *words, "--registry", str(path))
        assert wrong.code == 1
        assert "mars failures show for DOMAIN/*" in wrong.err


def test_a_domain_is_agreed_to_and_taken_back_as_a_whole(failing: Desk) -> None:
    failing.grant("plain")
    registry = ("--registry", str(failing.folder / "registry.json"))
    done = failing.run("stats", "consent", "on", "decryption/*", "--json", *registry)
    assert done.json == {"ok": True, "entries": ["decryption/*"]}
    explained = failing.run("consent", "explain", "--json").json
    assert (explained["events"], explained["stats"]) == (True, False)
    assert list(explained["entries"]) == ["decryption/*"]
    wrong = failing.run("stats", "consent", "on", "decryption/damaged", "--json", *registry)
    assert (wrong.code, wrong.json["reason"]) == (1, "undeclared")
    bare = failing.run("stats", "consent", "on", "--json", *registry).json["entries"]
    assert bare == sorted(["decryption/*", *(metric.name for metric in METRICS)])
    done = failing.run("stats", "consent", "off", "decryption/*", "--json", *registry)
    assert done.json["entries"] == sorted(metric.name for metric in METRICS)
    assert failing.run("consent", "explain", "--json").json["events"] is False


def test_a_bare_yes_to_events_needs_to_know_what_is_declared(failing: Desk) -> None:
    done = failing.grant("plain", "--events")
    assert done.code == 0
    assert "serves 'events'" in done.err
    fails(failing)
    done = failing.grant("plain", "--no-events")
    assert failing.run("consent", "explain", "--json").json["entries"] == {}


@pytest.mark.parametrize(
    "words", [("consent", "revoke"), ("consent", "grant", "plain", "--no-events")], ids=" ".join
)
def test_a_yes_taken_back_at_a_terminal_removes_the_counts_at_once(
    failing: Desk, words: tuple[str, ...]
) -> None:
    fails(failing)
    assert (failing.state / FAILURES_FILE).exists()
    assert failing.run(*words).code == 0
    assert not (failing.state / FAILURES_FILE).exists()


def test_a_look_at_the_terminal_removes_nothing(
    failing: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails(failing)
    monkeypatch.setenv("DO_NOT_TRACK", "1")
    registry = ("--registry", str(failing.folder / "registry.json"))
    assert failing.run("failures", "show", "--json", *registry).json["mode"] == "off"
    assert (failing.state / FAILURES_FILE).exists()


def test_everything_that_is_forgotten_is_gone(failing: Desk) -> None:
    fails(failing)
    (failing.state / f".{FAILURES_FILE}-abc").write_bytes(b"of a run that was killed")
    assert failing.run("reset", "--all").code == 0
    left = {path.name for path in failing.state.iterdir()}
    assert not any(FAILURES_FILE in name for name in left)


def test_a_damaged_file_is_told(failing: Desk) -> None:
    fails(failing)
    (failing.state / FAILURES_FILE).write_bytes(b"{")
    assert "state-damaged" in failing.run("status").out
    shown = failing.run("failures", "show", "--registry", str(failing.folder / "registry.json"))
    assert FAILURES_FILE in shown.err
    assert "nothing is counted" in shown.out


def test_a_question_that_grew_is_off_until_it_is_answered_anew(failing: Desk) -> None:
    fails(failing)
    other = catalogue(domains=(replace(DECRYPTION, rate=1.0),)).encode()
    (failing.folder / "registry.json").write_bytes(other)
    found = failing.run("failures", "show", "--registry", str(failing.folder / "registry.json"))
    assert found.out.startswith("off  decryption/*")
    assert "answer anew" in found.out
