"""``mars report``: reports seen, released, deleted at a terminal, and one sent by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mars import factory
from mars.testing.publisher import ed25519_signature
from mars.testing.world import ONION
from mars.wire import envelope
from mars.wire.catalogue import Catalogue
from mars.wire.envelope import STATUS_TYPE, Envelope, pae
from mars.wire.reports.crowd import Share
from mars.wire.reports.direct import Deletion, Direct, prefix_of
from mars.wire.reports.recipient import Recipient
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import Answer, Known, Status
from mars.wire.sealed import LARGE, Opener, opened
from mars.wire.times import DAY, week_of
from tests.mars.channels.kit import opener, publishing
from tests.mars.cli.conftest import FULL, INTAKE, Desk, Done, answer, with_intake

KEY = Opener.of(b"\x01" * 32)
REGISTRY = Catalogue(
    "examplemail", "stable", ("0.5.2",), reports={"0.5.2": KEY.public.hex()}
).encode()
TRIAGE = Recipient("examplemail", "stable", {"127.0.0.1"}, {"0.5.2": KEY})
TRACEBACK = """\
Traceback (most recent call last):
  File "/home/jonas/mail/examplemail/window.py", line 12, in open
    self.load(password)
  File "/usr/lib/python3.11/json/__init__.py", line 346, in loads
    return _default_decoder.decode(s)
  File "/home/jonas/mail/examplemail/store.py", line 40, in load
    raise ValueError(path)
ValueError: jonas@example.org cannot open /home/jonas/sesame.mbox with hunter2
"""
SECRETS = ("jonas", "hunter2", "sesame", "example.org", "/home", "password")


@pytest.fixture
def intake(desk: Desk) -> Desk:
    """With a traceback to report."""
    (desk.folder / "trace.txt").write_text(TRACEBACK)
    return with_intake(desk, REGISTRY)


def send(desk: Desk, *arguments: str, file: str = "", version: str = "0.5.2") -> Done:
    return desk.run(
        *("report", "send", file or str(desk.folder / "trace.txt"), *arguments),
        *("--registry", str(desk.folder / "registry.json"), "--trust", str(desk.trust)),
        *("--url", INTAKE, "--socks", desk.socks.address),
        *("--product", "examplemail", "--app-version", version),
    )


def outer(request: bytes) -> bytes:
    body = request.partition(b"\r\n\r\n")[2]
    assert len(body) == LARGE
    found = opened(body, opener(week_of(factory.system_clock().now())))
    assert found is not None
    return found


def read(request: bytes) -> Direct | Deletion | Share:
    return TRIAGE.read(outer(request))[1]


def listed(desk: Desk, *arguments: str) -> Done:
    return desk.run("report", "list", *arguments)


def test_a_direct_report_is_sealed_sent_at_once_and_listed(intake: Desk) -> None:
    done = send(intake, "--direct", "--message", "It was Tuesday.", "--json")
    assert done.code == 0, done.err
    (visit,) = intake.socks.visits
    assert visit.request.startswith(b"POST /motd/in HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n")
    said = read(visit.request)
    assert isinstance(said, Direct)
    assert done.json == {
        "ok": True,
        "guid": said.guid,
        "text": done.json["text"],
        "bytes": LARGE,
    }
    assert said.content.fault.types == ("ValueError",)
    assert said.content.fault.names == ("examplemail.window:open", "examplemail.store:load")
    assert said.content.message == "It was Tuesday."
    assert json.loads(done.json["text"].split("\n")[2])["message"] == "It was Tuesday."
    found = listed(intake, "--json").json
    assert [(one["state"], one["guid"]) for one in found["reports"]] == [("sent", said.guid)]
    entry = intake.run("journal", "--json").json["entries"][-1]
    assert (entry["channel"], entry["reason"]) == ("reports", None)
    assert done.json["text"] in entry["sent"]
    explained = intake.run("consent", "explain", "--json").json
    assert (explained["level"], explained["errors"], explained["reports"]) == (
        *("off", False, "never"),
    )


def test_a_crowd_report_has_no_guid_and_shows_what_it_says(intake: Desk) -> None:
    done = send(intake, "--crowd", "--json")
    assert (done.code, done.json["guid"]) == (0, None)
    assert isinstance(read(intake.socks.visits[0].request), Share)
    assert "examplemail.store:load" in done.json["text"]
    assert listed(intake, "--json").json["reports"][0]["guid"] is None


def test_an_application_whose_package_is_called_otherwise_names_it(intake: Desk) -> None:
    text = TRACEBACK.replace("/examplemail/", "/other/")
    (intake.folder / "trace.txt").write_text(text)
    done = send(intake, "--direct", "--module", "gone", "--module", "other")
    assert done.code == 0, done.err
    said = read(intake.socks.visits[0].request)
    assert isinstance(said, Direct)
    assert said.content.fault.names == ("other.window:open", "other.store:load")


@pytest.mark.parametrize("way", ["--direct", "--crowd"])
def test_nothing_of_the_text_but_types_and_names_is_sealed_or_kept(intake: Desk, way: str) -> None:
    """J12."""
    done = send(intake, way, "--json")
    kept = "".join(path.read_text() for path in intake.state.iterdir() if path.is_file())
    for secret in SECRETS:
        assert secret not in done.json["text"]
        assert secret not in kept


def test_standard_input_is_read(intake: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    with (intake.folder / "trace.txt").open() as text:
        monkeypatch.setattr("sys.stdin", text)
        done = send(intake, "--direct", file="-")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("TELEMETRY ")


@pytest.mark.parametrize(
    ("text", "version", "reason"),
    [
        ("nothing happened", "0.5.2", "no-traceback"),
        (TRACEBACK.replace("/examplemail/", "/other/"), "0.5.2", "no-traceback"),
        (TRACEBACK, "dev", "no-release"),
        (TRACEBACK, "", "no-release"),
        (TRACEBACK, "0.5.1", "no-report-key"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_a_reason(
    intake: Desk, text: str, version: str, reason: str
) -> None:
    (intake.folder / "trace.txt").write_text(text)
    done = send(intake, "--direct", "--json", version=version)
    assert (done.code, done.json["reason"]) == (1, reason)
    assert intake.socks.visits == []
    assert listed(intake, "--json").json["reports"] == []


@pytest.mark.parametrize("variable", ["MARS_REPORTS=never", "MARS_LEVEL=plain", "MARS_LEVEL=off"])
def test_the_environment_holds_for_a_report_by_hand_too(
    intake: Desk, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(*variable.split("="))
    done = send(intake, "--direct", "--json")
    assert (done.code, done.json["reason"]) == (1, "no-consent")
    assert intake.socks.visits == []


def test_a_message_in_a_crowd_report_is_wrong_usage(intake: Desk) -> None:
    assert send(intake, "--crowd", "--message", "x").code == 2
    assert send(intake, "--json").json["guid"] is None, "crowd where nothing is said"


def test_an_intake_that_does_not_take_it_is_told_and_it_stays_listed(intake: Desk) -> None:
    answer(intake, FULL)
    done = send(intake, "--direct", "--json")
    assert (done.code, done.json["reason"]) == (1, "http-status")
    assert len(intake.socks.visits) == 1
    assert [one["state"] for one in listed(intake, "--json").json["reports"]] == ["sent"]


def status(desk: Desk, guid: str, answer: Answer, role: str = "status", **changes: object) -> Path:
    now = factory.system_clock().now() - 60
    prefix = prefix_of(guid)
    known = Known(Rule.parse("examplemail.store:load"), 1)
    said: dict[str, object] = {
        "product": "examplemail",
        "channel": "stable",
        "epoch": 1,
        "serial": now,
        "issued": now,
        "expires": now + 45 * DAY,
        "answers": (answer, Answer("known", 2, "A broken archive.", "", "Make room.")),
        "prefixes": {prefix: 0} if prefix else {},
        "faults": (known,),
    }
    payload = Status(**{**said, **changes}).encode()  # type: ignore[arg-type]
    seeds = desk.publisher.seeds_of(role)
    signed = tuple(ed25519_signature(seed, pae(STATUS_TYPE, payload)) for seed in seeds)
    path = desk.folder / "status.json"
    path.write_bytes(envelope.encode(Envelope(STATUS_TYPE, payload, signed)))
    return path


def test_answers_in_a_file_are_matched_kept_and_shown(intake: Desk) -> None:
    guid = send(intake, "--direct", "--json").json["guid"]
    fixed = Answer("resolved", 1, "Fixed.", "A bug.", "Update.", "0.5.3")
    file = status(intake, guid, fixed)
    done = intake.run("report", "status", "--status", str(file), "--trust", str(intake.trust))
    assert (done.code, done.err) == (0, "")
    assert "resolved" in done.out
    assert "Update." in done.out
    (one,) = listed(intake, "--json").json["reports"]
    assert (one["state"], one["help"]["release"]) == ("resolved", "0.5.3")
    again = intake.run("report", "status", "--json")
    assert again.json["reports"][0]["state"] == "resolved"


def test_a_crowd_report_of_a_known_fault_shows_the_help(intake: Desk) -> None:
    send(intake, "--crowd")
    file = status(intake, "", Answer("open"))
    done = intake.run(
        *("report", "status", "--status", str(file), "--trust", str(intake.trust), "--json")
    )
    (one,) = done.json["reports"]
    assert (one["state"], one["help"]["fix"]) == ("known", "Make room.")


@pytest.mark.parametrize(
    ("role", "changes", "reason"),
    [
        ("motd", {}, "signature-threshold"),
        ("status", {"channel": "beta"}, "wrong-channel"),
        ("status", {"product": "other"}, "wrong-product"),
        ("status", {"epoch": 2}, "wrong-epoch"),
    ],
)
def test_answers_that_do_not_hold_are_refused(
    intake: Desk, role: str, changes: dict[str, object], reason: str
) -> None:
    guid = send(intake, "--direct", "--json").json["guid"]
    file = status(intake, guid, Answer("resolved"), role, **changes)
    done = intake.run(
        *("report", "status", "--status", str(file), "--trust", str(intake.trust), "--json")
    )
    assert (done.code, done.json["reason"]) == (1, reason)
    assert listed(intake, "--json").json["reports"][0]["state"] == "sent"


def test_forgetting_asks_for_the_deletion_of_what_was_sent_directly(intake: Desk) -> None:
    guid = send(intake, "--direct", "--json").json["guid"]
    send(intake, "--crowd")
    assert intake.run("report", "forget", guid, "--json").json["forgotten"] == "asked"
    (crowd,) = [one for one in listed(intake, "--json").json["reports"] if not one["guid"]]
    done = intake.run("report", "forget", str(crowd["number"]), "--json")
    assert done.json["forgotten"] == "removed"
    found = listed(intake, "--json").json
    assert [one["deletion"] for one in found["reports"]] == ["asked"]
    assert found["deletions"] == 1
    assert "1 deletion was asked for" in listed(intake).out
    assert intake.run("report", "forget", "9", "--json").json["reason"] == "unknown-report"


def test_forgetting_says_what_it_did(intake: Desk) -> None:
    guid = send(intake, "--direct", "--json").json["guid"]
    send(intake, "--crowd")
    assert "within 30 days" in intake.run("report", "forget", guid).out
    (crowd,) = [one for one in listed(intake, "--json").json["reports"] if not one["guid"]]
    done = intake.run("report", "forget", str(crowd["number"]))
    assert "What was sent cannot be deleted" in done.out


def test_what_the_publisher_says_is_gone_is_removed_here(intake: Desk) -> None:
    guid = send(intake, "--direct", "--json").json["guid"]
    assert intake.run("report", "forget", guid, "--json").json["forgotten"] == "asked"
    file = status(intake, guid, Answer("deleted"))
    intake.run("report", "status", "--status", str(file), "--trust", str(intake.trust))
    assert intake.run("report", "forget", guid, "--json").json["forgotten"] == "removed"
    assert listed(intake, "--json").json["reports"] == []


def test_the_exact_text_is_seen_before_it_goes(intake: Desk) -> None:
    done = send(intake, "--direct", "--message", "It was Tuesday.", "--show")
    assert (done.code, intake.socks.visits) == (0, [])
    assert '"message":"It was Tuesday."' in done.out
    assert '"server":"127.0.0.1"' in done.out
    assert send(intake, "--show", "--json").json["bytes"] == LARGE
    assert listed(intake, "--json").json["reports"] == []


def test_show_seals_with_what_the_application_ships_before_any_news_came(intake: Desk) -> None:
    send(intake, "--direct")
    now = factory.system_clock().now()
    said = publishing(REGISTRY, (week_of(now),))
    intake.publisher.steer(now - 60, servers=(f"http://{ONION}",), **said)
    intake.pin(1000)
    kept = next(intake.state.glob("report-*.json"))
    kept.write_text(re.sub('"sent": [0-9]+', '"sent": null', kept.read_text()))
    shipped = ("--registry", str(intake.folder / "registry.json"))
    bare = intake.run("report", "show", "1", "--json", *shipped).json
    assert (bare["text"], bare["problem"]["reason"]) == (None, "registry-unknown")
    whole = intake.run("report", "show", "1", "--json", *shipped, "--trust", str(intake.trust)).json
    assert '"kind":"crowd"' in whole["text"]
    assert whole["problem"] is None


def test_show_and_export_say_all_of_it(intake: Desk) -> None:
    done = send(intake, "--direct", "--json")
    guid = done.json["guid"]
    registry = ("--registry", str(intake.folder / "registry.json"))
    shown = intake.run("report", "show", guid, "--json", *registry).json
    assert (shown["guid"], shown["types"]) == (guid, ["ValueError"])
    people = intake.run("report", "show", "1", *registry)
    assert "examplemail.store:load" in people.out
    assert intake.run("report", "show", "x", "--json").json["reason"] == "unknown-report"
    (whole,) = intake.run("report", "export").json["reports"]
    assert (whole["guid"], whole["fault"]["types"]) == (guid, ["ValueError"])


def test_a_damaged_file_is_told_and_can_be_removed(intake: Desk) -> None:
    send(intake, "--direct")
    name = "report-0011223344556677.json"
    (intake.state / name).write_text("{")
    done = listed(intake, "--json")
    assert (done.code, done.json["damaged"], len(done.json["reports"])) == (1, [name], 1)
    assert intake.run("report", "forget", name).code == 0
    assert listed(intake).code == 0


def test_a_traceback_with_commands_for_the_terminal_is_shown_without_them(intake: Desk) -> None:
    text = TRACEBACK.replace("in load", "in lo\x1b[31mad").replace("ValueError:", "\x1b]0;X\x07E:")
    (intake.folder / "trace.txt").write_text(text)
    send(intake, "--direct")
    assert "\x1b" not in listed(intake).out + intake.run("report", "show", "1").out


def test_a_deletion_that_is_still_to_go_is_told_where_consent_is_taken_back(intake: Desk) -> None:
    """C25."""
    guid = send(intake, "--direct", "--json").json["guid"]
    intake.grant("plain")
    assert intake.run("consent", "prove", "--days", "1", "--json").json["requests"] < 2
    intake.run("report", "forget", guid)
    done = intake.run("consent", "revoke")
    assert (done.code, "1 is still to be deleted" in done.err) == (0, True)
    proven = intake.run("consent", "prove", "--days", "1", "--json")
    assert (proven.code, proven.json["requests"]) == (1, 1)


def test_everything_is_forgotten_with_all_that_lies_beside(intake: Desk) -> None:
    send(intake, "--direct")
    intake.grant("plain")
    (intake.state / ".report-left").write_text("a crash left it")
    assert intake.run("reset", "--all").code == 0
    assert [one.name for one in intake.state.iterdir() if "report" in one.name] == []


@pytest.mark.parametrize("mode", ["never", "ask", "always"])
def test_a_mode_is_chosen_at_a_terminal_and_shown(intake: Desk, mode: str) -> None:
    intake.grant("plain")
    send(intake, "--direct")  # since then it is known what the application declares
    done = intake.grant("plain", "--reports", mode, "--json")
    assert (done.json["reports"], done.json["errors"]) == (mode, mode != "never")
    shown = intake.run("consent", "explain").out
    assert (f"Error reports: yes ({mode}), since " in shown) is (mode != "never")
    assert listed(intake, "--json").json["mode"] == mode
    assert intake.grant("plain", "--reports", "sometimes").code == 2


def test_a_report_is_released_at_a_terminal(intake: Desk) -> None:
    send(intake, "--direct")
    intake.grant("plain", "--reports", "ask")
    (file,) = intake.state.glob("report-*.json")
    kept = json.loads(file.read_text())
    file.write_text(json.dumps({**kept, "sent": None}))
    done = intake.run("report", "release", "1", "--direct", "--message", "Tuesday", "--json")
    assert (done.code, done.json["released"], done.json["way"]) == (0, True, "direct")
    people = intake.run("report", "release", "1")
    assert "ten installations" in people.out
    intake.grant("plain", "--reports", "never")
    refused = intake.run("report", "release", "1", "--json")
    assert (refused.code, refused.json["reason"]) == (1, "unknown-report"), "it went with the yes"
