"""What the ``mars`` command keeps on this computer, shows of it and forgets."""

from __future__ import annotations

import json
import os

from tests.mars.cli.conftest import Desk


def test_the_journal_shows_and_forgets(desk: Desk) -> None:
    assert desk.run("journal", "--json").json["entries"] == []
    desk.fetch("--level", "tracked")
    entry = desk.run("journal", "--json").json["entries"][0]
    assert entry["sent"].encode() == desk.socks.visits[0].request
    assert entry["route"] == f"tor {desk.socks.address}"
    assert entry["reason"] is None
    assert "accepted" in desk.run("journal").out
    begun = {**entry, "reason": "begun", "serial": None}
    (desk.state / "journal.jsonl").write_text(json.dumps(begun) + "\n")
    assert "  begun (it was sent, and the process ended before" in desk.run("journal").out
    assert "User-Agent: mars/1" in desk.run("journal", "--sent").out
    assert desk.run("journal", "--delete", "--json").json["entries"] == []


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
    desk.run("consent", "grant", "tracked", "--country", "IS")
    (desk.state / "current.json").write_text("{}")
    (desk.state / "state.json.damaged").write_text("{")
    (desk.state / ".state.json-x1").write_text("{")
    (desk.state / ".journal.jsonl-x1").write_text("{")
    (desk.state / "tor" / "data").mkdir(parents=True)
    (desk.state / "tor" / "torrc").write_text("")
    assert desk.run("reset", "--all").code == 0
    assert [path.name for path in desk.state.iterdir()] == ["state.lock"]
    assert desk.run("show").code == 1


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
    desk.run("consent", "grant", "tracked", "--variable", "cc", "--country", "IS")
    desk.run("consent", "revoke")
    desk.run("consent", "grant", "tracked", "--variable", "cc")
    assert "IS" not in (desk.state / "state.json").read_text()


def test_every_folder_that_is_made_is_the_users_alone(desk: Desk) -> None:
    before = os.umask(0)
    try:
        desk.run("consent", "grant", "plain")
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
    desk.run("consent", "grant", "plain")
    (desk.state / "journal.jsonl").mkdir()
    done = desk.run("status")
    assert done.code == 1
    assert "journal.jsonl cannot be read" in done.out
    assert "[state-unreadable]" in done.out
    assert "Level:                       plain" in done.out
