"""The vectors are what we would write now, and real gpg comes to the same results."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mars.adapters.gpg import GnuPG
from mars.errors import MarsError
from mars.trust import RefusedError, TrustState, verify
from mars.trust.reasons import REASONS
from mars.wire import times
from mars.wire.keys import TrustRoot

HERE = Path(__file__).parent
VECTORS = sorted(HERE.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(path.read_bytes())
    return members


def gpg(kind: str, folder: Path) -> GnuPG:
    if kind == "present":
        return GnuPG()
    if kind == "broken":
        (folder / "gpgv").write_text("#!/bin/sh\nexit 3\n")
        (folder / "gpgv").chmod(0o755)
    return GnuPG(path=str(folder))


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_vector(path: Path, tmp_path: Path) -> None:
    vector = read(path)
    state = vector["state"]
    start = TrustState.initial() if state is None else TrustState.decode(json.dumps(state).encode())
    root = TrustRoot.decode(json.dumps(vector["trust"]).encode())
    document, now = base64.b64decode(vector["document"]), times.parse_time(vector["now"])
    found: dict[str, Any]
    try:
        accepted = verify(document, root, start, now, gpg(vector["gpg"], tmp_path))
    except MarsError as error:
        found = {"ok": False, "reason": error.reason}
        if isinstance(error, RefusedError):
            found["state"] = json.loads(error.state.encode())
    else:
        after = json.loads(accepted.state.encode())
        said = {"serial": accepted.motd.serial, "news": accepted.news}
        found = {"ok": True, **said, "notes": list(accepted.notes), "state": after}
    assert found == vector["expect"]


def test_there_is_a_vector_for_every_reason() -> None:
    expected = {path.stem: read(path)["expect"].get("reason", "ok") for path in VECTORS}
    assert set(expected.values()) == {*REASONS, "ok"}
    assert not [name for name, reason in expected.items() if not name.startswith(reason)]


def test_vectors_are_what_the_generator_writes() -> None:
    command = [sys.executable, "-m", "tests.vectors.generate", "--check"]
    done = subprocess.run(command, cwd=HERE.parents[1], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
