"""Who may have a statistic say less: the host's hook, the administrator's file, the user. Pure.

Each may veto or coarsen, never add: what comes out is one of the declared values, or nothing. What
is not understood vetoes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mars.errors import ConfigError
from mars.wire.registry import ALL, BUCKET, Metric

Coarser = str | tuple[int, ...]
"""The one value that is always said, or of a bucket the bounds that are left."""


@dataclass(frozen=True)
class Rules:
    """Of one of those."""

    veto: tuple[str, ...] = ()
    """``project/key``, ``project/*`` or ``*``; with a name of a domain its dimensions, too."""
    coarsen: Mapping[str, Coarser] = field(default_factory=dict)

    @classmethod
    def read(cls, table: object) -> Rules:
        """As ``understood``; of what is not, all is vetoed."""
        found = cls.understood(table)
        return NOTHING if found is None else found

    @classmethod
    def understood(cls, table: object) -> Rules | None:
        """``veto = ["project/key"]`` and a table ``coarsen`` of a value or a list of bounds each;
        None of anything else."""
        if not isinstance(table, Mapping) or not set(table) <= {"veto", "coarsen"}:
            return None
        veto, coarsen = table.get("veto", []), table.get("coarsen", {})
        if not (isinstance(veto, list) and all(isinstance(name, str) for name in veto)):
            return None
        if not (isinstance(coarsen, Mapping) and all(map(_is_coarser, coarsen.values()))):
            return None
        rules = {n: rule if isinstance(rule, str) else tuple(rule) for n, rule in coarsen.items()}
        return cls(tuple(veto), rules)

    def vetoes(self, metric: Metric) -> bool:
        """Whether nothing of it may be said, as by a rule that leaves no value of it, too."""
        rule = self.coarsen.get(metric.name)
        cause = metric.name.partition(".")[0]
        named = {ALL, f"{metric.project}/{ALL}", cause, metric.name}
        return not named.isdisjoint(self.veto) or not (rule is None or _leaves(metric, rule))

    def applied(self, metric: Metric, value: str) -> str | None:
        """What of ``value``, a declared one, may be said; None where nothing may."""
        if self.vetoes(metric):
            return None
        rule = self.coarsen.get(metric.name)
        if rule is None:
            return value
        return rule if isinstance(rule, str) else _bucket(metric, value, rule)


NOTHING = Rules(veto=(ALL,))


def coarser(metric: Metric, rule: str | Sequence[int]) -> Coarser:
    """``rule`` as it is kept. Raises ``ConfigError`` (``bad-value``) of one by which nothing could
    ever be said."""
    if _is_coarser(list(rule) if isinstance(rule, tuple) else rule):
        kept = rule if isinstance(rule, str) else tuple(rule)
        if _leaves(metric, kept):
            return kept
    raise ConfigError(
        "bad-value",
        f"{metric.name} cannot say that; name one of its values, or of a bucket some bounds.",
    )


def _is_coarser(rule: object) -> bool:
    return isinstance(rule, str) or (
        isinstance(rule, list) and all(type(bound) is int for bound in rule)
    )


def _leaves(metric: Metric, rule: Coarser) -> bool:
    """Whether anything that is declared can be said by it."""
    if isinstance(rule, str):
        return metric.fits(rule)
    return metric.type == BUCKET and set(rule) <= set(metric.bounds)


def _bucket(metric: Metric, value: str, bounds: tuple[int, ...]) -> str:
    """The first declared bucket of the wider one that holds ``value``."""
    starts = (0, *metric.bounds)
    at = starts[metric.values_known.index(value)]
    return metric.said(max(start for start in (0, *bounds) if start <= at))
