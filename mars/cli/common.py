"""What the client's subcommands share: their options, and the engine that these describe."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mars import factory
from mars.console import json_option, safe
from mars.errors import ConfigError, ConsentError, StateError
from mars.plan import App
from mars.wire.variables import NAMES

if TYPE_CHECKING:
    from mars.engine import Engine
    from mars.ports import Fetcher, Platform
    from mars.state import State

Command = Callable[..., Any]

CHANNEL = "stable"
"""Where no channel is named."""


def options(*wanted: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Several click options as one decorator, shown in the order given."""

    def decorate(command: Command) -> Command:
        return functools.reduce(lambda made, option: option(made), reversed(wanted), command)

    return decorate


state_option = click.option(
    "--state",
    "state_dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the client's state. [default: the platform's own, by product and channel]",
)
product_option = click.option("--product", metavar="NAME", help="Name of the application.")
channel_option = click.option(
    "--channel", metavar="NAME", default=CHANNEL, show_default=True, help="Release channel."
)
where = options(state_option, product_option, channel_option, json_option())


def _country(_ctx: click.Context, _param: click.Parameter, typed: str | None) -> str | None:
    from mars.switches import country_code

    try:
        return typed if typed is None else country_code(typed) or ""
    except ConsentError as error:
        raise click.BadParameter(error.message) from None


choice = options(
    click.option(
        "--variable",
        "variables",
        metavar="NAME",
        multiple=True,
        type=click.Choice(NAMES),
        callback=lambda _ctx, _param, names: names or None,
        help="Send this variable; may be given several times. [default: v, os and ia]",
    ),
    click.option(
        "--country",
        metavar="CODE",
        callback=_country,
        help="Your country, such as IS, or '' for none; it is never looked up.",
    ),
    click.option(
        "--stats/--no-stats", default=None, help="Declared statistics, sent on their own."
    ),
    click.option("--errors/--no-errors", default=None, help="Error reports, sent on their own."),
    click.option(
        "--direct/--no-direct", default=None, help="Plain news by https where no Tor is there."
    ),
)
"""What a user chooses beside the level, as ``mars.switches.granted`` takes it."""


def folder(state_dir: Path | None, product: str | None, channel: str, host: Platform) -> str:
    """The state folder. Raises ``click.UsageError`` where nothing names one."""
    if state_dir is not None:
        return str(state_dir)
    if product is None:
        raise click.UsageError("Name the application with --product, or its folder with --state.")
    from mars.wire.product import is_name

    if not (is_name(product) and is_name(channel)):
        raise click.UsageError("A product or channel is 1-40 characters of a-z, 0-9 and -.")
    return factory.state_folder(host, product, channel)


def trusted(file: Path) -> bytes:
    """A trust file that somebody names for once. Raises ``ConfigError`` where anybody may change
    it; whose it is is not asked: an administrator may well name a user's."""
    from mars.pinned import require_own

    require_own(file, owned=False)
    return file.read_bytes()


def no_network(_plan: object) -> Fetcher:
    """For the commands that only look."""
    raise ConfigError("no-network", "This command sends nothing.")


def stored(
    state_dir: Path | None,
    product: str | None,
    channel: str,
    *,
    version: str | None = None,
    changes: bool = False,
    decides: bool = False,
    new: bool = False,
) -> tuple[Engine, State]:
    """The engine of an application that has run before, as it described itself then.

    Raises ``StateError`` (``unknown-application``) where nothing is kept at that place: always when
    something there ``changes``, else when others are known and the name is thus likely misspelt.
    A folder may be looked at all the same, and only who ``decides`` for it is refused. ``new`` says
    that it is meant. Raises ``ConfigError`` (``wrong-product``) for the folder of another product.
    """
    from mars.engine import Engine, Ports

    host = factory.this_host()
    ports = Ports(
        store=factory.folder(folder(state_dir, product, channel, host)),
        host=host,
        clock=factory.system_clock(),
        chance=factory.system_chance(),
        fetcher=no_network,
        openpgp=factory.openpgp,
    )
    bare = Engine(App(product or "", "", ""), b"", ports)
    if not (new or bare.is_kept()):
        strict = changes or decides or state_dir is None
        _warn_of_others(state_dir, product, channel, host, always=changes, strict=strict)
    state = bare.load()
    known = state.app.get("product") or product
    if product not in (None, known):
        raise ConfigError(
            "wrong-product", f"That folder is kept for {safe(str(known))}; check --product."
        )
    app = App.of({"product": product or "", **state.app})
    if version is not None:
        app = replace(app, version=version)
    return Engine(app, b"", ports), state


def _warn_of_others(
    state_dir: Path | None,
    product: str | None,
    channel: str,
    host: Platform,
    *,
    always: bool,
    strict: bool,
) -> None:
    if state_dir is None:
        what = f"{product} in the channel {channel}"
        found = factory.kept(Path(factory.state_root(host)), "*/*")
        others = [" --channel ".join(place.parts[-2:]) for place in found]
    else:
        what = str(state_dir)
        others = [str(place) for place in factory.kept(state_dir.absolute().parent, "*")]
    if not (others or always):
        return
    sentence = safe(
        f"No application has kept anything for {what}; known there: "
        f"{', '.join(others) or 'none'}. Check the name; to decide before an application first "
        "runs, use mars consent grant --new."
    )
    if strict:
        raise StateError("unknown-application", sentence)
    click.echo(f"mars: {sentence}", err=True)
