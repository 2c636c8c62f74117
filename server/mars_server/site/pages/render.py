"""Fills the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Final

from mars.wire.catalogue import Catalogue
from mars.wire.crowd import ALONE, MANY, SOME
from mars.wire.product import Product
from mars.wire.query import encode
from mars.wire.registry import EVENTS, Metric
from mars.wire.reports.status import Status
from mars.wire.request import request_bytes
from mars.wire.variables import NAMES, VARIABLES, Variable, chosen
from mars_server.common.calendar import due, following, utc_day
from mars_server.site.charts.brief import brief_chart
from mars_server.site.charts.data import is_empty
from mars_server.site.charts.render import Chart
from mars_server.site.charts.tellable import first_seen, label, latest, of_table, tells_shares
from mars_server.site.declared import Statistics, statistics
from mars_server.site.failures import Domain
from mars_server.site.failures import domains as told_domains
from mars_server.site.html import Environment, templates
from mars_server.site.language import LANGUAGES, N_, Language, language
from mars_server.site.pages import address as place
from mars_server.site.pages import answers, failures, faults, findings, ranges, reports, verdicts
from mars_server.site.pages.address import Address
from mars_server.site.pages.events import Note, events
from mars_server.site.pages.ranges import Range
from mars_server.site.pages.reports import Part
from mars_server.site.pages.verdicts import Verdict
from mars_server.tables import crowd, downloads
from mars_server.tables.arrival import arrivals
from mars_server.tables.estimate import DEFAULT, significant
from mars_server.tables.faults import FaultWeek
from mars_server.tables.noise import CELLS_PER_HIT, HITS_PER_WEEK, TOLD, deviation
from mars_server.tables.signed_documents import Served
from mars_server.tables.statistics_week import StatisticsWeek
from mars_server.tables.week import TABLES, Week

TITLES: Final = {
    "": N_("Overview"),
    place.BRIEF: N_("In brief"),
    "hits": N_("Installations"),
    "level": N_("Metrics given"),
    **{variable.name: variable.title for variable in VARIABLES},
    "v-os": N_("Version × platform"),
    place.STATISTICS: N_("Statistics"),
    place.FAILURES: N_("Failures"),
    place.FAULTS: N_("Faults"),
    place.ANSWERS: N_("Answers"),
    "events": N_("Events"),
    "downloads": N_("Downloads"),
    "method": N_("Method"),
    "privacy": N_("Privacy"),
}
GROUPS: Final = {
    "": ("", place.BRIEF, place.HITS, "v", "os", "events"),
    N_("More figures"): ("ia", "level", "lang", "py", "cc", place.CROSS),
    N_("Reports"): (place.STATISTICS, place.FAILURES, place.FAULTS, place.ANSWERS),
    N_("About these pages"): ("downloads", "method", "privacy"),
}
"""The navigation: what is always seen, and what stands behind it, by heading."""
REQUESTS: Final = {
    ALONE: N_(
        "Each request says one thing, drawn at random: in half of them the version, else the "
        "operating system or the age of the installation."
    ),
    SOME: N_(
        "Each request says the version, and the operating system or the age of the installation, "
        "drawn at random."
    ),
    MANY: N_(
        "Each request says the version, the operating system and the age of the installation; "
        "every other one, by chance, the language, the Python version or the country too."
    ),
}
"""What a request says in each crowd, to visitors, who do not know the names of its variables."""
_EXAMPLE_HOST: Final = "a" * 55 + "d.onion"


@dataclass(frozen=True)
class Contents:
    """All that a site shows. Templates know each by its name."""

    product: Product
    weeks: Sequence[Week]
    """Published ones, oldest first."""
    notes: Sequence[Note] = ()
    documents: Sequence[Served] = ()
    signed: bool = False
    """Whether the operator signs the index."""
    served: bool = False
    """Whether a server shows it, with a form for a free choice of weeks."""
    own_logs: bool = True
    """Whether no log was counted that our own server did not write."""
    catalogue: Catalogue | None = None
    """What is declared now; None where nothing is."""
    reports: Sequence[StatisticsWeek] = ()
    """Published ones, oldest first."""
    operator: str = ""
    """Who runs this, and how to reach them; empty where they do not say."""

    status: Status | None = None
    """The answers to error reports; None where the site shows none."""
    faults: Sequence[FaultWeek] = ()
    """Published ones, oldest first."""

    @cached_property
    def parts(self) -> Sequence[Part]:
        """Of the answers; none without."""
        return reports.parts(self.status) if self.status else ()

    @cached_property
    def declared(self) -> Statistics:
        return statistics(self.catalogue, self.reports, self.weeks)

    @cached_property
    def domains(self) -> Mapping[str, Domain]:
        """The domains of error events, by name."""
        return told_domains(self.catalogue, self.reports, self.declared)


class Pages:
    """Renders pages. ``size`` gives width and height of a chart."""

    def __init__(self, contents: Contents, size: Callable[[Address], tuple[int, int]]) -> None:
        self._contents = contents
        self._size = size
        self._noise = _noise(contents.weeks)

    def picture(self, say: Language) -> Chart:
        """The page for people in a hurry, as a picture."""
        of = self._contents
        product, last = of.product, of.weeks[-1].week
        under = say.gettext("%(channel)s, up to %(week)s (%(days)s)")
        return brief_chart(
            product.product,
            under % {"channel": product.channel, "week": last, "days": say.days(last)},
            [(each.question, each.text) for each in self._verdicts(say)],
        )

    def _verdicts(self, say: Language) -> list[Verdict]:
        of = self._contents
        return verdicts.verdicts(of.product, of.weeks, of.documents, of.notes, say)

    def page(self, address: Address, span: Range | None) -> bytes:
        """The page at ``address``; ``span`` is None only where nothing is published yet."""
        say = language(address.language)

        def link(section: str = "", **others: Any) -> str:
            """From this page to another, in the same language unless asked otherwise."""
            return address.to(Address(**{"language": say.code, "section": section, **others}))

        def chart_of(name: str) -> dict[str, Any]:
            assert span is not None
            return self._chart(address, name, span, say)

        def size_of(one: Metric, *, narrow: bool = False) -> tuple[int, int]:
            """Of its chart; a domain of error events has one."""
            if one.purpose == EVENTS:
                of_domain = Address(say.code, place.FAILURES, project=one.project, narrow=narrow)
                return self._size(of_domain)
            where = Address(say.code, place.STATISTICS, project=one.project, key=one.key)
            return self._size(replace(where, narrow=narrow))

        context = {
            **vars(self._contents),
            "declared": self._contents.declared,
            "domains": self._contents.domains,
            "parts": self._contents.parts,
            "here": address,
            "span": span,
            "noise": self._noise,
            "title": say.gettext(TITLES[address.section]),
            "link": link,
            "data": lambda name: "../" * address.path.count("/") + f"data/{name}",
            "chart_of": chart_of,
            "size_of": size_of,
            "faults_size": lambda: self._size(Address(say.code, place.FAULTS)),
            "verdicts_of": lambda: self._verdicts(say),
            "picture_size": lambda: self._size(Address(say.code, place.BRIEF)),
            "groups": self._groups(),
        }
        template = _environment(say.code).get_template(f"{_template(address, span)}.html")
        return (template.render(context).rstrip() + "\n").encode("utf-8")

    def _groups(self) -> dict[str, list[str]]:
        """The sections that this site has, by heading."""
        has = {
            place.STATISTICS: self._contents.declared.projects,
            place.FAILURES: self._contents.domains,
            place.FAULTS: self._contents.faults,
            place.ANSWERS: self._contents.parts,
        }
        found = {
            title: [each for each in sections if has.get(each, True)]
            for title, sections in GROUPS.items()
        }
        return {title: sections for title, sections in found.items() if sections}

    def _chart(self, address: Address, name: str, span: Range, say: Language) -> dict[str, Any]:
        """A chart for the ``figure`` macro: its size, and the finding as alt text."""
        weeks = span.of(name)
        empty = is_empty(name, weeks)
        drawn = of_table(name, weeks) if name in TABLES else weeks
        page = Address(address.language, name, span.name)
        finding = (
            findings.installations(span.weeks, say)
            if name == place.HITS
            else findings.shares(name, weeks, say)
        )
        return {
            "name": name,
            "empty": empty,
            "disturbed": any("disturbed" in week.flags for week in drawn),
            "gaps": name in TABLES and any(not tells_shares(name, week) for week in drawn),
            "finding": finding,
            "size": None if empty else self._size(page),
            "narrow": self._narrow(page) if not empty else None,
            "releases": bool(page.section in (place.HITS, "v") and first_seen(weeks)),
        }

    def _narrow(self, page: Address) -> tuple[int, int] | None:
        """The size of the same chart for the width of a phone, which the default range has."""
        return self._size(replace(page, narrow=True)) if page.span == ranges.DEFAULT else None


def _template(address: Address, span: Range | None) -> str:
    if address.section in place.DECLARED and address.project:
        return "project" if address.section == place.STATISTICS else "domain"
    if address.section in place.DECLARED:
        return address.section
    if address.section == place.ANSWERS:
        return "told"
    if address.section == place.FAULTS:
        return address.section
    if address.section in place.PLAIN and (address.section != place.BRIEF or span):
        return address.section
    named = {"": "overview", place.CROSS: "cross"}
    return "nothing" if span is None else named.get(address.section, "dimension")


@cache
def _environment(code: str) -> Environment:
    say = language(code)
    environment = templates(say)
    environment.filters |= {
        "hits": say.count,
        "percent": say.percent,
        "number": say.number,
        "days": say.days,
    }
    environment.globals |= {
        "say": say,
        "titles": TITLES,
        "languages": LANGUAGES,
        "variables": VARIABLES,
        "answers": answers,
        "arrivals": arrivals,
        "downloads": downloads,
        "due": lambda weeks: due(following(weeks[-1].week)),
        "events": events,
        "failures": failures,
        "of_faults": faults,
        "findings": findings,
        "of_reports": reports,
        "utc_day": utc_day,
        "label": label,
        "latest": latest,
        "of_table": of_table,
        "ranges": ranges,
        "verdicts": verdicts,
        "usual_interval": DEFAULT,
        "crowds": crowd,
        "requests": REQUESTS,
        "many": MANY,
        "example_requests": example_requests,
        "possible_values": possible_values,
    }
    return environment


@dataclass(frozen=True)
class NoiseTold:
    """What the pages say of noise: its budgets, smallest first, and whether weeks lack it."""

    budgets: Sequence[float]
    in_part: bool
    share: int = HITS_PER_WEEK * CELLS_PER_HIT
    z: float = TOLD

    @property
    def deviation(self) -> float:
        """The standard deviation in hits, the largest where there are several."""
        return deviation(self.budgets[0])

    @property
    def margin(self) -> int:
        """Hits up or down that the noise of one number stays within in nineteen of twenty."""
        return significant(self.z * self.deviation)


def _noise(weeks: Sequence[Week]) -> NoiseTold | None:
    """None where no published week has noise."""
    budgets = sorted({week.noise for week in weeks if week.noise is not None})
    return NoiseTold(budgets, any(week.noise is None for week in weeks)) if budgets else None


def example_requests(product: Product) -> dict[str, Any]:
    """The requests that a client sends, made by the code that sends them: ``plain``, and each form
    of ``tracked`` that the product's crowd allows."""
    host = product.servers[0].removeprefix("http://") if product.servers else _EXAMPLE_HOST
    release = product.releases[-1] if product.releases else "1.0"
    found = {"v": release, "os": "linux", "ia": "100", "lang": "en", "py": "3.12", "cc": "IS"}
    level = crowd.level_of(product.crowd)
    said = dict.fromkeys(encode(chosen(found, NAMES, n / 6, level)) for n in range(6))
    return {
        "plain": request_bytes(host).decode("ascii"),
        "tracked": [request_bytes(host, each).decode("ascii") for each in said],
    }


def possible_values(variable: Variable, product: Product, say: Language) -> str:
    """Those of ``variable``, each with its name where every one has a name of its own."""
    values, names = variable.known(product), variable.names
    if product.crowd < MANY and variable.folded:
        values, names = list(variable.folded_names), variable.folded_names
    named = all(names.get(value, value).casefold() != value for value in values)
    return ", ".join(
        f"{value} ({say.gettext(names[value])})" if named else value for value in values
    )
