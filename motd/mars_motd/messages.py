"""News items as people write them: TOML, one a file. Every problem names file and line. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from mars.errors import WireError
from mars.wire import motd as wire
from mars.wire import targeting
from mars.wire.links import link, within
from mars.wire.motd import Message, Motd, Target
from mars.wire.product import Product
from mars.wire.times import format_time, parse_time
from mars_motd.toml_files import Problem, line_of, parse

_MEMBERS = tuple("id revision kind severity not_before not_after url target title text".split())
_TARGET = ("platforms", "versions", "languages")
_REVISION = "a whole number from 1; raise it to show the item again"


@dataclass(frozen=True)
class Draft:
    """One file: its message where it could be read at all, and what is wrong with it."""

    message: Message | None
    problems: tuple[Problem, ...]


class _File:
    """One file: each problem finds its line in ``text``, each entry is read from ``table``."""

    def __init__(self, where: str, text: str, table: Mapping[str, Any]) -> None:
        self.where = where
        self.text = text
        self.table = table
        self.problems: list[Problem] = []

    @property
    def is_good(self) -> bool:
        return all(problem.warning for problem in self.problems)

    def error(self, name: str, what: str, *, warning: bool = False) -> None:
        self.problems.append(Problem(self.where, line_of(self.text, name), what, warning))

    def warn(self, name: str, what: str) -> None:
        self.error(name, what, warning=True)

    def message(self, default_id: str) -> Message | None:
        """The values with their types checked; None where one of them cannot be used."""
        self._require_known(self.table, "", _MEMBERS)
        message = Message(
            id=self._value("id", default_id, _is_text, "a text in quotes"),
            title=self._translations("title", wire.MAX_TITLE),
            text=self._translations("text", wire.MAX_TEXT),
            revision=self._value("revision", 1, _is_revision, _REVISION),
            kind=self._choice("kind", wire.KINDS, "news"),
            severity=self._choice("severity", wire.SEVERITIES, "info"),
            not_before=self._time("not_before"),
            not_after=self._time("not_after"),
            target=self._target(),
            url=self._value("url", "", _is_text, "a text in quotes"),
        )
        return message if self.is_good else None

    def _require_known(self, table: Mapping[str, Any], prefix: str, members: Sequence[str]) -> None:
        for name in table:
            if name not in members:
                known = ", ".join(members)
                self.error(f"{prefix}{name}", f"unknown entry {prefix}{name}; known are {known}")

    def _value(self, name: str, default: Any, fits: Callable[[Any], bool], what: str) -> Any:
        """The entry ``name`` (``target.versions``), or the default where it is not ``what``."""
        inside, _, key = name.rpartition(".")
        table = self.table.get(inside, {}) if inside else self.table
        if key not in table or fits(table[key]):
            return table.get(key, default)
        self.error(name, f"{name} must be {what}")
        return default

    def _choice(self, name: str, among: tuple[str, ...], default: str) -> Any:
        return self._value(name, default, among.__contains__, f"one of {', '.join(among)}")

    def _time(self, name: str) -> int | None:
        value = self.table.get(name)
        if value is None:
            return None
        if isinstance(value, datetime) and value.tzinfo is not None:
            return int(value.astimezone(UTC).timestamp())
        if isinstance(value, str):
            with suppress(WireError):
                return parse_time(value)
        hint = " (a time of day and the final Z are needed)" if isinstance(value, date) else ""
        self.error(name, f"{name} must be a time like 2026-11-21T00:00:00Z{hint}")
        return None

    def _translations(self, name: str, limit: int) -> dict[str, str]:
        what = f"a table with one entry a language: {name}.en = …"
        value, found = self._value(name, {}, _is_table, what), dict[str, str]()
        for language, text in value.items():
            wrong = wrong_text(text, limit, is_title=name == "title")
            if wrong:
                self.error(f"{name}.{language}", f"{name}.{language} {wrong}")
            else:
                found[language] = text.strip("\n").replace("\t", " ")
        return found

    def _target(self) -> Target | None:
        table = self._value("target", None, _is_table, "a table, [target]")
        if not table:
            return None
        self._require_known(table, "target.", _TARGET)
        versions = self._value("target.versions", None, _is_text, 'a text like ">=0.1,<0.1.3"')
        return Target(self._list("target.platforms"), versions, self._list("target.languages"))

    def _list(self, name: str) -> tuple[str, ...] | None:
        value = self._value(name, None, _is_list, "a list of texts with one entry or more")
        return None if value is None else tuple(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_table(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _is_revision(value: Any) -> bool:
    return type(value) is int and 1 <= value <= 1_000_000


def wrong_text(text: Any, limit: int, *, is_title: bool) -> str:
    """What is wrong with a title or a text; empty where it is in order."""
    if not isinstance(text, str):
        return "must be a text in quotes"
    if len(text) > limit:
        return f"has {len(text)} characters; {limit} are allowed"
    if is_title and not text.strip():
        return "is blank"
    flat = text.replace("\t", " ")
    if targeting.clean(flat, newlines=not is_title) != flat:
        return f"holds {_invisible(text)}, which clients remove"
    return ""


def parse_message(data: bytes, where: str, default_id: str, product: Product) -> Draft:
    """Reads one file of ``messages/``. Raises nothing: problems are in the result."""
    parsed = parse(data, where)
    if isinstance(parsed, Problem):
        return Draft(None, (parsed,))
    file = _File(where, *parsed)
    message = file.message(default_id)
    if message is not None:
        _judge(file, message, product)
    return Draft(message if file.is_good else None, tuple(file.problems))


def duplicates(drafts: Iterable[tuple[str, Draft]]) -> list[Problem]:
    """A problem for each id that stands in more than one file."""
    seen: dict[str, str] = {}
    found: list[Problem] = []
    for where, draft in drafts:
        if draft.message is None:
            continue
        first = seen.setdefault(draft.message.id, where)
        if first != where:
            found.append(Problem(where, 1, f"has the id {draft.message.id!r} of {first}"))
    return found


def _invisible(text: str) -> str:
    """Names the first character that clients would strip."""
    for character in text:
        if targeting.clean(character, newlines=True) != character:
            return f"the invisible character U+{ord(character):04X}"
    return "a line break"


def _judge(file: _File, message: Message, product: Product) -> None:
    """What has the right form but would not reach anybody, or not as it was meant."""
    try:
        # Alone in a document, to hear what the client's own reader says of it.
        alone = Motd(product.product, product.channel, 1, 1, 0, 1, messages=(message,))
        wire.decode(wire.encode(alone))
    except WireError as error:
        file.error("id" if "id must be" in error.message else "", error.message)
    _judge_languages(file, message, product)
    if message.url and not link(message.url):
        file.error(
            "url",
            "url must be https://host/… with a plain ASCII host name, or http://<v3 onion>/…; "
            "clients show any other link as no link",
        )
    elif message.url and not within(message.url, product.links):
        file.warn("url", _outside(message.url, product.links))
    starts, ends = message.not_before, message.not_after
    if starts is not None and ends is not None and ends <= starts:
        file.error("not_after", f"not_after must be later than not_before ({format_time(starts)})")
    if message.target is not None:
        _judge_target(file, message.target, product)
        warning = _pre_release_warning(message.target.versions or "", product.releases)
        if message.kind == targeting.SECURITY and warning:
            file.warn("target.versions", warning)


def _outside(url: str, links: Collection[str]) -> str:
    """Why clients leave ``url`` out."""
    if within(url, (url,)):
        known = f"none of {', '.join(links)}" if links else "nothing, since it is empty"
        return f"url begins with {known} under links in product.toml, so clients leave it out"
    return "url has a query, a fragment or a dot segment, so clients leave it out"


def _judge_languages(file: _File, message: Message, product: Product) -> None:
    if not message.title:
        file.error("title", "a title is missing: [title] with en = …")
        return
    for name, texts in (("title", message.title), ("text", message.text)):
        known = set(product.languages) | {targeting.FALLBACK_LANGUAGE}
        for language in texts:
            if (primary := _primary(language)) not in known:
                said = f"{name}.{language}: {primary!r} is not in languages of product.toml"
                file.error(f"{name}.{language}", said)
    asked = (message.target.languages if message.target else None) or (targeting.FALLBACK_LANGUAGE,)
    for name, texts in (("title", message.title), ("text", message.text)):
        if texts and targeting.FALLBACK_LANGUAGE not in texts:
            missing = [language for language in asked if language not in texts]
            if missing:
                file.error(name, f"{name} has no {missing[0]!r}, which clients would fall back to")
    lacking = sorted(set(message.title) - set(message.text)) if message.text else []
    for language in lacking:
        file.warn(f"title.{language}", f"the title is translated to {language!r}, the text is not")


def _primary(language: str) -> str:
    return language.replace("_", "-").partition("-")[0].lower()


def _judge_target(file: _File, target: Target, product: Product) -> None:
    for platform in target.platforms or ():
        if platform not in (*product.platforms, "other"):
            file.error(
                "target.platforms", f"{platform!r} is not in platforms of product.toml (or other)"
            )
    for language in target.languages or ():
        if _primary(language) not in product.languages:
            file.error("target.languages", f"{language!r} is not in languages of product.toml")
    if target.versions is None:
        return
    problem = _specifier_problem(target.versions)
    if problem:
        file.error("target.versions", problem)
    elif product.releases and not any(
        targeting.version_matches(target.versions, release) for release in product.releases
    ):
        file.warn("target.versions", "fits none of the releases in product.toml")


def _specifier_problem(specifier: str) -> str:
    """Why clients would match nobody with ``specifier``; empty where it is in order."""
    clauses = specifier.split(",")
    if len(clauses) > targeting.MAX_CLAUSES:
        return f"target.versions has {len(clauses)} clauses; {targeting.MAX_CLAUSES} are allowed"
    for clause in clauses:
        try:
            SpecifierSet(clause)
            fits = not clause.strip().startswith("===")
        except InvalidSpecifier:
            fits = False
        if not fits:
            return f"target.versions: {clause.strip()!r} is no version clause such as >=0.1"
        if not clause.strip():
            return "target.versions has an empty clause"
    return ""


def _pre_release_warning(specifier: str, releases: Collection[str]) -> str:
    """Whether a security message reaches pre-releases of the fix, as its author may not know.

    Empty where ``specifier`` is not in order, has no end, or names a pre-release itself; and
    where it ends before a version that is none of ``releases``.
    """
    if _specifier_problem(specifier):
        return ""
    ends = {clause.operator: clause.version for clause in SpecifierSet(specifier)}
    if any(Version(bound.removesuffix(".*")).is_prerelease for bound in ends.values()):
        return ""
    if "<" in ends:
        fix = ends["<"]
        if fix not in releases:
            return ""
        return (
            f"<{fix} is shown to pre-releases of {fix} too, and to versions that cannot be "
            f"compared; if {fix}rc1 has the fix, write <{fix}rc1"
        )
    last = next((name for name in ("<=", "==", "~=") if name in ends), None)
    if last is None:
        return ""
    return (
        f"{last}{ends[last]} does not reach pre-releases of the version with the fix; write < and "
        "that version"
    )
