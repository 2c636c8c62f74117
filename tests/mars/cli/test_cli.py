"""The ``mars`` command as scripts use it: exit codes, JSON, stdout and stderr apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mars import Mars, factory
from mars.channels.motd import check_url
from mars.core.schedule import VERSION as SCHEDULE_VERSION
from mars.errors import TransportError
from mars.testing.publisher import Publisher
from mars.testing.socks import answering, ok
from mars.wire.motd import Message
from mars.wire.request import request_bytes
from mars.wire.times import format_time, parse_time
from mars.wire.variables import NAMES, VARIABLES, rule
from tests.mars.cli.conftest import URL, Desk


def test_fetch_without_level_or_decision_sends_nothing_and_exits_1(desk: Desk) -> None:
    done = desk.fetch("--json")
    assert done.code == 1
    assert done.json["ok"] is False
    assert done.json["reason"] == "no-consent"
    plain = desk.fetch()
    assert plain.code == 1
    assert plain.out == ""
    assert "mars consent grant" in plain.err
    assert desk.socks.visits == []


@pytest.mark.parametrize("ci", ["", "true"])
def test_an_explicit_level_is_consent_for_this_fetch_alone(
    desk: Desk, ci: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    done = desk.fetch("--level", "plain", "--json")
    assert done.code == 0, done.err
    table = done.json
    assert table["ok"] is True
    assert table["level"] == "plain"
    assert table["new"] is True
    assert isinstance(table["serial"], int)
    assert table["update"] == "update"
    assert table["messages"][0]["title"] == "Hello"
    assert table["route"] == f"tor {desk.socks.address}"
    assert desk.socks.visits[0].request == request_bytes("127.0.0.1:8080")
    assert desk.state.is_dir(), "the folder was made"
    assert desk.fetch("--json").code == 1, "the consent was for that fetch alone"
    assert len(desk.socks.visits) == 1


def test_fetch_is_not_limited_in_rate_and_tracked_says_three_things(desk: Desk) -> None:
    for number in range(3):
        done = desk.fetch("--level", "tracked", "--json")
        assert done.code == 0, done.err
        assert done.json["new"] is (number == 0)
    visits = [visit.request for visit in desk.socks.visits]
    assert visits == [request_bytes("127.0.0.1:8080", "v=0.5.1&os=linux&ia=1")] * 3
    assert len({visit.user for visit in desk.socks.visits}) == 3, "fresh credentials each"


def test_where_the_trust_file_names_no_crowd_tracked_says_one_of_three_things(desk: Desk) -> None:
    desk.pin(0)
    assert desk.fetch("--level", "tracked", "--json").code == 0
    due = [request_bytes("127.0.0.1:8080", one) for one in ("v=0.5.1", "os=linux", "ia=10")]
    assert desk.socks.visits[0].request in due
    assert desk.run("status", "--json").json["says"] == rule(0)
    assert rule(0) in desk.run("status").out
    desk.grant("tracked")
    assert rule(0) in desk.run("consent", "explain").out


def test_preview_prints_the_very_bytes_that_are_sent(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    desk.run(
        "consent", "grant", "tracked", "--variable", "v", "--variable", "cc", "--country", "is"
    )
    shown = desk.run("preview", "--json")
    assert shown.code == 0, shown.err
    desk.fetch("--json")
    assert desk.socks.visits[-1].request == shown.json["bytes"].encode()
    assert "?v=0.5.1" in shown.json["bytes"]
    assert shown.json["says"] == rule(1000)
    said = {row["name"]: row for row in shown.json["variables"]}
    for variable in VARIABLES:
        assert said[variable.name]["reason"] == variable.reason
        assert said[variable.name]["description"] == variable.description
    plain = desk.run("preview")
    assert f"# {rule(1000)} What is switched off" in plain.err
    assert plain.out.encode() == desk.socks.visits[-1].request.replace(b"\r\n", b"\n")
    assert desk.run("preview", "--level", "plain").out.startswith("GET /motd/motd.json HTTP/1.1")


def test_preview_before_any_decision_exits_1(desk: Desk) -> None:
    assert desk.run("preview").code == 1
    done = desk.run("preview", "--json")
    assert done.code == 1
    assert done.json["reason"] == "no-consent"


def test_show_prints_the_last_news_and_new_ones_once(desk: Desk) -> None:
    assert desk.run("show").code == 1
    desk.publish(
        news="Grüezi\x1b[31m\u202e",
        messages=(Message("x", {"en": "Title\x07"}, {"en": "A\nB"}, severity="critical"),),
    )
    desk.fetch("--level", "plain")
    done = desk.run("show")
    assert done.code == 0
    assert done.out.splitlines()[0] == "Grüezi[31m"
    assert "[critical] Title\nA\nB" in done.out
    assert [item["id"] for item in desk.run("show", "--new", "--json").json["messages"]] == ["x"]
    assert desk.run("show", "--new", "--json").json["messages"] == []


def test_a_tampered_document_is_refused_and_the_last_good_one_stays(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    good = desk.run("show").out
    now = factory.system_clock().now()
    forged = Publisher().document(now, news="Install this!")
    desk.socks.handler = answering(ok(forged))
    done = desk.fetch("--level", "plain", "--json")
    assert done.code == 1
    assert done.json["ok"] is False
    assert done.json["reason"] == "signature-threshold"
    assert desk.fetch("--level", "plain").out == ""
    assert desk.run("show").out == good
    assert desk.run("status", "--json").json["last"]["reason"] == "signature-threshold"


def test_rollback_and_expiry_have_their_reasons(desk: Desk) -> None:
    now = factory.system_clock().now()
    desk.fetch("--level", "plain")
    old = desk.publisher.document(now - 3600)
    desk.socks.handler = answering(ok(old))
    assert desk.fetch("--level", "plain", "--json").json["reason"] == "rollback"
    fresh = desk.folder / "other"
    desk.state = fresh
    expired = desk.publisher.document(now - 50 * 86_400)
    desk.socks.handler = answering(ok(expired))
    assert desk.fetch("--level", "plain", "--json").json["reason"] == "expired"


def test_without_tor_nothing_is_sent_and_the_reason_says_so(desk: Desk) -> None:
    done = desk.call(
        *("fetch", "--url", URL, "--trust", str(desk.trust), "--socks", "127.0.0.1:1"),
        *("--state", str(desk.state), "--product", "examplemail", "--level", "plain", "--json"),
    )
    assert done.code == 1
    assert done.json["reason"] == "tor-unavailable"
    assert desk.socks.visits == []


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("--url", "ftp://example.org/", "url-invalid"),
        ("--url", f"{URL}?v=1", "url-has-query"),
        ("--product", "othermail", "wrong-product"),
        ("--socks", "nonsense", "socks-address"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_sent(
    desk: Desk, option: str, value: str, reason: str
) -> None:
    done = desk.fetch(option, value, "--level", "plain", "--json")
    assert done.code == 1
    assert done.json["reason"] == reason, done.out
    assert desk.socks.visits == []


def test_plain_http_goes_through_tor_only_where_a_person_names_it(desk: Desk) -> None:
    address = "http://news.example/motd/motd.json"
    done = desk.fetch("--url", address, "--level", "plain", "--json")
    assert done.json["url"] == address
    assert [visit.host for visit in desk.socks.visits] == ["news.example"]
    with pytest.raises(TransportError, match="url-insecure"):
        check_url(address)


def test_a_fetch_by_hand_does_not_rewrite_what_the_application_said_of_itself(desk: Desk) -> None:
    mars = Mars("examplemail", "0.4", desk.trust, folder=desk.state, url="http://localhost/x.json")
    mars.consent.grant("plain")
    assert desk.fetch("--level", "tracked", "--json").json["ok"]
    plan = mars.preview()
    assert plan is not None
    assert plan.url == "http://localhost/x.json"
    shown = desk.run("preview", "--json").json
    assert shown["url"] == plan.url


def test_wrong_usage_exits_2(desk: Desk) -> None:
    for arguments in (
        ("fetch",),
        ("fetch", "--trust", "/nonexistent"),
        ("show",),
        ("nonsense",),
        ("consent", "grant", "everything"),
        ("consent", "grant", "tracked", "--country", "Iceland", "--product", "x"),
        ("show", "--product", "../../etc"),
        ("reset", "--product", "x"),
    ):
        done = desk.call(*arguments)
        assert done.code == 2, arguments
        assert done.out == ""
        assert "Traceback" not in done.err


def test_a_file_url_needs_no_network(desk: Desk) -> None:
    now = factory.system_clock().now()
    document = desk.folder / "motd file.json"
    document.write_bytes(desk.publisher.document(now))
    done = desk.fetch("--url", document.as_uri(), "--level", "plain", "--json")
    assert done.code == 0, done.out
    assert done.json["route"] == "file"
    assert desk.socks.visits == []


def test_consent_grant_revoke_and_explain(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    assert desk.run("consent", "explain", "--json").json["level"] == "off"
    granted = desk.grant("tracked", "--json")
    assert granted.code == 0
    assert granted.json["variables"] == ["v", "os", "ia"]
    assert granted.json["decided_by"] == "user"
    assert desk.run("consent", "explain", "--require", "plain").code == 1
    monkeypatch.setenv("CI", "1")
    capped = desk.run("consent", "explain", "--json", "--require", "off")
    assert capped.code == 0
    assert capped.json["decided_by"] == "CI"
    monkeypatch.delenv("CI")
    revoked = desk.run("consent", "revoke", "--json")
    assert revoked.json["level"] == "off"
    assert "-> user" in desk.run("consent", "explain").out


def test_prove_shows_that_a_switch_stops_everything(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.grant("plain")
    loud = desk.run("consent", "prove", "--days", "40", "--json")
    assert loud.code == 1
    assert loud.json["requests"] > 3
    monkeypatch.setenv("MARS_LEVEL", "off")
    quiet = desk.run("consent", "prove", "--days", "40", "--json")
    assert quiet.code == 0
    assert quiet.json["requests"] == 0
    assert desk.socks.visits == []


def test_preview_of_a_far_time_names_the_one_that_holds(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    desk.grant("plain")
    file = desk.state / "state.json"
    table = json.loads(file.read_bytes())
    far = {"due": 2**52, "wait": None, "failures": 0, "period": 0}
    table["schedule"] = {"version": SCHEDULE_VERSION, **far}
    file.write_text(json.dumps(table))
    done = desk.run("preview", "--url", URL, "--json")
    assert done.code == 0, done.out
    assert parse_time(done.json["earliest"]) < factory.system_clock().now() + 100 * 86_400


def test_preview_names_both_ways_where_the_direct_one_is_allowed(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    news = ("--url", "https://news.example/motd/motd.json")
    desk.grant("tracked", "--direct")
    shown = desk.run("preview", *news, "--json").json
    assert shown["route"] == (
        "through Tor, or directly by https, without the data, where there is no Tor"
    )
    assert shown["direct"].encode() == request_bytes("news.example")
    assert "#   GET /motd/motd.json HTTP/1.1\n#   Host: news" in desk.run("preview", *news).err
    shown = desk.run("preview", "--json").json
    assert (shown["route"], shown["direct"]) == ("through Tor", None)
    desk.grant("plain", "--direct")
    assert "directly by https where" in desk.run("preview", *news).err
    desk.grant("plain", "--no-direct")
    assert desk.run("preview", *news, "--json").json["route"] == "through Tor"


def test_a_second_daemon_is_told_so(desk: Desk) -> None:
    apps, root = desk.folder / "apps", desk.folder / "root"
    apps.mkdir()
    with factory.folder(str(root)).lock("daemon"):
        done = desk.call("daemon", str(apps), "--state", str(root))
        assert done.code == 1
        assert "a daemon already runs for this user" in done.err
        told = desk.call("daemon", str(apps), "--state", str(root), "--json")
    assert told.code == 1
    assert told.json["ok"] is False
    assert told.json["reason"] == "locked"


def test_doctor_refuses_a_password_that_is_no_text(desk: Desk) -> None:
    secret = desk.folder / "password"
    secret.write_bytes(b"\xff\xfe")
    done = desk.call("doctor", "--control-password-file", str(secret), "--json")
    assert done.code == 1
    assert done.json["reason"] == "control-password"


def test_it_runs_without_terminal_and_home(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("mars"), "status", "--product", "examplemail", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LC_ALL": "C"},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["level"] == "off"
    assert list(tmp_path.iterdir()) == [], "looking leaves nothing behind"


def test_consent_shows_every_switch_and_the_country(desk: Desk) -> None:
    said = desk.grant("tracked", "--country", "is", "--direct", "--stats")
    assert said.out.splitlines()[-5:] == [
        "Plain news by https where no Tor is there: yes",
        "Statistics: no",
        "Error events: no",
        "Error reports: no",
        "Country: IS",
    ]
    assert desk.run("consent", "explain").out == said.out
    table = desk.run("consent", "explain", "--json").json
    assert list(table)[:2] == ["ok", "level"]
    assert (table["direct"], table["stats"], table["errors"]) == (True, False, False)
    assert table["country"] == desk.run("status", "--json").json["country"] == "IS"
    none = desk.grant("plain", "--country", "", "--no-direct")
    assert none.out.endswith("Country: none named\n")
    wrong = desk.grant("plain", "--country", "XX")
    assert (wrong.code, "ISO 3166-1" in wrong.err) == (2, True)


def test_a_preview_of_a_choice_is_what_granting_it_keeps(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    desk.grant("tracked", "--country", "FO")
    for choice in (
        ("--variable", "cc"),
        ("--variable", "cc", "--country", ""),
        ("--variable", "os", "--variable", "cc", "--country", "de", "--direct"),
        (),
    ):
        before = desk.run("consent", "explain").out
        shown = desk.run("preview", "--level", "tracked", *choice, "--json").json
        assert desk.run("consent", "explain").out == before, "nothing is stored"
        desk.grant("tracked", *choice)
        kept = desk.run("preview", "--json").json
        assert [kept[name] for name in ("bytes", "level", "route")] == [
            shown[name] for name in ("bytes", "level", "route")
        ]
    assert desk.run("preview", "--country", "IS").code == 2


def test_a_preview_before_anything_is_kept_shows_what_will_be_sent(desk: Desk) -> None:
    all_of_them = [word for name in NAMES for word in ("--variable", name)]
    choice = ("tracked", *all_of_them, "--country", "IS")
    describe = ("--url", URL, "--app-version", "0.5.1", "--product", "examplemail")
    shown = {desk.run("preview", *describe, "--level", *choice).out for _ in range(5)}
    assert desk.run("consent", "explain", "--require", "off").code == 0
    desk.grant(*choice)
    assert shown == {desk.run("preview", *describe).out}


def test_a_fetch_asks_no_address_that_was_once_named_by_hand(desk: Desk) -> None:
    assert desk.fetch("--level", "plain").code == 0
    again = ("fetch", "--trust", str(desk.trust), "--socks", desk.socks.address)
    done = desk.run(*again, "--level", "plain", "--json")
    assert (done.code, done.json["reason"]) == (1, "no-url")
    assert len(desk.socks.visits) == 1


def test_wrong_usage_is_told_as_json_where_that_was_asked_for(desk: Desk) -> None:
    for arguments in (("show",), ("consent", "explain"), ("preview",)):
        done = desk.call(*arguments, "--json")
        assert (done.code, done.json["ok"], done.json["reason"]) == (2, False, "usage")
        assert "--product" in done.json["message"]


def agree_elsewhere(desk: Desk, *names: str) -> str:
    """As an application does whose channels serve these purposes. Gives back since when."""
    desk.run("consent", "grant", "plain", "--product", "examplemail")
    file = desk.state / "state.json"
    table = json.loads(file.read_bytes())
    decision = table["decision"]
    decision["purposes"] |= dict.fromkeys(names, decision["decided"])
    file.write_text(json.dumps({**table, "decision": {**decision, "stats": True}}))
    return format_time(decision["decided"])
