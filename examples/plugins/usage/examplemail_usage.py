"""How Example Mail is used: how many documents it keeps, and which of its modules are on.

The application registers it, since only that knows its folder and its settings:
``mars.statistics.register(Usage(folder, modules))``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

PROJECT = "examplemail"
MODULES = ("calendar", "encryption", "spelling")


class Usage:
    """``modules`` gives the names of those that are on now."""

    def __init__(self, folder: Path, modules: Callable[[], Collection[str]]) -> None:
        self._folder = folder
        self._modules = modules

    def info(self) -> Mapping[str, Any]:
        keys = ["documents", *(f"module_{name}" for name in MODULES)]
        return {"project": PROJECT, "keys": keys}

    def data(self, key: str) -> bool | int:
        """A number of documents, or whether a module is on. Their names are not looked at."""
        if key == "documents":
            return sum(path.is_file() for path in self._folder.glob("*"))
        return key.removeprefix("module_") in self._modules()
