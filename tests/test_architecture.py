"""The structure of docs/architecture.md: one home for each library, one place for each fact."""

from __future__ import annotations

import ast
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mars", "server/mars_server", "motd/mars_motd")
HOMES = {
    "PIL": ("mars_server.site.charts.render",),
    "aiohttp": ("mars_server.console", "mars_server.serving", "mars_server.site.dashboard"),
    "alembic": ("mars_server.storage",),
    "babel": ("mars_server.site.language",),
    "backports": ("mars_server.counting.streams",),
    "distributed": ("mars_server.counting.cluster",),
    "filelock": ("mars.adapters.locks",),
    "fsspec": ("mars_server.counting.streams",),
    "gnupg": ("mars_motd.gpg",),
    "jinja2": ("mars_server.site.html",),
    # It reads lines of foreign logs, and lays out what is published.
    "msgspec": ("mars_server.counting.jsonlines", "mars_server.common.jsontext"),
    "nacl": (
        "mars.wire.ed25519",
        "mars.wire.passphrase",
        "mars.wire.reports.crowd",
        "mars.wire.sealed",
    ),
    "platformdirs": ("mars.adapters.files",),
    "prometheus_client": ("mars_server.serving.prometheus",),
    "requests": ("mars.adapters.http",),
    "sqlalchemy": ("mars_server.storage",),
    "stem": ("mars.adapters.control", "mars_server.onion.control"),
    "urllib3": ("mars.adapters.http",),
    "vl_convert": ("mars_server.site.charts.render",),
}
"""Where each library is imported: one module or one folder of each distribution. Not in the list
are ``click``, which every command is made of, and ``packaging``, a vocabulary like ``datetime``."""
ELSEWHERE = ("bench", "examples", "scripts", "testbed", "tests")
"""Folders with code of ours that is in no distribution."""
HOMES_ELSEWHERE = {
    "PIL": ("tests.examples", "tests.server.site"),
    "aiohttp": ("tests.hostile", "tests.server.site"),
    "alembic": ("tests.server.storage",),
    "atheris": ("tests.fuzz",),
    "babel": ("tests.server.site",),
    "backports": ("tests.server.counting",),
    "fsspec": ("tests.server.counting",),
    "grimp": ("tests.test_architecture",),
    "nacl": (
        *("bench.crash", "examples.desktop"),
        *("tests.examples", "tests.mars.wire.reports", "tests.vectors"),
    ),
    "numpy": (
        "bench.linking",
        "testbed.linking",
        "testbed.reports",
        "tests.server.tables",
        "tests.testbed",
    ),
    "playwright": ("tests.server.console", "tests.server.site"),
    "psycopg": ("tests.server.postgres",),
    "requests": ("tests.testbed",),
    "scipy": ("testbed.linking", "tests.server.tables"),
    "securesystemslib": ("tests.motd",),
    "socks": ("tests.server.serving",),
    "sqlalchemy": ("bench.publication", "tests.hostile", "tests.server"),
    "stem": ("tests.server.onion",),
    "urllib3": ("tests.hostile",),
    "vl_convert": ("tests.server.site",),
}
"""The same for that code, but for ``pytest``, ``hypothesis`` and ``psutil``, of which tests are
made."""
EVERYWHERE = {"click", "packaging", "compression"}
OURS = {"mars", "mars_server", "mars_motd", *ELSEWHERE}
LONGEST_MODULE = 400
"""Lines."""
MEDIAN_BODY, LONG_BODY = 6, 15
"""Lines of a function from its first statement to its last, docstring apart: half of all functions
have no more than the former, nine in ten no more than the latter."""
ONCE = {
    r"\b86_?400\b": "mars.wire.times",
    r"/motd/motd(?:\\)?\.json": "mars.wire.query",
    r"isocalendar\(|fromisocalendar\(": "mars.wire.times",
    r"'Jan'": "mars_server.common.calendar",
    r"# mars access log": "mars_server.daylog.format",
}
"""Facts that stand in the code of one module, by what they look like there."""


def modules(packages: Sequence[str] = PACKAGES) -> Iterator[tuple[str, ast.Module]]:
    for package in packages:
        home = (ROOT / package).parent
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(home).with_suffix("").parts)
            yield name.removesuffix(".__init__"), ast.parse(file.read_bytes())


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def within(module: str, homes: tuple[str, ...]) -> bool:
    return any(module == home or module.startswith(f"{home}.") for home in homes)


@pytest.mark.parametrize(
    ("packages", "homes", "everywhere"),
    [
        (PACKAGES, HOMES, EVERYWHERE),
        (ELSEWHERE, HOMES_ELSEWHERE, {*EVERYWHERE, "pytest", "hypothesis", "psutil"}),
    ],
    ids=["product", "elsewhere"],
)
def test_each_library_has_its_home(
    packages: Sequence[str], homes: dict[str, tuple[str, ...]], everywhere: set[str]
) -> None:
    """No library is imported outside of its home, and no home is listed that has lost it."""
    used = set()
    for module, tree in modules(packages):
        for library in {name.partition(".")[0] for name in imports(tree)}:
            if library in everywhere | OURS | sys.stdlib_module_names:
                continue
            found = [home for home in homes.get(library, ()) if within(module, (home,))]
            assert found, f"{module} imports {library}"
            used |= {(library, home) for home in found}
    assert used == {(library, home) for library, many in homes.items() for home in many}


def test_each_fact_is_defined_once() -> None:
    """Docstrings may speak of it; the code of other modules asks its home."""
    code = {name: _code(tree) for name, tree in modules() if not name.startswith("mars.testing")}
    for fact, home in ONCE.items():
        assert [name for name, text in code.items() if re.search(fact, text)] == [home], fact


def test_tests_mirror_the_source() -> None:
    """A module's tests lie in the folder that bears the name of its own."""
    for package in PACKAGES:
        tests, source = ROOT / "tests" / package.partition("/")[0], ROOT / package
        folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py")}
        assert folders and not [folder for folder in folders if not (source / folder).is_dir()]


def test_modules_are_short() -> None:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    long = {
        file.name: n for file in files if (n := file.read_bytes().count(b"\n")) > LONGEST_MODULE
    }
    assert files and not long


def test_functions_are_short() -> None:
    bodies = [length for _, tree in modules() for length in _bodies(tree)]
    assert statistics.median(bodies) <= MEDIAN_BODY
    assert statistics.quantiles(bodies, n=10)[-1] <= LONG_BODY


def _bodies(tree: ast.Module) -> Iterator[int]:
    """Lines of each function's body without its docstring."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            yield (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def _code(tree: ast.Module) -> str:
    """The code without comments and bare texts, numbers as plain digits."""
    for node in ast.walk(tree):
        for name, value in ast.iter_fields(node):
            if isinstance(value, list) and name in ("body", "orelse", "finalbody"):
                kept = [
                    one
                    for one in value
                    if not (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
                ]
                setattr(node, name, kept or [ast.Pass()] if name == "body" else kept)
    return ast.unparse(tree)


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Late imports and those for types count too: a circle is one thought in two files."""
    graph = grimp.build_graph("mars", "mars_server", "mars_motd")
    found = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert not _circle(found) and _circle({**found, "mars.errors": {"mars.client"}})


def _circle(imported: Mapping[str, set[str]]) -> set[str]:
    """The modules of all circles, and those that lead from one to another."""
    left = set(imported)
    while gone := {
        one
        for one in left
        if not left & imported[one] or not any(one in imported[other] for other in left)
    }:
        left -= gone
    return left


def test_a_circle_breaks_a_contract(tmp_path: Path) -> None:
    """The gate of ``make check`` refuses an import upwards, and a module that has no place."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=ignore)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for below, change, code in (
        ("mars_server/tables/floor.py", "", 0),
        ("mars_server/tables/floor.py", "from mars_server.site import publish", 1),
        ("mars_server/common/calendar.py", "from mars.core import state", 1),
        ("mars/core/state.py", "from mars import build", 1),
        ("mars/daemon.py", "from mars.adapters import files", 1),
        ("mars_motd/files.py", "from mars_motd import document", 1),
        ("mars_motd/new.py", "", 1),
    ):
        path = tmp_path / below
        before = path.read_text("utf-8") if path.exists() else None
        path.write_text(f"{before or ''}\n{change}\n", "utf-8")
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, (below, done.stdout)
        if before is None:
            path.unlink()
        else:
            path.write_text(before, "utf-8")
