"""The declared statistics (``metrics.toml``) and error names (``errors.toml``): are they complete?

Each entry names who owns it, where it was reviewed, how sensitive it is and when it ends; without
these nothing may be collected. Values are enumerations, booleans or bucketed whole numbers.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from mars_motd.messages import Problem, syntax_problem
from mars_motd.tomllines import line_of

SENSITIVITIES = ("technical", "interaction")
TYPES = ("bool", "enum", "bucket")
MAX_VALUES = 32

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_METRIC_TEXTS = ("label", "description", "project", "reason", "owner", "review")
_ERROR_TEXTS = ("description", "owner", "review")

Judge = Callable[[Mapping[str, Any]], list[str]]


def check(root: Path) -> list[Problem]:
    """All problems of the two files under ``root``; a missing file declares nothing."""
    found: list[Problem] = []
    for name, judge in (("metrics.toml", _metric), ("errors.toml", _error)):
        path = root / name
        if path.is_file():
            found += parse(path.read_bytes(), str(path), judge, domains=name == "errors.toml")
    return found


def parse(data: bytes, where: str, judge: Judge, *, domains: bool) -> list[Problem]:
    """The problems of one file; with ``domains`` its entries are named ``[domain.name]``."""
    try:
        text = data.decode("utf-8")
        table = tomllib.loads(text)
    except UnicodeDecodeError:
        return [Problem(where, 1, "is not UTF-8")]
    except tomllib.TOMLDecodeError as error:
        return [syntax_problem(where, str(error))]
    found: list[Problem] = []
    for name, entry in _entries(table, domains).items():
        said = [
            f"{part!r} is not a name of a-z, 0-9 and _"
            for part in name.split(".")
            if not _NAME.fullmatch(part)
        ]
        said += judge(entry) if isinstance(entry, dict) else ["must be a table"]
        found += [Problem(where, line_of(text, name), f"[{name}] {what}") for what in said]
    return found


def _entries(table: Mapping[str, Any], domains: bool) -> dict[str, Any]:
    if not domains:
        return dict(table)
    return {
        f"{domain}.{name}": entry
        for domain, names in table.items()
        for name, entry in (names.items() if isinstance(names, dict) else [("", names)])
    }


def _metric(entry: Mapping[str, Any]) -> list[str]:
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


def _error(entry: Mapping[str, Any]) -> list[str]:
    return _common(entry, _ERROR_TEXTS, set())


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
