"""The registry document, ``/motd/registry.json``: everything that can be sent, the same bytes for
everyone. It counts only where its hash stands in root's steering document. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from mars.wire import members as m
from mars.wire import strictjson
from mars.wire.events import Domain, ErrorName, read_errors
from mars.wire.motd import FORMAT_VERSION, header, name
from mars.wire.product import is_release
from mars.wire.registry import BOOL, Metric, Question, questions, read_metrics

MAX_REGISTRY = 512 * 1024
"""Bytes."""
OTHER_RELEASE = "other"
"""What a report says of a release that is not listed."""
MAX_ENTRIES = 512
_DATES = ("expires", "declared", "withdrawn")
_DECIMALS = ("rate", "epsilon")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]?)(?:\.[0-9]{1,4})?", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True)
class Catalogue:
    """What a product declares, as clients and the server read it."""

    product: str
    channel: str
    releases: tuple[str, ...] = ()
    """That statistics name; oldest first."""
    metrics: tuple[Metric, ...] = ()
    reports: Mapping[str, str] = field(default_factory=dict)
    """Release to the X25519 key that its error reports are sealed to, hex."""
    domains: tuple[Domain, ...] = ()
    """Of error events."""

    @classmethod
    def decode(cls, data: bytes) -> Catalogue:
        """Raises ``WireError`` as ``motd.decode``."""
        members = m.table(strictjson.parse(data, MAX_REGISTRY), "the registry")
        header(members, "registry")
        releases = m.texts(members, "releases", MAX_ENTRIES, 20) or ()
        if not all(is_release(one) for one in releases):
            raise m.bad("releases must be like 0.5.2")
        found = cls(
            name(members, "product"),
            name(members, "channel"),
            releases,
            _metrics(members.get("statistics", [])),
            _reports(members.get("reports", {})),
            _domains(members.get("events", [])),
        )
        if fault := found.fault:
            raise m.bad(fault)
        return found

    def encode(self) -> bytes:
        """The document as it is served, by its members in this order, one entry after another."""
        said = {
            "type": "registry",
            "version": FORMAT_VERSION,
            "product": self.product,
            "channel": self.channel,
            "releases": list(self.releases),
            "statistics": [_plain(metric) for metric in self.metrics],
            **({"events": [_plain_domain(one) for one in self.domains]} if self.domains else {}),
            "reports": dict(self.reports),
        }
        return strictjson.write(said, indent=1) + b"\n"

    @property
    def entries(self) -> tuple[Metric, ...]:
        """All that can be reported: statistics, then what each domain reports."""
        return (*self.metrics, *(entry for domain in self.domains for entry in domain.entries))

    @property
    def questions(self) -> dict[str, Question]:
        """What a user is asked for: each statistic, and each domain as ``domain/*``."""
        domains = {domain.wildcard: domain.question for domain in self.domains}
        return questions(self.metrics) | domains

    @property
    def fault(self) -> str:
        """What is wrong with it as a whole, so that nobody reads it; empty where nothing is."""
        if len(self.entries) > MAX_ENTRIES:
            return f"there are more than {MAX_ENTRIES} entries, those of error events included"
        projects = {metric.project for metric in self.metrics}
        if both := [domain.name for domain in self.domains if domain.name in projects]:
            return f"{both[0]} is both a project of statistics and a domain of error events"
        return ""

    def metric(self, name: str) -> Metric | None:
        """The entry ``project/key`` or ``domain/name.dimension``; None where none is declared."""
        return next((one for one in self.entries if one.name == name), None)

    def domain(self, name: str) -> Domain | None:
        """None where none is declared."""
        return next((one for one in self.domains if one.name == name), None)

    def release(self, version: str) -> str:
        """What a report of an application of ``version`` says of it."""
        return version if version in self.releases else OTHER_RELEASE


def digest(data: bytes) -> str:
    """The hash that the steering document names: SHA-256 of the document, hex."""
    return hashlib.sha256(data).hexdigest()


def _plain(entry: Metric | ErrorName) -> dict[str, Any]:
    """What is not said is left out."""
    said = {name: value for name, value in vars(entry).items() if value not in (None, (), 0.0)}
    said.pop("purpose", None)
    said |= {name: str(said[name]) for name in _DATES if name in said}
    said |= {name: _decimal_text(said[name]) for name in _DECIMALS if name in said}
    return said | {name: list(said[name]) for name in ("values", "bounds") if name in said}


def _plain_domain(domain: Domain) -> dict[str, Any]:
    return {
        "domain": domain.name,
        **({"description": domain.description} if domain.description else {}),
        "rate": _decimal_text(domain.rate),
        "grace": domain.grace,
        "late": domain.late,
        "names": [_plain_name(name) for name in domain.names],
    }


def _plain_name(name: ErrorName) -> dict[str, Any]:
    said = _plain(name)
    if name.dimensions:
        said["dimensions"] = {it.name: list(it.values) or BOOL for it in name.dimensions}
    return said


def _metrics(value: object) -> tuple[Metric, ...]:
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise m.bad(f"statistics must be a list of at most {MAX_ENTRIES} entries")
    found = tuple(_metric(m.table(entry, "an entry of statistics")) for entry in value)
    if len({one.name for one in found}) != len(found):
        raise m.bad("an entry is declared twice")
    return found


def _metric(entry: Mapping[str, Any]) -> Metric:
    """By the rules of ``metrics.toml``."""
    key, told = _taken(entry, "key")
    project = m.text(told, "project", 40)
    found, faults = read_metrics({project: {key: told}})
    if faults:
        raise m.bad(f"{project}/{key}: {faults[0].what}")
    return found[0]


def _taken(entry: Mapping[str, Any], name: str) -> tuple[str, dict[str, Any]]:
    """The member ``name``, and the others as TOML has them, which knows dates and decimals."""
    told = dict(entry)
    taken = m.text(told, name, 40)
    told.pop(name)
    for each in _DATES:
        if each in told:
            told[each] = _date(m.text(told, each, 10))
    for each in _DECIMALS:
        if each in told:
            told[each] = _decimal(m.text(told, each, 8))
    return taken, told


def _domains(value: object) -> tuple[Domain, ...]:
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise m.bad(f"events must be a list of at most {MAX_ENTRIES} domains")
    found = tuple(_domain(m.table(one, "a domain")) for one in value)
    if len({one.name for one in found}) != len(found):
        raise m.bad("a domain is declared twice")
    return found


def _domain(members: Mapping[str, Any]) -> Domain:
    """By the rules of ``errors.toml``, of which a name is a table in its domain."""
    domain, told = _taken(members, "domain")
    names = told.pop("names", None)
    if not isinstance(names, list) or any(isinstance(one, dict) for one in told.values()):
        raise m.bad(f"names of {domain} must be a list of names")
    entries = dict(_taken(m.table(one, "a name"), "name") for one in names)
    if len(entries) != len(names):
        raise m.bad(f"a name of {domain} is declared twice")
    found, faults = read_errors({domain: {**told, **entries}})
    if faults:
        raise m.bad(f"{faults[0].name}: {faults[0].what}")
    return found[0]


def _date(text: str) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or str(day) != text:
        raise m.bad("a date must be like 2027-06-30")
    return day


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise m.bad("rate and epsilon must be like 0.25")
    return float(text)


def _decimal_text(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".")


def _reports(value: object) -> dict[str, str]:
    keys = m.table(value, "reports")
    for release in keys:
        if not (is_release(release) and _KEY.fullmatch(m.text(keys, release, 64))):
            raise m.bad("reports must map releases to keys of 64 hex digits")
    return keys
