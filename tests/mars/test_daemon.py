"""``mars daemon`` as a real process, and its parts in memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mars import factory
from mars.channels.memory import Memory
from mars.client import Mars
from mars.consent import STATISTICS, Decision
from mars.core import schedule
from mars.core import state as states
from mars.core.records import STATE_FILE
from mars.daemon import Daemon, Entry, Turned, client, read_entry
from mars.errors import MarsError
from mars.testing.publisher import Publisher
from mars.testing.socks import SocksServer, answering, ok
from mars.testing.world import World
from mars.wire.times import DAY
from tests.mars.channels.registries import A, registry
from tests.waiting import until

COMMAND = str(Path(sys.executable).with_name("mars"))


def an_app(folder: Path, name: str, publisher: Publisher, **more: str) -> None:
    (folder / f"{name}.trust").write_bytes(publisher.trust().encode())
    lines = {"trust": f"{name}.trust", "version": "0.5.1", **more}
    text = "".join(f'{key} = "{value}"\n' for key, value in lines.items())
    (folder / f"{name}.toml").write_text(text, "utf-8")


def a_client(_entry: Entry, turned: Turned) -> Mars:
    return World().mars(on_turn=turned)


def due_soon(folder: Path) -> None:
    """A user who decided long ago, and whose overdue fetch has a second left to wait."""
    now = factory.system_clock().now()
    decided = replace(states.first(now), decision=Decision.of("plain", now - 1))
    state = Memory(schedule=schedule.Schedule(due=now - DAY, wait=1)).into(decided)
    factory.folder(str(folder)).write(STATE_FILE, states.encode(state))


def test_the_daemon_serves_many_apps_reloads_and_ends_in_time(tmp_path: Path) -> None:
    apps, root = tmp_path / "apps", tmp_path / "state"
    apps.mkdir()
    first, second = Publisher(), Publisher(product="otherapp")
    url = "http://127.0.0.1:8080/motd/motd.json"
    an_app(apps, "one", first, url=url, output="one.json", state=str(root / "one"))
    due_soon(root / "one")
    now = factory.system_clock().now()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    with SocksServer(answering(ok(first.document(now - 60)))) as socks:
        arguments = [COMMAND, "daemon", str(apps), "--state", str(root), "--socks", socks.address]
        with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=environ) as daemon:
            try:
                until((apps / "one.json").exists)
                news = json.loads((apps / "one.json").read_text())
                assert news["messages"][0]["title"] == "Hello"
                assert news["update"] == "update"
                assert [visit.host for visit in socks.visits] == ["127.0.0.1"]
                status = subprocess.run(
                    [COMMAND, "status", "--state", str(root / "one"), "--json"],
                    capture_output=True,
                    env=environ,
                    timeout=60,
                    check=True,
                )
                assert json.loads(status.stdout)["running"] is True
                again = subprocess.run(arguments, capture_output=True, env=environ, timeout=60)
                assert again.returncode == 1
                assert b"[locked]" in again.stderr
                an_app(apps, "two", second, url=url, state=str(root / "two"))
                (apps / "broken.toml").write_text("trust = 5\n", "utf-8")
                daemon.send_signal(signal.SIGHUP)
                until((root / "two" / STATE_FILE).exists)
            finally:
                daemon.send_signal(signal.SIGTERM)
                begun = time.monotonic()
                _, errors = daemon.communicate(timeout=60)
            assert daemon.returncode == 0, errors
            assert time.monotonic() - begun < 30
            assert "serving 2 applications" in errors
            assert "broken.toml trust must be a text" in errors
            assert "Traceback" not in errors
    assert len(socks.visits) == 1, "the second app has no consent, so it sent nothing"


def test_the_daemon_reports_in_json(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("", "utf-8")
    arguments = [COMMAND, "daemon", str(tmp_path), "--state", str(tmp_path / "state"), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        report = json.loads(daemon.stdout.readline())
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(60) == 0
    assert report["problems"]["broken"].pop("message").startswith("broken.toml names no trust file")
    assert report == {
        "event": "reload",
        "ok": False,
        "serving": [],
        "problems": {"broken": {"reason": "app-invalid"}},
    }


def test_reload_starts_restarts_and_stops(tmp_path: Path) -> None:
    publisher, made = Publisher(), list[str]()

    def make(entry: Entry, turned: Turned) -> Mars:
        made.append(entry.version)
        ports = World(publisher=publisher).ports()
        return client(entry, turned, host=ports.host, clock=ports.clock, chance=ports.chance)

    an_app(tmp_path, "one", publisher)
    daemon = Daemon(tmp_path, make, tmp_path / "state")
    daemon.reload()
    daemon.reload()
    assert made == ["0.5.1"], "nothing changed, nothing restarted"
    an_app(tmp_path, "one", publisher, version="0.5.2")
    daemon.reload()
    assert made == ["0.5.1", "0.5.2"]
    an_app(tmp_path, "twin", publisher)
    daemon.reload()
    assert daemon.problems["twin"].reason == "app-twice"
    (tmp_path / "one.toml").unlink()
    (tmp_path / "twin.toml").unlink()
    daemon.reload()
    assert daemon.serving == {}
    daemon.stop()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "app-invalid"),
        ("trust = ", "app-invalid"),
        ('trust = "missing"', "trust-invalid"),
        ('trust = "bad.trust"', "trust-invalid"),
        ('trust = "one.trust"\nshell = "rm"', "app-invalid"),
        ('trust = "one.trust"\nlanguages = "en"', "app-invalid"),
        ("\udcff", "app-invalid"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    an_app(tmp_path, "one", Publisher())
    (tmp_path / "bad.trust").write_bytes(b"[]")
    (tmp_path / "bad.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(MarsError) as refused:
        read_entry(tmp_path / "bad.toml")
    assert refused.value.reason == reason


def test_the_user_unit_names_the_command() -> None:
    unit = Path(__file__).parents[2] / "deploy" / "mars-daemon.service"
    text = unit.read_text("utf-8")
    assert "mars daemon" in text
    assert "ExecReload=" in text


def test_a_pipe_a_deep_or_a_foreign_file_stops_no_other_application(tmp_path: Path) -> None:
    an_app(tmp_path, "good", Publisher())
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000, "utf-8")
    an_app(tmp_path, "shared", Publisher(product="otherapp"))
    (tmp_path / "shared.toml").chmod(0o666)
    (tmp_path / "device.toml").write_text('trust = "/dev/zero"\n', "utf-8")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    daemon.stop()
    found = {name: error.reason for name, error in daemon.problems.items()}
    assert found == {
        "pipe": "app-invalid",
        "deep": "app-invalid",
        "shared": "not-private",
        "device": "trust-invalid",
    }


def _spoil(name: str, place: Path) -> None:
    """Gives others the right to change what the application ``good`` depends on."""
    trust, toml = place / "good.trust", place / "good.toml"
    strange = place / "strange"
    strange.mkdir()
    match name:
        case "trust":
            trust.chmod(0o646)
        case "trust of a group":
            trust.chmod(0o664)
            os.chown(trust, -1, 12345)
        case "trust of another":
            os.chown(trust, 54321, -1)
        case "its folder":
            trust.rename(strange / "good.trust")
            strange.chmod(0o777)
            toml.write_text('trust = "strange/good.trust"\n', "utf-8")
        case "a folder above":
            (strange / "inner").mkdir()
            trust.rename(strange / "inner" / "good.trust")
            os.chown(strange, 54321, -1)
            toml.write_text('trust = "strange/inner/good.trust"\n', "utf-8")
        case "a link to there":
            trust.rename(strange / "good.trust")
            trust.symlink_to(strange / "good.trust")
            strange.chmod(0o777)
        case "a link of another":
            trust.rename(strange / "good.trust")
            trust.symlink_to(strange / "good.trust")
            os.chown(trust, 54321, -1, follow_symlinks=False)
        case "the output":
            toml.write_text('trust = "good.trust"\noutput = "strange/new/news.json"\n', "utf-8")
            strange.chmod(0o777)
        case "the output itself":
            toml.write_text('trust = "good.trust"\noutput = "news.json"\n', "utf-8")
            (place / "news.json").write_text("{}")
            (place / "news.json").chmod(0o666)


# Only root can set up what is tried here. CI is root, and fails where a test is skipped.
@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file to another user takes root")
@pytest.mark.parametrize(
    "name",
    [
        *("trust", "trust of a group", "trust of another", "its folder", "a folder above"),
        *("a link to there", "a link of another", "the output", "the output itself"),
    ],
)
def test_what_others_may_change_is_refused(tmp_path: Path, name: str) -> None:
    an_app(tmp_path, "good", Publisher())
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert list(daemon.serving) == ["good"]
    _spoil(name, tmp_path)
    daemon.reload()
    assert not daemon.serving
    assert daemon.problems["good"].reason == "not-private"
    assert "move" in daemon.problems["good"].message
    daemon.stop()


def test_a_folder_with_the_sticky_bit_and_ones_own_links_are_no_reason(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o1777)
    own.mkdir()
    an_app(own, "good", Publisher())
    (own / "good.trust").rename(shared / "good.trust")
    (own / "good.trust").symlink_to(Path("..", "shared", "good.trust"))
    daemon = Daemon(own, a_client)
    daemon.reload()
    assert (list(daemon.serving), daemon.problems) == (["good"], {})
    daemon.stop()


@pytest.mark.parametrize("command", [("fetch", "--level", "plain"), ("doctor", "--timeout", "1")])
def test_a_trust_file_that_anybody_may_change_is_refused_by_name(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_bytes(Publisher().trust().encode())
    trust.chmod(0o666)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [COMMAND, *command, "--url", (tmp_path / "motd.json").as_uri(), "--trust", trust],
        capture_output=True,
        env=environ,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"[not-private]" in done.stderr


def test_a_folder_that_others_may_change_is_refused(tmp_path: Path) -> None:
    an_app(tmp_path, "good", Publisher())
    tmp_path.chmod(0o777)
    with pytest.raises(MarsError, match="not-private"):
        Daemon(tmp_path, a_client).reload()
    tmp_path.chmod(0o700)
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    tmp_path.chmod(0o777)
    daemon.reload()
    assert list(daemon.serving) == ["good"]
    assert daemon.problems["."].reason == "not-private"
    daemon.stop()


@pytest.mark.parametrize(
    "output",
    [
        *("x/../s/state.json", "s/journal.jsonl", "link", "s/state.json.damaged", "s/State.lock"),
        *("other.toml", "mail.toml", "../elsewhere/state.json", "s/registry.json"),
        "s/failures.json",
    ],
)
def test_the_news_do_not_replace_what_the_client_keeps(tmp_path: Path, output: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "link").symlink_to(Path("other", "state.json"))
    an_app(tmp_path, "mail", Publisher(), state="s", output=output)
    with pytest.raises(MarsError, match="the client's own file") as refused:
        read_entry(tmp_path / "mail.toml")
    assert refused.value.reason == "app-invalid"


@pytest.mark.parametrize("output", ["laststate.json", "news.json", "a/locked.json"])
def test_the_news_may_stand_in_any_other_file(tmp_path: Path, output: str) -> None:
    an_app(tmp_path, "mail", Publisher(), output=output)
    assert read_entry(tmp_path / "mail.toml").output == tmp_path / output


def test_what_an_application_declares_is_named_beside_its_trust(tmp_path: Path) -> None:
    an_app(tmp_path, "mail", Publisher(), registry="declared.json", output="declared.json")
    with pytest.raises(MarsError, match="registry-invalid"):
        read_entry(tmp_path / "mail.toml")
    (tmp_path / "declared.json").write_bytes(registry(A))
    entry = read_entry(tmp_path / "mail.toml")
    assert entry.registry == registry(A)
    assert str(tmp_path / "declared.json") in entry.files, "so no news may replace it"
    assert STATISTICS in client(entry, print)._client.offered
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    daemon.stop()
    assert daemon.problems["mail"].reason == "app-invalid"


@pytest.mark.parametrize("output", ["mail.trust", "x/../other.trust", "link"])
def test_the_news_do_not_replace_a_trust_file(tmp_path: Path, output: str) -> None:
    (tmp_path / "x").mkdir()
    an_app(tmp_path, "mail", Publisher(), output=output)
    an_app(tmp_path, "other", Publisher("othermail"))
    (tmp_path / "link").symlink_to("other.trust")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    daemon.stop()
    assert {name: error.reason for name, error in daemon.problems.items()} == {
        "mail": "app-invalid"
    }


@pytest.mark.parametrize("wrong", ["version = ", "trust = other.trust", 'unknown = "x"', "\\"])
@pytest.mark.parametrize("output", ["other.trust", "x/../other.trust", "link", "other.conf"])
def test_the_news_replace_nothing_that_a_broken_file_may_name(
    tmp_path: Path, output: str, wrong: str
) -> None:
    (tmp_path / "x").mkdir()
    an_app(tmp_path, "mail", Publisher(), output=output)
    an_app(tmp_path, "other", Publisher("othermail"))
    (tmp_path / "link").symlink_to("other.trust")
    toml = (tmp_path / "other.toml").rename(tmp_path / "other.conf")
    (tmp_path / "other.toml").symlink_to(toml)
    toml.write_text(f"{toml.read_text()}{wrong}\n")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    daemon.stop()
    assert {name: error.reason for name, error in daemon.problems.items()} == {
        "mail": "app-invalid",
        "other": "app-invalid",
    }


@pytest.mark.parametrize("wrong", ["version = ", 'output = "news.json', "output = news.json"])
def test_a_copy_that_is_being_edited_does_not_stop_its_application(
    tmp_path: Path, wrong: str
) -> None:
    an_app(tmp_path, "mail", Publisher(), output="news.json", state="s")
    good = (tmp_path / "mail.toml").read_text()
    (tmp_path / "copy.toml").write_text(f"{good}{wrong}\n")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert (list(daemon.serving), list(daemon.problems)) == (["mail"], ["copy"])
    daemon.stop()


def test_a_missing_end_of_line_hides_no_trust_file(tmp_path: Path) -> None:
    an_app(tmp_path, "mail", Publisher(), output="other.trust")
    (tmp_path / "other.trust").write_text("{}")
    (tmp_path / "other.toml").write_text('output = "news.json" trust = "other.trust"\n')
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert sorted(daemon.problems) == ["mail", "other"]


@pytest.mark.parametrize("entry", ["trust", "output", "state"])
def test_a_link_that_goes_round_stops_no_other_application(tmp_path: Path, entry: str) -> None:
    (tmp_path / "round").symlink_to("round")
    an_app(tmp_path, "mail", Publisher())
    an_app(tmp_path, "other", Publisher("othermail"), **{entry: "round"})
    (tmp_path / "round.toml").symlink_to("round.toml")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert (list(daemon.serving), sorted(daemon.problems)) == (["mail"], ["other", "round"])
    daemon.stop()


def test_two_applications_have_no_file_of_news_in_common(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    an_app(tmp_path, "mail", Publisher(), output="news.json")
    an_app(tmp_path, "other", Publisher("othermail"), output="x/../news.json")
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert daemon.serving == {}
    assert {error.reason for error in daemon.problems.values()} == {"app-invalid"}


@pytest.mark.parametrize("way", ["s", "x/../s", "link"])
def test_two_applications_have_no_state_in_common(tmp_path: Path, way: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "s").mkdir()
    (tmp_path / "link").symlink_to("s")
    an_app(tmp_path, "mail", Publisher(), state="s")
    an_app(tmp_path, "other", Publisher("othermail"), state=way)
    daemon = Daemon(tmp_path, a_client)
    daemon.reload()
    assert daemon.serving == {}
    assert {error.reason for error in daemon.problems.values()} == {"state-shared"}


def test_an_application_in_the_place_of_another_has_not_its_consent(tmp_path: Path) -> None:
    world = World()
    ports = world.ports()

    def make(entry: Entry, turned: Turned) -> Mars:
        return client(entry, turned, host=ports.host, clock=ports.clock, fetcher=ports.fetcher)

    an_app(tmp_path, "mail", world.publisher, state="s")
    daemon = Daemon(tmp_path, make)
    daemon.reload()
    assert daemon.serving["mail"].consent.grant("plain")
    (tmp_path / "mail.toml").unlink()
    an_app(tmp_path, "other", Publisher("othermail"), state="s")
    daemon.reload()
    other = daemon.serving["other"]
    assert (other.consent.level, other.consent.revoke()) == ("off", False)
    assert other.status()["problem"]["reason"] == "wrong-product"
    daemon.stop()


def test_what_is_served_stays_served_while_the_folder_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "apps"
    place.mkdir()
    an_app(place, "mail", Publisher())
    daemon = Daemon(place, a_client)
    daemon.reload()
    place.rename(tmp_path / "away")
    daemon.reload()
    assert list(daemon.serving) == ["mail"]
    assert daemon.problems["."].reason == "folder-unreadable"
    (tmp_path / "away").rename(place)
    daemon.reload()
    assert (list(daemon.serving), daemon.problems) == (["mail"], {})
    daemon.stop()
