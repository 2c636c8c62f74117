"""What each variable of the query may say. Every value is coarse, or it is absent.

"Absent" equals what a client without consent sends, so a broken clock or an odd platform joins
the largest crowd instead of making its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from mars.wire.product import is_language, is_release
from mars.wire.query import COUNTRIES, DEV, OPTIONAL, OTHER, is_python

DAY = 86_400
"""Seconds."""

LONGEST_DAYS = 7_305
"""20 years; beyond it the install date is nonsense (a dead clock at epoch 0)."""

_AGES = ((3, "1"), (31, "10"), (316, "100"), (LONGEST_DAYS, "1000"))
"""Last day of each power of ten: ``10 ** round(log10(days))`` in integers; 10000 folded in."""


def install_age(installed: object, now: int, *, built: int = 0, issued: int = 0) -> str | None:
    """Age of the installation in days as a power of ten: ``1``, ``10``, ``100`` or ``1000``.

    ``installed`` is Unix time, or anything else when it is unknown. ``built`` is when this
    release was built and ``issued`` when the last accepted document was: a clock before either
    (a day of grace for the latter) is known to be wrong. Returns None, which is sent as nothing,
    where the age is unknown or nonsense.
    """
    if type(installed) is not int or now < built or now < issued - DAY:
        return None
    days = (now - installed) // DAY
    if days < 0:
        return None
    return next((age for last, age in _AGES if days <= last), None)


@dataclass(frozen=True)
class Variable:
    """One variable of the query, as the user reads of it before agreeing."""

    name: str
    label: str
    values: str
    description: str
    reason: str
    optional: bool = False
    """Optional ones are each a consent of their own; at most one of them rides in a request."""


DECLARED = (
    Variable(
        "v",
        "Version of the application",
        "a released version such as 0.5.2, else dev",
        "Which release of the application is running. Builds that are not releases send dev.",
        "The developers see how fast an update spreads and when an old release can be dropped.",
    ),
    Variable(
        "os",
        "Operating system",
        "linux, windows, macos or other",
        "The family of the operating system, without version, edition or hardware.",
        "The developers see for which systems they work and test.",
    ),
    Variable(
        "ia",
        "Age of the installation",
        "1, 10, 100 or 1000 (days, as a power of ten)",
        "How many days ago the application was installed, as a power of ten. You can change or "
        "reset the date at any time.",
        "The developers see whether new people come and whether they stay.",
    ),
    Variable(
        "lang",
        "Language",
        "a language the application ships, such as en",
        "The language the application is shown in, if it ships that language.",
        "The developers see which translations are used.",
        optional=True,
    ),
    Variable(
        "py",
        "Python version",
        "3.11 and the like",
        "The major and minor version of Python that runs the application.",
        "The developers see when support for an old Python can end.",
        optional=True,
    ),
    Variable(
        "cc",
        "Country",
        "a country code such as IS, only if you typed it in",
        "The country you chose to name. It is never looked up from your address or your settings.",
        "The developers see where in the world they are read.",
        optional=True,
    ),
)
"""Everything that can ever stand in the query, in the order in which it is sent."""

DECLARED_NAMES = tuple(variable.name for variable in DECLARED)
BASIC = tuple(variable.name for variable in DECLARED if not variable.optional)
"""What ``tracked`` means where nothing else was chosen."""


@dataclass(frozen=True)
class Facts:
    """What is known of this installation. Raw values; nothing here is sent as it stands."""

    version: str = ""
    system: str = ""
    installed: object = None
    """Unix time of the first run (or what the user made of it)."""
    languages: tuple[str, ...] = ()
    """Locale names in order of preference, such as ``is_IS.UTF-8``."""
    shipped: tuple[str, ...] = ()
    """Languages that the application ships."""
    python: str = ""
    country: str | None = None
    """As typed in by the user."""
    now: int = 0
    built: int = 0
    issued: int = 0


def version_value(version: str) -> str:
    """A release ``X.Y`` or ``X.Y.Z``; anything else is ``dev``."""
    return version if is_release(version) else DEV


def system_value(system: str) -> str:
    """``linux``, ``windows``, ``macos`` or ``other``, from ``platform.system()`` or our names."""
    return _SYSTEMS.get(system.lower(), OTHER)


_SYSTEMS = {"linux": "linux", "windows": "windows", "macos": "macos", "darwin": "macos"}


def language_value(languages: Sequence[str], shipped: Collection[str]) -> str | None:
    """The primary subtag of the first preferred language, if the application ships it."""
    if not languages:
        return None
    subtag = primary_subtag(languages[0])
    return subtag if subtag in shipped else None


def primary_subtag(locale: str) -> str:
    """``is`` of ``is_IS.UTF-8@euro``; ``""`` where there is none (``C``, ``POSIX``)."""
    subtag = re.split(r"[-_.@]", locale, maxsplit=1)[0].lower()
    return subtag if is_language(subtag) else ""


def python_value(version: str) -> str | None:
    """``3.N``; None for anything else."""
    return version if is_python(version) else None


def country_value(country: str | None) -> str | None:
    """An ISO 3166-1 alpha-2 code in capitals; None for anything else."""
    return country if country in COUNTRIES else None


def values(facts: Facts) -> dict[str, str]:
    """Every variable that could be sent, with its value. What is unknown is absent."""
    found = {
        "v": version_value(facts.version),
        "os": system_value(facts.system),
        "ia": install_age(facts.installed, facts.now, built=facts.built, issued=facts.issued),
        "lang": language_value(facts.languages, facts.shipped),
        "py": python_value(facts.python),
        "cc": country_value(facts.country),
    }
    return {name: value for name, value in found.items() if value is not None}


def chosen(found: Mapping[str, str], consented: Collection[str], pick: float) -> dict[str, str]:
    """What one request says: the consented basic values and at most one optional value.

    ``pick`` is a number drawn uniformly from [0, 1] that says which optional one; it is kept with
    the state and drawn anew after each fetch, so that a preview can show the very bytes.
    """
    basic = [name for name in BASIC if name in consented and name in found]
    optional = [name for name in OPTIONAL if name in consented and name in found]
    if optional:
        basic.append(optional[min(int(pick * len(optional)), len(optional) - 1)])
    return {name: found[name] for name in basic}
