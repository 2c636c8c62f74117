"""Where PyInstaller finds the hook for applications with the client inside.

Named by the entry point ``hook-dirs`` of ``pyinstaller40`` (PyInstaller's manual, "Providing
PyInstaller Hooks with your Package").
"""

from __future__ import annotations

from pathlib import Path


def get_hook_dirs() -> list[str]:
    """The folder with ``hook-mars.py``."""
    return [str(Path(__file__).parent)]
