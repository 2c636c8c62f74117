"""A console over a database with faults, of both kinds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.console import kit
from tests.server.console.kit import Running, Visitor
from tests.server.triage.kit import Triage


@pytest.fixture
def triage(tmp_path: Path, database_url: str) -> Triage:
    folder = tmp_path / "triage"
    folder.mkdir()
    return kit.filled(Triage(folder, database_url))


@pytest.fixture
def running(triage: Triage) -> Iterator[Running]:
    with kit.console(triage) as found:
        yield found


@pytest.fixture
def visitor(running: Running) -> Visitor:
    return running.visitor()
