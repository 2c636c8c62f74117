"""What the ``mars`` command keeps on this computer, shows of it and forgets."""

from __future__ import annotations

import json
import os

import pytest

from mars.testing.publisher import Publisher
from mars.testing.socks import answering
from mars.testing.world import ONION
from mars.wire.torrc import own_torrc
from tests.mars.cli.conftest import URL, Desk


def test_the_journal_shows_and_forgets(desk: Desk) -> None:
    assert desk.run("journal", "--json").json["entries"] == []
    desk.fetch("--level", "tracked")
    entry = desk.run("journal", "--json").json["entries"][0]
    assert entry["sent"].encode() == desk.socks.visits[0].request
    assert entry["route"] == f"tor {desk.socks.address}"
    assert entry["reason"] is None
    assert "  motd  " in desk.run("journal").out
    assert "accepted" in desk.run("journal").out
    begun = {**entry, "reason": "begun", "serial": None}
    (desk.state / "journal.jsonl").write_text(json.dumps(begun) + "\n")
    assert "  begun (it was sent, and the process ended before" in desk.run("journal").out
    assert "User-Agent: mars/1" in desk.run("journal", "--sent").out
    assert desk.run("journal", "--delete", "--json").json["entries"] == []


def test_the_journal_says_what_rode_along_and_was_passed_over(desk: Desk) -> None:
    desk.publisher.steer(1)
    desk.pin(1000)
    desk.publish(reportback_server=f"http://{ONION}")
    assert desk.fetch("--level", "plain").code == 0
    entry = desk.run("journal", "--json").json["entries"][0]
    assert entry["notes"] == ["steering: differs"]
    assert desk.run("journal").out.endswith("  (steering: differs)\n")


def test_what_a_release_overrules_is_shown_no_more_although_nothing_new_came(desk: Desk) -> None:
    assert desk.fetch("--level", "plain").code == 0
    assert "Hello" in desk.run("show").out
    desk.publisher = Publisher(seeds=[bytes(32)], epoch=2)
    desk.trust.write_bytes(desk.publisher.trust(gen=2).encode())
    desk.socks.handler = answering(b"")
    assert desk.fetch("--level", "plain").code == 1
    shown = desk.run("show", "--json")
    assert (shown.code, shown.json["reason"]) == (1, "no-news")
    assert desk.run("status", "--json").json["serial"] is None


def test_reset_changes_the_age_or_forgets_everything(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    assert desk.run("reset", "--installed", "2020-01-01", "--json").code == 0
    assert "ia=1000" in desk.run("preview", "--level", "tracked").out
    assert desk.run("reset", "--age").code == 0
    assert "ia=1 " in desk.run("preview", "--level", "tracked").out
    assert desk.run("reset", "--installed", "soon").code == 1
    future = desk.run("reset", "--installed", "2999-01-01", "--json")
    assert future.code == 1
    assert future.json["reason"] == "bad-time"
    assert "--age" in future.json["message"]
    desk.grant("tracked", "--country", "IS")
    (desk.state / "current.json").write_text("{}")
    (desk.state / "state.json.damaged").write_text("{")
    (desk.state / ".state.json-x1").write_text("{")
    (desk.state / ".journal.jsonl-x1").write_text("{")
    (desk.state / "tor" / "data").mkdir(parents=True)
    (desk.state / "tor" / "torrc").write_text(own_torrc(str(desk.state / "tor"), 1))
    assert desk.run("reset", "--all").code == 0
    assert [path.name for path in desk.state.iterdir()] == ["state.lock"]
    assert desk.run("show").code == 1


@pytest.mark.parametrize(
    "content", [None, "", "{", '{"version": 1, "resources": []}', '{"version": 4}'], ids=str
)
def test_reset_takes_nothing_from_a_folder_whose_state_is_not_ours(
    desk: Desk, content: str | None
) -> None:
    (desk.state / "tor" / "data").mkdir(parents=True)
    files = ["current.json", "tor/torrc", "tor/data/x", "journal.jsonl"]
    if content is not None:
        files.append("state.json")
    for name in files:
        (desk.state / name).write_text(content or "")
    done = desk.run("reset", "--all", "--json")
    assert (done.code, done.json["reason"]) == (1, "state-damaged")
    assert all((desk.state / name).read_text() == (content or "") for name in files)
    assert "if it is ours, `mars reset --age` begins that file anew" in done.json["message"]
    assert desk.run("reset", "--age").code == 0
    assert desk.run("reset", "--all").code == 0
    assert {path.name for path in desk.state.iterdir()} == {"state.lock", "tor"}


def test_a_state_that_is_too_large_hides_no_journal_and_can_be_forgotten(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    file = desk.state / "state.json"
    file.write_bytes(file.read_bytes() + b" " * 900_000)
    assert len(desk.run("journal", "--json").json["entries"]) == 1
    assert "[state-too-large]" in desk.run("reset", "--age").err
    assert desk.run("reset", "--all").code == 0
    assert not file.exists()


def test_reset_removes_only_what_is_ours_by_name_and_kind(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    theirs = ["tor/torrc", "tor/data/x", "current.json/x", "notes.txt"]
    for name in theirs:
        (desk.state / name).parent.mkdir(parents=True, exist_ok=True)
        (desk.state / name).write_text("SocksPort 9050\n")
    assert desk.run("reset", "--all").code == 0
    assert all((desk.state / name).exists() for name in theirs)
    assert not (desk.state / "state.json").exists()
    desk.fetch("--level", "plain")
    (desk.state / "tor" / "torrc").write_text(own_torrc(str(desk.state / "tor"), 1))
    (desk.state / "tor" / "letter").write_text("")
    assert desk.run("reset", "--all").code == 0
    assert [path.name for path in (desk.state / "tor").iterdir()] == ["letter"]


SHAPELESS = [
    "{}",
    '{"time": 1795219200, "sent": "GET"}',
    '{"time": "soon", "level": "plain", "url": "", "sent": "", "route": "", "reason": null}',
    '{"time": -1, "level": "plain", "url": "", "sent": "", "route": "", "reason": null}',
    '{"time": 1, "level": [], "url": {}, "sent": "", "route": "", "reason": null}',
    '{"time": 1, "level": "plain", "url": "", "sent": "", "route": "", "reason": {}}',
]


@pytest.mark.parametrize("lines", [["0"], ["2", "5"], ["0", "2", "5"], SHAPELESS], ids=len)
def test_lines_of_the_journal_that_cannot_be_understood_are_told_and_kept(
    desk: Desk, lines: list[str]
) -> None:
    desk.fetch("--level", "plain")
    file = desk.state / "journal.jsonl"
    entry = "" if len(lines) == 3 else file.read_text()
    file.write_text(f"{entry}{chr(10).join(lines)}\n")
    damaged = file.read_bytes()
    done = desk.run("journal", "--json")
    assert (done.code, done.json["ok"], done.json["unreadable"]) == (1, False, len(lines))
    assert len(done.json["entries"]) == (1 if entry else 0)
    told = desk.run("journal")
    assert f"not shown ({len(lines)})" in told.err
    assert "Nothing was ever sent" not in told.err
    assert desk.run("status", "--json").json["problem"]["reason"] == "state-damaged"
    assert "[state-damaged]" in desk.fetch("--level", "plain").err
    assert (desk.state / "journal.jsonl.damaged").read_bytes() == damaged
    assert desk.run("journal", "--json").code == 0, "what is left is whole"


def test_a_state_that_is_damaged_is_told_by_a_fetch(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    file = desk.state / "state.json"
    damaged = file.read_bytes().replace(b'"serial"', b'"serjal"', 1)
    file.write_bytes(damaged)
    done = desk.fetch("--level", "plain")
    assert (done.code, "[state-damaged]" in done.err) == (0, True)
    assert (desk.state / "state.json.damaged").read_bytes() == damaged


def test_consent_to_one_product_is_none_to_another(desk: Desk) -> None:
    chosen = ("--variable", "v", "--variable", "cc", "--country", "IS")
    granted = desk.grant("tracked", *chosen, "--new")
    assert granted.code == 0
    kept = (desk.state / "state.json").read_bytes()
    for publisher in (Publisher("othermail"), Publisher(channel="beta")):
        desk.fetch()
        kept, visits = (desk.state / "state.json").read_bytes(), len(desk.socks.visits)
        other = desk.folder / "other.json"
        other.write_bytes(publisher.trust().encode())
        named = ("--socks", desk.socks.address, "--app-version", "9.9", "--url", URL)
        done = desk.run("fetch", "--trust", str(other), *named, "--json")
        assert (done.code, done.json["reason"]) == (1, "wrong-product")
        assert len(desk.socks.visits) == visits
        assert (desk.state / "state.json").read_bytes() == kept
    assert desk.run("consent", "revoke", "--product", "examplemail").code == 0


@pytest.mark.parametrize("command", [("fetch", "--url", URL), ("doctor",)])
def test_a_pipe_for_a_trust_file_is_refused_at_once(desk: Desk, command: tuple[str, ...]) -> None:
    os.mkfifo(desk.folder / "pipe", 0o600)
    done = desk.call(*command, "--trust", str(desk.folder / "pipe"))
    assert (done.code, "the file cannot be read" in done.err) == (1, True)


def test_a_pipe_for_a_password_is_refused_at_once(desk: Desk) -> None:
    os.mkfifo(desk.folder / "pipe", 0o600)
    done = desk.call("doctor", "--control-password-file", str(desk.folder / "pipe"))
    assert (done.code, "[control-password]" in done.err) == (1, True)


def test_reset_takes_no_folder_in_which_nothing_was_ever_kept(desk: Desk) -> None:
    source = desk.folder / "src" / "tor"
    source.mkdir(parents=True)
    desk.state = source.parent
    assert desk.run("reset", "--all", "--json").json["reason"] == "unknown-application"
    assert source.is_dir()


def test_a_link_in_place_of_tors_folder_is_not_followed(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    treasure = desk.folder / "treasure"
    treasure.mkdir()
    (desk.state / "tor").symlink_to(treasure)
    assert desk.run("reset", "--all").code == 0
    assert treasure.is_dir()


def test_revoking_forgets_the_country(desk: Desk) -> None:
    desk.grant("tracked", "--variable", "cc", "--country", "IS")
    desk.run("consent", "revoke")
    desk.grant("tracked", "--variable", "cc")
    assert "IS" not in (desk.state / "state.json").read_text()


def test_every_folder_that_is_made_is_the_users_alone(desk: Desk) -> None:
    before = os.umask(0)
    try:
        desk.grant("plain")
    finally:
        os.umask(before)
    for made in (desk.state, desk.state.parent):
        assert made.stat().st_mode & 0o777 == 0o700


def test_status_says_where_things_stand(desk: Desk) -> None:
    desk.fetch("--level", "plain")
    done = desk.run("status", "--json")
    assert done.code == 0
    table = done.json
    assert table["product"] == "examplemail"
    assert table["level"] == "off"
    assert table["update"] == "update"
    assert table["stale_since"] is None
    assert "Last try:" in desk.run("status").out


def test_no_news_says_what_to_do(desk: Desk) -> None:
    done = desk.run("show")
    assert "mars fetch --trust" in done.err


def test_status_tells_of_a_journal_that_cannot_be_read(desk: Desk) -> None:
    desk.grant("plain")
    (desk.state / "journal.jsonl").mkdir()
    done = desk.run("status")
    assert done.code == 1
    assert "journal.jsonl cannot be read" in done.out
    assert "[state-unreadable]" in done.out
    assert "Level:                       plain" in done.out
