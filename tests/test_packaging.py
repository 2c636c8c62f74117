"""What is installed is what is on the disk: nothing forgotten, nothing needless, and it starts."""

from __future__ import annotations

import ast
import configparser
import email
import re
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mars

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Distribution:
    """One of the three: its name, the folder with its setup.cfg, its package and command."""

    name: str
    folder: Path
    package: str
    command: str

    def config(self) -> configparser.ConfigParser:
        config = configparser.ConfigParser()
        config.read(self.folder / "setup.cfg", "utf-8")
        return config

    def files(self) -> set[str]:
        """Every file of the package by its path in the wheel."""
        return {
            file.relative_to(self.folder).as_posix()
            for file in (self.folder / self.package).rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }

    def requirements(self) -> list[Requirement]:
        lines = self.config()["options"]["install_requires"].splitlines()
        return [Requirement(line) for line in lines if line and not line.startswith("#")]

    def lock(self) -> str:
        name = self.name.removeprefix("mars-")
        return (ROOT / "requirements" / f"{name}.txt").read_text("utf-8")


CLIENT = Distribution("mars-client", ROOT, "mars", "mars")
SERVER = Distribution("mars-server", ROOT / "server", "mars_server", "mars-server")
MOTD = Distribution("mars-motd", ROOT / "motd", "mars_motd", "mars-motd")
ALL = (CLIENT, SERVER, MOTD)
each = pytest.mark.parametrize("distribution", ALL, ids=lambda one: one.name)

IMPORTED_AS = {"gnupg": "python-gnupg", "nacl": "pynacl", "vl_convert": "vl-convert-python"}
IMPORTED_AS |= {"PIL": "pillow", "prometheus_client": "prometheus-client", "mars": "mars-client"}
BY_NAME_ALONE = {"psycopg"}
"""Loaded by SQLAlchemy for the URLs that name it."""
EXTRAS = {"dask", "distributed", "fsspec"}
"""What the extra ``cluster`` brings; each import of them says so where it is missing."""


@each
def test_setup_cfg_lists_every_package_on_the_disk(distribution: Distribution) -> None:
    listed = distribution.config()["options"]["packages"].split()
    assert listed == sorted(listed)
    inits = (name for name in distribution.files() if name.endswith("/__init__.py"))
    assert set(listed) == {".".join(Path(init).parent.parts) for init in inits}


@each
def test_the_wheel_holds_every_module_and_every_data_file(
    distribution: Distribution, wheels: dict[str, Path]
) -> None:
    archive = zipfile.ZipFile(wheels[distribution.name])
    names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == distribution.files()
    assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())


@pytest.mark.parametrize("folder", ["server", "motd"])
def test_the_version_is_written_once(folder: str) -> None:
    link = ROOT / folder / "mars_version.py"
    assert link.is_symlink() and link.samefile(ROOT / "mars" / "_version.py")


@each
def test_the_three_have_one_version_and_the_client_tells_it(
    distribution: Distribution, wheels: dict[str, Path]
) -> None:
    archive = zipfile.ZipFile(wheels[distribution.name])
    (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    assert email.message_from_bytes(archive.read(path))["Version"] == mars.__version__


def test_what_server_and_publisher_ask_of_the_client_admits_this_version() -> None:
    for distribution in (SERVER, MOTD):
        (asked,) = (one for one in distribution.requirements() if one.name == CLIENT.name)
        assert mars.__version__ in asked.specifier


@each
def test_each_declares_what_it_imports_and_nothing_else(distribution: Distribution) -> None:
    declared = {one.name for one in distribution.requirements()}
    imported = set(_imported(distribution)) - EXTRAS
    assert declared == imported | (BY_NAME_ALONE & declared)


def _imported(distribution: Distribution) -> Iterator[str]:
    """The distributions of the modules that a package's code imports, wherever in the code."""
    for name in distribution.files():
        if not name.endswith(".py") or "__pyinstaller" in name:
            continue  # the hook is for whoever runs PyInstaller, which is then there
        for node in ast.walk(ast.parse((distribution.folder / name).read_bytes())):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            else:
                continue
            for module in modules:
                first = module.partition(".")[0]
                if module.startswith("backports.zstd"):
                    yield "backports.zstd"
                elif first not in {*sys.stdlib_module_names, "compression", distribution.package}:
                    yield IMPORTED_AS.get(first, first)


@each
def test_the_lock_pins_with_hashes_what_is_declared(distribution: Distribution) -> None:
    """Hashes on every line, and a version within the declared bounds for each requirement."""
    pins = _pins(distribution.lock())
    for asked in distribution.requirements():
        if asked.name != CLIENT.name:
            assert pins[canonicalize_name(asked.name)] in asked.specifier, asked


@pytest.mark.parametrize(
    "lock", sorted((ROOT / "requirements").glob("*.txt")), ids=lambda p: p.stem
)
def test_every_pinned_version_has_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text("utf-8").strip())[1:]
    assert entries
    for entry in entries:
        assert re.fullmatch(
            r"[\w.-]+(\[.*\])?==\S+( ; .*)? \\(\s+--hash=sha256:\w{64}( \\)?)+", entry
        )


def test_the_locks_agree_with_each_other() -> None:
    every = _pins((ROOT / "requirements" / "dev.txt").read_text("utf-8"))
    for distribution in ALL:
        assert _pins(distribution.lock()).items() <= every.items()


def _pins(lock: str) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", lock, re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def test_the_client_alone_in_an_empty_environment_fetches(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    """What a desktop application installs knows no server, no publisher and none of their needs."""
    python, home = _installed(tmp_path, wheels[CLIENT.name])
    code = (
        "import importlib.util as u; print([u.find_spec(n) for n in ('mars_server', 'mars_motd')])"
    )
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout == "[None, None]\n", found.stderr
    _runs(home / "bin" / CLIENT.command, tmp_path)


LOADED = """
import importlib, sys
from importlib.metadata import packages_distributions
for name in sys.argv[1:]:
    importlib.import_module(name)
owners = packages_distributions()
print(*{owner for name in [*sys.modules] for owner in owners.get(name.partition(".")[0], ())})
"""


def test_the_testing_kit_is_what_the_docs_teach_and_needs_nothing_but_the_client(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    """What only this repository's tests, bench and demo use is in ``testbed``, in no wheel."""
    page = (ROOT / "docs" / "embedding.md").read_text("utf-8").partition("## Testing your")[2]
    taught = [f"mars.testing.{name}" for name in re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)]
    files = {f"{name.replace('.', '/')}.py" for name in (*taught, "mars.testing.__init__")}
    archive = zipfile.ZipFile(wheels[CLIENT.name])
    assert {name for name in archive.namelist() if name.startswith("mars/testing/")} == files
    python, _ = _installed(tmp_path, wheels[CLIENT.name])
    loaded = subprocess.run(
        [python, "-c", LOADED, *taught], capture_output=True, text=True, cwd=tmp_path
    )
    assert loaded.returncode == 0, loaded.stderr
    assert set(map(canonicalize_name, loaded.stdout.split())) <= {
        CLIENT.name,
        *_pins(CLIENT.lock()),
    }


def test_the_wheels_in_an_empty_environment_run_the_three_commands(
    wheels: dict[str, Path], tmp_path: Path
) -> None:
    """The dependencies come from this environment, the project from the wheels alone."""
    python, home = _installed(tmp_path, *wheels.values())
    where = "import mars, mars_server, mars_motd; print(mars.__file__)"
    found = subprocess.run([python, "-c", where], capture_output=True, text=True, cwd=tmp_path)
    assert found.stdout.startswith(str(home)), found.stdout + found.stderr
    for distribution in (SERVER, MOTD):
        _runs(home / "bin" / distribution.command, tmp_path)


def _installed(folder: Path, *wheels: Path) -> tuple[Path, Path]:
    """A new environment with these wheels: its Python and its folder."""
    home = folder / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    install = [sys.executable, "-m", "pip", f"--python={home}/bin/python", "install"]
    install += ["--no-deps", "--no-index", "--quiet", *map(str, wheels)]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # A plain path in a .pth file: its own .pth files, the editable installs among them, stay out.
    here = next(path for path in site.getsitepackages() if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(here + "\n", "utf-8")
    return home / "bin" / "python", home


def _runs(command: Path, folder: Path) -> None:
    for words in (["--version"], ["--help"], *_help_of_each(command, folder)):
        run = subprocess.run([command, *words], capture_output=True, text=True, cwd=folder)
        assert run.returncode == 0, (command, words, run.stderr)


def _help_of_each(command: Path, folder: Path) -> list[list[str]]:
    """``SUBCOMMAND --help`` for every subcommand that the command lists."""
    listing = subprocess.run(
        [command, "--help"], capture_output=True, text=True, cwd=folder
    ).stdout.partition("Commands:\n")[2]
    return [[line.split()[0], "--help"] for line in listing.splitlines() if line[2:3].strip()]
