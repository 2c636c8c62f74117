"""``mars doctor``: what works and what does not, from Tor to the signature."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from mars import consent, factory
from mars.channels.motd import no_server
from mars.cli import common
from mars.commandline import emit_json, json_option, safe
from mars.core.installation import lowering
from mars.doctor import CLOCK_REASONS, Step, Tools, Walk
from mars.errors import ConfigError, MarsError
from mars.ports import TorSettings

MARKS = {True: "ok", False: "FAILED", None: "-"}


@click.command(short_help="Test the connection, step by step.")
@click.option(
    "--url",
    metavar="URL",
    help="Any server, an onion service or another. [default: the first one of --trust]",
)
@common.trust_option(help="What the application pins; with it the signature is tested too.")
@common.socks_option
@click.option(
    "--control", metavar="PLACE", help="Tor's control port, HOST:PORT or unix:PATH, for its status."
)
@click.option(
    "--control-password-file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Password of the control port. [default: its cookie]",
)
@click.option(
    "--own-tor",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Start a Tor of our own with its files in DIR where none runs.",
)
@click.option("--bridge", "bridges", metavar="LINE", multiple=True, help="For --own-tor.")
@click.option(
    "--transport", "transports", metavar="LINE", multiple=True, help="For bridges that need one."
)
@click.option(
    "--timeout", metavar="SECONDS", type=click.FloatRange(1, 600), default=60.0, show_default=True
)
@json_option()
def doctor(
    url: str | None,
    trust_file: Path | None,
    socks: str | None,
    control: str | None,
    control_password_file: Path | None,
    own_tor: Path | None,
    bridges: tuple[str, ...],
    transports: tuple[str, ...],
    timeout: float,
    as_json: bool,
) -> None:
    """Test the connection step by step: Tor found, bootstrapped, circuit, onion, signature, clock.

    Sends one plain request without any data, through Tor alone, and only where a server is named.

    Exit code: 0 when nothing failed, 1 when something did.
    """
    trust = None if trust_file is None else common.trusted(trust_file)
    factory.require_socks(socks)
    settings = TorSettings(
        socks=socks,
        control=control,
        password=_password(control_password_file),
        folder=None if own_tor is None else str(own_tor),
        bridges=bridges,
        transports=transports,
        patience=max(timeout, TorSettings.patience),
    )
    address = url or _pinned_url(trust)
    if address is not None:
        _require_permission()
    walk = Walk(_tools(trust), settings, address, timeout)
    found = []
    for step in walk.steps():
        found.append(step)
        if not as_json:
            click.echo(_line(step))
    if as_json:
        emit_json({"ok": walk.ok, "url": walk.url, "steps": [step.plain() for step in found]})
    elif not walk.ok:
        (failed,) = (step for step in found if step.ok is False)
        click.echo(f"mars doctor: the step '{failed.name}' failed [{failed.reason}]", err=True)
    if not walk.ok:
        sys.exit(1)


def _line(step: Step) -> str:
    seconds = "" if step.seconds is None else f"{step.seconds:.2f} s"
    return f"{step.name:<13}{MARKS[step.ok]:<8}{seconds:>8}  {safe(step.detail)}"


def _password(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return factory.read_small(file).decode("utf-8-sig").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            "control-password",
            f"{file} is no file of text in UTF-8; write the control port's password into it, "
            "alone.",
        ) from None


def _pinned_url(trust: bytes | None) -> str | None:
    if trust is None:
        return None
    from mars.pinned import Pinned

    url = Pinned.of(trust).url
    if not url:
        raise no_server()
    return url


def _require_permission() -> None:
    """Naming a server is a decision for this once; an administrator's "off" outweighs it."""
    layers = lowering(factory.this_host(), automatic=False)
    voice = consent.effective([*layers, consent.asked_layer(consent.PLAIN, None)])
    if voice.level == consent.OFF:
        raise consent.refusal(voice)


def _tools(trust: bytes | None) -> Tools:
    return Tools(
        clock=factory.system_clock(),
        find=factory.find_tor,
        reach=factory.reach,
        fetcher=factory.fetcher,
        verify=None if trust is None else _verifier(trust),
    )


def _verifier(trust: bytes) -> Callable[[bytes], datetime]:
    """As a client of the first day would judge; what is shown nowhere is kept nowhere."""
    from mars.channels.trial import require_judge
    from mars.pinned import read_root
    from mars.trust import TrustState, verify

    first = TrustState.initial
    require_judge(lambda: read_root(trust), first, factory.openpgp, factory.this_host())
    root, now = read_root(trust), factory.system_clock().now

    def judge(body: bytes) -> datetime:
        try:
            accepted = verify(body, root, first(), now(), factory.openpgp())
        except MarsError as error:
            if error.reason not in CLOCK_REASONS:
                raise
            here = datetime.fromtimestamp(now(), UTC)
            raise MarsError(
                error.reason,
                f"{error.message} This machine's clock says {here:%Y-%m-%d %H:%M} UTC.",
            ) from None
        return datetime.fromtimestamp(accepted.motd.issued, UTC)

    return judge
