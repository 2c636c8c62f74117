"""What an operator, or whoever may write beside the document, can put in its place."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.server.serving import kit
from tests.waiting import until

PLACED: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "endless": lambda path: path.symlink_to("/dev/zero"),
    "link-to-itself": lambda path: path.symlink_to(path),
    "dangling": lambda path: path.symlink_to("nothing"),
    "huge": lambda path: path.write_bytes(b"{" * 5_000_000),
    "empty": lambda path: path.write_bytes(b""),
}


def placed(path: Path, what: str) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    PLACED[what](path)


def test_g19_nothing_in_the_document_s_place_holds_up_the_server() -> None:
    """Two processes: the first does and says what a single one would."""
    with kit.served("--workers", "2", unix=True) as server:
        path = server.folder / "motd.json"
        for number, what in enumerate(PLACED, 1):
            placed(path, what)
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("the MOTD stays as it is", times=number)
            assert kit.body(server.get()) == server.body, what
        path.unlink()
        renewed = kit.document(news="renewed")
        path.write_bytes(renewed)
        until(lambda: kit.body(server.get()) == renewed)
        placed(path, "pipe")
        time.sleep(1.5)  # the pipe has been looked at, by each process
        assert server.stop() == 0
        told = server.stderr.count("the MOTD stays as it is")
        assert told < 2 * len(PLACED), "several processes say it once"
        assert not list(server.logs.glob("*.part"))


@pytest.mark.parametrize("what", ["pipe", "folder", "huge"])
def test_g19_a_start_with_such_a_document_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    placed(tmp_path / "motd.json", what)
    done = subprocess.run(
        kit.command(tmp_path, f"unix:{tmp_path}/s"), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "[motd-missing]" in done.stderr or "[too-large]" in done.stderr
    assert not (tmp_path / "s").exists()
