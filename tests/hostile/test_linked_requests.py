"""Group F: a server that knows every time, value and law asks which requests are one's own."""

from __future__ import annotations

import pytest

from testbed.linking import operator, settings, trial

LIMIT = 5.0
"""Per cent of next requests linked right, at most, from 100 installations on."""


@pytest.mark.parametrize("size", [100, 166, 167])
def test_f12_at_most_5_percent_of_next_requests_are_linked_right(size: int) -> None:
    tracked = settings.tracked(size)
    cells = [trial.attacked(trial.Job(tracked, trial.TRACKED, seed)) for seed in range(2)]
    share, error = trial.share(cells)
    assert share + 2 * error <= LIMIT
    assert all(cell.sure == cell.chains == 0 for cell in cells)


def test_f12_who_answers_each_circuit_differently_learns_nothing_by_it() -> None:
    """Other serials, times, texts, versions and wishes, answers withheld, broken and refused: what
    real clients then ask for is the same to the byte and the second."""
    plan = settings.plan(3, weeks=6)
    honest = operator.arrivals(plan, 1, operator.Honest, 100)
    assert sum(map(len, honest)) > 12
    assert operator.arrivals(plan, 1, operator.Hostile, 100) == honest
