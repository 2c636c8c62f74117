"""Rules, which answer whole classes of faults: ``rules.toml``. Pure.

::

    [[rule]]
    number = 1
    match = "FileNotFoundError and mail.store:load"
    summary = "The archive is gone."
    how = "It was moved while the program ran."
    fix = "Choose it again in the settings."
    release = "0.5.3"       # that it is fixed in; optional
    releases = ">=0.5"      # that have it; optional
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from mars.errors import ConfigError, WireError
from mars.wire.product import is_release
from mars.wire.reports.fault import Fault
from mars.wire.reports.rules import Rule
from mars.wire.reports.status import MAX_FAULTS, MAX_SUMMARY, MAX_TEXT
from mars.wire.targeting import clean

_TEXTS = {"summary": MAX_SUMMARY, "how": MAX_TEXT, "fix": MAX_TEXT}
_MEMBERS = {"number", "match", "release", "releases", *_TEXTS}
MAX_NUMBER = 10**9


@dataclass(frozen=True)
class Claim:
    """One rule."""

    number: int
    match: Rule
    summary: str
    how: str = ""
    fix: str = ""
    release: str = ""
    """That it is fixed in."""
    releases: str = ""
    """PEP 440 specifier of those that have it."""

    @property
    def affected(self) -> str:
        """Specifier of the versions that the answer is for; empty for all."""
        fixed = f"<{self.release}" if self.release else ""
        return ",".join(filter(None, (self.releases, fixed)))


@dataclass(frozen=True)
class Rules:
    """All rules of a product."""

    claims: tuple[Claim, ...] = ()
    _known: dict[str, tuple[Claim, ...]] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @classmethod
    def parse(cls, data: bytes, where: str) -> Rules:
        """Raises ``ConfigError`` (``rules-invalid``) that names ``where``."""
        try:
            table = tomllib.loads(data.decode("utf-8-sig"))
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise _wrong(where, f"is not TOML in UTF-8: {error}") from None
        entries = table.get("rule", [])
        if table.keys() - {"rule"} or not isinstance(entries, list):
            raise _wrong(where, "it holds tables [[rule]] and nothing else")
        if len(entries) > MAX_FAULTS:
            raise _wrong(where, f"there are more than {MAX_FAULTS} rules")
        claims = tuple(_claim(each, f"{where}, rule {at}") for at, each in enumerate(entries, 1))
        _require_apart(claims, where)
        return cls(claims)

    def of(self, fault: Fault) -> tuple[Claim, ...]:
        """Those that claim ``fault``; more than one is a conflict."""
        found = self._known.get(fault.digest)
        if found is None:
            words = fault.words
            found = tuple(each for each in self.claims if each.match.claims(words))
            self._known[fault.digest] = found
        return found

    def conflicts(self, faults: Iterable[Fault]) -> Iterator[tuple[Fault, tuple[Claim, ...]]]:
        """Faults that more than one rule claims, each signature once."""
        each = {fault.digest: fault for fault in faults}
        found = ((fault, self.of(fault)) for fault in each.values())
        return ((fault, claims) for fault, claims in found if len(claims) > 1)


def _require_apart(claims: Iterable[Claim], where: str) -> None:
    for one, other in combinations(claims, 2):
        if one.number == other.number:
            raise _wrong(where, f"two rules have the number {one.number}")
        if one.match.text.split() == other.match.text.split():
            raise _wrong(where, f"rules {one.number} and {other.number} claim the same")


def _claim(entry: Any, where: str) -> Claim:
    if not isinstance(entry, Mapping):
        raise _wrong(where, "a rule is a table")
    if unknown := sorted(entry.keys() - _MEMBERS):
        raise _wrong(where, f"it has {unknown[0]!r}; known are {', '.join(sorted(_MEMBERS))}")
    texts = {name: _shown(entry, name, most, where) for name, most in _TEXTS.items()}
    if not texts["summary"]:
        raise _wrong(where, "summary is missing")
    try:
        match = Rule.parse(_text(entry, "match", 10**6, where))
    except WireError as error:
        raise _wrong(where, error.message.removesuffix(".")) from None
    return Claim(_number(entry, where), match, **texts, **_releases(entry, where))


def _number(entry: Mapping[str, Any], where: str) -> int:
    number = entry.get("number")
    if type(number) is not int or not 0 < number <= MAX_NUMBER:
        raise _wrong(where, "number must be a whole number from 1 on, which the rule keeps")
    return number


def _text(entry: Mapping[str, Any], name: str, most: int, where: str) -> str:
    value = entry.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise _wrong(where, f"{name} must be a text of at most {most} characters")
    return value.strip()


def _shown(entry: Mapping[str, Any], name: str, most: int, where: str) -> str:
    """A text that clients show as it is."""
    text = _text(entry, name, most, where)
    if found := invisible(text):
        raise _wrong(where, f"{name} holds {found}, which clients remove; take it out")
    return text


def invisible(text: str) -> str:
    """Names the first character of ``text`` that clients would remove; empty where none is."""
    hidden = (each for each in text.replace("\t", " ") if not clean(each, newlines=True))
    return next((f"the invisible character U+{ord(each):04X}" for each in hidden), "")


def _releases(entry: Mapping[str, Any], where: str) -> dict[str, str]:
    release, releases = (_text(entry, each, 100, where) for each in ("release", "releases"))
    if release and not is_release(release):
        raise _wrong(where, "release must be like 0.5.3")
    try:
        return {"release": release, "releases": str(SpecifierSet(releases))}
    except InvalidSpecifier:
        raise _wrong(where, "releases must be like <0.5.3 or >=0.4,<0.6") from None


def _wrong(where: str, what: str) -> ConfigError:
    return ConfigError("rules-invalid", f"{where}: {what}.")
