"""What the client's subcommands share: their options, and the client that these describe."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from mars import build, factory
from mars.channels.news import NewsClient
from mars.commandline import Command, emit_json, json_option, options, safe
from mars.consent.purposes import MODES
from mars.core.journal import EXCHANGE, Outcome
from mars.core.state import App, State
from mars.errors import ConsentError, StateError
from mars.ports import Platform
from mars.wire.product import is_name
from mars.wire.variables import NAMES

CHANNEL = "stable"
"""Where no channel is named."""


@dataclass(frozen=True)
class Place:
    """Where one application's client keeps what it keeps, as the options name it."""

    state_dir: Path | None
    product: str | None = None
    channel: str = CHANNEL

    def folder(self, host: Platform) -> str:
        """Raises ``click.UsageError`` where nothing names one."""
        if self.state_dir is not None:
            return str(self.state_dir)
        if self.product is None:
            raise click.UsageError(
                "Name the application with --product, or its folder with --state."
            )
        if not (is_name(self.product) and is_name(self.channel)):
            raise click.UsageError("A product or channel is 1-40 characters of a-z, 0-9 and -.")
        return factory.state_folder(host, self.product, self.channel)

    def client(
        self,
        *,
        version: str | None = None,
        changes: bool = False,
        decides: bool = False,
        new: bool = False,
        unread: bool = False,
        registry: bytes | None = None,
        trust: bytes = b"",
    ) -> tuple[NewsClient, State]:
        """The client of an application that has run before, as it described itself then.

        Raises ``StateError`` (``unknown-application``) where nothing is kept at that place: always
        when something there ``changes``, else when others are known and the name is thus likely
        misspelt. A folder may be looked at all the same, and only who ``decides`` for it is
        refused. ``new`` says that it is meant, ``unread`` that a state may be too large to be read.
        ``registry`` is what the application ships, ``trust`` what it pins.
        Raises ``ConfigError`` (``wrong-product``) for the folder of another product.
        """
        host = factory.this_host()
        ports = build.ports(self.folder(host), host=host)
        # What --state names may be any channel's.
        channel = self.channel if self.state_dir is None else ""
        app = App(self.product or "", "", "", channel=channel)
        bare = NewsClient(app, b"", ports)
        if not (new or bare.is_kept()):
            strict = changes or decides or self.state_dir is None
            self._warn_of_others(host, always=changes, strict=strict)
        try:
            state = bare.load()
        except StateError as error:
            if not (unread and error.reason == "state-too-large"):
                raise
            return bare, State()
        app = App.of({"product": app.product, "channel": channel, **state.app})
        if decides and not app.product:
            raise click.UsageError(
                "Name the application with --product, too: a decision is for one."
            )
        if version is not None:
            app = replace(app, version=version)
        if trust:
            from mars.pinned import Pinned

            pinned = Pinned.of(trust)
            app = replace(app, server=pinned.server, steered=pinned.steered)
        client = NewsClient(app, trust, ports, registry=registry)
        return client, client.load()

    def _warn_of_others(self, host: Platform, *, always: bool, strict: bool) -> None:
        if self.state_dir is None:
            what = f"{self.product} in the channel {self.channel}"
            found = factory.kept(Path(factory.state_root(host)), "*/*")
            others = [" --channel ".join(place.parts[-2:]) for place in found]
        else:
            what = str(self.state_dir)
            kept = factory.kept(self.state_dir.absolute().parent, "*")
            others = [str(place) for place in kept]
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


state_option = functools.partial(
    click.option,
    "--state",
    "state_dir",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with the client's state. [default: the platform's own, by product and channel]",
)
product_option = click.option("--product", metavar="NAME", help="Name of the application.")
trust_option = functools.partial(
    click.option,
    "--trust",
    "trust_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
socks_option = click.option(
    "--socks", metavar="HOST:PORT", help="Tor's SOCKS port. [default: found by itself]"
)
registry_option = click.option(
    "--registry",
    "registry_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The registry that the application ships. [default: the one last fetched]",
)
_where = options(
    state_option(),
    product_option,
    click.option(
        "--channel", metavar="NAME", default=CHANNEL, show_default=True, help="Release channel."
    ),
    json_option(),
)


def where(command: Command) -> Command:
    """``--state``, ``--product`` and ``--channel``, handed over as ``place``; and ``--json``."""

    @functools.wraps(command)
    def called(state_dir: Path | None, product: str | None, channel: str, **rest: Any) -> Any:
        return command(place=Place(state_dir, product, channel), **rest)

    return _where(called)


def _country(_ctx: click.Context, _param: click.Parameter, typed: str | None) -> str | None:
    from mars.consent.checks import country_code

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
    click.option(
        "--events/--no-events", default=None, help="Declared domains of failures, as counts."
    ),
    click.option(
        "--errors/--no-errors", default=None, help="Error reports; yes means --reports ask."
    ),
    click.option(
        "--reports",
        type=click.Choice(MODES),
        help="Error reports: ask is for each one shown and released by hand, always for all.",
    ),
    click.option(
        "--direct/--no-direct", default=None, help="Plain news by https where no Tor is there."
    ),
)
"""What a user chooses beside the level, as ``mars.consent.Choice`` takes it."""


@dataclass(frozen=True)
class OneOff:
    """A client for one report now, by an explicit act: all of it is named, nothing is looked up."""

    trust_file: Path
    registry_file: Path
    socks: str | None
    state_dir: Path | None
    product: str | None
    app_version: str

    def client(self) -> NewsClient:
        """Raises ``ConfigError``."""
        from mars.pinned import Pinned, read_registry, read_root
        from mars.ports import TorSettings

        factory.require_socks(self.socks)
        trust = trusted(self.trust_file)
        root, pinned = read_root(trust, self.product), Pinned.of(trust)
        app = App(root.product, self.app_version, pinned.url, channel=root.channel, by_hand=True)
        app = replace(app, built=root.built, crowd=root.crowd)
        app = replace(app, server=pinned.server, steered=pinned.steered)
        host = factory.this_host()
        at = Place(self.state_dir, app.product, app.channel).folder(host)
        ports = build.ports(at, TorSettings(socks=self.socks), host=host)
        return NewsClient(app, trust, ports, registry=read_registry(self.registry_file))


_one_off = options(
    click.option(
        "--registry",
        "registry_file",
        metavar="FILE",
        required=True,
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The registry document; its hash must stand in what root signed.",
    ),
    trust_option(required=True, help="What the application pins, as written by mars-motd trust."),
    click.option(
        "--url",
        metavar="URL",
        help="The intake; a host alone means its /motd/in. [default: beside the news]",
    ),
    socks_option,
    state_option(),
    product_option,
    click.option("--app-version", metavar="V", default="", help="Version of the application."),
    json_option(),
)


def one_off(command: Command) -> Command:
    """The options of a report that is sent now: what is named is handed over as ``once``, and
    ``url`` and ``as_json`` as they are."""

    @functools.wraps(command)
    def called(url: str | None, as_json: bool, **rest: Any) -> Any:
        named = {name: rest.pop(name) for name in OneOff.__dataclass_fields__}
        return command(once=OneOff(**named), url=url, as_json=as_json, **rest)

    return _one_off(called)


def say_sent(
    command: str, outcome: Outcome, size: int, said: dict[str, Any], *, as_json: bool
) -> None:
    """How one report went, ``said`` being what programs are told of one that did; exits with 1
    where it did not."""
    if as_json:
        told = {"reason": outcome.reason, "message": safe(outcome.message)}
        emit_json({"ok": True, **said} if outcome.ok else {"ok": False, **told})
    elif outcome.ok:
        click.echo(f"Sent {size} bytes by {outcome.route}.")
    else:
        click.echo(f"{command}: {safe(outcome.message)} [{outcome.reason}]", err=True)
    if not outcome.ok:
        sys.exit(1)


def held_back(one: dict[str, Any]) -> str:
    """Why nothing, or no more, is told of a listed statistic or domain; empty where it is."""
    ended = "" if one["state"] == "collected" else f" ({one['state']})"
    anew = ", asks something else, or more, than you agreed to: answer anew"
    vetoed = ", the policy file or a rule of yours has nothing said of it"
    return f"{ended}{anew if one['changed'] else ''}{vetoed if one['vetoed'] else ''}"


def trusted(file: Path) -> bytes:
    """A trust file that somebody names for once. Raises ``ConfigError`` where anybody may change
    it; whose it is is not asked: an administrator may well name a user's."""
    from mars.pinned import read_bytes, require_own

    require_own(file, owned=False)
    return read_bytes(file)


def explained(reason: str) -> str:
    """The code and what it means, where we know it: ``tor-closed (Tor hung up on us)``."""
    from mars.trust.reasons import REASONS

    meaning = EXCHANGE.get(reason) or REASONS.get(reason)
    return f"{reason} ({meaning})" if meaning else reason
