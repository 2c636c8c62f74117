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

    def __init__(self, place: Place, password: str | None) -> None:
        self.how = place.how
        self.socks = place.socks
        self._controls = place.controls
        self._password = password

    def status(self) -> TorStatus:
        """Asks the control ports in turn; the last one's refusal is the one that is told."""
        failure: MarsError | None = None
        for control in self._controls:
            try:
                return read_status(control, self._password)
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
    """The tor that was given, else the first usual place that answers, else one of our own.

    Raises ``TransportError`` (``tor-unavailable`` where none answers, and the reasons of
    ``mars.adapters.owntor``) and ``ConfigError`` for a malformed address.
    """
    given = () if settings.control is None else (settings.control,)
    if settings.socks is not None:
        place = Place("given", str(parse_proxy(settings.socks)), given)
        probe(parse_proxy(place.socks), chance, clock, PROBE_SECONDS)
        return RunningTor(place, settings.password)
    for place in places:
        if _answers(place, clock, chance):
            known = Place(place.how, place.socks, given or place.controls)
            return RunningTor(known, settings.password)
    if settings.launch and settings.folder is not None:
        from mars.adapters.owntor import start  # with it comes stem

        return start(settings, settings.folder, clock)
    raise TransportError(
        "tor-unavailable",
        "No Tor was found: start Tor or Tor Browser, or give the address of its SOCKS port.",
    )


def _answers(place: Place, clock: Clock, chance: Chance) -> bool:
    try:
        probe(parse_proxy(place.socks), chance, clock, PROBE_SECONDS)
    except TransportError:
        return False
    return True
