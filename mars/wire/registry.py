"""The registry: what a product declares that may be sent beside the query, typed.

The variables of the query are the program's own (``mars.wire.variables``); statistics
(``metrics.toml``) and error names (``errors.toml``) are declared by each product. An entry says who
owns it, where it was reviewed, how sensitive it is and when it ends; without these nothing may be
collected. Values are booleans, enumerations or bucketed whole numbers, so that no free text can be
expressed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

SENSITIVITIES = ("technical", "interaction")
TYPES = ("bool", "enum", "bucket")
MAX_VALUES = 32

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_ERROR_TEXTS = ("description", "owner", "review")
_METRIC_TEXTS = (*_ERROR_TEXTS, "label", "project", "reason")


@dataclass(frozen=True)
class ErrorName:
    """One cause of failures, counted under its domain."""

    domain: str
    name: str
    description: str
    owner: str
    review: str
    sensitivity: str
    expires: date


@dataclass(frozen=True)
class Metric:
    """One declared statistic."""

    key: str
    project: str
    label: str
    description: str
    reason: str
    owner: str
    review: str
    sensitivity: str
    expires: date
    type: str
    values: tuple[str, ...] = ()
    """Of an enumeration."""
    bounds: tuple[int, ...] = ()
    """Of a bucket: where the next one begins."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with one entry: its name as in the file (``key`` or ``domain.name``)."""

    name: str
    what: str


Entry = TypeVar("Entry")
Read = tuple[tuple[Entry, ...], tuple[Fault, ...]]


def read_metrics(table: Mapping[str, Any]) -> Read[Metric]:
    """The sound entries of ``metrics.toml``, and what is wrong with the others."""
    return _read(dict(table), _metric_faults, _metric)


def read_errors(table: Mapping[str, Any]) -> Read[ErrorName]:
    """The sound entries of ``errors.toml`` (``[domain.name]``), and what is wrong with others."""
    entries = {
        f"{domain}.{name}": entry
        for domain, names in table.items()
        for name, entry in (names.items() if isinstance(names, dict) else [("", names)])
    }
    return _read(entries, lambda entry: _common(entry, _ERROR_TEXTS, set()), _error)


def _read(
    entries: Mapping[str, Any],
    judge: Callable[[Mapping[str, Any]], list[str]],
    make: Callable[[str, Mapping[str, Any]], Entry],
) -> Read[Entry]:
    found: list[Entry] = []
    faults: list[Fault] = []
    for name, entry in entries.items():
        said = [
            f"{part!r} is not a name of a-z, 0-9 and _"
            for part in name.split(".")
            if not _NAME.fullmatch(part)
        ]
        said += judge(entry) if isinstance(entry, dict) else ["must be a table"]
        faults += [Fault(name, what) for what in said]
        if not said:
            found.append(make(name, entry))
    return tuple(found), tuple(faults)


def _metric(name: str, entry: Mapping[str, Any]) -> Metric:
    lists = {member: tuple(entry.get(member, ())) for member in ("values", "bounds")}
    return Metric(key=name, **{**entry, **lists})


def _error(name: str, entry: Mapping[str, Any]) -> ErrorName:
    domain, _, cause = name.partition(".")
    return ErrorName(domain=domain, name=cause, **entry)


def _metric_faults(entry: Mapping[str, Any]) -> list[str]:
    said = _common(entry, _METRIC_TEXTS, {"type", "values", "bounds"})
    kind = entry.get("type")
    if kind not in TYPES:
        return [*said, f"type must be one of {', '.join(TYPES)}"]
    if ("values" in entry) != (kind == "enum") or ("bounds" in entry) != (kind == "bucket"):
        return [*said, "values belong to the type enum, bounds to the type bucket"]
    if kind == "enum" and not _is_values(entry["values"]):
        said.append(f"values must be 2 to {MAX_VALUES} different names of a-z, 0-9 and _")
    if kind == "bucket" and not _is_bounds(entry["bounds"]):
        said.append(f"bounds must be 1 to {MAX_VALUES} whole numbers that grow")
    return said


def _common(entry: Mapping[str, Any], texts: tuple[str, ...], more: set[str]) -> list[str]:
    said = [
        f"{name} is missing or empty"
        for name in texts
        if not isinstance(entry.get(name), str) or not entry[name].strip()
    ]
    if entry.get("sensitivity") not in SENSITIVITIES:
        said.append(f"sensitivity must be one of {', '.join(SENSITIVITIES)}")
    if type(entry.get("expires")) is not date:
        said.append("expires must be a date like 2027-06-30")
    unknown = sorted(set(entry) - {*texts, *more, "sensitivity", "expires"})
    return said + [f"unknown entry {name}" for name in unknown]


def _is_values(values: object) -> bool:
    return (
        isinstance(values, list)
        and 2 <= len(values) <= MAX_VALUES
        and all(isinstance(value, str) and _NAME.fullmatch(value) for value in values)
        and len(set(values)) == len(values)
    )


def _is_bounds(bounds: object) -> bool:
    return (
        isinstance(bounds, list)
        and 1 <= len(bounds) <= MAX_VALUES
        and all(type(bound) is int for bound in bounds)
        and bounds == sorted(set(bounds))
    )
