"""Waits for another thread or process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

PATIENCE = float(os.environ.get("MARS_TEST_PATIENCE", "60"))
"""Seconds that only a broken program or a very busy machine takes. Who breaks the program on
purpose (``scripts/remove_protections.py``) sets fewer."""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
