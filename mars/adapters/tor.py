"""Finds a running tor, or starts one of our own. What is found has answered a SOCKS login."""

from __future__ import annotations

from dataclasses import dataclass

from mars.adapters.control import UNIX, read_status
from mars.adapters.socks import parse_proxy, probe
from mars.errors import MarsError, TransportError
from mars.ports import Chance, Clock, Tor, TorSettings, TorStatus

PROBE_SECONDS = 5.0
"""For the SOCKS login at one address; a tor on this machine takes milliseconds."""


@dataclass(frozen=True)
class Place:
    """Where a tor may listen: its SocksPort, and where its control port usually is."""

    how: str
    socks: str
    controls: tuple[str, ...]


USUAL = (
    # Debian's tor has the socket, others the port; see tor(1), ControlPort, and Tor Browser.
    Place("system", "127.0.0.1:9050", (f"{UNIX}/run/tor/control", "127.0.0.1:9051")),
    Place("browser", "127.0.0.1:9150", ("127.0.0.1:9151",)),
)


class RunningTor:
    """``mars.ports.Tor`` that somebody else started."""

    def __init__(self, place: Place, settings: TorSettings) -> None:
        self.how = place.how
        self.socks = place.socks
        self._given = settings.control is not None
        self._controls = place.controls if settings.control is None else (settings.control,)
        self._password = settings.password

    def status(self) -> TorStatus:
        """Asks the control ports in turn; the last one's refusal is the one that is told."""
        failure: MarsError | None = None
        for control in self._controls:
            try:
                return read_status(control, self._password, given=self._given)
            except TransportError as error:
                failure = error
        raise failure or TransportError(
            "control-unavailable", "No control port of this Tor is known; give its address."
        )

    def close(self) -> None:
        """It is not ours to end."""


def find_tor(
    settings: TorSettings, clock: Clock, chance: Chance, places: tuple[Place, ...] = USUAL
) -> Tor:
    """The tor that was given, else the first usual place that lets us in, else one of our own.

    Raises ``ConfigError`` for a malformed address, and ``TransportError``: ``tor-unavailable`` or
    ``tor-missing`` where there is none at all; what the first that is there and fails has to say;
    and the reasons of ``mars.adapters.owntor``.
    """
    if settings.socks is not None:
        proxy = parse_proxy(settings.socks)
        probe(proxy, chance, clock, PROBE_SECONDS)
        return RunningTor(Place("given", str(proxy), ()), settings)
    failed: TransportError | None = None
    for place in places:
        try:
            probe(parse_proxy(place.socks, given=False), chance, clock, PROBE_SECONDS)
        except TransportError as error:
            if error.reason != "tor-unavailable":
                failed = failed or error
        else:
            return RunningTor(place, settings)
    try:
        return _own(settings, clock)
    except TransportError as error:
        if error.reason in ("tor-unavailable", "tor-missing"):
            raise failed or error from None
        raise


def _own(settings: TorSettings, clock: Clock) -> Tor:
    if not settings.launch or settings.folder is None:
        raise TransportError(
            "tor-unavailable",
            "No Tor was found: start Tor or Tor Browser, or give the address of its SOCKS port.",
        )
    from mars.adapters.owntor import start  # with it comes stem

    return start(settings, settings.folder, clock)
