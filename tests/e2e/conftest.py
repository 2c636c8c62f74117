"""What is frozen, once for all tests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.frozen import freeze


@pytest.fixture(scope="session")
def packages(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an application's developer installs, and the application."""
    folder = tmp_path_factory.mktemp("packages")
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, "--target", folder, wheels["mars-client"]], check=True)
    for part in ("desktop", "plugins"):
        shutil.copytree(ROOT / "examples" / part, folder / "examples" / part)
    return folder


@pytest.fixture(scope="session")
def desktop(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the frozen application; ``desktop`` in it is the program."""
    return freeze("desktop", "--onedir", packages, tmp_path_factory.mktemp("desktop"))


@pytest.fixture(scope="session")
def command(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``mars`` command as one file."""
    return freeze("mars-command", "--onefile", packages, tmp_path_factory.mktemp("mars"))
