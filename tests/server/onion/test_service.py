"""The onion service beside others in one tor; its key saved and put back."""

from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mars.errors import ConfigError, StateError, WireError
from mars.wire import ed25519
from mars_server.common.config import owner
from mars_server.onion import folder as keys
from mars_server.onion.control import announced, connected
from mars_server.onion.settings import (
    MOST_BACKENDS,
    OnionSettings,
    backend_config,
    balancer_config,
    holds,
    options,
    torrc,
    with_service,
    without_service,
)
from testbed.tornet import TorNetwork
from tests.server.serving import kit

MINE = OnionSettings("/var/lib/tor/mine", "unix:/run/mars/s")
OTHER = [("HiddenServiceDir", "/var/lib/tor/other/"), ("HiddenServicePort", "22 127.0.0.1:22")]


def control(network: TorNetwork) -> str:
    return f"unix:{network.service.folder}/control"


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [kit.COMMAND, "onion", *arguments], input=stdin, capture_output=True, timeout=60
    )


def test_other_services_of_the_same_tor_stay(tornet: TorNetwork) -> None:
    other = tornet.folder / "other"
    with connected(control(tornet)) as tor:
        before = tor.services()
        extra = [("HiddenServiceDir", str(other)), ("HiddenServicePort", "81 127.0.0.1:9")]
        tor.configure([*before, *extra])
        mine = tornet.folder / "mine"
        arguments = ("--dir", str(mine), "--to", "127.0.0.1:9", "--control", control(tornet))
        done = run("add", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer == {
            "address": keys.hostname(str(mine)), "added": True, "proof_of_work": True,
        }  # fmt: skip
        assert json.loads(run("add", *arguments, "--json").stdout)["added"] is False
        found = [value for name, value in tor.services() if name == "HiddenServiceDir"]
        assert found[-2:] == [str(other), str(mine)]
        tor.configure(before)
    saved = run("backup", "--dir", str(mine))
    assert json.loads(saved.stdout)["address"] == answer["address"]
    again = tornet.folder / "again"
    assert run("restore", "--dir", str(again), stdin=saved.stdout).returncode == 0
    for name in (keys.SECRET, keys.PUBLIC, keys.NAME):
        assert (again / name).read_bytes() == (mine / name).read_bytes()
    # As tor leaves its own: to the server, in tor's group, the name and nothing else is open.
    for folder in (mine, again):
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("h*")}
        assert modes == {keys.SECRET: 0o600, keys.PUBLIC: 0o600, keys.NAME: 0o640}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_restore_says_whose_the_key_is(tmp_path: Path) -> None:
    saved = keys.backup(_key(tmp_path / "a", b"a"))
    folder = tmp_path / "tor" / "mars"
    folder.parent.mkdir()
    done = run("restore", "--dir", str(folder), stdin=saved)
    assert done.stdout.decode().strip() == keys.address(_public(b"a"))
    said = done.stderr.decode()
    assert f"{folder} is of {owner(tmp_path)}" in said
    assert "chown" not in said
    if os.geteuid() == 0:  # only root can put it where the data of another user's tor lies
        os.chown(folder.parent, 12345, 12345)
        done = run("restore", "--dir", str(folder), stdin=saved)
        assert f"chown -R 12345:12345 {folder}" in done.stderr.decode()


def test_the_address_comes_with_the_line_for_the_publisher(tmp_path: Path) -> None:
    (tmp_path / "hostname").write_text(f"{keys.address(b'a' * 32)}\n")
    done = run("address", "--dir", str(tmp_path))
    assert done.stdout.decode().strip() == keys.address(b"a" * 32)
    assert f'servers = ["http://{keys.address(b"a" * 32)}"]' in done.stderr.decode()
    done = run("address", "--dir", str(tmp_path / "none"))
    assert (done.returncode, b"tor has not made" in done.stderr) == (1, True)


@pytest.mark.parametrize("dangling", [True, False])
def test_no_key_is_written_through_a_link(tmp_path: Path, dangling: bool) -> None:
    secret = b"== ed25519v1-secret: type0 ==\0\0\0" + b"s" * 64
    folder, again, other = tmp_path / "first", tmp_path / "again", tmp_path / "other"
    for each in (folder, again):
        each.mkdir()
    (folder / keys.SECRET).write_bytes(secret)
    (folder / keys.PUBLIC).write_bytes(b"== ed25519v1-public: type0 ==\0\0\0" + _public(b"s"))
    if not dangling:
        other.write_bytes(b"mine")
    for name in (keys.SECRET, f"{keys.SECRET}.new", keys.NAME):
        (again / name).symlink_to(other)
    keys.restore(again, keys.backup(folder))
    assert (again / keys.SECRET).read_bytes() == secret
    assert not (again / keys.SECRET).is_symlink()
    assert dangling != other.exists()
    out = tmp_path / "out"
    out.symlink_to(other)
    assert run("backup", "--dir", str(folder), "--out", str(out)).returncode == 1
    assert dangling != other.exists()
    assert dangling or other.read_bytes() == b"mine"


def test_a_restored_key_never_replaces_another(tmp_path: Path) -> None:
    first, second = (_key(tmp_path / name, seed) for name, seed in (("a", b"a"), ("b", b"b")))
    saved = keys.backup(first)
    with pytest.raises(StateError):
        keys.restore(second, saved)
    assert keys.restore(first, saved) == keys.address(_public(b"a"))


def test_a_folder_with_something_else_in_it_takes_no_key(tmp_path: Path) -> None:
    saved = keys.backup(_key(tmp_path / "a", b"a"))
    folder = tmp_path / "letters"
    folder.mkdir(mode=0o755)
    (folder / "to-alice.txt").write_text("mine")
    done = run("restore", "--dir", str(folder), stdin=saved)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"to-alice.txt, which no onion service has; name an empty folder" in done.stderr
    assert [path.name for path in folder.iterdir()] == ["to-alice.txt"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o755


def test_what_tor_and_a_broken_off_restore_leave_is_no_obstacle(tmp_path: Path) -> None:
    saved = keys.backup(_key(tmp_path / "a", b"a"))
    folder = tmp_path / "b"
    (folder / "authorized_clients").mkdir(parents=True)
    for name in ("ob_config", f"{keys.SECRET}.new"):
        (folder / name).touch()
    assert keys.restore(folder, saved) == keys.address(_public(b"a"))


def test_a_secret_key_alone_is_a_key(tmp_path: Path) -> None:
    saved = keys.backup(_key(tmp_path / "a", b"a"))
    other = _key(tmp_path / "b", b"b")
    (other / keys.PUBLIC).unlink()
    before = (other / keys.SECRET).read_bytes()
    with pytest.raises(StateError):
        keys.restore(other, saved)
    assert (other / keys.SECRET).read_bytes() == before


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"type": "onion-key"}', b"\xff", b'{"type":"onion-key","secret":"eA=="}']
)
def test_a_backup_that_is_none_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises((ConfigError, WireError)):
        keys.restore(tmp_path / "onion", data)
    assert not (tmp_path / "onion").exists()


def _other_address(plain: dict[str, str]) -> None:
    plain["address"] = ("b" if plain["address"][0] == "a" else "a") + plain["address"][1:]


def _no_address(plain: dict[str, str]) -> None:
    del plain["address"]


def _other_key(plain: dict[str, str]) -> None:
    public = b"== ed25519v1-public: type0 ==\0\0\0" + _public(b"b")
    plain |= {"public": base64.b64encode(public).decode(), "address": keys.address(_public(b"b"))}


@pytest.mark.parametrize("change", [_other_address, _no_address, _other_key])
def test_a_backup_whose_address_is_not_that_of_its_key_is_refused(
    tmp_path: Path, change: Callable[[dict[str, str]], None]
) -> None:
    plain = json.loads(keys.backup(_key(tmp_path / "a", b"a")))
    change(plain)
    done = run("restore", "--dir", str(tmp_path / "onion"), stdin=json.dumps(plain).encode())
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"backup-invalid" in done.stderr
    assert not (tmp_path / "onion").exists()


def test_setting_one_service_names_the_others_again() -> None:
    wanted = options(MINE)
    both = with_service(OTHER, wanted)
    assert both == [*OTHER, *wanted]
    assert with_service(both, wanted) == both
    assert holds(both, wanted)
    assert not holds(OTHER, wanted)
    assert not holds(with_service(OTHER, options(MINE, pow_defence=False)), wanted)
    assert without_service(both, "/var/lib/tor/other") == wanted


def test_the_torrc_says_what_is_set_over_the_control_port() -> None:
    done = run("torrc", "--dir", MINE.folder, "--to", MINE.target)
    assert done.stdout.decode() == torrc(MINE)
    assert [tuple(line.split(" ", 1)) for line in torrc(MINE).splitlines()] == options(MINE)


def test_the_circuit_is_told_on_a_unix_socket_only() -> None:
    told = ("HiddenServiceExportCircuitID", "haproxy")
    assert told in options(MINE)
    assert told not in options(OnionSettings("/d", "127.0.0.1:80"))


@pytest.mark.parametrize("command", ["torrc", "add"])
@pytest.mark.parametrize(
    ("target", "reason"),
    [("8.8.8.8:80", b"bind-public"), ("[2001:db8::1]:80", b"bind-public"),
     ("example.org:80", b"bind-invalid"), ("rubbish", b"bind-invalid"),
     ("127.0.0.1:0", b"bind-invalid"), ("unix:", b"bind-invalid")],
)  # fmt: skip
def test_tor_is_never_told_to_send_requests_over_a_network(
    command: str, target: str, reason: bytes
) -> None:
    control = ("--control", "unix:/proc/none") if command == "add" else ()
    done = run(command, "--dir", MINE.folder, "--to", target, *control)
    assert (done.returncode, done.stdout) == (1, b"")
    assert reason in done.stderr
    assert b"--to" in done.stderr


def test_tor_runs_in_another_folder() -> None:
    done = run("torrc", "--dir", "key", "--to", "unix:motd.sock")
    here = Path.cwd()
    assert f"HiddenServicePort 80 unix:{here}/motd.sock\n" in done.stdout.decode()
    assert f"HiddenServiceDir {here}/key\n" in done.stdout.decode()


@pytest.mark.parametrize("target", ["", 'unix:/a"b', "unix:/a b", "unix:/a\nHiddenServiceDir /x"])
def test_values_cannot_smuggle_options(target: str) -> None:
    with pytest.raises(ConfigError):
        OnionSettings("/var/lib/tor/mine", target)


def test_onionbalance_gets_a_file_that_it_can_read() -> None:
    front, backend = keys.address(b"f" * 32), keys.address(b"b" * 32)
    done = run("balance", "--key", "/etc/onionbalance/front.key", "--front", front, backend)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.decode().splitlines()
    assert [line for line in lines if not line.startswith("#")] == [
        "services:",
        "- key: /etc/onionbalance/front.key",
        "  instances:",
        f"  - address: {backend}",
        "    name: backend1",
    ]
    assert f"#   MasterOnionAddress {front}\n" in done.stdout.decode()


@pytest.mark.parametrize(
    ("front", "backends", "reason"),
    [
        ("example.onion", 1, "onion-address"),
        (keys.address(b"f" * 32), MOST_BACKENDS + 1, "onion-address"),
        (keys.address(b"b" * 32), 1, "onion-address"),
    ],
    ids=["no address", "too many", "its own backend"],
)
def test_onionbalance_gets_addresses_only(front: str, backends: int, reason: str) -> None:
    with pytest.raises(ConfigError) as refused:
        balancer_config("front.key", front, [keys.address(b"b" * 32)] * backends)
    assert refused.value.reason == reason
    with pytest.raises(ConfigError):
        balancer_config("a: b", keys.address(b"f" * 32), [keys.address(b"b" * 32)])


def test_a_service_whose_address_cannot_be_read_says_what_that_means(tmp_path: Path) -> None:
    """Debian's /var/lib/tor is closed to the group unless tor is told otherwise."""
    said = announced(str(tmp_path))
    assert "404" in said
    assert f"tor has not made {tmp_path}/hostname" in said
    assert "DataDirectoryGroupReadable 1" in said
    (tmp_path / "hostname").write_text(keys.address(b"a" * 32) + "\n")
    assert announced(str(tmp_path)) == f"onion service http://{keys.address(b'a' * 32)}"


def test_a_backend_is_made_anew_and_says_what_it_lacks(tornet: TorNetwork) -> None:
    """A running service that becomes a backend would answer nobody until its next descriptor."""
    folder = tornet.folder / "backend"
    arguments = ("--dir", str(folder), "--to", "127.0.0.1:9", "--control", control(tornet))
    with connected(control(tornet)) as tor:
        before = tor.services()
        assert run("add", *arguments).returncode == 0
        without = tor.services()
        done = run("add", *arguments, "--balanced")
        assert done.returncode == 1
        assert b"ob_config first" in done.stderr
        assert tor.services() == without
        (folder / "ob_config").write_text(backend_config(keys.address(b"f" * 32)) + "\n")
        done = run("add", *arguments, "--balanced", "--json")
        assert json.loads(done.stdout)["added"] is True
        assert ("HiddenServiceOnionBalanceInstance", "1") in tor.services()
        tor.configure(before)


def _key(folder: Path, seed: bytes) -> Path:
    folder.mkdir()
    (folder / keys.SECRET).write_bytes(b"== ed25519v1-secret: type0 ==\0\0\0" + seed * 64)
    (folder / keys.PUBLIC).write_bytes(b"== ed25519v1-public: type0 ==\0\0\0" + _public(seed))
    return folder


def _public(seed: bytes) -> bytes:
    """Of the secret that ``_key`` writes."""
    return ed25519.public_key_of_scalar(seed * 32)
