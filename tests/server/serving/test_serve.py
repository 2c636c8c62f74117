"""``mars-server serve`` as the contract has it."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.server.serving import kit
from tests.waiting import PATIENCE, until

LINE = '- - - [{day}:00:00:00 +0000] "GET /motd/motd.json{query} HTTP/1.1" {status} {size} "-" "-"'


def line(query: str, status: int, size: int) -> str:
    day = datetime.now(UTC).strftime("%d/%b/%Y")
    return LINE.format(day=day, query=query, status=status, size=size)


@pytest.mark.parametrize("unix", [False, True])
def test_everybody_gets_the_same_bytes_and_one_line(unix: bool) -> None:
    with kit.served(unix=unix) as server:
        for query in ("", "v=0.5.2&os=linux&ia=100", "v=9.9&lang=is", "name=x", "os=linux&os=x"):
            answer = server.get(query)
            assert kit.status(answer) == 200
            assert kit.body(answer) == server.body
        assert server.stop() == 0
        size = len(server.body)
        assert server.lines() == sorted(
            [
                line("", 200, size),
                line("?v=0.5.2&os=linux&ia=100", 200, size),
                line("?v=other&lang=is", 200, size),
                line("?other", 200, size),
                line("?os=other", 200, size),
            ]
        )


def test_a_closed_generation_begins_with_its_id() -> None:
    with kit.served() as server:
        server.get()
        assert [path.suffix for path in server.logs.iterdir()] == [".part"]
        server.stop()
        (path,) = server.logs.iterdir()
        today = datetime.now(UTC).date().isoformat()
        found = re.fullmatch(rf"access-{today}-([0-9a-f]{{32}})\.log", path.name)
        assert found is not None
        assert path.read_text().splitlines()[0] == f"# mars access log v1 id={found[1]}"
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("restored", [False, True])
def test_nobody_else_sees_the_open_log_grow(restored: bool) -> None:
    with kit.served(prefix=("sh", "-c", 'umask 0; exec "$@"', "sh")) as server:
        if restored:
            shutil.rmtree(server.logs)
            server.wait_for("it was written anew")
        server.get()
        server.settled(1)
        assert server.logs.stat().st_mode & 0o777 == 0o700
        (part,) = server.logs.iterdir()
        assert part.stat().st_mode & 0o777 == 0o600


def test_what_a_crash_left_is_closed_at_the_next_start(tmp_path: Path) -> None:
    with kit.served(folder=tmp_path) as server:
        for _ in range(3):
            server.get("os=linux")
        server.settled(3)
        server.stop(signal.SIGKILL)
        (part,) = server.logs.glob("*.part")
        with part.open("ab") as file:
            file.write(b"- - - [22/Nov/2026:00")  # a line torn by a power cut
    with kit.served(folder=tmp_path) as server:
        server.wait_for("closed 1 log generation(s)")
        server.stop()
        assert server.lines() == [line("?os=linux", 200, len(server.body))] * 3
        assert not list(server.logs.glob("*.part"))


def test_a_new_document_is_served_and_a_bad_one_is_not() -> None:
    with kit.served() as server:
        new = kit.document(news="new")
        _replace(server.folder / "motd.json", new)
        server.process.send_signal(signal.SIGHUP)
        _await_body(server, new)
        _replace(server.folder / "motd.json", new[:-20])
        server.wait_for("the MOTD stays as it is")
        assert kit.body(server.get()) == new


def test_workers_share_a_socket_and_have_a_log_each() -> None:
    with kit.served("--workers", "2", unix=True) as server:
        for _ in range(20):
            assert kit.body(server.get("v=dev")) == server.body
        # The second process may start after the first has served all.
        until(lambda: len(list(server.logs.glob("*.part"))) == 2)
        assert server.stop() == 0
        assert server.lines() == [line("?v=dev", 200, len(server.body))] * 20
        assert not Path(server.path).exists()


def test_a_worker_that_dies_is_replaced_and_its_log_closed() -> None:
    with kit.served("--workers", "2", unix=True) as server:
        for _ in range(10):
            server.get("v=dev")
        server.settled(10)
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        server.wait_for("ended with -9")
        for _ in range(10):
            assert kit.status(server.get("v=dev")) == 200
        assert server.stop() == 0
        assert len(server.lines()) == 20


def test_an_orphaned_worker_ends_with_its_log_complete(tmp_path: Path) -> None:
    with kit.served("--workers", "2", unix=True, folder=tmp_path) as server:
        server.get("v=dev")
        server.settled(1)
        server.stop(signal.SIGKILL)
        until(lambda: not list(server.logs.glob("*.part")))
        assert server.lines() == [line("?v=dev", 200, len(server.body))]


@pytest.mark.parametrize(
    ("bind", "code", "reason"),
    [
        ("0.0.0.0:8080", 1, "bind-public"),
        ("192.0.2.1:80", 1, "bind-public"),
        ("[::]:80", 1, "bind-public"),
        ("example.org:80", 1, "bind-invalid"),
        ("8080", 1, "bind-invalid"),
        ("unix:" + "x" * 200, 1, "bind-invalid"),
    ],
)
def test_g20_public_or_odd_binds_are_refused(
    tmp_path: Path, bind: str, code: int, reason: str
) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    command = kit.command(tmp_path, bind)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == code
    assert f"[{reason}]" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_second_server_does_not_take_a_socket_in_use(tmp_path: Path) -> None:
    with kit.served(unix=True) as server:
        again = kit.command(server.folder, f"unix:{server.path}")
        done = subprocess.run(again, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "[bind-busy]" in done.stderr
        assert kit.status(server.get()) == 200


def test_the_address_of_a_killed_server_is_free_at_once(tmp_path: Path) -> None:
    with kit.served(unix=True, folder=tmp_path) as server:
        server.stop(signal.SIGKILL)
        assert Path(server.path).is_socket()
    with kit.served(unix=True, folder=tmp_path) as server:
        assert kit.status(server.get()) == 200


def test_an_answer_under_way_at_the_end_arrives() -> None:
    with kit.served(unix=True, motd_file=kit.document(size=60_000)) as server:
        with server.connect() as sock:
            sock.sendall(kit.golden("os=linux"))
            begun = sock.recv(1)
            server.process.send_signal(signal.SIGTERM)
            assert kit.body(begun + kit.read_all(sock)) == server.body
        assert server.process.wait(60) == 0
        assert server.lines() == [line("?os=linux", 200, 60_000)]


def test_a_peer_that_leaves_early_is_not_counted() -> None:
    with kit.served(unix=True, motd_file=kit.document(size=60_000)) as server:
        for request in (kit.golden("os=linux"), kit.golden("os=linux").replace(b"*/*", b"a/b")):
            with server.connect() as sock:
                sock.sendall(request)
                sock.recv(100)
        server.get("os=macos")
        assert server.stop() == 0
        assert server.lines() == sorted(
            [line("?os=linux", 499, 0)] * 2 + [line("?os=macos", 200, 60_000)]
        )


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_bytes(data)
    temporary.rename(path)


def _await_body(server: kit.Served, body: bytes) -> None:
    until(lambda: kit.body(server.get()) == body)


def test_keep_alive_counts_each_answer() -> None:
    request = b"GET /motd/motd.json?os=linux HTTP/1.1\r\nHost: x\r\n\r\n"
    with kit.served() as server:
        with server.connect() as sock:
            for _ in range(5):
                sock.sendall(request)
                _read_one(sock, len(server.body))
        server.stop()
        assert server.lines() == [line("?os=linux", 200, len(server.body))] * 5


def _read_one(sock: socket.socket, size: int) -> None:
    data = b""
    while b"\r\n\r\n" not in data or len(kit.body(data)) < size:
        data += sock.recv(65536)


def test_a_server_without_descriptors_waits_until_it_has_some() -> None:
    with kit.served(unix=True) as server, server.connect(30.0) as sock:
        pid = server.process.pid
        sock.sendall(b"GET /motd/motd.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert kit.body(sock.recv(65536)) == server.body  # so that it is accepted
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
        free = min(set(range(soft)) - used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, hard))
        with server.connect(30.0) as late:
            late.sendall(kit.golden())
            sock.sendall(kit.golden())
            assert kit.body(kit.read_all(sock)) == server.body  # those that are open go on
            server.wait_for("no new connection can be taken for now: Too many open files")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert kit.body(kit.read_all(late)) == server.body
