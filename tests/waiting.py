"""Waits for another thread or process, and for a day that lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from mars.wire.times import DAY

PATIENCE = float(os.environ.get("MARS_TEST_PATIENCE", "60"))
"""Seconds that only a broken program or a very busy machine takes. Who breaks the program on
purpose (``scripts/remove_protections.py``) sets fewer."""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Fails after ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def day_that_lasts() -> None:
    """Returns at once, but for the last ``PATIENCE`` seconds of a day (UTC): then on the next one,
    once every server has turned its log."""
    turned = 5.0  # seconds, of which a server's round takes one
    left = DAY - (time.time() - turned) % DAY
    if left < PATIENCE + turned:
        time.sleep(left)
