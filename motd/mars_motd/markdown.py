"""The public catalogue in Markdown: all that clients of a product may tell, for its website or its
repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date

from mars.errors import ConfigError
from mars.wire.catalogue import Catalogue
from mars.wire.events import Domain, ErrorName
from mars.wire.randomized import in_words
from mars.wire.registry import VERSION, Metric
from mars.wire.times import DAY

_MARK = '<!-- Written by "mars-motd generate" from metrics.toml and errors.toml; edit these. -->'
_HEAD = """\
# What {product} may tell

Nothing is sent before a user agreed to it. A report says one value of one entry, and of which
release: no name, no number of the installation, no time.
"""
_STATISTICS = """\
## Statistics

Each is a consent of its own.
"""
_EVENTS = """\
## Error events

Each domain is a consent of its own. Failures are counted by cause, on the user's computer. A report
says of one cause in which of these ranges its count of seven days lies: {counts}; of what is told
of the last one a single value; or how many failures resolved late; or which share of the tries
failed (few tries, none, below 1 %, below 10 %, more).
"""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&])")


def catalogue(declared: Catalogue) -> bytes:
    """The page, the same bytes for the same entries; what was withdrawn is in it."""
    return "\n".join([_MARK, *_parts(declared)]).encode("utf-8")


def require_ours(data: bytes) -> None:
    """Raises ``ConfigError`` (``out-invalid``) where ``data`` is no such page."""
    if not data.startswith(_MARK.encode()):
        raise ConfigError("out-invalid", "This is no catalogue that mars-motd generate wrote.")


def _parts(declared: Catalogue) -> Iterator[str]:
    yield _HEAD.format(product=_plain(declared.product))
    if declared.metrics:
        yield _STATISTICS
        yield from map(_metric, declared.metrics)
    if declared.domains:
        ranges = declared.domains[0].entries[0].values_known
        yield _EVENTS.format(counts=", ".join(ranges))
        yield from (part for domain in declared.domains for part in _domain(domain))


def _metric(metric: Metric) -> str:
    values = ", ".join(metric.values_known) if metric.type != VERSION else "a version, X.Y"
    lines = [
        f"Values: {_plain(values)}",
        f"Why: {_plain(metric.reason)}",
        f"Reports a week: {metric.rate:g}",
        *_ends(metric),
    ]
    if metric.epsilon:
        lines.insert(1, _plain(in_words(metric.epsilon, len(metric.values_known))))
    title = f"### {_plain(metric.label)} (`{metric.name}`)\n\n{_plain(metric.description)}\n"
    return f"{title}\n{_listed(lines)}"


def _domain(domain: Domain) -> Iterator[str]:
    lines = [
        f"Reports a week: {domain.rate:g}, over all causes",
        f"What resolves within {_duration(domain.grace)} is no failure",
        f"What resolves later, within {_duration(domain.late)}, is late",
    ]
    about = f"{_plain(domain.description)}\n\n" if domain.description else ""
    yield f"### `{domain.name}`\n\n{about}{_listed(lines)}"
    for name in domain.names:
        about = _plain(name.description)
        yield f"#### `{domain.name}/{name.name}`\n\n{about}\n\n{_listed(_cause(name))}"


def _cause(name: ErrorName) -> Iterator[str]:
    if name.expected:
        yield "Expected: left out of the share that failed"
    for dimension in name.dimensions:
        values = ", ".join(dimension.values or ("false", "true"))
        yield f"Of the last one: {_plain(dimension.name)} ({_plain(values)})"
    yield from _ends(name)


def _ends(entry: Metric | ErrorName) -> Iterator[str]:
    yield f"Owner: {_plain(entry.owner)}; reviewed: {_plain(entry.review)}; {entry.sensitivity}"
    since = f"from {entry.declared}, " if entry.declared else ""
    end: date = entry.withdrawn or entry.expires
    yield f"Collected: {since}before {end}{', withdrawn' if entry.withdrawn else ''}"


def _listed(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def _duration(seconds: int) -> str:
    for unit, name in ((DAY, "d"), (3_600, "h"), (60, "min")):
        if seconds and seconds % unit == 0:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def _plain(text: str) -> str:
    """``text`` on one line, as it stands and no markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
