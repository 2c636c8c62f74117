"""A PostgreSQL server of the tests' own: a fresh cluster in a temporary folder, on a unix socket.

``MARS_TEST_POSTGRES`` (a URL whose user may create databases) uses another one instead.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

START = 30
"""Seconds that the server has to come up."""
USER = "mars"
TEMPORARY, PREFIX = Path("/tmp"), "mars-pg-"
"""A short path: a unix socket's name has at most 107 bytes."""
OWNER = "owner"
"""In each folder; locked for as long as its tests run."""


@dataclass(frozen=True)
class Postgres:
    """``url`` names the server's maintenance database."""

    url: str

    def new_database(self) -> str:
        """The URL of a fresh, empty database."""
        name = f"test_{secrets.token_hex(8)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url.replace("/postgres", f"/{name}", 1)


def missing() -> str | None:
    """Why no server can be started here, or None."""
    if os.environ.get("MARS_TEST_POSTGRES"):
        return None
    return None if _folder() else "PostgreSQL is not installed (apt-get install postgresql)"


@contextmanager
def postgres() -> Iterator[Postgres]:
    given = os.environ.get("MARS_TEST_POSTGRES")
    if given:
        yield Postgres(given)
        return
    programs = _folder()
    assert programs is not None
    _remove_leftovers()
    home = Path(tempfile.mkdtemp(prefix=PREFIX, dir=TEMPORARY))
    try:
        with (home / f"{OWNER}.new").open("w") as owner:
            fcntl.flock(owner, fcntl.LOCK_EX)
            Path(owner.name).rename(home / OWNER)  # unlocked, it would be a leftover for others
            with _server(programs, home):
                yield Postgres(f"postgresql://{USER}@/postgres?host={home}")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _remove_leftovers() -> None:
    """Removes the folders of tests that were killed: those whose lock nobody holds any more."""
    for owner in TEMPORARY.glob(f"{PREFIX}*/{OWNER}"):
        with suppress(OSError), owner.open() as lock:  # another user's, or just gone
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(owner.parent, ignore_errors=True)


@contextmanager
def _server(programs: Path, home: Path) -> Iterator[None]:
    prefix: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        owner = pwd.getpwnam("postgres")
        os.chown(home, owner.pw_uid, owner.pw_gid)
        prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    data = home / "data"
    subprocess.run(
        [*prefix, programs / "initdb", "-D", data, "-U", USER, "-A", "trust", "-N", "-E", "UTF8"],
        check=True,
        capture_output=True,
        cwd=home,
    )
    options = (
        f"listen_addresses= unix_socket_directories={home} fsync=off shared_buffers=16MB "
        "max_connections=40 autovacuum=off logging_collector=off"
    )
    pairs = [part for option in options.split(" ") for part in ("-c", option)]
    dies = ["--pdeathsig", "QUIT"] if prefix else []
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(
            [*prefix, *dies, programs / "postgres", "-D", data, *pairs],
            stdout=log,
            stderr=log,
            cwd=home,
        )
    try:
        _await(server, home)
        yield
    finally:
        server.send_signal(signal.SIGQUIT)  # at once, whoever is still connected
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await(server: subprocess.Popen[bytes], home: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and server.poll() is None:
        try:
            psycopg.connect(f"postgresql://{USER}@/postgres?host={home}").close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError((home / "log").read_text(errors="replace")[-2000:])


def _folder() -> Path | None:
    """Where ``initdb`` is; Debian keeps it out of the PATH, by version."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parts[-2]))
    return versions[-1] if versions else None
