"""What monitors get of ``status``: a line and an exit code, or a file of metrics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mars_server.common.config import write_durably
from mars_server.operate.figures import FIGURES, LOOKED, STATE
from mars_server.operate.status import FAIL, OK, WARN, Check
from mars_server.serving.prometheus import Gauges

_LEVELS = {OK: 0, WARN: 1, FAIL: 2}
"""Exit codes of a monitoring plugin, and figures of the metric; what is not set has none."""
_NAMES = ("OK", "WARNING", "CRITICAL")
_READABLE = 0o644
"""node_exporter is another user, and there is nothing to hide."""


def plugin(checks: Mapping[str, Check], now: int) -> tuple[int, list[str]]:
    """Exit code and output as monitoring-plugins.org describes them: one line with what is wrong
    and performance data, then a line for each check."""
    levels = {
        name: _LEVELS[check.state] for name, check in checks.items() if check.state in _LEVELS
    }
    worst = max(levels.values())
    order = sorted(levels, key=lambda name: -levels[name])
    wrong = [f"{name}: {_piped(checks[name])}" for name in order if levels[name]]
    said = "; ".join(wrong) or f"{len(levels)} checks are well"
    found = [
        FIGURES[metric].performance(value, now)
        for check in checks.values()
        for metric, value in check.figures.items()
    ]
    lines = [f"{check.state} {name}: {_piped(check)}" for name, check in checks.items()]
    return worst, [f"MARS {_NAMES[worst]} - {said} | {' '.join(found)}", *lines]


def _piped(check: Check) -> str:
    """What follows a bar would be taken for performance data."""
    return (check.kept or check.text).replace("|", "/")


def metrics(checks: Mapping[str, Check], now: int) -> bytes:
    """In Prometheus' text format."""
    states = {
        name: float(_LEVELS[check.state])
        for name, check in checks.items()
        if check.state in _LEVELS
    }
    figures = {name: value for check in checks.values() for name, value in check.figures.items()}
    families = [(*STATE, "check", states), (*LOOKED, "", {"": float(now)})]
    families += [(name, FIGURES[name].help, "", {"": n}) for name, n in figures.items()]
    return Gauges(families).exposition()


def write(path: Path, checks: Mapping[str, Check], now: int) -> None:
    """A file of metrics, whole or not at all, that everybody may read. Raises ``OSError``."""
    made = path.with_name(f"{path.name}.made")  # node_exporter takes what ends in .prom
    write_durably(made, [metrics(checks, now)], _READABLE)
    made.chmod(_READABLE)  # whatever the umask is
    made.replace(path)
