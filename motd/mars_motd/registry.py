"""The registry of a product folder: what ``metrics.toml`` and ``errors.toml`` declare, judged, and
the document that clients and the server read."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from mars.commandline import shown
from mars.errors import ConfigError, StateError, WireError
from mars.wire.catalogue import MAX_REGISTRY, Catalogue, digest
from mars.wire.events import Dimension, Domain, ErrorName, read_errors
from mars.wire.keyfile import REPORTS
from mars.wire.product import Product
from mars.wire.registry import BOOL, Fault, Metric, read_metrics
from mars_motd import files, lints, pairs
from mars_motd.folder import Folder
from mars_motd.toml_files import Problem, line_of, parse

METRICS, ERRORS = "metrics.toml", "errors.toml"

Declared = Metric | Domain | ErrorName
"""What a person declares as one: of a domain its own settings, without its names."""


@dataclass(frozen=True)
class Draft:
    """What a folder declares; entries that are wrong are not in it."""

    catalogue: Catalogue
    problems: tuple[Problem, ...]

    def require(self) -> Catalogue:
        """Raises ``ConfigError`` (``registry-invalid``) that tells the first error."""
        errors = [str(problem) for problem in self.problems if not problem.warning]
        if errors:
            raise ConfigError(
                "registry-invalid",
                f"{errors[0]}. Repair what is declared first; mars-motd check says it all.",
            )
        return self.catalogue


def read(folder: Folder, today: date) -> Draft:
    """As it is on ``today`` (UTC); a missing file declares nothing.

    Raises ``StateError`` (``reports-damaged``).
    """
    product, root = folder.product, folder.root
    domains, wrong = _errors(root / ERRORS, today)
    metrics, problems = _statistics(root / METRICS, product, today, domains)
    keys = pairs.public_halves(folder, REPORTS)
    releases = product.statistics_releases
    catalogue = Catalogue(product.product, product.channel, releases, metrics, keys, domains)
    where = root / "product.toml"
    told = [*lints.of_releases(product, metrics, today), *_without_key(product, keys)]
    problems += [_warning(where, "statistics", text) for text in told]
    problems += [*wrong, *_unreadable(catalogue, root)]
    return Draft(catalogue, tuple(problems))


def _statistics(
    path: Path, product: Product, today: date, domains: tuple[Domain, ...]
) -> tuple[tuple[Metric, ...], list[Problem]]:
    text, table, problems = _table(path)
    metrics, faults = read_metrics(table)
    problems += _told(path, text, faults)
    for found in lints.judged(metrics, product, today, domains):
        problems.append(_found(path, _line(text, table, found.name), found))
    return metrics, problems


def _errors(path: Path, today: date) -> tuple[tuple[Domain, ...], list[Problem]]:
    text, table, problems = _table(path)
    domains, faults = read_errors(table)
    problems += _told(path, text, faults)
    for found in lints.judged_domains(domains, today):
        line = line_of(text, found.name.replace("/", "."))
        problems.append(_found(path, line, found))
    return domains, problems


def _found(path: Path, line: int, found: lints.Finding) -> Problem:
    named = f"[{found.name}] {found.text}" if found.name else found.text
    return Problem(shown(path), line, named, found.warning)


def _table(path: Path) -> tuple[str, Mapping[str, Any], list[Problem]]:
    if not files.exists(path):
        return "", {}, []
    parsed = parse(files.read(path), shown(path))
    return ("", {}, [parsed]) if isinstance(parsed, Problem) else (*parsed, [])


def _told(path: Path, text: str, faults: tuple[Fault, ...]) -> list[Problem]:
    where = shown(path)
    return [Problem(where, line_of(text, it.name), f"[{it.name}] {it.what}") for it in faults]


def _line(text: str, table: Mapping[str, Any], name: str) -> int:
    """Of an entry, which stands as ``[project.key]`` or as ``[key]``."""
    project, _, key = name.partition("/")
    inside = table.get(project)
    nested = isinstance(inside, dict) and isinstance(inside.get(key), dict)
    return line_of(text, f"{project}.{key}" if nested else key)


def _without_key(product: Product, keys: Mapping[str, str]) -> Iterator[str]:
    if missing := [one for one in product.reports_releases if one not in keys]:
        yield (
            f"[reports] releases names {', '.join(missing)}, for which there is no key: "
            f"mars-motd key new --reports {' '.join(missing)}"
        )


def _warning(path: Path, name: str, text: str) -> Problem:
    line = line_of(files.read(path).decode("utf-8-sig"), name)
    return Problem(shown(path), line, text, warning=True)


def _unreadable(catalogue: Catalogue, root: Path) -> Iterator[Problem]:
    """Where clients could not read the document."""
    if fault := catalogue.fault:
        yield Problem(shown(root / (ERRORS if catalogue.domains else METRICS)), 1, fault)
        return
    try:
        Catalogue.decode(catalogue.encode())
    except WireError as error:
        yield Problem(shown(root / METRICS), 1, error.message)


def document(folder: Folder) -> bytes:
    """``registry.json`` as it lies in the folder; empty where there is none.

    Raises ``StateError`` (``registry-damaged``) for what clients of the product cannot read.
    """
    path, product = folder.root / "registry.json", folder.product
    if not files.exists(path):
        return b""
    data = files.read(path, MAX_REGISTRY + 1)
    try:
        found = Catalogue.decode(data)
    except WireError as error:
        raise _damaged(path, f"is no registry document ({error.reason})") from None
    if (found.product, found.channel) != (product.product, product.channel):
        raise _damaged(path, "is of another product or channel")
    return data


def _damaged(path: Path, what: str) -> StateError:
    return StateError(
        "registry-damaged",
        f"{shown(path)} {what}: restore it from version control, or remove it and have it written "
        f"anew with mars-motd registry.",
    )


def stale(draft: Draft, written: bytes) -> str:
    """What to do where ``written``, the document, does not say what is declared, so that clients do
    not hear of it. Empty where it does, where there is none, or what is declared is wrong."""
    wrong = any(not problem.warning for problem in draft.problems)
    if wrong or not written or written == draft.catalogue.encode():
        return ""
    return "registry.json does not say what is declared: mars-motd registry"


def last(folder: Folder) -> Catalogue | None:
    """What ``document`` says; None where there is none."""
    data = document(folder)
    return Catalogue.decode(data) if data else None


def declared(catalogue: Catalogue | None) -> dict[str, Declared]:
    """Each by its name: ``project/key``, ``domain/*`` or ``domain/name``."""
    if catalogue is None:
        return {}
    found: dict[str, Declared] = {metric.name: metric for metric in catalogue.metrics}
    for domain in catalogue.domains:
        found[domain.wildcard] = replace(domain, names=())
        found |= {f"{domain.name}/{name.name}": name for name in domain.names}
    return found


def label(one: Declared) -> str:
    """What it is, for people."""
    return one.label if isinstance(one, Metric) else one.description


def many(catalogue: Catalogue) -> str:
    """How much is declared, for people."""
    domains = len(catalogue.domains)
    events = f", {domains} {'domain' if domains == 1 else 'domains'} of error events"
    return f"{len(catalogue.metrics)} statistics{events if domains else ''}"


def _sign(name: str, before: Container[str], after: Container[str]) -> str:
    """Whether it came, changed or went."""
    return "+" if name not in before else "~" if name in after else "-"


def changes(old: Catalogue | None, new: Catalogue) -> Iterator[str]:
    """What ``new`` says that ``old`` did not, a line each, for people."""
    before, after = declared(old), declared(new)
    for name, one in after.items():
        if name not in before:
            yield f"+ {name}: {label(one)}"
        elif before[name] != one:
            yield f"~ {name}: {', '.join(_differing(before[name], one))}"
    yield from (f"- {name}" for name in before if name not in after)
    releases = () if old is None else old.releases
    if releases != new.releases:
        yield f"~ releases: {', '.join(releases) or 'none'} -> {', '.join(new.releases) or 'none'}"
    keys = {} if old is None else old.reports
    yield from (
        f"{_sign(release, keys, new.reports)} key of error reports of {release}"
        for release in dict.fromkeys((*keys, *new.reports))
        if keys.get(release) != new.reports.get(release)
    )


def forgotten(old: Catalogue | None, new: Catalogue) -> list[str]:
    """Entries that are gone, though something may have been collected under their name."""
    names = declared(new).keys()
    return [name for name in declared(old) if name not in names]


def asked_anew(old: Catalogue | None, new: Catalogue) -> list[str]:
    """Entries and domains to which a yes to the ``old`` question is none: clients have them off
    until their users are asked again."""
    before = old.questions if old else {}
    asked = new.questions.items()
    return [name for name, now in asked if name in before and not before[name].covers(now)]


def counted_anew(old: Catalogue | None, new: Catalogue) -> list[str]:
    """Domains of which something else counts as failed, or late, than before. Nobody is asked
    anew, and what was published before and after goes on under one name."""
    before = {domain.name: _counts(domain) for domain in old.domains} if old else {}
    return [
        domain.wildcard
        for domain in new.domains
        if domain.name in before and _differ(before[domain.name], _counts(domain))
    ]


def _counts(domain: Domain) -> dict[str, object]:
    of_all = {"grace": domain.grace, "late": domain.late}
    return {**of_all, **{f".{name.name}": name.expected for name in domain.names}}


def _differ(before: Mapping[str, object], now: Mapping[str, object]) -> bool:
    return any(before[name] != now[name] for name in before.keys() & now.keys())


def for_steering(folder: Folder, hashed: str) -> bytes | None:
    """The document in the folder whose hash the steering document names; None where it names none.

    Raises ``StateError``: ``registry-unknown`` where clients would not take what is here,
    ``registry-damaged``.
    """
    if not hashed:
        return None
    data = document(folder)
    if not data or digest(data) != hashed:
        what = "is another than the steering document names" if data else "is not here"
        raise StateError(
            "registry-unknown",
            f"{shown(folder.root / 'registry.json')} {what}, so clients would send nothing. Copy "
            f"the one with the SHA-256 {hashed} here, or have root sign this one with: mars-motd "
            f"steering",
        )
    return data


def _differing(old: Declared, new: Declared) -> Iterator[str]:
    for name, value in vars(new).items():
        if (was := getattr(old, name)) != value:
            yield f"{name} {_short(was)} -> {_short(value)}"


def _short(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_short, value))}]"
    if isinstance(value, Dimension):
        return f"{value.name} {_short(value.values or (BOOL,))}"
    return "none" if value is None else str(value)
