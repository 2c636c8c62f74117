"""What ``mars consent`` shows of purposes and layers that the command does not serve itself."""

from __future__ import annotations

from typing import Any

import pytest

from mars.cli.consent import limits
from mars.client import Mars
from mars.consent import STATISTICS, effective, refusal
from mars.consent.api import explain as layers
from mars.consent.lowering import policy_layer
from mars.wire.catalogue import digest
from tests.mars.channels.registries import A, B, registry
from tests.mars.cli.conftest import URL, Desk
from tests.mars.cli.test_cli import agree_elsewhere


def test_what_only_the_application_can_show_is_named_wherever_consent_is(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    then = agree_elsewhere(desk, "statistics", "letters")
    lines = [
        f"{label}: agreed on {then} and kept; this command cannot show what it sends\n"
        for label in ("Statistics", "letters")
    ]
    for command in (("explain",), ("grant", "plain"), ("grant", "plain", "--stats")):
        said = desk.run("consent", *command)
        assert all(line in said.out for line in lines)
        assert "Statistics: no" not in said.out
        assert "not-offered" not in said.err
    both = {"statistics": then, "letters": then}
    for command in (("consent", "explain"), ("status",), ("consent", "grant", "plain")):
        told = desk.run(*command, "--json").json
        assert (told["unserved"], told["stats"], told["errors"]) == (both, True, False)
    assert (
        f"shown here:   statistics since {then}, letters since {then}\n" in desk.run("status").out
    )
    monkeypatch.setenv("MARS_LEVEL", "off")
    lowered = desk.run("consent", "explain").out
    assert f"letters: agreed on {then} and kept; nothing is sent for it now\n" in lowered
    assert desk.run("consent", "explain", "--json").json["stats"] is False
    monkeypatch.delenv("MARS_LEVEL")
    desk.run("consent", "grant", "plain", "--no-stats")
    assert desk.run("status", "--json").json["unserved"] == {"letters": then}
    assert desk.run("consent", "revoke", "--json").json["unserved"] == {}


def test_no_level_that_is_required_leaves_room_for_what_cannot_be_shown(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree_elsewhere(desk)
    codes = [desk.run("consent", "explain", "--require", at).code for at in ("off", "plain")]
    assert codes == [1, 0]
    agree_elsewhere(desk, "letters")
    for level in ("off", "plain", "tracked"):
        told = desk.run("consent", "explain", "--require", level, "--json")
        assert (told.code, told.json["ok"]) == (1, False)
    for lowered, code in (("plain", 1), ("off", 0)):  # of letters nobody knows here what they need
        monkeypatch.setenv("MARS_LEVEL", lowered)
        assert desk.run("consent", "explain", "--require", lowered).code == code


def test_each_layer_is_shown_with_all_that_it_lowers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = ("--variable", "v", "--variable", "os", "--product", "examplemail")
    desk.run("consent", "grant", "tracked", *named)
    monkeypatch.setenv("MARS_VARIABLES", "v \033[31m")
    text = desk.run("consent", "explain").out
    assert "   MARS_VARIABLES tracked  at most tracked\n" in text
    assert f"{'':27}variables: [31m, v\n" in text
    user = text.partition("-> user")[2].splitlines()
    assert user[1:3] == [f"{'':27}variables: os, v", f"{'':27}through Tor alone"]
    policy = policy_layer(
        {"stats": False, "refused": ["letters"], "variables": [], "direct": False}
    )
    assert "(policy: no statistics)" in refusal(effective([policy]), STATISTICS).message
    (told,) = layers(effective([policy]))
    assert list(limits(told)) == [
        "variables: none",
        "refused: letters, statistics",
        "through Tor alone",
    ]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({}, "at most tracked"),
        ({"reports": "always"}, "at most tracked"),
        ({"reports": "ask"}, "at most tracked; error reports: ask"),
        ({"reports": "ask", "level": "plain"}, "at most plain"),
    ],
)
def test_a_policy_that_has_each_report_asked_for_says_so(
    said: dict[str, object], shown: str
) -> None:
    (told,) = layers(effective([policy_layer(said)]))
    assert told["says"] == shown


def test_a_consent_that_nothing_serves_is_told_and_not_kept(desk: Desk) -> None:
    done = desk.grant("plain", "--stats", "--json")
    assert (done.code, done.json["stats"]) == (0, False)
    assert "[not-offered]" in done.err
    assert done.json["purposes"].keys() == {"news", "metrics"}
    assert done.json["purposes"]["metrics"] is None
    said = desk.run("consent", "explain").out
    assert f"News: yes, since {done.json['purposes']['news']}\n" in said
    assert "Values in the request for news: no\n" in said
    assert "Agreed to:" in desk.run("status").out


def test_what_an_application_declares_is_agreed_to_by_name_and_its_fetch_is_shown(
    desk: Desk,
) -> None:
    declared = registry(A, B)
    desk.publisher.steer(registry=digest(declared))
    desk.pin(1000)
    where = ("--state", str(desk.state))
    shipped: dict[str, Any] = {"url": URL, "folder": desk.state, "socks": desk.socks.address}
    mars = Mars("examplemail", "0.5.1", desk.trust, registry=declared, **shipped)
    assert mars.consent.grant("plain")
    unknown = desk.call("consent", "grant", "plain", "--stats", *where)
    assert (unknown.code, "not known here yet" in unknown.err) == (0, True)
    assert unknown.out.count("Statistics: yes") == 1
    assert desk.call("consent", "explain", *where, "--json").json["entries"] == {}
    assert mars.consent.grant("plain", entries={A: True})
    told = desk.call("consent", "explain", *where, "--json").json["entries"]
    assert list(told) == [A]
    assert f"  {A}: yes, since {told[A]}" in desk.call("consent", "explain", *where).out
    shown = desk.call("preview", "--request", "registry", *where)
    assert shown.out.startswith("GET /motd/registry.json HTTP/1.1\n")
    assert "not before 20" in shown.err
    assert desk.call("preview", "--request", "registry", *where, "--json").json["level"] == "plain"
    assert desk.call("preview", "--request", "letters", *where).code == 2
    (desk.state / "registry.json").write_bytes(declared)
    assert desk.call("reset", "--all", *where).code == 0
    assert not (desk.state / "registry.json").exists()
