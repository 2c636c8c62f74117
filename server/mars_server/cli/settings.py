"""Commands that take from ``server.toml`` what their options do not say."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any

import click

from mars_server.cli import options
from mars_server.common.config import Config, load_config

_CONFIG = "file"
"""The parameter of ``--config``."""
_HELP = "_click_default_help"
"""Click's name for ``--help``."""
OPENING = {"keys": "key_files", "passphrase_file": "passphrase_file"}
COUNTS = {"url": "db", "product_file": "product"}
TRIAGE = {"url": "triage_db", "product_file": "product"}


class Configured(click.Command):
    """A command with ``--config``, whose other parameters win over the file.

    ``settings`` names, for a parameter, the attribute of ``Config`` that says it where it is not
    given. Without ``--config`` a file is looked for where the command cannot run else: where one of
    ``needs``, or a parameter that is required, is not given. ``instead`` maps a parameter to one
    that stands in its place.
    """

    def __init__(
        self,
        *args: Any,
        settings: Mapping[str, str],
        needs: tuple[str, ...] = (),
        instead: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._settings = dict(settings)
        self._instead = dict(instead or {})
        named = {each.name: each for each in self.params if each.name in settings}
        self._required = {name: each for name, each in named.items() if name and each.required}
        self._needs = {*needs, *self._required}
        for each in self._required.values():
            each.required = False  # on the command line
        self.params.insert(len(self.params) - 1, _option())  # before --json

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # An argument that is not given is a member of an enumeration of click's.
        given, *_ = self.make_parser(ctx).parse_args(args=list(args))
        named = {name for name, value in given.items() if value and not isinstance(value, Enum)}
        taken = {name for name, other in self._instead.items() if other in named}
        file = given.get(_CONFIG) if _CONFIG in named else None
        if file is None and self._needs - named - taken and _HELP not in named:
            file = options.settings_file()
            if file is not None:
                options.say(f"Settings: {file}")
        if file is not None and _HELP not in named:
            ctx.default_map = self._values(load_config(Path(str(file))), named | taken)
        rest = super().parse_args(ctx, args)
        for name, each in self._required.items():
            if not ctx.params[name] and not ctx.resilient_parsing:
                raise click.MissingParameter(_missing(file), ctx, param=each)
        return rest

    def _values(self, config: Config, but: set[str]) -> dict[str, Any]:
        said = {name: attrgetter(path)(config) for name, path in self._settings.items()}
        return {name: value for name, value in said.items() if value and name not in but}


def _option() -> click.Option:
    return click.Option(
        ["--config", _CONFIG],
        type=options.FILE,
        metavar="F",
        expose_value=False,
        help=options.SETTINGS,
    )


def _missing(file: object) -> str:
    if file is None:
        return "Give it, or name a server.toml by --config."
    return f"{file} does not say it either."
