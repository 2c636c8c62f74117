"""The whole site: every address it has, and the bytes that stand there.

Written to a folder by ``publish`` and served by ``serve`` from the same code. It knows published
weeks and nothing else, so no page, picture or download can show more than was published.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache, lru_cache, partial
from importlib.resources import files
from itertools import product
from typing import Final

from mars.wire.registry import EVENTS, STATISTICS
from mars_server.site.charts import faults as faults_chart
from mars_server.site.charts.answers import answers_chart, is_drawn
from mars_server.site.charts.data import installations_chart, shares_chart
from mars_server.site.charts.render import Chart, Picture
from mars_server.site.charts.store import ChartStore, key
from mars_server.site.charts.tellable import first_seen
from mars_server.site.declared import Declared
from mars_server.site.language import LANGUAGES, language
from mars_server.site.pages import address as place
from mars_server.site.pages import ranges
from mars_server.site.pages.address import Address
from mars_server.site.pages.render import Contents, Pages
from mars_server.tables import downloads, faults, statistics_files

_MEDIA_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
}
_SERIES: Final = {
    "figures.csv": statistics_files.series_csv,
    "figures.json": statistics_files.series_json,
}
_FAULTS: Final = {"figures.csv": faults.series_csv, "figures.json": faults.series_json}
_PURPOSES: Final = {place.STATISTICS: STATISTICS, place.FAILURES: EVENTS}
_KEYS: Final = 4096
"""Names of charts that are remembered; visitors of a server choose ranges freely."""


class Site:
    """All pages and files of what is ``contents``."""

    def __init__(self, contents: Contents, charts: ChartStore | None = None) -> None:
        self._weeks = contents.weeks
        self._seen = first_seen(contents.weeks)
        self._reports = contents.reports
        self._declared = contents.declared
        self._failures = contents.domains
        self._faults = contents.faults
        self._parts = len(contents.parts)
        self._named_in = {
            place.STATISTICS: tuple(self._declared.projects),
            place.FAILURES: tuple(self._failures),
        }
        self._charts = charts or ChartStore()
        self._named = lru_cache(maxsize=_KEYS)(lambda address: key(self.chart(address)))
        self._pages = Pages(contents, lambda address: self._drawn(address).size)

    def addresses(self) -> Iterator[Address]:
        """Every file of the static site."""
        for file in place.STATIC:
            yield Address(file=file)
        for code, section in product(LANGUAGES, ("", *place.RANGED, *place.PLAIN)):
            yield Address(code, section)
        for section, name in product(place.RANGED, ranges.names(self._weeks)):
            for file in place.FIGURE_FILES:
                yield Address(section=section, span=name, file=file)
            for code in LANGUAGES if name != ranges.DEFAULT else ():
                yield Address(code, section, name)
        for section, names in self._named_in.items():
            for code, project in product(LANGUAGES, ("", *names) if names else ()):
                yield Address(code, section, project=project)
            for project, file in product(names, place.FIGURE_FILES):
                yield Address(section=section, project=project, file=file)
        for code, number in product(LANGUAGES, range(self._parts)):
            yield Address(code, place.ANSWERS, project=str(number + 1) if number else "")
        for code in LANGUAGES if self._faults else ():
            yield Address(code, place.FAULTS)
        for file in place.FIGURE_FILES if self._faults else ():
            yield Address(section=place.FAULTS, file=file)
        for address, file in product(self._places(), place.CHART_FILES):
            yield replace(address, file=file)

    def export(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of every file of the static site."""
        self._charts.draw({self._key(each): partial(self.chart, each) for each in self._places()})
        for each in self.addresses():
            content = self.content(each)
            assert content is not None
            yield each.path, content

    def charts(self) -> dict[str, str]:
        """The folders that hold a chart, with its key."""
        places = self._places()
        return {each.path.removesuffix(f"/{place.PAGE}"): self._key(each) for each in places}

    def _places(self) -> Iterator[Address]:
        """Where the static site has charts."""
        for each in self._wide_places():
            yield each
            if each.span == ranges.DEFAULT:
                yield replace(each, narrow=True)
        for code in LANGUAGES if self._weeks else ():
            yield Address(code, place.BRIEF)

    def _wide_places(self) -> Iterator[Address]:
        names = ranges.names(self._weeks)
        for name, code, section in product(names, LANGUAGES, place.CHARTS):
            if ranges.pick(name, self._weeks) is not None:
                yield Address(code, section, name)
        drawn = filter(is_drawn, self._declared.entries())
        for code, entry in product(LANGUAGES, drawn):
            one = entry.metric
            yield Address(code, place.STATISTICS, project=one.project, key=one.key)
        for code, domain in product(LANGUAGES, self._failures.values()):
            if is_drawn(domain.failed):
                yield Address(code, place.FAILURES, project=domain.name)
        for code in LANGUAGES if faults_chart.is_drawn(self._faults) else ():
            yield Address(code, place.FAULTS)

    def content(self, address: Address) -> bytes | None:
        """The bytes at ``address``, or None where there is nothing."""
        if address.file in place.STATIC:
            return static(address.file)
        if address.section in place.DECLARED:
            return self._of_declared(address)
        if address.section in place.OF_ERRORS:
            return self._of_errors(address)
        span = ranges.pick(address.span, self._weeks)
        if address.file == place.PAGE:
            if span is None and (address.span != ranges.DEFAULT or self._weeks):
                return None
            return self._pages.page(address, span)
        if span is None or (address.section == place.BRIEF and not self._weeks):
            return None
        if address.file in place.FIGURE_FILES:
            series = {"figures.csv": downloads.series_csv, "figures.json": downloads.series_json}
            return series[address.file](address.section, span.weeks)
        return self._drawn(address).files[address.file]

    def _of_declared(self, address: Address) -> bytes | None:
        names = self._named_in[address.section]
        if not names or (address.project and address.project not in names):
            return None
        if address.file == place.PAGE:
            return self._pages.page(address, ranges.pick(ranges.DEFAULT, self._weeks))
        if address.file in place.FIGURE_FILES:
            purpose = _PURPOSES[address.section]
            return _SERIES[address.file](purpose, address.project, self._reports)
        entry = self._entry(address)
        drawn = entry is not None and is_drawn(entry)
        return self._drawn(address).files[address.file] if drawn else None

    def _of_errors(self, address: Address) -> bytes | None:
        if address.section == place.ANSWERS:
            there = int(address.project or 1) <= self._parts
            return self._pages.page(address, None) if there else None
        if not self._faults:
            return None
        if address.file == place.PAGE:
            return self._pages.page(address, None)
        if address.file in place.FIGURE_FILES:
            return _FAULTS[address.file](self._faults)
        return (
            self._drawn(address).files[address.file]
            if faults_chart.is_drawn(self._faults)
            else None
        )

    def chart(self, address: Address) -> Chart:
        """The chart at ``address``, of which there is one."""
        say = language(address.language)
        if address.section in place.DECLARED:
            entry = self._entry(address)
            assert entry is not None
            return answers_chart(entry, say, narrow=address.narrow)
        if address.section == place.FAULTS:
            return faults_chart.faults_chart(self._faults, say)
        if address.section == place.BRIEF:
            return self._pages.picture(say)
        span = ranges.pick(address.span, self._weeks)
        assert span is not None
        if address.section == place.HITS:
            return installations_chart(span.weeks, say, self._seen, narrow=address.narrow)
        seen = self._seen if address.section == "v" else ()
        weeks = span.of(address.section)
        return shares_chart(address.section, weeks, say, seen, narrow=address.narrow)

    def _entry(self, address: Address) -> Declared | None:
        """That of a chart."""
        if address.section == place.STATISTICS:
            return self._declared.entry(address.project, address.key)
        domain = self._failures.get(address.project)
        return None if domain is None else domain.failed

    def _drawn(self, address: Address) -> Picture:
        return self._charts.picture(self._key(address), partial(self.chart, address))

    def _key(self, address: Address) -> str:
        return self._named(replace(address, file=place.PAGE))


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
