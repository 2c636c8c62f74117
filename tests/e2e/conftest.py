"""What is frozen, once for all tests."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.e2e.frozen import freeze


@pytest.fixture(scope="session")
def packages(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an application's developer installs, and the application."""
    folder = tmp_path_factory.mktemp("packages")
    with zipfile.ZipFile(wheels["mars-client"]) as wheel:
        wheel.extractall(folder)
    for part in ("desktop", "plugins"):
        shutil.copytree(ROOT / "examples" / part, folder / "examples" / part)
    return folder


@pytest.fixture(scope="session")
def desktop(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the frozen application; ``desktop`` in it is the program."""
    return freeze(packages, tmp_path_factory.mktemp("frozen"), "desktop")


@pytest.fixture(scope="session")
def command(packages: Path, desktop: Path) -> Path:
    """The ``mars`` command as one file."""
    return freeze(packages, desktop.parent, "mars", "--onefile")
