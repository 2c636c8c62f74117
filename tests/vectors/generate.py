"""Writes the shared test vectors, always the same bytes; ``--check`` compares instead.

Each file in this folder holds one case: what a client pins, what it remembers, the time, whether
gpg is there, the document's bytes (base64, since some are not text), and what must come out. Those
in statistics/ and reports/ hold cases each (``statistics.py`` and ``reports.py`` here say of what).
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from mars.errors import MarsError
from mars.ports import OpenPGP
from mars.trust import Accepted, RefusedError, TrustState, verify
from mars.trust.reasons import REASONS
from mars.wire.times import format_time
from tests.vectors import reports, statistics
from tests.vectors.cases import GPG, Failing, Vector, vectors

HERE = Path(__file__).parent
FOLDERS = {"statistics": statistics, "reports": reports}


def expectation(vector: Vector, openpgp: OpenPGP) -> dict[str, Any]:
    """What comes out, as the vector's file says it."""
    try:
        result: Accepted = verify(vector.document, vector.root, vector.state, vector.now, openpgp)
    except RefusedError as error:
        return {"ok": False, "reason": error.reason, "state": plain(error.state.encode())}
    except MarsError as error:
        return {"ok": False, "reason": error.reason}
    state = plain(result.state.encode())
    said = {"serial": result.motd.serial, "news": result.news, "notes": list(result.notes)}
    return {"ok": True, **said, "state": state}


def plain(data: bytes) -> Any:
    return json.loads(data)


def render(vector: Vector) -> bytes:
    """The file of one vector."""
    openpgp = Failing("clock") if vector.name == "clock" else GPG[vector.gpg]()
    members = {
        "about": vector.about,
        "now": format_time(vector.now),
        "gpg": vector.gpg,
        "trust": plain(vector.root.encode()),
        "state": None if vector.state == TrustState.initial() else plain(vector.state.encode()),
        "document": base64.b64encode(vector.document).decode("ascii"),
        "expect": expectation(vector, openpgp),
    }
    return (json.dumps(members, indent=1, ensure_ascii=False) + "\n").encode()


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args(arguments).check
    due = {f"{vector.name}.json": render(vector) for vector in vectors()}
    for folder, module in FOLDERS.items():
        due |= {f"{folder}/{name}": data for name, data in module.rendered().items()}
    there = {
        path.relative_to(HERE).as_posix(): path.read_bytes()
        for below in ("", *(f"{folder}/" for folder in FOLDERS))
        for path in HERE.glob(f"{below}*.json")
    }
    if check:
        differing = sorted(name for name in due.keys() | there if due.get(name) != there.get(name))
        for name in differing:
            print(f"{name} differs; run python -m tests.vectors.generate", file=sys.stderr)
        return int(bool(differing))
    for name in there.keys() - due.keys():
        (HERE / name).unlink()
    for folder in FOLDERS:
        (HERE / folder).mkdir(exist_ok=True)
    for name, data in due.items():
        (HERE / name).write_bytes(data)
    print(f"{len(due)} vectors, {len(REASONS)} reasons")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
