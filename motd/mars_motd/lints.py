"""What is wrong with declared statistics and error events though their form is right, and what to
think of. Pure.

``mars.wire.registry`` and ``mars.wire.events`` know the form. This is what a reviewer would ask:
can it identify somebody, does it end, does it say more than a privacy budget allows, is a name
taken for another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, pairwise
from urllib.parse import urlsplit

from mars.wire.events import NONE, OTHER, Domain, ErrorName
from mars.wire.product import Product
from mars.wire.registry import ENUM, VERSION, Metric, is_hidden

MOST_RATE = 2.0
"""Reports a week of one installation, over all projects: it sends one request a day at most, and
the news have a day of their own."""
MOST_EPSILON = 4.0
"""What the reports of one entry may tell of one installation in a year, where each is randomised:
rate · 52 · epsilon."""
WEEKS_A_YEAR = 52
MANY_VALUES = 12
RARE = 0.01
"""Rate of each entry of a domain, below which ten thousand installations send fewer than a hundred
reports a week, too few to tell causes apart."""
SOON = timedelta(days=30)
LONG = timedelta(days=2 * 366)
"""A decision that takes longer than that has been taken, or will not be."""

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+", re.ASCII)
IDENTIFYING = frozenset(
    "email emails ip ips ipv4 ipv6 address addresses hostname hostnames mac serial uuid uuids guid"
    " guids username usernames nickname path paths filename filenames url urls uri uris subdomain"
    " token tokens location locations latitude longitude gps geolocation coordinates postcode"
    " zipcode id ids identifier identifiers fingerprint imei imsi ssid bssid birthday birthdate"
    " surname".split()
)
"""Words of what could tell one person or computer from another."""
_PAIRS = frozenset(
    "host file user full first last real family computer machine device domain phone".split()
)
_NAMES = ("name", "names", "number", "numbers")
"""After one of ``_PAIRS`` they are such a word too."""
_HARMLESS = frozenset(
    [("mac", "os"), ("address", "book"), ("address", "books"), ("address", "bar"), ("url", "bar")]
)
"""Pairs of words in which the one that identifies does not."""
_TEXTS = ("label", "description", "reason", "owner", "review")
_PLATFORMS = frozenset(["linux", "windows", "bsd", "android", "ios"])
_NOT_YET = frozenset("todo tbd none pending later unknown missing fixme wip changeme".split())
_ID = re.compile(r"(?=.*[0-9])[A-Za-z0-9#!][A-Za-z0-9 #!._/:-]{0,79}", re.ASCII)
"""``#12``, ``BUG 1234``, ``RFC-7``, ``team/repository#3``."""
_CATCH_ALL = frozenset(
    "other others unknown unspecified misc miscellaneous generic general failed failure fail error"
    " errors any anything else reason cause".split()
)
"""A cause whose name has no other words says no cause."""


@dataclass(frozen=True)
class Finding:
    """Of the entry ``name`` (``project/key``, ``domain/name``, ``domain``), or of all where that is
    empty."""

    name: str
    text: str
    warning: bool = False


def judged(
    metrics: Sequence[Metric], product: Product, today: date, domains: Sequence[Domain] = ()
) -> Iterator[Finding]:
    """All that is found in statistics on the day ``today`` (UTC), entry by entry, then of all
    together; of error events the rates alone."""
    for metric in metrics:
        yield from (Finding(metric.name, text) for text in _wrong(metric, today))
        yield from (Finding(metric.name, text, True) for text in _doubtful(metric, product, today))
    live = [metric for metric in metrics if metric.is_live(today)]
    reported = [*metrics, *(entry for domain in domains for entry in domain.entries)]
    rate = round(sum(entry.rate for entry in reported if entry.is_live(today)), 4)
    if rate > MOST_RATE:
        yield Finding(
            "",
            f"the rates of metrics.toml and errors.toml add up to {rate:g} reports a week, and an "
            f"installation has room for {MOST_RATE:g}: lower some, or withdraw what nobody needs "
            "any more",
        )
    yield from _alike(live)


def judged_domains(domains: Sequence[Domain], today: date) -> Iterator[Finding]:
    """All that is found in error events on the day ``today`` (UTC)."""
    for domain in domains:
        for name in domain.names:
            entry = f"{domain.name}/{name.name}"
            yield from (Finding(entry, text) for text in _wrong_name(name, today))
            yield from (Finding(entry, text, True) for text in _doubtful_name(name, today))
        live = [name.name for name in domain.names if today < name.ends]
        if live:
            told = [*_vague(domain, live), *_alike_names(live)]
            yield from (Finding(domain.name, text, True) for text in told)
    for first, second in combinations(sorted(domain.name for domain in domains), 2):
        if _is_alike(first, second):
            said = f"the domains {first} and {second} are easily taken for one another"
            yield Finding(first, said, warning=True)


def _wrong_name(name: ErrorName, today: date) -> Iterator[str]:
    """A cause is no value of anybody's, so that it may well be called ``address_refused``."""
    yield from _ended(name, today)
    for dimension in name.dimensions:
        texts = [("dimension", dimension.name)]
        texts += [(f"the value {it} of {dimension.name}", it) for it in dimension.values]
        yield from _identifies(texts)
    yield from _unreviewed(name)


def _doubtful_name(name: ErrorName, today: date) -> Iterator[str]:
    if today >= name.ends:
        return
    yield from _ending(name, today)
    for dimension in name.dimensions:
        if (many := len((NONE, *dimension.values))) > MANY_VALUES:
            yield f"the dimension {dimension.name} {_many(many)}"


def _vague(domain: Domain, names: Sequence[str]) -> Iterator[str]:
    """What makes the causes of a domain say little."""
    if not domain.description.strip():
        yield "has no description: users are asked for the whole domain, so say what fails there"
    catch_all = [name for name in names if _CATCH_ALL.issuperset(name.split("_"))]
    if len(catch_all) > 1:
        yield f"has {len(catch_all)} catch-alls ({', '.join(catch_all)}): keep one name, {OTHER}"
    elif catch_all and OTHER not in names:
        yield f"calls its catch-all {catch_all[0]}: call it {OTHER}, as programs and pages know it"
    elif not catch_all:
        yield (
            f"has no name {OTHER}: what fails for a cause that nobody thought of is then counted "
            f"nowhere, and the share that failed is too low"
        )
    if (each := domain.entries[0].rate) < RARE:
        yield (
            f"has {len(domain.entries)} entries, so an installation reports each once in "
            f"{round(1 / each)} weeks: declare fewer causes and dimensions, or a higher rate"
        )
    if len(names) - len(catch_all) == 1 and catch_all:
        yield f"has one cause beside {', '.join(catch_all)}: name those that a decision tells apart"


def _alike_names(names: Sequence[str]) -> Iterator[str]:
    for one, other in combinations(names, 2):
        if _is_alike(one, other):
            yield f"{one} is easily taken for {other}: name each after what differs"


def _wrong(metric: Metric, today: date) -> Iterator[str]:
    yield from _ended(metric, today)
    for name in _TEXTS:
        if any(map(is_hidden, getattr(metric, name))):
            yield f"{name} holds a character that cannot be seen, or that turns text around"
    yield from _identifies(_telling(metric))
    yield from _unreviewed(metric)
    told = round(metric.rate * WEEKS_A_YEAR * metric.epsilon, 4)
    if told > MOST_EPSILON:
        most = int(MOST_EPSILON / (WEEKS_A_YEAR * metric.epsilon) * 10_000) / 10_000
        yield (
            f"rate · 52 · epsilon is {told:g}, so what is random averages out within a year; at "
            f"most {MOST_EPSILON:g}: with this epsilon a rate of {most:g} or less"
        )


def _ended(entry: Metric | ErrorName, today: date) -> Iterator[str]:
    if entry.withdrawn is None and today >= entry.expires:
        yield (
            f"expired on {entry.expires}: set withdrawn = {entry.expires}, or have it reviewed "
            f"again and set a later day"
        )


def _unreviewed(entry: Metric | ErrorName) -> Iterator[str]:
    if not _is_review(entry.review):
        yield "review must be where it was reviewed: a URL, or a number such as BUG 1234 or #12"


def _identifies(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Of texts, each after where it stands."""
    for where, text in texts:
        if words := ", ".join(_words_of(text)):
            yield (
                f"{where} names something that could identify somebody ({words}): ask for a "
                f"coarser thing, and name that"
            )


def _telling(metric: Metric) -> tuple[tuple[str, str], ...]:
    """Where it stands, and what says what is asked for. Of values no platform's name is one."""
    platforms = metric.type == ENUM and not _PLATFORMS.isdisjoint(metric.values)
    values = [value for value in metric.values if not (platforms and value == "mac")]
    told = ((f"the value {it}", it) for it in values)
    return (("key", metric.key), ("label", metric.label), *told)


def _words_of(text: str) -> list[str]:
    """The words in ``text`` that identify, each once."""
    words = [word.lower() for word in _WORD.findall(text)]
    pairs = list(pairwise(words))
    calm = {word for pair in pairs if pair in _HARMLESS for word in pair}
    found = [word for word in words if word in IDENTIFYING and word not in calm]
    found += [f"{one} {two}" for one, two in pairs if one in _PAIRS and two in _NAMES]
    return list(dict.fromkeys(found))


def _is_review(text: str) -> bool:
    words = {word.lower() for word in _WORD.findall(text)}
    if "://" not in text:
        return bool(_ID.fullmatch(text)) and words.isdisjoint(_NOT_YET)
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    is_url = parts.scheme in ("https", "http") and bool(parts.hostname) and " " not in text
    return is_url and words.isdisjoint(_NOT_YET)


def _doubtful(metric: Metric, product: Product, today: date) -> Iterator[str]:
    if not metric.is_live(today):
        return
    yield from _ending(metric, today)
    if (many := len(metric.values_known)) > MANY_VALUES:
        yield _many(many)
    if metric.type == VERSION:
        yield (
            "is a version, of which a report may say any of 10^8, and no epsilon hides one: what "
            "few people have is a pseudonym of theirs; declare an enum of the versions that your "
            "decision tells apart, and one value for all others"
        )
    if metric.project != product.product and not metric.epsilon:
        yield (
            f"is of the project {metric.project} and has no epsilon: where few people use that, "
            f"its reports are a pseudonym of theirs (docs/privacy.md says how rare is how linkable)"
        )


def _ending(entry: Metric | ErrorName, today: date) -> Iterator[str]:
    if entry.expires - today <= SOON:
        days = (entry.expires - today).days
        yield f"expires in {days} {'day' if days == 1 else 'days'}, on {entry.expires}"
    if entry.expires - today > LONG:
        yield f"is collected until {entry.expires}: set a day within two years, and review it then"


def _many(values: int) -> str:
    return (
        f"has {values} values; each that few people have makes their reports rare, so join what no "
        f"decision tells apart"
    )


def _alike(metrics: Sequence[Metric]) -> Iterator[Finding]:
    """Keys of one project, and projects, that are taken for one another."""
    for one, other in combinations(metrics, 2):
        if one.project == other.project and _is_alike(one.key, other.key):
            said = f"is easily taken for {other.name}: name it after what differs"
            yield Finding(one.name, said, warning=True)
    for first, second in combinations(sorted({metric.project for metric in metrics}), 2):
        if _is_alike(first, second):
            said = f"the projects {first} and {second} are easily taken for one another"
            yield Finding("", said, warning=True)


def _is_alike(one: str, other: str) -> bool:
    """Whether they differ in nothing but signs between words, an ending, look-alikes or one letter.
    Names that count (``tab_1``, ``tab_2``) are not alike."""
    first, second = _skeleton(one), _skeleton(other)
    if first == second:
        return True
    if re.sub("[0-9]", "", one) == re.sub("[0-9]", "", other):
        return False
    return min(len(first), len(second)) >= 5 and _is_one_edit(first, second)


def _skeleton(name: str) -> str:
    """Without signs between words and the plurals of these; look-alikes are one letter."""
    words = (re.sub("(?:es|s)$", "", word) for word in re.split("[_-]", name))
    return "".join(words).translate(str.maketrans("01", "ol"))


def _is_one_edit(one: str, other: str) -> bool:
    """One letter more, less or another, or two neighbours changed over."""
    short, long = sorted((one, other), key=len)
    if len(long) - len(short) > 1:
        return False
    start = next((n for n, letter in enumerate(short) if letter != long[n]), len(short))
    rest, more = short[start:], long[start:]
    if len(short) < len(long):
        return rest == more[1:]
    return rest[1:] == more[1:] or (rest[:2] == more[1::-1] and rest[2:] == more[2:])


def of_releases(product: Product, metrics: Sequence[Metric], today: date) -> Iterator[str]:
    """Doubts about ``[statistics]`` of ``product.toml``."""
    if strange := [one for one in product.statistics_releases if one not in product.releases]:
        yield (
            f"[statistics] releases names {', '.join(strange)}, which releases does not list: "
            f"nobody has it"
        )
    if any(metric.is_live(today) for metric in metrics) and not product.statistics_releases:
        yield "[statistics] releases is empty, so reports of all releases are counted as other"
