"""What is installed is what is on the disk: nothing forgotten, and every command starts."""

from __future__ import annotations

import configparser
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"mars": ROOT, "mars_server": ROOT / "server", "mars_motd": ROOT / "motd"}
"""Each top-level package and the folder that holds it."""
COMMANDS = ("mars", "mars-server", "mars-motd")


def _on_disk() -> set[str]:
    return {
        ".".join(init.parent.relative_to(home).parts)
        for package, home in FOLDERS.items()
        for init in (home / package).rglob("__init__.py")
    }


def _data_on_disk() -> set[str]:
    """Files of the packages that are not Python, by their path in the wheel."""
    return {
        file.relative_to(home).as_posix()
        for package, home in FOLDERS.items()
        for file in (home / package).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    }


def test_setup_cfg_lists_every_package_on_the_disk() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", "utf-8")
    listed = config["options"]["packages"].split()
    assert listed == sorted(listed)
    assert set(listed) == _on_disk()


def test_the_wheel_holds_every_module_and_every_data_file(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {
        file.relative_to(home).as_posix()
        for package, home in FOLDERS.items()
        for file in (home / package).rglob("*.py")
    }
    assert names == modules | _data_on_disk()


def test_the_wheel_in_an_empty_environment_runs_the_three_commands(
    wheel: Path, tmp_path: Path
) -> None:
    """The dependencies come from this environment, the project from the wheel alone."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    install = [sys.executable, "-m", "pip", f"--python={home}/bin/python", "install"]
    install += ["--no-deps", "--no-index", "--quiet", str(wheel)]
    done = subprocess.run(install, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    # A plain path in a .pth file: its own .pth files, the editable install among them, stay out.
    here = next(path for path in site.getsitepackages() if path.endswith("site-packages"))
    (packages / "dependencies.pth").write_text(here + "\n", "utf-8")
    where = "import mars, mars_server, mars_motd; print(mars.__file__)"
    found = subprocess.run(
        [f"{home}/bin/python", "-c", where], capture_output=True, text=True, cwd=tmp_path
    )
    assert found.stdout.startswith(str(packages)), found.stdout + found.stderr
    for command in COMMANDS:
        for words in (["--version"], ["--help"], *_help_of_each(home / "bin" / command, tmp_path)):
            run = subprocess.run(
                [home / "bin" / command, *words], capture_output=True, text=True, cwd=tmp_path
            )
            assert run.returncode == 0, (command, words, run.stderr)


def _help_of_each(command: Path, folder: Path) -> list[list[str]]:
    """``SUBCOMMAND --help`` for every subcommand that the command lists."""
    listing = subprocess.run(
        [command, "--help"], capture_output=True, text=True, cwd=folder
    ).stdout.partition("Commands:\n")[2]
    return [[line.split()[0], "--help"] for line in listing.splitlines() if line[2:3].strip()]
