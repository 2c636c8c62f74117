"""Triage on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.server.triage.kit import Triage


@pytest.fixture
def triage(tmp_path: Path, database_url: str) -> Triage:
    folder = tmp_path / "triage"
    folder.mkdir()
    return Triage(folder, database_url)
