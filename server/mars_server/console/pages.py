"""Renders the console's pages. What a template shows is made visible and escaped, all of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final
from urllib.parse import urlencode

from mars.commandline import one_line
from mars.wire.product import Product
from mars_server.console.guard import FIELD
from mars_server.site.html import Environment, templates
from mars_server.site.language import language
from mars_server.site.pages.address import ICON, STYLE

SECTIONS: Final = {"/": "Faults", "/rules": "Rules", "/kept": "Kept and dropped"}
"""Path and title of what the head links."""
OWN_STYLE: Final = "console.css"
STATIC: Final = {
    f"/{STYLE}": ("mars_server.site.pages", "text/css"),
    f"/{ICON}": ("mars_server.site.pages", "image/png"),
    f"/{OWN_STYLE}": ("mars_server.console", "text/css"),
}
"""Path to the package in whose folder ``static`` it lies, and its type."""
EACH: Final = 50
"""Groups, faults or reports on a page."""


@dataclass(frozen=True)
class Part:
    """Some of many things, ``EACH`` at a time. ``name`` is the parameter that chooses."""

    name: str
    items: Sequence[Any]
    number: int
    """From 1 on."""
    last: int
    all: int

    @classmethod
    def of(cls, name: str, items: Sequence[Any], asked: Mapping[str, str]) -> Part:
        """The part that the query asks for, or the nearest that there is."""
        last = max(1, -(-len(items) // EACH))
        wanted = asked.get(name, "")
        number = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 7 else 1
        number = min(max(number, 1), last)
        return cls(name, items[EACH * (number - 1) : EACH * number], number, last, len(items))


@dataclass(frozen=True)
class Pages:
    """Of one product."""

    product: Product

    def page(self, name: str, title: str, token: str = "", **context: Any) -> str:
        """``token`` is that of the forms of whoever asks; a page of an error has none."""
        known = {
            "product": self.product,
            "say": language("en"),
            "link": _link,
            "sections": SECTIONS,
            "here": "",
            "own_style": OWN_STYLE,
            "field": FIELD,
            "alert": "",
        }
        context = {**known, "title": title, "token": token, "query": _query, **context}
        return _environment().get_template(f"{name}.html").render(context).rstrip() + "\n"


@cache
def static(path: str) -> bytes:
    """Of a key of ``STATIC``."""
    return files(STATIC[path][0]).joinpath("static", path.lstrip("/")).read_bytes()


@cache
def _environment() -> Environment:
    return templates(language("en"), "mars_server.console", shown=visible)


def visible(value: Any) -> Any:
    """A text as pages show it: what could steer the reader, such as a control that turns the
    direction of writing, is written as its escape. Markup of ours, and line ends, stay."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return "\n".join(map(one_line, value.split("\n")))
    return value


def _link(section: str = "", **others: str) -> str:
    """In the place of the site's links: to the list, or to a file."""
    return f"/{others.get('file', section)}"


def _query(asked: Mapping[str, Sequence[str]], **others: object) -> str:
    """The present query with other values for some of its parameters."""
    return urlencode({**asked, **{name: [value] for name, value in others.items()}}, doseq=True)
