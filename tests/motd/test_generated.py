"""The generated module is typed: mypy finds what was never declared, and it hands on the rest."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mars.errors import ConfigError
from mars.wire.registry import BOOL, BUCKET, ENUM, VERSION, Metric
from mars_motd import generated

Run = Callable[..., Any]
EXAMPLE = Path(__file__).parents[2] / "motd"
USED = Metric(
    key="used",
    project="examplemail",
    label='Quotes """ and \\ at the end\\',
    description="Ends with a quote\"\nand a line' " + "word " * 40,
    reason='"""\nimport os',
    owner="o",
    review="#1",
    sensitivity="technical",
    expires=date(2027, 12, 31),
    type=BOOL,
)
ALL = (
    USED,
    replace(USED, key="class", type=ENUM, values=("imap", "pop3")),
    replace(USED, key="bool", type=BUCKET, bounds=(1, 10)),
    replace(USED, key="server", type=VERSION),
    replace(USED, project="9-lives", key="used"),
    replace(USED, project="rare-plugin", key="a" * 40, type=ENUM, values=("a", "b")),
    replace(USED, key="gone", withdrawn=date(2027, 1, 1)),
)


class Recorder:
    """Stands where ``Mars.statistics`` would."""

    def __init__(self) -> None:
        self.given: list[tuple[str, Any]] = []

    def provide(self, name: str, given: Any) -> None:
        self.given.append((name, given))


def loaded(data: bytes) -> ModuleType:
    module = ModuleType("declared")
    exec(compile(data, "declared.py", "exec"), vars(module))
    return module


def test_each_function_hands_its_value_on() -> None:
    module, statistics = loaded(generated.module("examplemail", ALL)), Recorder()
    module.used(statistics, True)
    module.class_(statistics, "imap")
    module.bool_(statistics, int)
    module._9_lives_used(statistics, False)
    assert statistics.given == [
        *(("examplemail/used", True), ("examplemail/class", "imap")),
        *(("examplemail/bool", int), ("9-lives/used", False)),
    ]
    assert not hasattr(module, "gone")
    assert not hasattr(module, "os")
    assert module.used.__doc__.startswith('Quotes """ and \\ at the end\\')


def test_two_functions_of_one_name_are_refused() -> None:
    clash = (USED, replace(USED, key="b_c", project="a"), replace(USED, key="c", project="a-b"))
    with pytest.raises(ConfigError) as caught:
        generated.module("examplemail", clash)
    assert caught.value.reason == "name-clash"


RIGHT = """
from declared import bool_, class_, server, used
from mars import Mars

class Other:
    def provide(self, name: str, given: object) -> None: ...

def hand_on(mars: Other) -> None:
    used(mars, True)
    used(mars, lambda: False)
    class_(mars, "imap")
    bool_(mars, 7)
    server(mars, "3.11")
"""
WRONG = {
    'class_(mars, "nntp")': "arg-type",
    'class_(mars, lambda: "nntp")': "arg-type",
    'used(mars, "true")': "arg-type",
    'bool_(mars, "7")': "arg-type",
    "server(mars, 3.11)": "arg-type",
}


def test_a_type_checker_finds_what_was_never_declared(tmp_path: Path) -> None:
    """One run over a right and a wrong use."""
    (tmp_path / "declared.py").write_bytes(generated.module("examplemail", ALL))
    (tmp_path / "empty.py").write_bytes(generated.module("examplemail", ()))
    right = RIGHT.replace("from mars import Mars\n", "")
    (tmp_path / "right.py").write_text(right)
    lines = right.partition("    used(mars, True)")[0]
    (tmp_path / "wrong.py").write_text(lines + "".join(f"    {each}\n" for each in WRONG))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary"),
            *("--config-file", "", "declared.py", "empty.py", "right.py", "wrong.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    found = [line.partition(": error: ") for line in done.stdout.splitlines() if ": error:" in line]
    first = len(lines.splitlines()) + 1
    assert {place for place, _, _ in found} == {
        f"wrong.py:{first + n}" for n in range(len(WRONG))
    }, done.stdout + done.stderr


def test_the_command_says_whether_it_is_current(tmp_path: Path, ok: Run, motd: Run) -> None:
    folder, out = tmp_path / "p", tmp_path / "declared.py"
    ok("init", folder, "--product", "examplemail")
    (folder / "metrics.toml").write_bytes((EXAMPLE / "metrics.toml").read_bytes())
    check = ("generate", folder, "--out", out, "--check")
    assert "[generated-stale]" in motd(*check).err
    ok("generate", folder, "--out", out)
    ok(*check)
    assert hasattr(loaded(out.read_bytes()), "folders")
    text = (folder / "metrics.toml").read_text()
    (folder / "metrics.toml").write_text(text.replace('"jmap"', '"nntp"'))
    assert "[generated-stale]" in motd(*check).err
    (folder / "metrics.toml").write_text(text.replace("reviews/12", "TODO"))
    assert "[registry-invalid]" in motd("generate", folder, "--out", out).err
    assert "[out-invalid]" in motd("generate", folder, "--out", folder / "metrics.toml").err
