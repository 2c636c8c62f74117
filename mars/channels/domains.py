"""The domains of failures as a settings screen lists them: plain values that fit into JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from mars.channels import declared
from mars.channels.reading import written as iso
from mars.channels.statistics import StatisticsChannel
from mars.consent import EVENTS
from mars.failures.counts import TOLD, Counts, Day, total
from mars.wire.registry import BOOLS
from mars.wire.times import DAY, LAST, day_of

if TYPE_CHECKING:
    from mars.core.channel import View
    from mars.failures.kept import Everything
    from mars.wire.catalogue import Catalogue
    from mars.wire.events import Domain, ErrorName
    from mars.wire.registry import Metric

_OF_ALL = ("agreed", "changed", "since")
_OF_ENTRY = ("name", "label", "type", "values", "rate", "expires", "state")
_TOLD = ("vetoed", "value", "said", "next", "last")
_TEXTS = ("name", "description", "owner", "review", "sensitivity", "expected")


def domains(
    view: View,
    catalogue: Catalogue | None,
    channel: StatisticsChannel,
    kept: Everything,
    journal: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Each domain in the order of the registry. Times are ISO 8601, None where there is none.

    ``name`` is what the user agrees to, ``agreed``, ``on``, ``changed``, ``since`` and ``vetoed``
    are as those of a statistic (``mars.channels.declared.entries``): ``on`` while anything of the
    domain may be sent, ``vetoed`` where nothing may. ``counted`` is since when failures are counted
    here; of each of its ``names`` it shows how many there were in the last seven complete days
    (``week``) and ``today``, and ``succeeded`` so of the tries that worked. ``entries`` are what is
    reported, each with its present ``value``, None while that is not known, what its next report
    would say (``said``), and what was ``last`` sent, and when.
    """
    if catalogue is None:
        return []
    went, mode = declared.sent(journal), declared.mode(view, catalogue, EVENTS)

    def entry(metric: Metric) -> dict[str, Any]:
        shown = declared.collects(view, metric, mode)
        return declared.entry(view, catalogue, metric, channel, went.get(metric.name), shown)

    return [
        _domain(view, domain, [entry(metric) for metric in domain.entries], kept)
        for domain in catalogue.domains
    ]


def _domain(
    view: View, domain: Domain, entries: list[dict[str, Any]], kept: Everything
) -> dict[str, Any]:
    today, counted = view.now // DAY, kept.get(domain.name)
    counts = counted.counts if counted else Counts()
    week, now = total(counts, range(today - TOLD, today)), total(counts, [today])
    return {
        "name": domain.wildcard,
        "domain": domain.name,
        "description": domain.description,
        "rate": domain.rate,
        "grace": domain.grace,
        "late": domain.late,
        "state": "collected" if domain.is_live(day_of(view.now)) else "expired",
        **{name: entries[0][name] for name in _OF_ALL},
        "on": any(one["on"] for one in entries),
        "vetoed": all(one["vetoed"] for one in entries),
        "counted": iso(min(counted.since, LAST)) if counted else None,
        "succeeded": {"week": week.succeeded, "today": now.succeeded},
        "resolved_late": {"week": week.late, "today": now.late},
        "names": [_name(name, week, now) for name in domain.names],
        "entries": [{one: entry[one] for one in (*_OF_ENTRY, *_TOLD)} for entry in entries],
    }


def _name(name: ErrorName, week: Day, today: Day) -> dict[str, Any]:
    return {
        **{text: getattr(name, text) for text in _TEXTS},
        "expires": str(name.ends),
        "dimensions": {one.name: list(one.values or BOOLS) for one in name.dimensions},
        "last": dict((week.last | today.last).get(name.name, {})),
        "week": week.failed.get(name.name, 0),
        "today": today.failed.get(name.name, 0),
    }
