"""A misspelt name decides nothing: the real application would go on as before."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mars.cli.conftest import Desk, Done

REAL = ("--product", "examplemail")
TYPOS = {
    "product": ("--product", "examplemial"),
    "channel": (*REAL, "--channel", "beta"),
}


@pytest.fixture
def home(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A user's folder in which examplemail is known."""
    monkeypatch.setenv("XDG_STATE_HOME", str(desk.folder))
    assert desk.call("consent", "grant", "tracked", *REAL).code == 0
    return desk


def require_refused(done: Done) -> None:
    assert done.code == 1
    assert done.json["reason"] == "unknown-application"
    assert "examplemail --channel stable. Check the name" in done.json["message"]


@pytest.mark.parametrize(
    "command",
    [
        ("consent", "revoke"),
        ("consent", "grant", "plain"),
        ("consent", "explain"),
        ("consent", "prove"),
        ("reset", "--age"),
        ("reset", "--all"),
        ("journal",),
        ("journal", "--delete"),
        ("show",),
        ("status",),
        ("preview",),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("typo", TYPOS.values(), ids=TYPOS)
def test_a_misspelt_name_is_refused_with_those_that_are_known(
    home: Desk, command: tuple[str, ...], typo: tuple[str, ...]
) -> None:
    before = sorted(home.folder.rglob("*"))
    require_refused(home.call(*command, *typo, "--json"))
    assert sorted(home.folder.rglob("*")) == before, "nothing was made"


@pytest.mark.parametrize("command", [("consent", "revoke"), ("reset", "--all"), ("reset", "--age")])
def test_a_misspelt_folder_is_refused_where_something_would_change(
    desk: Desk, command: tuple[str, ...]
) -> None:
    done = desk.run(*command, "--json")
    assert done.json["reason"] == "unknown-application"
    assert not desk.state.exists()


def test_a_misspelt_folder_beside_a_known_one_is_told(desk: Desk) -> None:
    desk.grant("plain")
    known, desk.state = desk.state, Path(f"{desk.state}x")
    done = desk.run("consent", "grant", "plain", "--json")
    assert done.json["reason"] == "unknown-application"
    assert str(known) in done.json["message"]
    looked = desk.run("status", "--json")
    assert looked.json["level"] == "off"
    assert str(known) in looked.err
    assert not desk.state.exists()


def test_of_many_one_that_cannot_be_read_hides_no_other(home: Desk) -> None:
    broken = home.folder / "mars" / "broken" / "stable" / "state.json"
    broken.mkdir(parents=True)
    done = home.call("status", "--json")
    assert done.code == 1
    one, other = done.json["applications"]
    assert (one["product"], one["problem"]["reason"]) == ("broken", "state-unreadable")
    assert (other["product"], other["ok"]) == ("examplemail", True)
    text = home.call("status")
    assert "[state-unreadable]" in text.out
    assert "Level:                       tracked" in text.out


def test_a_fetch_over_a_state_that_cannot_be_read_sends_nothing(desk: Desk) -> None:
    (desk.state / "state.json").mkdir(parents=True)
    for level in ((), ("--level", "plain")):
        done = desk.fetch(*level, "--json")
        assert (done.code, done.json["reason"]) == (1, "state-unreadable")
    assert desk.socks.visits == []


def test_the_folder_of_another_product_is_refused(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    done = desk.run("consent", "grant", "plain", "--product", "othermail", "--json")
    assert (done.code, done.json["reason"]) == (1, "wrong-product")
    assert desk.run("consent", "revoke", *REAL).code == 0


def test_a_decision_names_its_application(desk: Desk) -> None:
    """Else it would be a yes to whichever comes first."""
    for more in ((), ("--new",)):
        done = desk.run("consent", "grant", "plain", *more)
        assert (done.code, "Name the application with --product" in done.err) == (2, True)
    assert not desk.state.exists()
    assert desk.grant("plain").code == 0
    assert desk.run("consent", "grant", "tracked").code == 0, "the folder says whose it is"
    other = desk.run("consent", "grant", "plain", "--product", "othermail", "--json")
    assert other.json["reason"] == "wrong-product"


def test_a_first_decision_may_come_before_the_first_run(home: Desk) -> None:
    other = ("--product", "othermail")
    assert home.call("consent", "grant", "plain", *other).code == 1
    assert home.call("consent", "grant", "plain", *other, "--new").code == 0
    assert home.call("consent", "grant", "plain", *other).code == 0, "it is known now"
    assert home.run("consent", "grant", "plain", *other).code == 0, "a folder and a product"
    assert home.call("consent", "revoke", *other).code == 0
