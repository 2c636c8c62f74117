"""Fills the templates; the one home of jinja2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from mars.wire.product import Product
from mars.wire.query import encode
from mars.wire.request import request_bytes
from mars.wire.variables import VARIABLES, Variable
from mars_server.site.charts.data import is_empty
from mars_server.site.charts.tellable import latest, tells_shares
from mars_server.site.pages import address as place
from mars_server.site.pages import findings, ranges
from mars_server.site.pages.address import Address
from mars_server.site.pages.events import Note, events, steering_remark
from mars_server.site.pages.findings import cross_table, newest_release, ranking, share_table
from mars_server.site.pages.language import LANGUAGES, N_, Language, language
from mars_server.site.pages.ranges import Range
from mars_server.tables import downloads
from mars_server.tables.estimate import significant
from mars_server.tables.floor import Percent, joint_share
from mars_server.tables.noise import CELLS_PER_HIT, HITS_PER_WEEK, TOLD, deviation
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
_RANGE_TITLES: Final = {
    "last-13": N_("13 weeks"),
    "last-52": N_("52 weeks"),
    "all": N_("all weeks"),
}
_NEW_AGES: Final = ("1", "10")
"""At most 31 days."""
_OVERVIEW: Final = ("hits", "v", "os", "ia")
"""Charts on the overview."""
_LISTED: Final = 20
"""Signed documents that the downloads page names; the file names all."""
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


class Pages:
    """Renders pages. ``size`` gives width and height of a chart."""

    def __init__(
        self, contents: Contents, size: Callable[[Address, Range], tuple[int, int]]
    ) -> None:
        self._contents = contents
        self._size = size
        self._noise = _noise(contents.weeks)

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
        text = (
            _environment(say.code).get_template(template).render(self._context(address, span, say))
        )
        return (text.rstrip() + "\n").encode("utf-8")

    def _context(self, address: Address, span: Range | None, say: Language) -> dict[str, Any]:
        contents = self._contents

        def link(section: str = "", **others: str) -> str:
            """From this page to another, in the same language unless asked otherwise."""
            return address.to(Address(**{"language": say.code, "section": section, **others}))

        context: dict[str, Any] = {
            **vars(contents),
            "say": say,
            "here": address,
            "noise": self._noise,
            "title": say.gettext(TITLES[address.section]),
            "titles": TITLES,
            "languages": LANGUAGES,
            "link": link,
            "data": lambda name: "../" * address.path.count("/") + f"data/{name}",
        }
        if span is not None:
            context |= self._figures(address, span, say)
        match address.section:
            case "events":
                context["events"] = events(contents.weeks, contents.notes, say)
            case "downloads":
                context["documents"] = contents.documents[: -_LISTED - 1 : -1]
                context["series"] = downloads.SERIES
                context["years"] = [
                    (year, ranges.pick(year, contents.weeks))
                    for year in ranges.years(contents.weeks)
                ]
            case "method":
                context["columns"] = downloads.COLUMNS
                context["example"] = latest(contents.weeks)
            case "privacy":
                context |= _requests(contents.product, say)
        return context

    def _figures(self, address: Address, span: Range, say: Language) -> dict[str, Any]:
        weeks = self._contents.weeks
        last = latest(weeks)
        context: dict[str, Any] = {"span": span, "latest": last}
        if address.section == "":
            context["charts"] = {name: self._chart(address, name, span, say) for name in _OVERVIEW}
            context["newest"] = newest_release(last) if last else None
            context["new_share"] = _new_share(last)
            context["rankings"] = {name: ranking(name, span.weeks, say) for name in _OVERVIEW[1:]}
        elif address.section in place.RANGED:
            whole = len(weeks) <= ranges.LASTS[ranges.DEFAULT]
            context["ranges"] = ranges.distinct(weeks, address.span)
            context["range_titles"] = _RANGE_TITLES | (
                {ranges.DEFAULT: _RANGE_TITLES[ranges.ALL]} if whole else {}
            )
            if address.section in place.CHARTS:
                context["chart"] = self._chart(address, address.section, span, say)
            if address.section in TABLES:
                context["table"] = share_table(address.section, span.weeks, say)
            if address.section == place.CROSS:
                context["table"] = cross_table(span.weeks, say)
            context["new_share"] = _new_share(latest(span.weeks))
        return context

    def _chart(self, address: Address, name: str, span: Range, say: Language) -> dict[str, Any]:
        """A chart for the ``figure`` macro: its size, and the finding as alt text."""
        empty = is_empty(name, span.weeks)
        page = Address(address.language, name, span.name)
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
            "finding": finding,
            "width": width,
            "height": height,
        }


@cache
def _environment(code: str) -> Environment:
    say = language(code)
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
    z: float = TOLD

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


def _new_share(week: Week | None) -> Percent | None:
    """New against continuing: installed at most 31 days ago, among those that give their age."""
    if week is None or not tells_shares("ia", week):
        return None
    rows = week.tables["ia"]
    if not any(week.tells(row.count) for row in rows if row.value in _NEW_AGES):
        return None
    parts = [row.count for row in rows if row.value != downloads.NOT_GIVEN]
    return joint_share([row.count for row in rows if row.value in _NEW_AGES], parts)


def _requests(product: Product, say: Language) -> dict[str, Any]:
    """The requests that a client sends, made by the code that sends them."""
    host = product.servers[0].removeprefix("http://") if product.servers else _EXAMPLE_HOST
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
