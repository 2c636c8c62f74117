"""docs/postgresql.md, on a server of its own."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from mars_server.common.config import parse_config
from tests.server.counting.commands import product, run, run_json
from tests.server.counting.examples import shuffled
from tests.server.postgres import Postgres

PAGE = Path(__file__).resolve().parents[2] / "docs" / "postgresql.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def test_role_settings_and_the_move(postgres_server: Postgres, tmp_path: Path) -> None:
    """Role and database as the page makes them, but as the superuser of the tests' own server."""
    (role,), (settings,), (move,) = blocks("sh postgres"), blocks("toml"), blocks("sh move")
    socket = parse_qs(urlsplit(postgres_server.url).query)["host"][0]
    superuser = urlsplit(postgres_server.url).username
    commands = role.replace("runuser -u postgres --", "").replace("createuser mars", "true")
    told = {"PGHOST": socket, "PGUSER": str(superuser), "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", commands], env=told, check=True, timeout=60)
    config = parse_config(settings.encode())
    toml = product(tmp_path)
    log = tmp_path / "a.log"
    log.write_bytes(shuffled(1, 100) + b"\n")
    old = f"sqlite:///{tmp_path}/counts.db"
    run("count", log, "--product", toml, "--db", old)
    found = re.search(r'--from (\S+) --to "(\S+)"', move)
    assert found is not None
    assert found[2] == config.db
    new = config.db.replace("postgresql:///", f"postgresql://{superuser}@/")
    new = new.replace("/run/postgresql", socket)
    run("db", "move", "--from", old, "--to", new)
    shown = run_json("counts", "show", "--db", new)
    assert shown == run_json("counts", "show", "--db", old)
    triage = config.triage_db.replace("postgresql:///", f"postgresql://{superuser}@/")
    done = run("errors", "list", "--db", triage.replace("/run/postgresql", socket), code=1)
    assert b"database-missing" in done.stderr
