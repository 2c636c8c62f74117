"""Who may have a statistic say less: the host's hook, the administrator's file, the user. Pure.

Each may veto or coarsen, never add: what comes out is one of the declared values, or nothing. What
is not understood vetoes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mars.errors import ConfigError
from mars.wire.registry import BUCKET, Metric

Coarser = str | tuple[int, ...]
"""The one value that is always said, or of a bucket the bounds that are left."""


@dataclass(frozen=True)
class Rules:
    """Of one of those."""

    veto: tuple[str, ...] = ()
    """``project/key``, ``project/*`` or ``*``."""
    coarsen: Mapping[str, Coarser] = field(default_factory=dict)

    @classmethod
    def read(cls, table: object) -> Rules:
        """``veto = ["project/key"]`` and a table ``coarsen`` of a value or a list of bounds each.
        Of what is not understood all is vetoed."""
        if not isinstance(table, Mapping) or not set(table) <= {"veto", "coarsen"}:
            return ALL
        veto, coarsen = table.get("veto", []), table.get("coarsen", {})
        if not (isinstance(veto, list) and all(isinstance(name, str) for name in veto)):
            return ALL
        if not (isinstance(coarsen, Mapping) and all(map(_is_coarser, coarsen.values()))):
            return ALL
        rules = {n: rule if isinstance(rule, str) else tuple(rule) for n, rule in coarsen.items()}
        return cls(tuple(veto), rules)

    def vetoes(self, metric: Metric) -> bool:
        """Whether nothing of it may be said."""
        return not {"*", f"{metric.project}/*", metric.name}.isdisjoint(self.veto)

    def applied(self, metric: Metric, value: str) -> str | None:
        """What of ``value``, a declared one, may be said; None where nothing may."""
        if self.vetoes(metric):
            return None
        rule = self.coarsen.get(metric.name)
        if rule is None:
            return value
        if isinstance(rule, str):
            return rule if metric.fits(rule) else None
        return _bucket(metric, value, rule)


ALL = Rules(veto=("*",))


def coarser(rule: object) -> Coarser:
    """``rule`` as it is kept. Raises ``ConfigError`` (``bad-rule``): what is not understood would
    have nothing said any more."""
    found = list(rule) if isinstance(rule, tuple) else rule
    if not _is_coarser(found):
        raise ConfigError(
            "bad-rule", "Give one declared value as text, or a list of whole numbers of its bounds."
        )
    return found if isinstance(found, str) else tuple(found)  # type: ignore[arg-type]


def _is_coarser(rule: object) -> bool:
    return isinstance(rule, str) or (
        isinstance(rule, list) and all(type(bound) is int for bound in rule)
    )


def _bucket(metric: Metric, value: str, bounds: tuple[int, ...]) -> str | None:
    """The first declared bucket of the wider one that holds ``value``."""
    if metric.type != BUCKET or not set(bounds) <= set(metric.bounds):
        return None
    starts = (0, *metric.bounds)
    at = starts[metric.values_known.index(value)]
    return metric.said(max(start for start in (0, *bounds) if start <= at))
