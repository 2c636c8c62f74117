"""Applications for tests: packages in a folder, imported as any other and forgotten afterwards."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

NAME = "examplemail"


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Each file by its path below ``folder``; every folder of it becomes a package."""
    for path, source in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        for package in file.relative_to(folder).parents[:-1]:
            (folder / package / "__init__.py").touch()
        file.write_text(source, "utf-8")


@contextmanager
def imported(folder: Path, files: Mapping[str, str]) -> Iterator[None]:
    """While it lasts the packages in ``folder`` can be imported."""
    write(folder, files)
    before = {*sys.modules}
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        tops = {path.partition("/")[0].removesuffix(".py") for path in files}
        for name in {*sys.modules} - before:
            if name.partition(".")[0] in tops:
                del sys.modules[name]
