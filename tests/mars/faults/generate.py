"""``python -m tests.mars.faults.generate PYTHON…`` writes what each of them prints into ``texts``.

Each runs the application of ``kit`` in a folder of its own. ``frozen`` is what PyInstaller makes of
it, which writes no lines of source.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests import applications
from tests.mars.faults import kit

TEXTS = Path(__file__).with_name("texts")
PLACES = ("home/hunter2/src", "opt/Example Mail é/lib", "examplemail/env/lib/python3/site-packages")


def main(pythons: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for number, python in enumerate(pythons):
            folder = Path(name, str(number), PLACES[number % len(PLACES)])
            applications.write(folder, kit.FILES)
            start = folder / "start.py"
            start.write_text(kit.MAIN, "utf-8")
            said = _said([python, str(start)]).replace(_asked(python, "sys.base_prefix"), "/usr")
            _write(_asked(python, "'%d.%d' % sys.version_info[:2]"), said, name)
        for path in sorted(Path(name).glob("0/home/hunter2/src")):
            _write("frozen", _frozen(path), name)


def _frozen(folder: Path) -> str:
    build = [sys.executable, "-m", "PyInstaller", "--onedir", "--noconfirm", "--log-level=ERROR"]
    subprocess.run([*build, "start.py"], cwd=folder, check=True)
    return _said([str(folder / "dist" / "start" / "start")])


def _asked(python: str, what: str) -> str:
    return _said([python, "-c", f"import sys; print({what})"]).strip()


def _said(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _write(name: str, said: str, folder: str) -> None:
    """Without the folder that is another each time, and the middle of what recurses."""
    lines = said.replace(folder, "").splitlines(keepends=True)
    first = next(at for at, line in enumerate(lines) if line == "# recursion\n")
    last = next(at for at, line in enumerate(lines) if line == "# opened\n")
    short = [*lines[: first + 40], *lines[last - 20 :]]
    TEXTS.joinpath(f"{name}.txt").write_text("".join(short), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
