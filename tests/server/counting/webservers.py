"""Real web servers from Debian, each with its own access logs, on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.tornet.network import free_ports

START = 20
"""Seconds for a server to listen."""


@dataclass(frozen=True)
class Server:
    port: int
    logs: dict[str, Path]
    """Format name → log."""
    stop: Callable[[], None]


NGINX = """
daemon off; master_process off; worker_processes 1;
pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  log_format asjson escape=json '{{"time_local":"$time_local","remote_addr":"$remote_addr",'
    '"request":"$request","status":$status,"body_bytes_sent":$body_bytes_sent,'
    '"http_referer":"$http_referer","http_user_agent":"$http_user_agent"}}';
  log_format parts escape=json '{{"msec":"$msec","request_method":"$request_method",'
    '"request_uri":"$request_uri","server_protocol":"$server_protocol","status":"$status",'
    '"agent":"$http_user_agent"}}';
  access_log {folder}/access.log combined;
  access_log {folder}/access.json asjson;
  access_log {folder}/parts.json parts;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; }}
}}
"""
APACHE = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
DocumentRoot {folder}/www
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LogFormat "%h %l %u %t \\"%r\\" %>s %O \\"%{{Referer}}i\\" \\"%{{User-Agent}}i\\"" combined
CustomLog {folder}/access.log combined
"""
CADDY = """
{{
  admin off
  auto_https off
  storage file_system {folder}/storage
}}
:{port} {{
  bind 127.0.0.1
  log {{
    output file {folder}/access.json
  }}
  root * {folder}/www
  file_server
}}
"""


def missing(name: str) -> str | None:
    program = {"apache": "apache2"}.get(name, name)
    return None if shutil.which(program, path=_path()) else f"{program} is not installed"


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


@contextmanager
def web_server(name: str) -> Iterator[Server]:
    """Runs as long as the body. ``stop`` it before its logs are read."""
    # Not pytest's folder: that is closed to the user that Apache's workers run as.
    folder = Path(tempfile.mkdtemp(prefix="mars-web-", dir="/tmp"))
    try:
        with _running(name, folder) as server:
            yield server
    finally:
        shutil.rmtree(folder)


@contextmanager
def _running(name: str, folder: Path) -> Iterator[Server]:
    folder.chmod(0o755)
    (folder / "www/motd").mkdir(parents=True)
    (folder / "www/motd/motd.json").write_text('{"type":"motd"}\n')
    (port,) = free_ports(1)
    command, config, logs = _setup(name, folder, port)
    (folder / "conf").write_text(config)
    environment = {**os.environ, "PATH": _path(), "HOME": str(folder)}
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment, cwd=folder)
    try:
        _await(process, port, folder / "out")
        yield Server(port, logs, lambda: _stop(process))
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _setup(name: str, folder: Path, port: int) -> tuple[list[str], str, dict[str, Path]]:
    conf = str(folder / "conf")
    if name == "nginx":
        logs = {
            "combined": folder / "access.log",
            "json": folder / "access.json",
            "json parts": folder / "parts.json",
        }
        return (
            ["nginx", "-c", conf, "-p", str(folder)],
            NGINX.format(folder=folder, port=port),
            logs,
        )
    if name == "apache":
        modules = "/usr/lib/apache2/modules"
        text = APACHE.format(folder=folder, port=port, modules=modules)
        if os.geteuid() == 0:
            text += "User www-data\nGroup www-data\n"
        command = ["apache2", "-X", "-f", conf]
        return command, text, {"combined": folder / "access.log"}
    text = CADDY.format(folder=folder, port=port)
    command = ["caddy", "run", "--config", conf, "--adapter", "caddyfile"]
    return command, text, {"json": folder / "access.json"}


def _await(process: subprocess.Popen[bytes], port: int, out: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(out.read_text(errors="replace")[-2000:])


def send(port: int, request: bytes) -> bytes:
    """One connection, these bytes; the answer's first line."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        connection.settimeout(5)
        connection.sendall(request)
        answer = b""
        with suppress(OSError):
            while b"\n" not in answer and (data := connection.recv(4096)):
                answer += data
            while connection.recv(65536):
                pass
    return answer.partition(b"\r\n")[0]
