"""``mars doctor``: walks the chain from Tor to the signature, and says where it breaks.

Works against any onion service: what needs more than an address is left out. Each step depends on
those before it, so after the first that fails the rest is not tried.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import click

from mars import consent, factory
from mars.channels.motd import no_server
from mars.cli import common
from mars.commandline import emit_json, json_option, safe
from mars.consent.lowering import lowering
from mars.errors import ConfigError, MarsError
from mars.pinned import Pinned, read_registry, read_root
from mars.ports import Clock, Request, Response, Tor, TorSettings, TorStatus
from mars.wire.request import HTTPRequest
from mars.wire.url import parse_url

CLOCK_REASONS = frozenset({"future", "clock", "expired"})
"""Reasons for which a wrong clock may be the cause."""
_NO_URL = "left out: name a server with --url"
STEPS = {
    "tor": "",
    "bootstrapped": "",
    "circuit": _NO_URL,
    "onion": _NO_URL,
    "signature": "left out: give what the application pins with --trust",
    "clock": "left out: nothing to compare it with",
}
"""Each with what is said where it does not apply."""
REGISTRY = "registry"
"""A last step, where what is declared is given."""


@dataclass(frozen=True)
class Step:
    """``ok`` is None where the step could not be tried or does not apply."""

    name: str
    ok: bool | None
    detail: str
    reason: str | None = None
    seconds: float | None = None

    def plain(self) -> dict[str, Any]:
        seconds = None if self.seconds is None else round(self.seconds, 3)
        return {
            "step": self.name,
            "ok": self.ok,
            "seconds": seconds,
            "reason": self.reason,
            "detail": self.detail,
        }


@dataclass
class Walk:
    """One examination. ``url`` None stops after Tor itself."""

    settings: TorSettings
    url: str | None = None
    deadline: float = 60.0
    """Seconds for each step over the network."""
    verify: Callable[[bytes], datetime] | None = None
    """Judges the document and returns when it was issued; None where nothing is pinned."""
    find: Callable[[TorSettings], Tor] = factory.find_tor
    registry: Callable[[], str] | None = None
    """Says what of it holds."""
    _clock: Clock = field(default_factory=factory.system_clock)
    _tor: Tor | None = None
    _status: TorStatus | None = None
    _answer: Response | None = None
    _issued: datetime | None = None

    def steps(self) -> Iterator[Step]:
        """All of ``STEPS`` in order, and ``REGISTRY``, each as soon as it is known."""
        broken = False
        try:
            for name in (*STEPS, *([REGISTRY] if self.registry else ())):
                step = Step(name, None, "not tried") if broken else self._timed(name)
                broken = broken or step.ok is False
                yield step
        finally:
            if self._tor is not None:
                self._tor.close()

    def _timed(self, name: str) -> Step:
        act: Callable[[], str | None] = getattr(self, f"_{name}_step")
        began = self._clock.monotonic()
        try:
            detail = act()
        except MarsError as error:
            seconds = self._clock.monotonic() - began
            # A control port is a help, not a need: without it the next steps tell.
            fatal = not error.reason.startswith("control-")
            return Step(name, False if fatal else None, error.message, error.reason, seconds)
        if detail is None:
            return Step(name, None, STEPS[name])
        return Step(name, True, detail, None, self._clock.monotonic() - began)

    def _tor_step(self) -> str:
        self._tor = self.find(self.settings)
        return f"{_HOW[self._tor.how]} answers at {self._tor.socks}"

    def _bootstrapped_step(self) -> str:
        assert self._tor is not None
        self._status = status = self._tor.status()
        if status.clock_skew:
            raise MarsError(
                "clock",
                f"Tor finds this machine's clock off by {status.clock_skew} seconds; set it right.",
            )
        if status.progress < 100:
            raise MarsError(
                "tor-bootstrap",
                f"Tor came to {status.progress} % only ({status.summary}); check that you are "
                "online and that the clock is right, or use a bridge.",
            )
        return f"tor {status.version}, connected, {status.circuits} circuits built"

    def _circuit_step(self) -> str | None:
        if self.url is None:
            return None
        assert self._tor is not None
        place = parse_url(self.url)
        factory.reach(self._tor.socks, place.host, place.port, self.deadline)
        return "a new circuit reached the server"

    def _onion_step(self) -> str | None:
        if self.url is None:
            return None
        assert self._tor is not None
        request = Request(HTTPRequest.get(self.url), self.deadline, expect=None)
        self._answer = answer = factory.fetcher(self._tor.socks).fetch(request)
        return f"the server answered with status {answer.status} and {len(answer.body)} bytes"

    def _signature_step(self) -> str | None:
        if self._answer is None or self.verify is None:
            return None
        if self._answer.status != 200:
            raise MarsError(
                "http-status",
                f"The server answers with status {self._answer.status}, not with a document; "
                "check the path of the address.",
            )
        self._issued = self.verify(self._answer.body)
        return f"genuine, issued {self._issued:%Y-%m-%d}"

    def _clock_step(self) -> str | None:
        here = datetime.fromtimestamp(self._clock.now(), UTC)
        if self._issued is not None:
            return f"{here:%Y-%m-%d %H:%M} UTC, within the document's days"
        if self._answer is not None or self._status is not None:
            return f"{here:%Y-%m-%d %H:%M} UTC, right enough for Tor, which allows some hours"
        return None

    def _registry_step(self) -> str | None:
        return None if self.registry is None else self.registry()


_HOW = {
    "given": "the Tor that was given",
    "system": "a Tor that runs on this machine",
    "browser": "Tor Browser",
    "own": "a Tor of our own",
}

MARKS = {True: "ok", False: "FAILED", None: "-"}


@click.command(short_help="Test the connection, step by step.")
@click.option(
    "--url",
    metavar="URL",
    help="Any server, an onion service or another. [default: the first one of --trust]",
)
@common.trust_option(help="What the application pins; with it the signature is tested too.")
@click.option(
    "--registry",
    "registry_file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the application declares; with it, whether root has signed that. Needs --trust.",
)
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
    registry_file: Path | None,
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
    if registry_file is not None and trust_file is None:
        raise click.UsageError("Whether root has signed the registry, --trust tells; name it, too.")
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
    judge = None if trust is None else Judge(trust)
    walk = Walk(settings, address, timeout, judge)
    if judge is not None and registry_file is not None:
        walk.registry = partial(judge.registry, read_registry(registry_file) or b"")
    found = []
    for step in walk.steps():
        found.append(step)
        if not as_json:
            click.echo(_line(step))
    failed = [step for step in found if step.ok is False]
    if as_json:
        emit_json({"ok": not failed, "url": address, "steps": [step.plain() for step in found]})
    for step in () if as_json else failed:
        click.echo(f"mars doctor: the step '{step.name}' failed [{step.reason}]", err=True)
    if failed:
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


class Judge:
    """As a client of the first day would judge; what is shown nowhere is kept nowhere."""

    def __init__(self, trust: bytes) -> None:
        from mars.channels.trial import require_judge
        from mars.trust import TrustState

        self._first = TrustState.initial
        require_judge(lambda: read_root(trust), self._first, factory.openpgp, factory.this_host())
        self._root = read_root(trust)
        self._now = factory.system_clock().now
        self._named = {self._root.steering.registry}

    def __call__(self, body: bytes) -> datetime:
        """When the document was issued."""
        from mars.trust import verify

        try:
            accepted = verify(body, self._root, self._first(), self._now(), factory.openpgp())
        except MarsError as error:
            if error.reason not in CLOCK_REASONS:
                raise
            here = datetime.fromtimestamp(self._now(), UTC)
            raise MarsError(
                error.reason,
                f"{error.message} This machine's clock says {here:%Y-%m-%d %H:%M} UTC.",
            ) from None
        self._named.add(accepted.steering.registry)
        return datetime.fromtimestamp(accepted.motd.issued, UTC)

    def registry(self, data: bytes) -> str:
        """Raises ``WireError`` for what is none, ``MarsError`` (``registry-unknown``)."""
        from mars.wire.catalogue import Catalogue, digest

        declared = len(Catalogue.decode(data).metrics)
        if digest(data) not in self._named:
            raise MarsError(
                "registry-unknown",
                "Root has signed another registry than this one, or none, so nothing that it "
                "declares is sent; ship the trust.json and registry.json of one release.",
            )
        return f"root has signed it; statistics declared: {declared}"
