"""What pages are made with: templates that escape (the one home of jinja2), and headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from mars_server.site.language import Language

__all__ = ["HEADERS", "Environment", "templates"]

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every answer: no script, nothing from elsewhere, no frame around it."""


def templates(
    say: Language, *packages: str, shown: Callable[[Any], Any] | None = None
) -> Environment:
    """Templates of the site's pages; those of ``packages`` are looked for first.

    ``shown`` is done to each value that a template shows, before it is escaped.
    """
    homes = (*packages, "mars_server.site.pages")
    environment = Environment(
        loader=ChoiceLoader([PackageLoader(home) for home in homes]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        say.gettext, say.ngettext, newstyle=True
    )
    return environment
