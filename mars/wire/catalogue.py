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
from mars.wire.motd import FORMAT_VERSION, header, name
from mars.wire.product import is_release
from mars.wire.registry import Metric, read_metrics

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

    @classmethod
    def decode(cls, data: bytes) -> Catalogue:
        """Raises ``WireError`` as ``motd.decode``."""
        members = m.table(strictjson.parse(data, MAX_REGISTRY), "the registry")
        header(members, "registry")
        releases = m.texts(members, "releases", MAX_ENTRIES, 20) or ()
        if not all(is_release(one) for one in releases):
            raise m.bad("releases must be like 0.5.2")
        return cls(
            name(members, "product"),
            name(members, "channel"),
            releases,
            _metrics(members.get("statistics", [])),
            _reports(members.get("reports", {})),
        )

    def encode(self) -> bytes:
        """The document as it is served, by its members in this order, one entry after another."""
        said = {
            "type": "registry",
            "version": FORMAT_VERSION,
            "product": self.product,
            "channel": self.channel,
            "releases": list(self.releases),
            "statistics": [_plain(metric) for metric in self.metrics],
            "reports": dict(self.reports),
        }
        return strictjson.write(said, indent=1) + b"\n"

    def metric(self, name: str) -> Metric | None:
        """The entry ``project/key``; None where none is declared."""
        return next((one for one in self.metrics if one.name == name), None)

    def release(self, version: str) -> str:
        """What a report of an application of ``version`` says of it."""
        return version if version in self.releases else OTHER_RELEASE


def digest(data: bytes) -> str:
    """The hash that the steering document names: SHA-256 of the document, hex."""
    return hashlib.sha256(data).hexdigest()


def _plain(metric: Metric) -> dict[str, Any]:
    """What is not said is left out."""
    said = {name: value for name, value in vars(metric).items() if value not in (None, (), 0.0)}
    said |= {name: str(said[name]) for name in _DATES if name in said}
    said |= {name: _decimal_text(said[name]) for name in _DECIMALS if name in said}
    return said | {name: list(said[name]) for name in ("values", "bounds") if name in said}


def _metrics(value: object) -> tuple[Metric, ...]:
    if not isinstance(value, list) or len(value) > MAX_ENTRIES:
        raise m.bad(f"statistics must be a list of at most {MAX_ENTRIES} entries")
    found = tuple(_metric(m.table(entry, "an entry of statistics")) for entry in value)
    if len({one.name for one in found}) != len(found):
        raise m.bad("an entry is declared twice")
    return found


def _metric(entry: Mapping[str, Any]) -> Metric:
    """By the rules of ``metrics.toml``, which knows dates and decimals."""
    told = dict(entry)
    key = m.text(told, "key", 40)
    told.pop("key")
    for each in _DATES:
        if each in told:
            told[each] = _date(m.text(told, each, 10))
    for each in _DECIMALS:
        if each in told:
            told[each] = _decimal(m.text(told, each, 8))
    project = m.text(told, "project", 40)
    found, faults = read_metrics({project: {key: told}})
    if faults:
        raise m.bad(f"{project}/{key}: {faults[0].what}")
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
