"""The file of the unix socket: nobody takes it from a living server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from mars.errors import StateError
from mars_server.serving.bind import Bind, listen
from tests.server.serving import kit
from tests.waiting import until


def test_a_server_that_ends_leaves_its_successor_s_socket_alone(tmp_path: Path) -> None:
    with kit.served(unix=True, folder=tmp_path, motd_file=kit.document(size=60_000)) as old:
        with old.connect() as slow:
            slow.sendall(kit.golden())
            slow.recv(100)  # the answer is on its way, so the old server drains for a while
            old.process.send_signal(signal.SIGTERM)
            with (tmp_path / "successor").open("wb") as stderr:
                successor = _start_when_free(tmp_path, old.path, stderr.fileno())
            try:
                slow.close()
                assert old.process.wait(60) == 0
                assert kit.body(old.get()) == old.body, "answered by the successor"
            finally:
                successor.terminate()
                successor.wait(60)
        assert not Path(old.path).exists()


def _start_when_free(folder: Path, path: str, stderr: int) -> subprocess.Popen[bytes]:
    """A second server at the same path, once the first one takes no more connections."""
    until(lambda: not _answered(path))
    process = subprocess.Popen(kit.command(folder, f"unix:{path}"), stderr=stderr)
    until(lambda: _answered(path) or process.poll() is not None)
    assert process.poll() is None
    return process


def _answered(path: str) -> bool:
    try:
        kit.connect_unix(path).close()
    except OSError:
        return False
    return True


def test_a_server_whose_queue_is_full_is_not_taken_for_dead(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        waiting = [socket.socket(socket.AF_UNIX) for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(path)
        with pytest.raises(StateError) as refused:
            listen(Bind(path=path))
        for sock in waiting:
            sock.close()
    assert refused.value.reason == "bind-busy"
    assert Path(path).exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave another user's socket")
@pytest.mark.parametrize("mode", [0o660, 0o666], ids=["closed", "open"])
def test_a_dead_socket_of_another_user_is_told_as_what_it_is(mode: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="mars-dead-"))  # pytest's own are closed to nobody
    folder.chmod(0o755)
    path = folder / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    path.chmod(mode)
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        with pytest.raises(StateError) as refused:
            listen(Bind(path=str(path)))
    finally:
        os.seteuid(0)
    assert refused.value.reason == "bind-failed"
    assert f"{path} belongs to root:root" in refused.value.message
    assert "nother server" not in refused.value.message
    shutil.rmtree(folder)


@pytest.mark.parametrize("what", ["folder", "file", "fifo", "nothing-there"])
def test_what_is_no_socket_is_left_alone(tmp_path: Path, what: str) -> None:
    path = tmp_path / "s"
    if what == "folder":
        path.mkdir()
    elif what == "file":
        path.write_text("mine")
    elif what == "fifo":
        os.mkfifo(path)
    else:
        path = tmp_path / "none" / "s"
    with pytest.raises(StateError) as refused:
        listen(Bind(path=str(path)))
    assert refused.value.reason == "bind-failed"
    assert path.exists() == (what != "nothing-there")


def test_only_owner_and_group_may_connect(tmp_path: Path) -> None:
    metrics = str(tmp_path / "m")
    with kit.served("--metrics", metrics, unix=True) as server:
        for path in (server.path, metrics):
            assert Path(path).stat().st_mode & 0o777 == 0o660
