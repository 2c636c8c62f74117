"""What the tests of publishing share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from mars_server.site.publish import PublishReport
from mars_server.site.publish import publish as publish_to
from mars_server.tables.compose import FloorRules
from tests.server.publication import kit

collect_ignore = [] if os.environ.get("MARS_FAULTS") else ["test_host_faults.py"]
"""Each of its trials draws all charts: for ``make soak`` alone."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.chart_cache(tmp_path_factory)


@pytest.fixture(scope="module")
def publish(cache: Path) -> kit.Publish:
    """``publish`` with one chart cache for all tests here, since many draw the same charts."""

    def to(engine: Engine, out: Path, rules: FloorRules, now: int, **options: Any) -> PublishReport:
        return publish_to(engine, out, rules, now, chart_cache=cache, **options)

    return to
