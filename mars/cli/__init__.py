"""The ``mars`` command. The module of a subcommand is loaded when that is used."""

from __future__ import annotations

import click

from mars import __version__
from mars.commandline import LazyGroup, run

_PLACES = {
    "fetch": "mars.cli.news:fetch",
    "show": "mars.cli.news:show",
    "status": "mars.cli.records:status",
    "preview": "mars.cli.consent:preview",
    "consent": "mars.cli.consent:consent",
    "stats": "mars.cli.stats:stats",
    "failures": "mars.cli.failures:failures",
    "report": "mars.cli.report:report",
    "journal": "mars.cli.records:journal",
    "doctor": "mars.cli.doctor:doctor",
    "reset": "mars.cli.records:reset",
    "daemon": "mars.cli.daemon:daemon",
}


@click.group(
    cls=LazyGroup, commands_in=_PLACES, needs="client", context_settings={"max_content_width": 96}
)
@click.version_option(__version__)
def cli() -> None:
    """Read the message of the day of an application, and choose what it may send."""


def main() -> None:
    run(cli, "mars")
