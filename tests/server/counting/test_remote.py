"""Logs by URL: a bucket of a real S3 server on loopback."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.counting.commands import contract, expected, product, run, run_json
from tests.server.counting.examples import shuffled

SERVER = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
PARTS = {"a.log": shuffled(1, 3000) + b"\n", "b.log.gz": shuffled(2, 500) + b"\n"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """The URL of a bucket that holds ``PARTS``."""
    import fsspec

    with (
        pytest.MonkeyPatch.context() as environment,
        subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "NO_PROXY": "127.0.0.1"},
        ) as server,
    ):
        assert server.stdout is not None
        port = int(server.stdout.readline())
        for name, value in (
            ("AWS_ACCESS_KEY_ID", "someone"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}"),
        ):
            environment.setenv(name, value)
        disk = fsspec.filesystem("s3")
        disk.mkdir("logs")
        for name, content in PARTS.items():
            packed = gzip.compress(content) if name.endswith("gz") else content
            disk.pipe_file(f"logs/{name}", packed)
        yield "s3://logs"


def test_a_bucket_counts_as_a_folder_does_and_once(bucket: str, tmp_path: Path) -> None:
    toml, url = product(tmp_path), f"sqlite:///{tmp_path}/c.db"
    want = expected(*PARTS.values())
    told = (f"{bucket}/*.log*", "--product", toml)
    assert contract(run_json("count", *told, "--dry-run")) == want
    assert run_json("count", *told, "--db", url)["hits"] == want["hits"]
    (tmp_path / "b.log").write_bytes(PARTS["b.log.gz"])
    again = run_json("count", f"{bucket}/a.log", tmp_path / "b.log", *told[1:], "--db", url)
    assert again["hits"] == 0
    assert run_json("counts", "show", "--db", url)["days"] == want["days"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("s3://logs/none.log", b"[log-unreadable]"),
        ("s3://nowhere/*.log", b"[log-missing]"),
        ("nonsense://x/y.log", b"[log-unreadable]"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(
    bucket: str, tmp_path: Path, url: str, reason: bytes
) -> None:
    assert bucket
    ran = run("count", url, "--product", product(tmp_path), "--dry-run", code=1)
    assert reason in ran.stderr
    assert ran.stderr.count(b"\n") == 1
