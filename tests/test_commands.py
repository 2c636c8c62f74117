"""What the three commands have in common when something fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mars.wire import ed25519
from mars_server.onion import folder as onion

SERVE = "serve --bind unix:s --log l --product product.toml"
PROGRAMS = ("mars", "mars-motd", "mars-server")
REFUSED = {
    "status": "config-missing",
    "doctor --log none": "log-missing",
    "retain --log none": "log-missing",
    "count none --product product.toml --dry-run": "log-missing",
    "count . --product product.toml --db sqlite:///none/under/product.toml/x.db": "os-error",
    "counts show --db sqlite:///none.db": "database-missing",
    "counts weeks --db sqlite:///none.db": "database-missing",
    "counts recount 2026-11-21 . --product product.toml --db nonsense": "database-url",
    "scrub . --db sqlite:///none.db": "database-missing",
    "publish --db sqlite:///none.db --out site --product product.toml": "database-missing",
    "publish --db sqlite:///none.db --out site --product broken.toml": "product-invalid",
    "errors open . --db nonsense --product product.toml": "database-url",
    "errors list --db sqlite:///none.db": "database-missing",
    "errors show 1 --db sqlite:///none.db": "database-missing",
    "errors rules check --rules none/under/rules.toml": "rules-missing",
    "errors stats --db sqlite:///none.db": "database-missing",
    "errors status --db sqlite:///none.db --out o --key none/key --trust none": "key-missing",
    "onion add --dir onion --to 127.0.0.1:80 --control 127.0.0.1:1": "tor-control",
}
"""Words of ``mars-server``, each with the reason of its refusal."""


def run(
    program: str, *words: str, folder: Path | None = None, without: str = "", out: str = ""
) -> subprocess.CompletedProcess[str]:
    """A command's outcome; ``without`` is a library that is not installed, ``out`` its stdout."""
    package = program.replace("-", "_")
    script = f"import sys; sys.modules[{without!r}] = None; sys.argv[0] = {program!r}\n"
    script += f"from {package}.cli import main; main()"
    with Path(out or "/dev/null").open("wb") as stdout:
        return subprocess.run(
            [sys.executable, "-c", script, *words],
            stdout=stdout if out else subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            cwd=folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
        )


# "check" is tried in tests/server/cli/test_check.py: its problems are its result.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "product.toml").write_text('product = "x"\nchannel = "stable"\n')
    (tmp_path / "broken.toml").write_text("nothing")
    (tmp_path / "none").mkdir()
    (tmp_path / "none/under").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(("words", "reason"), REFUSED.items())
def test_a_refusal_is_json_where_json_was_asked_for(folder: Path, words: str, reason: str) -> None:
    if "log-missing" in reason:
        (folder / "none/under").unlink()
        (folder / "none").rmdir()
    done = run("mars-server", *words.split(), "--json", folder=folder)
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], told["reason"]) == (1, False, reason), done.stderr
    assert told["message"].endswith((".", ")", "?"))
    plain = run("mars-server", *words.split(), folder=folder)
    assert (plain.returncode, plain.stdout) == (1, "")
    assert f"[{reason}]" in plain.stderr


def test_what_could_be_counted_stands_beside_what_could_not(folder: Path) -> None:
    (folder / "a.log").write_bytes(b"a line\n")
    words = ("count", "a.log", "missing.log", "--product", "product.toml", "--dry-run", "--json")
    done = run("mars-server", *words, folder=folder)
    told = json.loads(done.stdout)
    assert (told["ok"], told["reason"], told["lines"]) == (False, "log-missing", 1)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("words", ["--help", "--version"])
def test_a_full_disk_under_the_output_is_a_failure_with_a_sentence(
    program: str, words: str
) -> None:
    done = run(program, words, out="/dev/full")
    assert done.returncode == 1, done.stderr
    assert "No space left on device; make room on that disk" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("mars", "status --state . --json"),
        ("mars-motd", "check none --json"),
        ("mars-server", "status --json"),
    ],
)
def test_a_refusal_that_cannot_be_written_is_a_failure_too(
    folder: Path, program: str, words: str
) -> None:
    done = run(program, *words.split(), folder=folder, out="/dev/full")
    assert (done.returncode, "cannot be written" in done.stderr) == (1, True)


def test_what_is_written_as_bytes_fails_alike(tmp_path: Path) -> None:
    secret, public = (b"== ed25519v1-%b: type0 ==" % name for name in (b"secret", b"public"))
    (tmp_path / onion.SECRET).write_bytes(secret.ljust(32, b"\0") + b"s" * 64)
    (tmp_path / onion.PUBLIC).write_bytes(
        public.ljust(32, b"\0") + ed25519.public_key_of_scalar(b"s" * 32)
    )
    done = run("mars-server", "onion", "backup", "--dir", str(tmp_path), out="/dev/full")
    assert (done.returncode, "No space left" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ("sqlalchemy", "counts --help"),
        ("aiohttp", "serve --bind unix:s --motd m --log l --product product.toml"),
        ("sqlalchemy", "counts show --db sqlite:///x"),
        ("jinja2", "publish --db sqlite:///x --out site --product product.toml --json"),
    ],
)
def test_a_missing_extra_is_named(folder: Path, library: str, words: str) -> None:
    listing = run("mars-server", "--help", without=library)
    assert (listing.returncode, listing.stderr) == (0, "")
    done = run("mars-server", *words.split(), folder=folder, without=library)
    assert (done.returncode, "defect" in done.stderr) == (1, False)
    said = json.loads(done.stdout)["message"] if "--json" in words else done.stderr
    assert f"{library} is not installed" in said
    assert "pip install -r requirements/server.txt" in said


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("mars-motd", "verify product.toml --trust broken.toml"),
        ("mars-motd", "preview . --file broken.toml"),
        ("mars-server", f"{SERVE} --motd m --trust broken.toml"),
        ("mars-server", f"{SERVE} --motd broken.toml"),
        ("mars-server", "onion restore --dir d --from broken.toml"),
    ],
)
def test_a_file_that_is_not_json_is_named(folder: Path, program: str, words: str) -> None:
    (folder / "m").write_bytes(b"")
    done = run(program, *words.split(), folder=folder)
    assert done.returncode == 1
    assert "broken.toml: The document is not JSON" in done.stderr
