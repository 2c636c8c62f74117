"""The URL space of the site: what exists, and nothing else.

``[LANGUAGE/][SECTION/[RANGE/]]FILE``. Sections with a chart or figures have ranges and, beside
``index.html``, ``chart.png``, ``chart-dark.png``, ``chart.svg``, ``figures.csv`` and
``figures.json``; the figures are the same in every language and stand outside the language folders.
Charts of the default range, and of what is declared, stand a second time in the folder ``_narrow``,
for phones. Declared statistics have no ranges: ``[LANGUAGE/]statistics/[PROJECT/[KEY/]]FILE``, with
a page and figures for each project and a chart for each entry. Nor have error events:
``[LANGUAGE/]failures/[DOMAIN/]FILE``, with a page, figures and a chart for each domain. Of error
reports there are answers, ``[LANGUAGE/]answers/[PART/]index.html``, with as many parts as they
need, and figures, ``[LANGUAGE/]faults/FILE``, with a page, figures and a chart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from mars_server.site.language import LANGUAGES, SOURCE
from mars_server.site.pages.ranges import DEFAULT, is_name
from mars_server.tables.week import TABLES

HITS: Final = "hits"
CROSS: Final = "v-os"
CHARTS: Final = (HITS, *TABLES)
RANGED: Final = (*CHARTS, CROSS)
BRIEF: Final = "brief"
"""For people in a hurry; as a picture, too."""
PLAIN: Final = (BRIEF, "events", "downloads", "method", "privacy")
STATISTICS: Final = "statistics"
"""The catalogue of what is declared; a site without any has no such section."""
FAILURES: Final = "failures"
"""The catalogue of error events; a site without any has no such section."""
DECLARED: Final = (STATISTICS, FAILURES)
ANSWERS: Final = "answers"
"""What became of error reports; a site that was given no status document has no such section."""
FAULTS: Final = "faults"
"""How often faults were reported; a site without such figures has no such section."""
OF_ERRORS: Final = (ANSWERS, FAULTS)
PAGE: Final = "index.html"
CHART_FILES: Final = ("chart.png", "chart-dark.png", "chart.svg")
FIGURE_FILES: Final = ("figures.csv", "figures.json")
STYLE: Final = "style.css"
NARROW: Final = "_narrow"
"""The folder of the same chart for the width of a phone: those of the default range, and of what is
declared. No project, key or range is called like this."""
ICON: Final = "icon.png"
STATIC: Final = (STYLE, ICON)
_PROJECT = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?", re.ASCII)
_KEY = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
"""Names as a registry has them (``mars.wire.registry``)."""
_PART = re.compile(r"[2-9]|[1-9][0-9]{1,2}", re.ASCII)
"""Of the answers; the first stands at their root."""


@dataclass(frozen=True)
class Address:
    """One file of the site."""

    language: str = SOURCE
    section: str = ""
    """``""`` for the overview, or one of ``RANGED``, ``PLAIN``, ``DECLARED`` or ``OF_ERRORS``."""
    span: str = DEFAULT
    file: str = PAGE
    project: str = ""
    """Or a domain of error events, or the number of a part of the answers but the first."""
    key: str = ""
    narrow: bool = False
    """Whether a chart is the one for the width of a phone."""

    @property
    def path(self) -> str:
        """Below the site's root, without a leading slash."""
        parts = [] if self.language == SOURCE else [self.language]
        if self.section:
            parts.append(self.section)
        if self.span != DEFAULT:
            parts.append(self.span)
        parts += filter(None, (self.project, self.key, NARROW if self.narrow else ""))
        return "/".join([*parts, self.file])

    def to(self, other: Address) -> str:
        """A relative link from here to ``other``."""
        return "../" * self.path.count("/") + other.path


def parse(path: str) -> Address | None:
    """The address of ``path`` (no leading slash; a folder stands for its page), or None.

    Neither range nor project are looked at: whether they exist depends on what is published.
    """
    *folders, file = path.split("/")
    file = file or PAGE
    narrow = folders[-1:] == [NARROW]
    if narrow:
        folders.pop()
    language = folders.pop(0) if folders and folders[0] in LANGUAGES else SOURCE
    section = folders.pop(0) if folders else ""
    if section in (*DECLARED, *OF_ERRORS):
        project, key = (folders.pop(0) if folders else "" for _ in range(2))
        found = Address(language, section, file=file, project=project, key=key, narrow=narrow)
    else:
        span = folders.pop(0) if folders else DEFAULT
        found = Address(language, section, span, file, narrow=narrow)
    known = not folders and _exists(found)
    canonical = found.path in (path, f"{path}{PAGE}")
    return found if known and canonical else None


def _exists(address: Address) -> bool:
    if address.narrow:
        has_one = address.section in (*CHARTS, *DECLARED) and address.span == DEFAULT
        return has_one and address.file in CHART_FILES and _exists(replace(address, narrow=False))
    if address.section in RANGED and is_name(address.span):
        files: tuple[str, ...] = (PAGE,)
        if address.section in CHARTS:
            files += CHART_FILES
        if address.language == SOURCE:
            files += FIGURE_FILES
        return address.file in files
    if address.section in DECLARED:
        return _is_declared(address)
    if address.section in OF_ERRORS:
        return _is_of_errors(address)
    if address.span != DEFAULT:
        return False
    if address.section in PLAIN:
        return address.file in ((PAGE, *CHART_FILES) if address.section == BRIEF else (PAGE,))
    is_static = address.file in STATIC and address.language == SOURCE
    return not address.section and (address.file == PAGE or is_static)


def _is_declared(address: Address) -> bool:
    """Entries of statistics have their charts in folders of their own, a domain has one beside its
    page."""
    is_domain = address.section == FAILURES
    if address.key:
        named = _PROJECT.fullmatch(address.project) and _KEY.fullmatch(address.key)
        return named is not None and not is_domain and address.file in CHART_FILES
    if address.project and not (_KEY if is_domain else _PROJECT).fullmatch(address.project):
        return False
    files: tuple[str, ...] = (PAGE,)
    if address.project and is_domain:
        files += CHART_FILES
    if address.project and address.language == SOURCE:
        files += FIGURE_FILES
    return address.file in files


def _is_of_errors(address: Address) -> bool:
    if address.key:
        return False
    if address.section == ANSWERS:
        is_part = not address.project or _PART.fullmatch(address.project) is not None
        return is_part and address.file == PAGE
    files = (PAGE, *CHART_FILES, *(FIGURE_FILES if address.language == SOURCE else ()))
    return not address.project and address.file in files


def is_answers(path: str) -> bool:
    """Whether a page of the answers can stand at ``path``."""
    found = parse(path)
    return found is not None and found.section == ANSWERS
