"""Fills the templates; the one home of jinja2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from mars.wire.product import Product
from mars.wire.query import encode
from mars.wire.request import request_bytes
from mars.wire.variables import VARIABLES, Variable
from mars_server.site.charts.data import is_empty
from mars_server.site.charts.tellable import tells_shares
from mars_server.site.pages import address as place
from mars_server.site.pages import findings, ranges
from mars_server.site.pages.address import Address
from mars_server.site.pages.events import Note, events, steering_remark
from mars_server.site.pages.language import LANGUAGES, N_, Language, language
from mars_server.site.pages.ranges import Range
from mars_server.site.pages.tables import cross_table, newest_release, ranking, share_table
from mars_server.tables import downloads
from mars_server.tables.estimate import Z95_NOISE, significant
from mars_server.tables.floor import joint_share
from mars_server.tables.noise import CELLS_PER_HIT, HITS_PER_WEEK, deviation
from mars_server.tables.signed_documents import Served
from mars_server.tables.week import TABLES, Week

TITLES: Final = {
    "": N_("Overview"),
    "hits": N_("Installations"),
    "level": N_("Metrics given"),
    **{variable.name: variable.title for variable in VARIABLES},
    "v-os": N_("Version × platform"),
    "events": N_("Events"),
    "downloads": N_("Downloads"),
    "method": N_("Method"),
    "privacy": N_("Privacy"),
}
RANGE_TITLES: Final = {
    "last-13": N_("13 weeks"),
    "last-52": N_("52 weeks"),
    "all": N_("all weeks"),
}
NEW_AGES: Final = ("1", "10")
"""At most 31 days."""
OVERVIEW: Final = ("hits", "v", "os", "ia")
"""Charts on the overview."""
LISTED: Final = 20
"""Signed documents that the downloads page names; the file names all."""
EXAMPLE_HOST: Final = "a" * 55 + "d.onion"


@dataclass(frozen=True)
class Surroundings:
    """What every page knows."""

    product: Product
    weeks: tuple[Week, ...]
    notes: tuple[Note, ...]
    documents: tuple[Served, ...]
    signed: bool
    served: bool
    own_logs: bool
    """Whether no log was counted that our own server did not write."""


class Pages:
    """Renders pages. ``size`` gives width and height of a chart."""

    def __init__(
        self, around: Surroundings, size: Callable[[Address, Range], tuple[int, int]]
    ) -> None:
        self._around = around
        self._size = size
        self._noise = _noise(around.weeks)
        self._environments = {code: _environment(language(code)) for code in LANGUAGES}

    def page(self, address: Address, span: Range | None) -> bytes:
        """The page at ``address``; ``span`` is None only where nothing is published yet."""
        say = language(address.language)
        template = "nothing.html"
        if address.section in place.PLAIN:
            template = f"{address.section}.html"
        elif span is not None:
            template = {"": "overview.html", place.CROSS: "cross.html"}.get(
                address.section, "dimension.html"
            )
        environment = self._environments[say.code]
        text = environment.get_template(template).render(self._context(address, span, say))
        return (text.rstrip() + "\n").encode("utf-8")

    def _context(self, address: Address, span: Range | None, say: Language) -> dict[str, Any]:
        around = self._around
        context: dict[str, Any] = {
            "say": say,
            "product": around.product,
            "here": address,
            "served": around.served,
            "signed": around.signed,
            "weeks": around.weeks,
            "noise": self._noise,
            "title": say.gettext(TITLES[address.section]),
            "navigation": self._navigation(address, say),
            "languages": self._languages(address),
            "style": address.to(Address(file=place.STYLE)),
            "icon": address.to(Address(file=place.ICON)),
            "link": lambda section: address.to(Address(address.language, section)),
            "data": lambda name: "../" * address.depth + f"data/{name}",
        }
        if span is not None:
            context |= self._figures(address, span, say)
        match address.section:
            case "events":
                context["events"] = events(around.weeks, around.notes, say)
            case "downloads":
                context["documents"] = around.documents[: -LISTED - 1 : -1]
                context["series"] = ["hits", *TABLES, "v-os"]
                context["section_titles"] = {k: say.gettext(v) for k, v in TITLES.items()}
                context["years"] = [
                    (year, ranges.pick(year, around.weeks)) for year in ranges.years(around.weeks)
                ]
            case "method":
                context |= {
                    "columns": downloads.COLUMNS,
                    "example": findings.latest(around.weeks),
                    "own_logs": around.own_logs,
                }
            case "privacy":
                context |= _requests(around.product, say)
                context["own_logs"] = around.own_logs
        return context

    def _figures(self, address: Address, span: Range, say: Language) -> dict[str, Any]:
        latest = findings.latest(self._around.weeks)
        context: dict[str, Any] = {"span": span, "latest": latest}
        if address.section == "":
            context["charts"] = {name: self._chart(address, name, span, say) for name in OVERVIEW}
            context["newest"] = newest_release(latest) if latest else None
            context["new_share"] = _new_share(latest)
            context["rankings"] = {name: ranking(name, span.weeks, say) for name in OVERVIEW[1:]}
        elif address.section in place.RANGED:
            context["range_links"] = self._range_links(address, say)
            context["range_title"] = self._range_title(span, say)
            context["chosen"] = (span.first, span.last)
            context["figures"] = {
                kind: address.to(Address(section=address.section, span=span.name, file=file))
                for kind, file in zip(("CSV", "JSON"), place.FIGURE_FILES, strict=True)
            }
            if address.section in place.CHARTS:
                context["chart"] = self._chart(address, address.section, span, say)
            if address.section in TABLES:
                context["table"] = share_table(address.section, span.weeks, say)
            if address.section == place.CROSS:
                context["table"] = cross_table(span.weeks, say)
            context["new_share"] = _new_share(findings.latest(span.weeks))
        return context

    def _chart(self, address: Address, name: str, span: Range, say: Language) -> dict[str, Any]:
        """A chart for the ``figure`` macro: links, size, and the finding as alt text."""

        page = Address(address.language, name, span.name)
        figures_page = Address(section=name, span=span.name)

        def link(file: str, at: Address = page) -> str:
            return address.to(replace(at, file=file))

        empty = is_empty(name, span.weeks)
        width, height = (0, 0) if empty else self._size(page, span)
        finding = (
            findings.installations(span.weeks, say)
            if name == place.HITS
            else findings.shares(name, span.weeks, say)
        )
        return {
            "name": name,
            "empty": empty,
            "disturbed": any("disturbed" in week.flags for week in span.weeks),
            "gaps": name in TABLES and any(not tells_shares(name, week) for week in span.weeks),
            "title": say.gettext(TITLES[name]),
            "finding": finding,
            "png": link("chart.png"),
            "dark": link("chart-dark.png"),
            "svg": link("chart.svg"),
            "csv": link("figures.csv", figures_page),
            "json": link("figures.json", figures_page),
            "page": address.to(page),
            "width": width,
            "height": height,
        }

    def _navigation(self, address: Address, say: Language) -> list[dict[str, Any]]:
        return [
            {
                "title": say.gettext(title),
                "link": address.to(Address(address.language, section)),
                "current": section == address.section,
            }
            for section, title in TITLES.items()
        ]

    def _languages(self, address: Address) -> list[dict[str, Any]]:
        return [
            {
                "code": code,
                "name": name,
                "link": address.to(Address(code, address.section, address.span)),
                "current": code == address.language,
            }
            for code, name in LANGUAGES.items()
        ]

    def _range_links(self, address: Address, say: Language) -> list[dict[str, Any]]:
        weeks = self._around.weeks
        whole = len(weeks) <= ranges.LASTS[ranges.DEFAULT]
        titles = RANGE_TITLES | ({ranges.DEFAULT: RANGE_TITLES[ranges.ALL]} if whole else {})
        return [
            {
                "title": say.gettext(titles.get(name, name)),
                "link": address.to(Address(address.language, address.section, name)),
                "current": name == address.span,
            }
            for name in ranges.distinct(weeks, address.span)
        ]

    def _range_title(self, span: Range, say: Language) -> str:
        if span.first == span.last:
            return span.first
        return say.gettext("%(first)s to %(last)s") % {"first": span.first, "last": span.last}


def _environment(say: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("mars_server.site.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        say.gettext, say.ngettext, newstyle=True
    )
    environment.filters |= {
        "hits": say.count,
        "percent": say.percent,
        "number": say.number,
        "days": say.days,
        "steering": lambda week: steering_remark(week, say),
    }
    return environment


@dataclass(frozen=True)
class NoiseTold:
    """What the pages say of noise: its budgets, smallest first, and whether some weeks have none.

    ``deviation`` is the standard deviation in hits, the largest where there are several.
    """

    budgets: tuple[float, ...]
    in_part: bool
    deviation: float
    share: int = HITS_PER_WEEK * CELLS_PER_HIT
    z: float = Z95_NOISE

    @property
    def margin(self) -> int:
        """Hits up or down that the noise of one number stays within in nineteen of twenty."""
        return significant(self.z * self.deviation)


def _noise(weeks: Sequence[Week]) -> NoiseTold | None:
    """None where no published week has noise."""
    budgets = {week.noise for week in weeks if week.noise is not None}
    if not budgets:
        return None
    return NoiseTold(
        tuple(sorted(budgets)),
        any(week.noise is None for week in weeks),
        deviation(min(budgets)),
    )


def _new_share(week: Week | None) -> Any:
    """New against continuing: installed at most 31 days ago, among those that give their age."""
    if week is None or not tells_shares("ia", week):
        return None
    rows = week.tables["ia"]
    if not any(week.tells(row.count) for row in rows if row.value in NEW_AGES):
        return None
    parts = [row.count for row in rows if row.value != downloads.NOT_GIVEN]
    new = joint_share([row.count for row in rows if row.value in NEW_AGES], parts)
    return new if new.value is not None else None


def _requests(product: Product, say: Language) -> dict[str, Any]:
    """The requests that a client sends, made by the code that sends them."""
    host = product.servers[0].removeprefix("http://") if product.servers else EXAMPLE_HOST
    release = product.releases[-1] if product.releases else "1.0"
    tracked = {"v": release, "os": "linux", "ia": "100"}
    return {
        "plain": request_bytes(host).decode("ascii"),
        "tracked": request_bytes(host, encode(tracked)).decode("ascii"),
        "optional": request_bytes(host, encode(tracked | {"py": "3.12"})).decode("ascii"),
        "variables": [
            (one.name, say.gettext(one.meaning), one.summary or _possible(one, product, say))
            for one in VARIABLES
        ],
        "host_is_example": not product.servers,
    }


def _possible(variable: Variable, product: Product, say: Language) -> str:
    """The values of ``variable``, each with its name where every one has a name of its own."""
    values = variable.known(product)
    named = all(variable.names.get(value, value).casefold() != value for value in values)
    return ", ".join(
        f"{value} ({say.gettext(variable.names[value])})" if named else value for value in values
    )
