"""The private Tor network itself: it works, it stays on loopback, and it leaves nothing behind."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest
import requests

from mars.errors import StateError
from testbed.tornet import TorNetwork, tor_network
from testbed.tornet.process import find, wait_until

ROOT = Path(__file__).parents[2]
START = """
import sys
from testbed.tornet import tor_network
def progress(step):
    print(step, flush=True)
with tor_network(progress) as net:
    print("folder", net.folder, flush=True)
    print("pids", *[p.pid for p in net.processes], flush=True)
    sys.stdin.read()
"""


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
        pass


@contextmanager
def _web_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answer)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _gone(pid: int) -> bool:
    """Ended, or at least a zombie that only waits for its parent."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_an_onion_service_answers_through_three_hops(tornet: TorNetwork) -> None:
    with _web_server() as port:
        onion = tornet.add_onion(80, f"127.0.0.1:{port}")
        proxies = {"http": f"socks5h://one:time@{tornet.socks}"}
        with requests.get(onion.url, proxies=proxies, timeout=60) as answer:
            assert answer.text == "hello"
        circuits = tornet.client.info("circuit-status").splitlines()
        rendezvous = [line for line in circuits if "HS_CLIENT_REND" in line]
        assert rendezvous, circuits
        assert all(line.split()[2].count(",") >= 2 for line in rendezvous)


def test_no_tor_has_a_connection_beyond_loopback(tornet: TorNetwork) -> None:
    for process in tornet.processes:
        if not process.alive:  # ended by another test
            continue
        for connection in psutil.Process(process.pid).net_connections("inet"):
            for end in (connection.laddr, connection.raddr):
                assert not end or end.ip == "127.0.0.1", (process.name, connection)


def _start_in_child() -> tuple[subprocess.Popen[str], Path, list[int]]:
    child = subprocess.Popen(
        [sys.executable, "-c", START],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    words: list[str] = []
    while words[:1] != ["folder"]:
        line = child.stdout.readline()
        assert line, child.communicate()[1]
        words = line.split()
    return child, Path(words[1]), [int(pid) for pid in child.stdout.readline().split()[1:]]


@pytest.mark.tor
def test_ctrl_c_leaves_no_process_and_no_folder() -> None:
    child, folder, pids = _start_in_child()
    assert len(pids) == 8 and folder.is_dir()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert all(_gone(pid) for pid in pids)
    assert not folder.exists()


@pytest.mark.tor
def test_when_the_owner_is_killed_tor_ends_by_itself_and_the_next_start_sweeps() -> None:
    child, folder, pids = _start_in_child()
    child.kill()
    child.communicate(timeout=60)
    wait_until(lambda: all(_gone(pid) for pid in pids), 30.0, "a tor outlived its owner")
    with pytest.raises(RuntimeError), tor_network(_interrupt):
        pass
    assert not folder.exists()


def test_a_folder_is_swept_by_its_lock_and_not_by_the_number_in_its_name() -> None:
    """A process's number comes again, and is another's in another container."""
    nobody = subprocess.Popen(["true"])
    nobody.wait()
    folder = Path(tempfile.mkdtemp(prefix=f"mars-tornet-{nobody.pid}-", dir="/tmp"))
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(RuntimeError), tor_network(_interrupt):
            pass
        assert folder.exists()
    mine = folder.rename(folder.with_name(f"mars-tornet-{os.getpid()}-left"))
    with pytest.raises(RuntimeError), tor_network(_interrupt):
        pass
    assert not mine.exists()


def _interrupt(step: str) -> None:
    raise RuntimeError(step)


@pytest.mark.tor
@pytest.mark.parametrize("at", ["keys", "starting", "voting", "bootstrapping"])
def test_a_start_that_is_broken_off_leaves_nothing(at: str) -> None:
    def interrupt(step: str) -> None:
        if step.startswith(at):
            raise KeyboardInterrupt

    before = set(Path("/tmp").glob(f"mars-tornet-{os.getpid()}-*"))
    children = {child.pid for child in psutil.Process().children(recursive=True)}
    with pytest.raises(KeyboardInterrupt), tor_network(interrupt):
        pass
    assert set(Path("/tmp").glob(f"mars-tornet-{os.getpid()}-*")) == before
    after = [c for c in psutil.Process().children(recursive=True) if c.pid not in children]
    assert all(_gone(child.pid) for child in after), after


def test_without_tor_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="apt install tor") as caught:
        find("tor", str(tmp_path))
    assert caught.value.reason == "tor-missing"
