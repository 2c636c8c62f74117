"""``mars stats``: what is declared, shown and chosen at a terminal, and one report by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mars import factory
from mars.cli.consent import vetoed_names
from mars.testing.memory import machine
from mars.wire.sealed import SMALL, opened
from mars.wire.times import WEEK, week_of
from tests.mars.channels.kit import (
    FOLDERS,
    METRICS,
    PROTOCOL,
    REGISTRY,
    a_world,
    catalogue,
    opener,
    publishing,
)
from tests.mars.cli.conftest import FULL, INTAKE, Desk, Done, answer, with_intake
from tests.mars.failures.kit import DECRYPTION


@pytest.fixture
def intake(desk: Desk) -> Desk:
    return with_intake(desk, REGISTRY)


def send(desk: Desk, *arguments: str, registry: str = "registry.json", url: str = INTAKE) -> Done:
    return desk.run(
        *("stats", "send", *arguments),
        *("--registry", str(desk.folder / registry), "--trust", str(desk.trust), "--url", url),
        *("--socks", desk.socks.address, "--product", "examplemail", "--app-version", "0.5.2"),
    )


def text_of(request: bytes) -> str:
    body = request.partition(b"\r\n\r\n")[2]
    found = opened(body, opener(week_of(factory.system_clock().now())))
    assert found is not None
    return found.decode()


def test_one_report_by_hand_is_sealed_and_is_consent_for_this_one_alone(intake: Desk) -> None:
    done = send(intake, FOLDERS.name, "57", "--json")
    assert (done.code, done.json) == (0, {"ok": True, "bytes": SMALL})
    (visit,) = intake.socks.visits
    head, _, body = visit.request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /motd/in HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    assert b"Content-Type: application/octet-stream\r\nContent-Length: 1024" in head
    assert len(body) == SMALL
    assert text_of(visit.request) == (
        '{"type":"statistics","product":"examplemail","channel":"stable",'
        '"project":"examplemail","key":"folders","release":"0.5.2","value":"10-99"}'
    )
    entry = intake.run("journal", "--json").json["entries"][-1]
    assert (entry["channel"], entry["reason"], entry["status"]) == ("statistics", None, 204)
    assert text_of(visit.request) in entry["sent"]
    explained = intake.run("consent", "explain", "--json").json
    assert (explained["level"], explained["stats"]) == ("off", False)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("examplemail/unheard_of", "1"), "undeclared"),
        (("folders", "1"), "undeclared"),
        ((FOLDERS.name, "many"), "bad-value"),
        ((FOLDERS.name, "1.5"), "bad-value"),
        ((FOLDERS.name, "9" * 5_000), "bad-value"),
        (("examplemail/protocol", "smtp"), "bad-value"),
        (("examplemail/encryption_used", "1"), "bad-value"),
    ],
)
def test_what_is_not_declared_is_refused_before_anything_is_sent(
    intake: Desk, arguments: tuple[str, str], reason: str
) -> None:
    done = send(intake, *arguments, "--json")
    assert (done.code, done.json["reason"]) == (1, reason)
    assert intake.socks.visits == []


def test_a_registry_that_root_did_not_sign_is_refused(intake: Desk) -> None:
    (intake.folder / "other.json").write_bytes(REGISTRY + b"\n")
    done = send(intake, FOLDERS.name, "57", "--json", registry="other.json")
    assert (done.code, done.json["reason"]) == (1, "registry-unknown")
    assert intake.socks.visits == []


def test_without_a_key_of_this_week_nothing_is_sent(intake: Desk) -> None:
    now = factory.system_clock().now()
    intake.publisher.steer(now - 60, **publishing(REGISTRY, (week_of(now - 2 * WEEK),)))
    intake.pin(1000)
    done = send(intake, FOLDERS.name, "57", "--json")
    assert (done.code, done.json["reason"]) == (1, "no-intake-key")
    assert intake.socks.visits == []


def test_the_administrator_and_the_environment_hold_for_a_report_by_hand_too(
    intake: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARS_LEVEL", "plain")
    done = send(intake, FOLDERS.name, "57", "--json")
    assert (done.code, done.json["reason"]) == (1, "no-consent")
    assert "(MARS_LEVEL: at most plain)" in done.json["message"], "who leaves no room for it"
    assert intake.socks.visits == []


def test_an_intake_that_does_not_take_it_is_told(intake: Desk) -> None:
    answer(intake, FULL)
    done = send(intake, FOLDERS.name, "57", "--json")
    assert (done.code, done.json["ok"], done.json["reason"]) == (1, False, "http-status")
    assert len(intake.socks.visits) == 1, "and it is not sent again"
    plain = send(intake, FOLDERS.name, "57")
    assert (plain.code, plain.out) == (1, "")
    assert "[http-status]" in plain.err


def test_an_address_without_a_path_means_the_intake(intake: Desk) -> None:
    done = send(intake, FOLDERS.name, "57", "--json", url="http://127.0.0.1:8080")
    assert done.code == 0
    (visit,) = intake.socks.visits
    assert visit.request.startswith(b"POST /motd/in HTTP/1.1\r\n")


@pytest.mark.parametrize("status", [b"404 Not Found", b"405 Method Not Allowed"])
def test_a_server_without_an_intake_there_is_told_with_the_path(
    intake: Desk, status: bytes
) -> None:
    answer(intake, b"HTTP/1.1 %b\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
    done = send(intake, FOLDERS.name, "57", url="http://127.0.0.1:8080/motd/motd.json")
    assert done.code == 1
    assert f"POST /motd/motd.json with HTTP status {status[:3].decode()}" in done.err


def test_what_would_be_read_on_the_way_is_refused(intake: Desk) -> None:
    done = send(intake, FOLDERS.name, "57", "--json", url="http://example.org/motd/in")
    assert (done.code, done.json["reason"]) == (1, "url-insecure")


def listed(desk: Desk, *arguments: str) -> Done:
    return desk.run("stats", *arguments, "--registry", str(desk.folder / "registry.json"))


def test_everything_declared_is_listed_and_each_is_chosen_on_its_own(intake: Desk) -> None:
    intake.grant("plain")
    entries = listed(intake, "list", "--json").json["entries"]
    assert [one["name"] for one in entries] == [metric.name for metric in METRICS]
    assert not any(one["on"] for one in entries)
    done = listed(intake, "consent", "on", FOLDERS.name, "--json")
    assert done.json == {"ok": True, "entries": [FOLDERS.name]}
    found = listed(intake, "list", "--json").json
    assert (found["mode"], [one["name"] for one in found["entries"] if one["on"]]) == (
        "on",
        [FOLDERS.name],
    )
    assert listed(intake, "consent", "on", "--json").json["entries"] == sorted(
        metric.name for metric in METRICS
    )
    assert listed(intake, "consent", "off", FOLDERS.name).code == 0
    assert listed(intake, "show", FOLDERS.name, "--json").json["on"] is False
    assert listed(intake, "consent", "off", "--json").json["entries"] == []
    assert intake.socks.visits == []


def test_a_wrong_name_is_refused_and_a_key_of_the_own_project_is_none(intake: Desk) -> None:
    intake.grant("plain")
    for said in ("on", "off"):
        done = listed(intake, "consent", said, "examplemail/unheard_of", "--json")
        assert (done.code, done.json["reason"]) == (1, "undeclared")
    assert listed(intake, "consent", "on", "folders", "--json").json["entries"] == [FOLDERS.name]
    assert listed(intake, "show", "folders", "--json").json["on"] is True
    assert intake.run("stats", "consent", "off", "folders", "--json").json["entries"] == []


def test_where_no_registry_is_known_the_answer_says_how_to_name_it(intake: Desk) -> None:
    intake.grant("plain")
    for words in (["show", "folders"], ["consent", "on", "folders"], ["consent", "on"]):
        done = intake.run("stats", *words)
        assert done.code == 1
        assert "--registry" in done.err
    assert "--registry" in intake.run("stats", "list").err


def test_one_that_asks_something_else_is_off_and_is_said_to_be(intake: Desk) -> None:
    intake.grant("plain")
    assert listed(intake, "consent", "on").code == 0
    other = catalogue(replace(FOLDERS, label="Contacts"), *METRICS[1:]).encode()
    (intake.folder / "registry.json").write_bytes(other)
    found = listed(intake, "list", "--json").json
    assert found["to_ask"] == [FOLDERS.name]
    assert [one["name"] for one in found["entries"] if one["changed"]] == [FOLDERS.name]
    line = next(one for one in listed(intake, "list").out.splitlines() if FOLDERS.name in one)
    assert line.startswith("off")
    assert "answer anew" in line
    others = sorted(metric.name for metric in METRICS[1:])
    done = listed(intake, "consent", "on", others[0], "--json")
    assert done.json["entries"] == others, "nothing is said of the one that changed"
    assert listed(intake, "consent", "on", FOLDERS.name, "--json").json["entries"] == sorted(
        [FOLDERS.name, *others]
    )
    assert listed(intake, "list", "--json").json["to_ask"] == []


def test_what_a_rule_has_nothing_said_of_is_off_and_is_said_to_be(intake: Desk) -> None:
    intake.grant("plain")
    assert listed(intake, "consent", "on").code == 0
    kept = intake.state / "state.json"
    table = json.loads(kept.read_bytes())
    table["statistics"]["rules"] = {"coarsen": {FOLDERS.name: "many"}}
    kept.write_text(json.dumps(table))
    line = next(one for one in listed(intake, "list").out.splitlines() if FOLDERS.name in one)
    assert line.startswith("off")
    assert "nothing said of it" in line


@pytest.mark.parametrize(
    ("veto", "named"),
    [
        ("*", [FOLDERS.name, PROTOCOL.name, DECRYPTION.wildcard]),
        (DECRYPTION.wildcard, [DECRYPTION.wildcard]),
        ("decryption/damaged", []),
    ],
)
def test_what_is_vetoed_as_a_whole_is_told_of_domains_too(veto: str, named: list[str]) -> None:
    policy = f'[statistics]\nveto = ["{veto}"]\n'.encode()
    world = a_world(FOLDERS, PROTOCOL, domains=(DECRYPTION,), host=machine(policy=policy))
    client = world.client()
    assert vetoed_names(client, client.load()) == named


def test_statistics_come_with_the_news(intake: Desk) -> None:
    intake.grant("plain")
    intake.run("consent", "revoke")
    done = listed(intake, "consent", "on", "--json")
    assert (done.code, done.json["reason"]) == (1, "level-off")


def test_one_is_shown_with_all_that_is_said_of_it(intake: Desk) -> None:
    send(intake, FOLDERS.name, "0")
    shown = listed(intake, "show", FOLDERS.name, "--json").json
    assert shown["reason"] == FOLDERS.reason
    assert shown["last"]["value"] == "0"
    assert "Mail folders" in listed(intake, "show", FOLDERS.name).out
    assert f"sent 0 on {shown['last']['time'][:10]}" in listed(intake, "list").out
    assert listed(intake, "show", "examplemail/none", "--json").json["reason"] == "undeclared"


def test_where_no_report_is_drawn_there_is_no_preview(intake: Desk) -> None:
    intake.grant("plain", "--stats")
    assert listed(intake, "preview", "--json").code == 1


def test_a_registry_that_is_none_is_refused(intake: Desk, tmp_path: Path) -> None:
    (intake.folder / "registry.json").write_bytes(b"{}")
    done = listed(intake, "list", "--json")
    assert done.code == 1
    assert "Traceback" not in done.err
