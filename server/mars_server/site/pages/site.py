"""The whole site: every address it has, and the bytes that stand there.

Written to a folder by ``publish`` and served by ``serve`` from the same code. It knows published
weeks and nothing else, so no page, picture or download can show more than was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache, partial
from importlib.resources import files
from itertools import product
from typing import Final

from mars_server.site.charts.data import installations_chart, shares_chart
from mars_server.site.charts.render import Chart, Picture
from mars_server.site.charts.store import ChartStore, key
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages import address as place
from mars_server.site.pages import ranges
from mars_server.site.pages.address import Address
from mars_server.site.pages.ranges import Range
from mars_server.site.pages.render import Contents, Pages
from mars_server.tables import downloads

_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}
_KEYS: Final = 4096
"""Names of charts that are remembered; visitors of a server choose ranges freely."""


class Site:
    """All pages and files of what is ``contents``."""

    def __init__(self, contents: Contents, charts: ChartStore | None = None) -> None:
        self._weeks = contents.weeks
        self._charts = charts or ChartStore()
        self._named = lru_cache(maxsize=_KEYS)(self._name)
        self._pages = Pages(contents, lambda address, span: self._drawn(address, span).size)

    def addresses(self) -> Iterator[Address]:
        """Every file of the static site."""
        for file in place.STATIC:
            yield Address(file=file)
        for code, section in product(LANGUAGES, ("", *place.RANGED, *place.PLAIN)):
            yield Address(code, section)
        for section, name in product(place.RANGED, ranges.names(self._weeks)):
            for file in place.FIGURE_FILES:
                yield Address(section=section, span=name, file=file)
            for code in LANGUAGES:
                if name != ranges.DEFAULT:
                    yield Address(code, section, name)
                for file in place.CHART_FILES if section in place.CHARTS else ():
                    yield Address(code, section, name, file)

    def export(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of every file of the static site."""
        wanted = {self._key(*each): partial(self.chart, *each) for each in self._places()}
        self._charts.draw(wanted)
        for each in self.addresses():
            content = self.content(each)
            assert content is not None
            yield each.path, content

    def charts(self) -> dict[str, str]:
        """The folders that hold a chart, with its key."""
        return {
            address.path.removesuffix(f"/{place.PAGE}"): self._key(address, span)
            for address, span in self._places()
        }

    def _places(self) -> Iterator[tuple[Address, Range]]:
        """Where the static site has charts."""
        spans = filter(None, (ranges.pick(name, self._weeks) for name in ranges.names(self._weeks)))
        for span, code, section in product(spans, LANGUAGES, place.CHARTS):
            yield Address(code, section, span.name), span

    def content(self, address: Address) -> bytes | None:
        """The bytes at ``address``, or None where there is nothing."""
        if address.file in place.STATIC:
            return static(address.file)
        span = ranges.pick(address.span, self._weeks)
        if address.file == place.PAGE:
            if span is None and (address.span != ranges.DEFAULT or self._weeks):
                return None
            return self._pages.page(address, span)
        if span is None:
            return None
        if address.file in place.FIGURE_FILES:
            series = {"figures.csv": downloads.series_csv, "figures.json": downloads.series_json}
            return series[address.file](address.section, span.weeks)
        return self._drawn(address, span).files[address.file]

    def chart(self, address: Address, span: Range) -> Chart:
        """The chart of the section of ``address``, in its language."""
        say = language(address.language)
        if address.section == place.HITS:
            return installations_chart(span.weeks, say)
        return shares_chart(address.section, span.of(address.section), say)

    def _drawn(self, address: Address, span: Range) -> Picture:
        return self._charts.picture(self._key(address, span), lambda: self.chart(address, span))

    def _key(self, address: Address, span: Range) -> str:
        return self._named(address.language, address.section, span.name)

    def _name(self, code: str, section: str, span: str) -> str:
        found = ranges.pick(span, self._weeks)
        assert found is not None
        return key(self.chart(Address(code, section), found))


def static(name: str) -> bytes:
    """A file that is the same on every site. ``name`` is one of ``address.STATIC``."""
    return files("mars_server.site.pages").joinpath("static", name).read_bytes()


@cache
def nothing_here() -> bytes:
    """A page for everything that is not there: the same bytes, in all languages."""
    parts = []
    for code in LANGUAGES:
        say = language(code)
        text, link = say.gettext("There is nothing here."), say.gettext("To the overview")
        parts.append(f'<p lang="{code}">{text} <a href="/{Address(code).path}">{link}</a></p>\n')
    head = '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>404</title>\n'
    return (head + "".join(parts) + "</html>\n").encode("utf-8")


def media_type(name: str) -> str:
    """By the end of a file's name."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream")
