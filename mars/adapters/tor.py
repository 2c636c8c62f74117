"""Finds a running tor, or starts one of our own. What is found has answered a SOCKS login.

Not by stem's ``launch_tor``: its time limit is a signal, which works in the main thread alone.
Here the limit is a timer that ends the process, and everything that waits for tor ends with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from mars.adapters.control import SECONDS, UNIX, read_status, session, status_of
from mars.adapters.socks import parse_proxy, probe
from mars.errors import ConfigError, MarsError, TransportError, starting_thread
from mars.ports import Chance, Clock, Tor, TorSettings, TorStatus
from mars.wire.torrc import own_torrc

LOG = "tor.log"
"""What tor says, from the last start on. tor itself leaves addresses out of it (SafeLogging)."""
POLL = 0.1
"""Seconds between two looks at a tor that starts."""
STOP_SECONDS = 5.0
"""From the request to end to the kill."""
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin"
"""Searched after the PATH: where packages put tor, and where a desktop's PATH may not lead."""
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
    and the reasons of ``start``.
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
        return _own(settings)
    except TransportError as error:
        if error.reason in ("tor-unavailable", "tor-missing"):
            raise failed or error from None
        raise


def _own(settings: TorSettings) -> Tor:
    if not settings.launch or settings.folder is None:
        raise TransportError(
            "tor-unavailable",
            "No Tor was found: start Tor or Tor Browser, or give the address of its SOCKS port.",
        )
    return start(settings, settings.folder)


class OwnTor:
    """``mars.ports.Tor``: a process that ends with ``close`` or with the process that made it."""

    how = "own"

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self._process = process
        self.folder = folder
        self._stopping = threading.Lock()
        self._late = False
        self.socks = ""

    def status(self) -> TorStatus:
        return read_status(self._control(), cookie=str(self.folder / "cookie"))

    def is_running(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """Ends tor. Safe to call twice and from several threads; takes ``STOP_SECONDS`` at most."""
        with self._stopping:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    self._process.wait()

    def connect(self, patience: float) -> None:
        """Waits until tor has a circuit. Raises ``TransportError``: ``tor-start`` where it ended,
        ``tor-bootstrap`` where ``patience`` seconds were not enough."""
        limit = threading.Timer(patience, self._give_up)
        limit.daemon = True
        with starting_thread():
            limit.start()
        last = TorStatus("", 0, "starting", 0)
        try:
            # tor writes the file when its port listens, and the cookie before.
            while not (self.folder / "control-port").exists():
                self._check(last)
                threading.Event().wait(POLL)
            cookie = str(self.folder / "cookie")
            with session(self._control(), None, patience + SECONDS, cookie=cookie) as controller:
                while (last := status_of(controller)).progress < 100:
                    self._check(last)
                    threading.Event().wait(POLL)
                self.socks = controller.get_info("net/listeners/socks").split()[0].strip('"')
        except TransportError as error:
            if error.reason.startswith("control-"):
                raise self._failure(last) from None
            raise
        finally:
            limit.cancel()

    def _control(self) -> str:
        text = (self.folder / "control-port").read_text("ascii")
        return text.strip().removeprefix("PORT=")

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _check(self, last: TorStatus) -> None:
        if self._process.poll() is not None:
            raise self._failure(last)

    def _failure(self, last: TorStatus) -> TransportError:
        if not self._late:
            return TransportError(
                "tor-start", f"Tor ended at once; read its reason in {self.folder / LOG}."
            )
        hint = (
            "set this machine's clock right"
            if last.clock_skew
            else "check that you are online, or use a bridge where Tor is blocked"
        )
        return TransportError(
            "tor-bootstrap", f"Tor came to {last.progress} % only ({last.summary}); {hint}."
        )


def start(settings: TorSettings, folder: str) -> OwnTor:
    """A connected tor with its files in ``folder``.

    Raises ``TransportError``: ``tor-missing``, ``tor-start``, ``tor-bootstrap``; ``ConfigError``.
    """
    tor = launch(settings, folder)
    try:
        tor.connect(settings.patience)
    except BaseException:
        tor.close()
        raise
    return tor


def launch(settings: TorSettings, folder: str) -> OwnTor:
    """A tor that has just begun, with its files in ``folder``. Raises ``TransportError``:
    ``tor-missing``, ``tor-start``; ``ConfigError``."""
    home = _prepared(folder, settings)
    command = [find_binary(settings.binary)]
    command += ["--defaults-torrc", str(home / "defaults"), "-f", str(home / "torrc")]
    try:
        with (home / LOG).open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(home, settings.binary),
                cwd=home,
                # Ctrl-C in the application's terminal is for the application to handle.
                start_new_session=sys.platform != "win32",
            )
    except OSError:
        raise TransportError("tor-start", "Tor could not be started; check its file.") from None
    return OwnTor(process, home)


def find_binary(given: str | None) -> str:
    """Raises ``TransportError``: ``tor-missing``, and ``tor-start`` for what is there and no
    program: only where none is, the direct way may be open."""
    name = given or "tor"
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None and _is_there(name, path):
        raise TransportError(
            "tor-start",
            f"{name} is there and is no program that this user can start; give it the right to be "
            "executed, or name another.",
        )
    if found is None:
        raise TransportError(
            "tor-missing", "Tor is not installed: install it, or start Tor Browser."
        )
    return str(Path(found).absolute())


def _is_there(name: str, path: str) -> bool:
    """What was named with its folder counts whatever it is; a bare name, where a file bears it."""
    if Path(name).name == name:
        return shutil.which(name, os.F_OK, path) is not None
    try:
        Path(name).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _prepared(folder: str, settings: TorSettings) -> Path:
    home = Path(folder).absolute()
    # As tor reads it, whatever encoding this system's names are in.
    name = os.fsencode(home).decode("utf-8", "surrogateescape")
    text = own_torrc(name, os.getpid(), settings.bridges, settings.transports, settings.extra)
    try:
        for each in (home, home / "data"):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
            each.chmod(0o700)
        for old in ("control-port", "cookie"):
            (home / old).unlink(missing_ok=True)
        (home / "defaults").write_bytes(b"")
        torrc = home / "torrc"
        torrc.touch(mode=0o600)
        torrc.write_bytes(text.encode("utf-8", "surrogateescape"))
    except OSError:
        raise ConfigError(
            "tor-folder",
            f"Tor's files cannot be written to {home}; make room, give the folder back to this "
            "user, or name another.",
        ) from None
    return home


def _environment(home: Path, binary: str | None) -> dict[str, str]:
    """Nothing of the user's reaches tor and its transports but what they need to run."""
    kept = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
    made = {"HOME": str(home)} | {key: os.environ[key] for key in kept if key in os.environ}
    libraries = _libraries(binary)
    return made | {"LD_LIBRARY_PATH": libraries} if libraries else made


def _libraries(binary: str | None) -> str:
    """Those of a bundle that we run in are not for the system's tor: PyInstaller keeps what stood
    there before it; an AppImage does not. A tor that was given has its own beside it."""
    bundled = getattr(sys, "frozen", False) or "APPDIR" in os.environ
    usual = "" if bundled else os.environ.get("LD_LIBRARY_PATH", "")
    before = os.environ.get("LD_LIBRARY_PATH_ORIG", usual)
    own = str(Path(binary).absolute().parent) if binary and Path(binary).name != binary else ""
    return os.pathsep.join(filter(None, (own, before)))
