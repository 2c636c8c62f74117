"""The structure of docs/architecture.md: one home for each library, one place for each fact."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("mars", "server/mars_server", "motd/mars_motd")
HOMES = {
    "PIL": ("mars_server.site.charts.render",),
    "aiohttp": ("mars_server.serving", "mars_server.site.dashboard"),
    "alembic": ("mars_server.storage",),
    "babel": ("mars_server.site.pages.language",),
    "backports": ("mars_server.counting.streams",),
    "dask": ("mars_server.counting.cluster",),
    "distributed": ("mars_server.counting.cluster",),
    "filelock": ("mars.adapters.locks",),
    "fsspec": ("mars_server.counting.streams",),
    "gnupg": ("mars_motd.gpg",),
    "jinja2": ("mars_server.site.pages.render",),
    "msgspec": ("mars_server.counting.jsonlines",),
    "nacl": ("mars.wire.ed25519", "mars_motd.sealing"),
    "platformdirs": ("mars.adapters.files",),
    "prometheus_client": ("mars_server.serving.prometheus",),
    "requests": ("mars.adapters.exchange",),
    "sqlalchemy": ("mars_server.storage",),
    "stem": ("mars.adapters.control", "mars_server.onion.control"),
    "urllib3": ("mars.adapters.exchange",),
    "vl_convert": ("mars_server.site.charts.render",),
}
"""Where each library is imported: one module or one folder of each distribution. Not in the list
are ``click``, which every command is made of, and ``packaging``, a vocabulary like ``datetime``."""
ONCE = {
    r"\b86_?400\b": "mars.wire.times",
    r"/motd/motd(?:\\)?\.json": "mars.wire.query",
    r"isocalendar\(|fromisocalendar\(": "mars_server.common.calendar",
    r"'Jan'": "mars_server.common.calendar",
    r"# mars access log": "mars_server.daylog.format",
}
"""Facts that stand in the code of one module, by what they look like there."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
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


def test_each_library_has_its_home() -> None:
    known = {"click", "packaging", "compression", "mars", "mars_server", "mars_motd"}
    for module, tree in modules():
        for library in {name.partition(".")[0] for name in imports(tree)}:
            if library in {*known, *sys.stdlib_module_names} or module.startswith("mars.testing"):
                continue
            assert within(module, HOMES[library]), f"{module} imports {library}"


@pytest.mark.parametrize(("fact", "home"), ONCE.items(), ids=[*ONCE.values()])
def test_each_fact_is_defined_once(fact: str, home: str) -> None:
    """Docstrings may speak of it; the code of other modules asks ``home``."""
    found = {
        module
        for module, tree in modules()
        if not module.startswith("mars.testing") and re.search(fact, _code(tree))
    }
    assert found == {home}


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


def test_a_circle_breaks_a_contract(tmp_path: Path) -> None:
    """The gate of ``make check`` refuses an import upwards, wherever it is put in."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=ignore)
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    below = tmp_path / "mars_server" / "tables" / "floor.py"
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for change, code in (("", 0), ("\nfrom mars_server.site import publish\n", 1)):
        below.write_text(below.read_text("utf-8") + change, "utf-8")
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout
