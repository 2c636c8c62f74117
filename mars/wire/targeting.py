"""Which messages this installation shows, in which language, cleaned. Evaluated on the client.

Everybody is served the same bytes, so nothing about the installation leaves it here. Whatever
cannot be understood matches nobody (fail closed); the rest of the document stands.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from mars.wire.links import within
from mars.wire.motd import Message, Motd, Target
from mars.wire.product import is_release

FALLBACK_LANGUAGE = "en"

_SCRIPTS = {
    "az": ("arab", "cyrl"),
    "bs": ("cyrl",),
    "kk": ("arab", "latn"),
    "ky": ("arab", "latn"),
    "pa": ("arab",),
    "sr": ("latn",),
    "uz": ("arab", "cyrl"),
    "zh": ("hant",),
}
"""Scripts other than a language's usual one, whose readers CLDR (parentLocales) sends to no text
in the usual one; those of languages that applications are translated into."""
_TRADITIONAL = frozenset({"hant", "tw", "hk", "mo"})
"""Script, and regions, of Traditional Chinese (CLDR, likelySubtags)."""
_MODIFIERS = {"latin": "latn", "cyrillic": "cyrl", "arabic": "arab"}
"""How POSIX locales name a script."""

SECURITY = "security"
"""The kind of message that nobody may miss for a version that is hard to compare."""

UP_TO_DATE = "up-to-date"
UPDATE = "update"
SECURITY_UPDATE = "security-update"
UNKNOWN = "unknown"
"""One of the two versions is not comparable, or the document names none."""

MAX_CLAUSES = 8
_CLAUSE = re.compile(r" *(?:~=|==|!=|<=|>=|<|>) *[0-9A-Za-z.!+*_-]{1,64} *", re.ASCII)
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories: control, format (bidi, zero width), surrogate, private use, separators."""


@dataclass(frozen=True)
class Shown:
    """A message as it may be displayed: plain text, one language, a link that is safe to offer."""

    id: str
    revision: int
    kind: str
    severity: str
    title: str
    text: str
    url: str
    """Empty where the signed link is not https:// or http://<v3 onion>; never open it unasked."""
    language: str
    """Of ``title``, as signed."""


def select(
    motd: Motd,
    version: str,
    platform: str,
    languages: Sequence[str],
    now: int,
    links: Sequence[str] = (),
) -> list[Shown]:
    """The messages for this installation at ``now`` (Unix seconds), in the document's order.

    ``version`` is the application's own (PEP 440; anything else matches no ``versions`` but those
    of a message of the kind ``security``), ``platform`` one of linux, windows, macos, other,
    ``languages`` most wanted first. ``links`` are the prefixes that the steering document allows;
    a message whose link has none of them is shown without it.
    """
    wanted = preferences(languages)
    return [
        _shown(message, wanted, links)
        for message in motd.messages
        if _is_current(message, now)
        and matches(message.target, version, platform, wanted, unsure=message.kind == SECURITY)
    ]


def matches(
    target: Target | None,
    version: str,
    platform: str,
    preferences: Sequence[str],
    *,
    unsure: bool = False,
) -> bool:
    """Whether an installation is meant; ``preferences`` as made by ``preferences()``, ``unsure``
    as for ``version_matches()``."""
    if target is None:
        return True
    return (
        not target.unknown
        and (target.platforms is None or platform in target.platforms)
        and (target.versions is None or version_matches(target.versions, version, unsure=unsure))
        and (
            target.languages is None or not set(preferences).isdisjoint(map(_tag, target.languages))
        )
    )


def version_matches(specifier: str, version: str, *, unsure: bool = False) -> bool:
    """Whether ``version`` satisfies a ``specifier`` of at most 8 clauses of PEP 440.

    Other than there, ``<`` and ``>`` compare by order alone: 1.2rc1 is ``<1.2``. With ``unsure``,
    as for security, also what cannot be told to be outside: a pre-release counts as its release
    too, a version that is not PEP 440 (``1.1-SNAPSHOT``) as all that its first numbers may mean,
    and one without numbers (``dev``) as any.
    """
    clauses = specifier.split(",")
    if len(clauses) > MAX_CLAUSES or not all(_CLAUSE.fullmatch(clause) for clause in clauses):
        return False
    try:
        each = [SpecifierSet(clause) for clause in clauses]
    except InvalidSpecifier:
        return False
    exact = _parsed(version)
    if exact is None:
        span = _span(version)
        return unsure and (span is None or all(_fits(clause, *span) for clause in each))
    high = max(exact, Version(exact.base_version)) if unsure and exact.is_prerelease else exact
    return all(_fits(clause, exact, high) for clause in each)


def _fits(clause: SpecifierSet, low: Version, high: Version) -> bool:
    """Whether ``clause`` holds for some version from ``low`` to ``high``."""
    (one,) = clause
    bound = Version(one.version.removesuffix(".*"))
    if one.operator == "<":
        return low < bound
    if one.operator == ">":
        return Version(high.public) > bound
    within = one.operator != "!=" and low <= bound <= high
    return within or any(clause.contains(end, prereleases=True) for end in (low, high))


def _parsed(version: str) -> Version | None:
    try:
        return Version(version)
    except ValueError:  # InvalidVersion, or thousands of digits
        return None


def _span(version: str) -> tuple[Version, Version] | None:
    """The lowest and the highest that a version may be which is not PEP 440, by its numbers."""
    numbers = _NUMBERS.match(version)
    if numbers is None:
        return None
    return Version(f"{numbers[1]}.dev0"), Version(f"{numbers[1]}.{_BEYOND}")


_NUMBERS = re.compile(r"\s*v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,8})(?![0-9])", re.ASCII | re.IGNORECASE)
_BEYOND = 10**9


def update_status(
    motd: Motd, version: str, platform: str, languages: Sequence[str], now: int
) -> str:
    """``up-to-date``, ``update``, ``security-update`` or ``unknown``.

    A security update is a newer version together with a message of the kind ``security`` that is
    meant for this installation.
    """
    newer = is_newer(motd.newest_version, version)
    if newer is None:
        return UNKNOWN
    if not newer:
        return UP_TO_DATE
    shown = select(motd, version, platform, languages, now)
    return SECURITY_UPDATE if any(item.kind == SECURITY for item in shown) else UPDATE


def is_newer(newest: str, version: str) -> bool | None:
    """Whether release ``newest`` comes after ``version``; None where that cannot be said."""
    if not is_release(newest):
        return None
    release, exact = Version(newest), _parsed(version)
    if exact is not None:
        return release > exact
    span = _span(version)
    if span is None or span[0] <= release <= span[1]:
        return None
    return release > span[1]


def preferences(languages: Sequence[str]) -> list[str]:
    """``["is_IS"]`` becomes ``["is-is", "is"]``: each language, then ever less of it.

    So RFC 4647 3.4; what is written in Traditional Chinese is looked for by script and by region.
    """
    every = (item for language in languages for item in _ever_less(_tag(language)))
    return [item for item in dict.fromkeys(every) if item]


def _ever_less(tag: str) -> Iterator[str]:
    parts = tag.split("-")
    yield from ("-".join(parts[:end]) for end in range(len(parts), 1, -1))
    if parts[0] == "zh" and not _TRADITIONAL.isdisjoint(parts):
        yield from ("zh-hant", "zh-tw", "zh-hk")
    yield parts[0]


def translate(texts: Mapping[str, str], preferences: Sequence[str]) -> tuple[str, str]:
    """(language, text) for the first preference there is, else ``en``, else the first text.

    A reader of another script than the language is usually written in gets no text in the usual
    one: of ``sr-latn`` not that of ``sr``. ``("", "")`` where there is no text at all.
    """
    by_tag = {_tag(language): language for language in reversed(list(texts))}
    for wanted in (*preferences, FALLBACK_LANGUAGE):
        other = any(f"{wanted}-{script}" in preferences for script in _SCRIPTS.get(wanted, ()))
        if wanted in by_tag and not other:
            return by_tag[wanted], texts[by_tag[wanted]]
    return next(iter(texts.items()), ("", ""))


def clean(text: str, newlines: bool = False) -> str:
    """``text`` without control, bidi, zero-width and other invisible characters.

    Newlines stay only where ``newlines`` says so. The result is data: escape it for HTML.
    """
    if text.isprintable():
        return text
    return "".join(
        c for c in text if (c == "\n" and newlines) or unicodedata.category(c) not in _UNSAFE
    )


def _is_current(message: Message, now: int) -> bool:
    starts, ends = message.not_before, message.not_after
    return (starts is None or now >= starts) and (ends is None or now < ends)


def _shown(message: Message, wanted: Sequence[str], links: Sequence[str]) -> Shown:
    language, title = translate(message.title, wanted)
    text = translate(message.text, wanted)[1]
    return Shown(
        id=message.id,
        revision=message.revision,
        kind=message.kind,
        severity=message.severity,
        title=clean(title),
        text=clean(text, newlines=True),
        url=within(message.url, links),
        language=language,
    )


def _tag(language: str) -> str:
    """``is_IS.UTF-8@euro`` becomes ``is-is``, ``sr_RS@latin`` ``sr-latn-rs``."""
    tag = re.split(r"[.@]", language, maxsplit=1)[0].replace("_", "-").lower()
    script = _MODIFIERS.get(language.rpartition("@")[2].lower())
    return "-".join((tag[:2], script, *tag.split("-")[1:])) if script else tag
