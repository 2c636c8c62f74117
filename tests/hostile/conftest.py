"""A recorder of every connection that this process opens, and a folder for false programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from testbed.audit import NetworkAudit

_AUDIT = NetworkAudit()


@pytest.fixture
def network() -> Iterator[NetworkAudit]:
    """Everything from here to the test's end, in every thread."""
    with _AUDIT.listening() as audit:
        yield audit


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for programs that pretend to be gpgv."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder
