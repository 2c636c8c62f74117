"""Keyed noise: one fixed sample per cell and week, so that asking again gives nothing new.

Two-sided geometric noise (A. Ghosh, T. Roughgarden, M. Sundararajan, 2009) whose seed is a
BLAKE2b hash, keyed with the operator's secret, of product, table, cell and week. Rebuilding the
pages, deleting them or publishing on another machine draws the same sample again.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace
from typing import Final

from mars.wire.variables import NAMES

HITS_PER_WEEK: Final = 3
"""One installation is counted at most three times in seven days (days 0, 3 and 6)."""
TABLES: Final = 1 + len(NAMES)
"""One for each variable, and that of the levels."""
_BESIDE: Final = 3
CELLS_PER_HIT: Final = TABLES + _BESIDE
"""Cells that one hit adds to: the tables, and the total, version × platform, and, of the one rare
value that may ride in it, the count that decides on its listing beside that of ``other``."""
REPORTS_PER_WEEK: Final = 7
"""One installation sends at most one request a day, over all channels."""
CELLS_PER_REPORT: Final = 6
"""Cells that one report of a statistic adds to: the total, its value, its release, the two
together, and the counts that decide on the listing of a release and of a version."""
KEY_SIZE: Final = 32
"""Bytes that a noise key must at least have."""


TOLD: Final = 2.12
"""Standard deviations that the noise of one cell in forty exceeds upwards: ln(20) / √2, as of the
Laplace law, which this one nears where it is wide. Smaller numbers are not told as findings, and an
estimate's interval takes it for the 97.5 % quantile."""
SURE: Final = 4.4
"""The same of one cell in a thousand: ln(500) / √2. From here on something is called an event."""


def deviation(epsilon: float, tables: int = TABLES) -> float:
    """The standard deviation in hits of the noise in each cell, under the budget ``epsilon``."""
    return deviation_of(epsilon / (HITS_PER_WEEK * (tables + _BESIDE)))


def deviation_of(per_cell: float) -> float:
    """The same for the budget of one hit, or report, in one cell."""
    alpha = math.exp(-per_cell)
    return math.sqrt(2 * alpha) / (1 - alpha)


@dataclass(frozen=True)
class Noise:
    """``epsilon`` is the budget of one installation in one week, over all cells it touches."""

    key: bytes
    epsilon: float
    cells: int = HITS_PER_WEEK * CELLS_PER_HIT
    """Numbers that one installation can add to in a week, a number as often as it can."""

    @property
    def per_cell(self) -> float:
        """Epsilon of one hit in one cell."""
        return self.epsilon / self.cells

    @property
    def deviation(self) -> float:
        return deviation_of(self.per_cell)

    def of_reports(self) -> Noise:
        """The noise of statistics, whose budget is one of their own."""
        return replace(self, cells=REPORTS_PER_WEEK * CELLS_PER_REPORT)

    def sample(self, *cell: str) -> int:
        """The noise of one cell, named by product, week, table and value."""
        digest = hashlib.blake2b(
            "\0".join(cell).encode(), key=self.key[:64], digest_size=16, person=b"mars-noise"
        ).digest()
        first = _geometric(int.from_bytes(digest[:8], "big"), self.per_cell)
        return first - _geometric(int.from_bytes(digest[8:], "big"), self.per_cell)


def _geometric(seed: int, epsilon: float) -> int:
    """P(k) = (1 - a) a^k with a = e^-epsilon, by inversion of 64 uniform bits."""
    uniform = (seed + 0.5) / 2**64
    return math.floor(-math.log(uniform) / epsilon)
