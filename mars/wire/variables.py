"""The variables of the query: the catalogue of everything that the MOTD's address can ever say.

An entry here is all that a metric needs: the client's query, consent texts and preview, the values
that are counted, the tables, pages and downloads of a publication, what the doctor lets stand in a
log and the budget of noise derive from it. Every value is coarse, or it is absent; "absent" equals
what a client without consent sends, so a broken clock or an odd platform joins the largest crowd
instead of making its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mars.wire.crowd import MANY, SOME, drawn, slots
from mars.wire.product import Product, is_language, is_release
from mars.wire.times import DAY

DEV = "dev"
OTHER = "other"

AGES = ("1", "10", "100", "1000")
"""Install age in days as a power of ten."""
PYTHONS = tuple(f"3.{minor}" for minor in range(8, 20))
"""Python versions that always have a row; others have one when they reach ten hits."""
COUNTRIES = tuple(
    "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR "
    "BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ "
    "EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW "
    "GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY "
    "KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV "
    "MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY "
    "QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG "
    "TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM "
    "ZW".split()
)
"""ISO 3166-1 alpha-2, the 249 officially assigned codes."""


LONGEST_DAYS = 7_305
"""20 years; beyond it the install date is nonsense (a dead clock at epoch 0)."""

_AGES = ((3, "1"), (31, "10"), (316, "100"), (LONGEST_DAYS, "1000"))
"""Last day of each power of ten: ``10 ** round(log10(days))`` in integers; 10000 folded in."""


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


@dataclass(frozen=True)
class Variable:
    """One variable of the query: its texts for the user, its values, and how they are shown."""

    name: str
    label: str
    values: str
    description: str
    reason: str
    of: Callable[[Facts], str | None]
    """The value of this installation; None where it is unknown, which is sent as nothing."""
    form: str
    """A regular expression of every value for any product (``other`` apart)."""
    known: Callable[[Product], Sequence[str]]
    """The values that are known beforehand for a product, in the order of its table."""
    title: str
    """Of its table and page."""
    meaning: str
    """What it says in a few words, for the public page on privacy."""
    open: bool = False
    """Whether other values of the ``form`` count too, and have a row from ten hits on."""
    optional: bool = False
    """Optional ones are each a consent of their own; at most one of them rides in a request, and
    none where fewer than 1,000 installations say it."""
    rare: bool = False
    """Whether a value is published only where it has stayed high for weeks."""
    summary: str = ""
    """Of its possible values, where they are too many to be named on a page."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Values that have another name for people."""
    folded: Mapping[str, str] = field(default_factory=dict)
    """What is said in place of a value where fewer than 1,000 installations say it."""
    folded_names: Mapping[str, str] = field(default_factory=dict)
    """The names of the values that are then said."""

    def fits(self, value: str) -> bool:
        """Whether ``value`` has the form of any product's values."""
        return re.fullmatch(self.form, value, re.ASCII) is not None


VARIABLES = (
    Variable(
        "v",
        "Version of the application",
        "a released version such as 0.5.2, else dev",
        "Which release of the application is running. Builds that are not releases send dev.",
        "The developers see how fast an update spreads and when an old release can be dropped.",
        of=lambda facts: version_value(facts.version),
        form=r"[0-9]{1,4}\.[0-9]{1,4}(?:\.[0-9]{1,4})?|dev",
        known=lambda product: (*product.releases, DEV),
        title="Versions",
        meaning="version of the program",
        names={"dev": "development version"},
    ),
    Variable(
        "os",
        "Operating system",
        "linux, windows, macos or other",
        "The family of the operating system, without version, edition or hardware.",
        "The developers see for which systems they work and test.",
        of=lambda facts: system_value(facts.system),
        form="linux|windows|macos",
        known=lambda product: (*product.platforms, OTHER),
        title="Platforms",
        meaning="operating system",
        names={"linux": "Linux", "windows": "Windows", "macos": "macOS"},
    ),
    Variable(
        "ia",
        "Age of the installation",
        "1, 10, 100 or 1000 (days, as a power of ten)",
        "How many days ago the application was installed, as a power of ten. You can change or "
        "reset the date at any time.",
        "The developers see whether new people come and whether they stay.",
        of=lambda facts: install_age(
            facts.installed, facts.now, built=facts.built, issued=facts.issued
        ),
        form="10{0,3}",
        known=lambda _: AGES,
        title="Install age",
        meaning="age of the installation in days, as a power of ten",
        names={
            "1": "0–3 days",
            "10": "4–31 days",
            "100": "32–316 days",
            "1000": "317 days or more",
        },
        folded={"1": "10", "1000": "100"},
        folded_names={"10": "up to a month", "100": "longer"},
    ),
    Variable(
        "lang",
        "Language",
        "a language the application ships, such as en",
        "The language the application is shown in, if it ships that language.",
        "The developers see which translations are used.",
        of=lambda facts: language_value(facts.languages, facts.shipped),
        form="[a-z]{2,3}",
        known=lambda product: product.languages,
        title="Languages",
        meaning="language of the program, optional",
        optional=True,
        rare=True,
    ),
    Variable(
        "py",
        "Python version",
        "3.11 and the like",
        "The major and minor version of Python that runs the application.",
        "The developers see when support for an old Python can end.",
        of=lambda facts: python_value(facts.python),
        form=r"3\.(?:0|[1-9][0-9]?)",
        known=lambda _: PYTHONS,
        title="Python",
        meaning="Python version, optional",
        open=True,
        optional=True,
        summary="3.0 – 3.99",
    ),
    Variable(
        "cc",
        "Country",
        "a country code such as IS, only if you typed it in",
        "The country you chose to name. It is never looked up from your address or your settings.",
        "The developers see where in the world they are read.",
        of=lambda facts: country_value(facts.country),
        form="[A-Z]{2}",
        known=lambda _: COUNTRIES,
        title="Countries",
        meaning="country that you typed in yourself, optional; it is never looked up",
        optional=True,
        rare=True,
        summary="ISO 3166-1",
    ),
)
"""In the order in which they are sent."""

NAMES = tuple(variable.name for variable in VARIABLES)
BASIC = tuple(variable.name for variable in VARIABLES if not variable.optional)
"""What ``tracked`` means where nothing else was chosen."""
OPTIONAL = tuple(variable.name for variable in VARIABLES if variable.optional)
SLOTS = slots(BASIC[0], BASIC[1:], OPTIONAL)
"""What a request may say, by crowd, where everything is agreed to and known. The first variable is
said most: most have its newest value in common."""
_FOLDED = {variable.name: variable.folded for variable in VARIABLES}


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
    return version if _PYTHON.fullmatch(version) else None


_PYTHON = re.compile(r"3\.(?:0|[1-9][0-9]?)", re.ASCII)


def country_value(country: str | None) -> str | None:
    """An ISO 3166-1 alpha-2 code in capitals; None for anything else."""
    return country if country in COUNTRIES else None


def values(facts: Facts) -> dict[str, str]:
    """Every variable that could be sent, with its value. What is unknown is absent."""
    found = {variable.name: variable.of(facts) for variable in VARIABLES}
    return {name: value for name, value in found.items() if value is not None}


def chosen(
    found: Mapping[str, str], consented: Collection[str], pick: float, crowd: int
) -> dict[str, str]:
    """What one request says: of one slot of ``SLOTS`` what is consented and known.

    ``pick`` is a number drawn uniformly from [0, 1] that says which slot; it is kept with the
    state and drawn anew for each period, so that a preview can show the very bytes. It chooses
    among all slots, whatever is consented: a variable that is switched off or unknown leaves its
    own empty and gives it to no other, so that the shares of the others say nothing of it.
    ``crowd`` is one of ``mars.wire.crowd.CROWDS``.
    """
    said = {
        name: found[name]
        for name in drawn(SLOTS[crowd], pick)
        if name in consented and name in found
    }
    if crowd >= MANY:
        return said
    return {name: _FOLDED[name].get(value, value) for name, value in said.items()}


def rule(crowd: int) -> str:
    """What is said how often at this of ``CROWDS``, as one sentence for people."""
    first, others = BASIC[0], _either(BASIC[1:])
    if crowd >= MANY:
        return (
            f"Each request says {', '.join(BASIC[:-1])} and {BASIC[-1]}; every other one, by "
            f"chance, {_either(OPTIONAL)} too."
        )
    if crowd >= SOME:
        return f"Each request says {first}, and {others}, drawn at random."
    return f"Each request says one thing, drawn at random: in half of them {first}, else {others}."


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
