"""One look at everything an operator answers for. Each check is a function of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mars import factory
from mars.errors import MarsError
from mars.ports import Request
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY
from mars.wire.url import is_onion_host
from mars_server.common.config import Config, load_product
from mars_server.daylog.crash_recovery import held, parts
from mars_server.daylog.format import ACCESS, SPOOL, Kind
from mars_server.daylog.generation import LOG, PartName, lost_in
from mars_server.onion.control import connected, unnamed
from mars_server.onion.folder import hostname
from mars_server.serving.aiohttp_connection import CHECK_PATH
from mars_server.serving.bind import Bind, parse_bind
from mars_server.serving.launch import source
from mars_server.serving.motd_source import read
from mars_server.storage.database import open_database
from mars_server.storage.reading import Overview, overview

OK, WARN, FAIL, UNSET = "ok", "warn", "fail", "not-set"
_EXPIRY_WARNING = 7
"""Days."""
_COUNT_EVERY = 2 * DAY
"""Seconds without a count after which something is wrong with its timer."""
_PUBLISH_EVERY = 10 * DAY
"""Seconds: a week is published two days after its end, so every seven."""
_LOW_DISK = 0.10
_FULL_DISK = 0.01
"""Free shares of the fuller disk that holds logs or spools."""
_STALE_DAYS = 1
"""The open log's day may be yesterday for the moment around midnight."""
_OTHERS = 0o077
"""Permission bits of the group and of everybody else."""
_CHECK = f"GET {CHECK_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(
    "ascii"
)
"""A look at ourselves must not be counted as a client's."""
_UNHEALTHY = "\nmars_{}_healthy 0.0\n"
_LEAST_LINE = min(SPOOL.lengths)
"""Bytes of a report's line."""


@dataclass(frozen=True)
class Check:
    """``state`` is ``ok``, ``warn``, ``fail`` or ``not-set``; ``facts`` are for programs."""

    state: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)


def examine(config: Config, now: int) -> dict[str, Check]:
    """All checks by name at ``now`` (Unix seconds); none of them raises."""
    checks = (_motd, _server, _tor, _onion, _log, _spool, _count, _publication, _disk)
    return {check.__name__[1:]: _safely(check, config, now) for check in checks}


def _safely(check: Callable[[Config, int], Check], config: Config, now: int) -> Check:
    try:
        return check(config, now)
    except MarsError as error:
        state = WARN if error.reason == "database-missing" else FAIL  # as on the first day
        return Check(state, str(error), {"reason": error.reason})
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return Check(FAIL, f"{error.strerror or error}{where}", {"reason": "os-error"})


def _motd(config: Config, now: int) -> Check:
    document = source(config).load(now)
    days = (document.motd.expires - now) // DAY
    facts = {"serial": document.motd.serial, "days_left": days, "verified": document.verified}
    if days < _EXPIRY_WARNING:
        return Check(WARN, f"expires in {days} days; sign and deploy a new one", facts)
    if document.unlisted:
        return Check(WARN, document.doubt, facts | {"unlisted": document.unlisted})
    if document.flaws:
        return Check(WARN, document.flaws[0], facts)
    if not document.verified:
        return Check(WARN, "not verified: set trust to what clients pin", facts)
    return Check(OK, f"signed, {days} days to expiry", facts)


def _server(config: Config, _now: int) -> Check:
    bind = parse_bind(config.bind)
    try:
        answer = _exchange(bind)
    except OSError as error:
        why = error.strerror or "no answer in time"
        text = f"nobody answers at {bind} ({why}); is mars-server serve running?"
        return Check(FAIL, text, {"reason": "server-unreachable"})
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return Check(FAIL, "answers, but not with the MOTD")
    if body != read(Path(config.motd)):
        return Check(WARN, "serves another document than the file; was it refused?")
    return Check(OK, f"answers on {bind} with the file's bytes")


def _exchange(bind: Bind) -> bytes:
    answer = b""
    with socket.socket(bind.family) as sock:
        sock.settimeout(5.0)
        sock.connect(bind.address)
        sock.sendall(_CHECK)
        while part := sock.recv(65536):
            answer += part
    return answer


def _tor(config: Config, _now: int) -> Check:
    if not config.onion.control:
        return Check(UNSET, "no control port is set")
    with connected(config.onion.control, config.onion.control_password_file) as tor:
        version = tor.info("version").split(" ", 1)[0]
        phase = tor.info("status/bootstrap-phase")
        folders = [value for name, value in tor.services() if name == "HiddenServiceDir"]
    wanted = str(Path(config.onion.folder).absolute())
    facts = {"version": version, "bootstrapped": "PROGRESS=100" in phase}
    if not facts["bootstrapped"]:
        return Check(FAIL, "tor is not bootstrapped; see its log", facts)
    if config.onion.folder and wanted not in folders:
        return Check(FAIL, "tor runs without the onion service; is the server up?", facts)
    return Check(OK, f"tor {version} runs with the onion service", facts)


def _onion(config: Config, _now: int) -> Check:
    folder = config.onion.folder
    name = (hostname(folder) if folder else None) or _named(config)
    if folder and name is None:
        return Check(FAIL, unnamed(folder), {"reason": "onion-key"})
    if name is None or not config.socks:
        return Check(UNSET, "no onion service here, or no socks to reach it through")
    url = f"http://{name}{CHECK_PATH}"
    request = Request(HTTPRequest.get(url), deadline=90.0, expect=None)
    answer = factory.fetcher(config.socks).fetch(request)
    if answer.status == 404:
        text = f"the server answers 404 to its own address, http://{name}: it could not read it "
        text += "when it looked, and hosts does not name it; what did serve say at its start?"
        return Check(FAIL, text, {"reason": "onion-key"})
    same = answer.status == 200 and answer.body == read(Path(config.motd))
    if not same:
        return Check(FAIL, "reached through Tor, but it serves something else")
    return Check(OK, f"reached through Tor: http://{name}", {"address": name})


def _named(config: Config) -> str | None:
    """The first onion address that the settings or the product name."""
    names = list(config.hosts)
    with contextlib.suppress(MarsError):  # "motd" tells
        servers = load_product(config.product).servers
        names += [server.removeprefix("http://") for server in servers]
    return next(filter(is_onion_host, names), None)


def _log(config: Config, now: int) -> Check:
    return _day_log(Path(config.log), config, now, ACCESS)


def _spool(config: Config, now: int) -> Check:
    if not config.spool:
        return Check(UNSET, "no spool is set: reports are not taken")
    folder = Path(config.spool)
    found = _day_log(folder, config, now, SPOOL)
    most = sum(path.stat().st_size for path in folder.glob(f"{SPOOL.prefix}-*")) // _LEAST_LINE
    text = f"{found.text}, at most {most} reports" if found.state == OK else found.text
    return Check(found.state, text, {**found.facts, "reports_at_most": most})


def _day_log(folder: Path, config: Config, now: int, kind: Kind) -> Check:
    live, opened = held(folder, kind), parts(folder, kind)
    closed = [path for path in folder.glob(f"{kind.prefix}-*{LOG}") if path.is_file()]
    lost = sum(map(lost_in, closed)) + sum(part.lost for part in opened)
    facts: dict[str, object] = {"open": len(live), "closed": len(closed), "lost": lost}
    if trouble := _unwritten(folder, config, live, now, kind):
        return Check(FAIL, trouble, facts)
    if folder.stat().st_mode & _OTHERS:
        text = f"other users may see when the open {kind.short} grows: chmod 700 {folder}"
        return Check(WARN, text, facts)
    if lost:
        text = f"{lost} {kind.entries} are missing in the {kind.short}s: the disk refused them"
        return Check(WARN, text, facts)
    return Check(OK, f"{len(live)} open, {len(closed)} closed", facts)


def _unwritten(folder: Path, config: Config, live: list[PartName], now: int, kind: Kind) -> str:
    """Why nothing is being written, an empty text where it is.

    A part that no process holds is what a crash left. Nothing is written to find out.
    """
    if not live:
        return f"no open {kind.short}: no server is writing one"
    last = max(part.day for part in live)
    if (datetime.fromtimestamp(now, UTC).date() - last).days > _STALE_DAYS:
        return f"the open {kind.short} is of {last}: the server hangs"
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"the disk of the {kind.short}s is read-only: {kind.unwritten}"
    if config.metrics and _UNHEALTHY.format(kind.short).encode() in _metrics(config.metrics):
        return f"the server cannot write its {kind.short}: {kind.unwritten} (its stderr)"
    return ""


def _metrics(path: str) -> bytes:
    """Nothing where nobody answers, which says nothing of the log."""
    try:
        return _exchange(Bind(path))
    except OSError:
        return b""


def _count(config: Config, now: int) -> Check:
    if not config.db:
        return Check(UNSET, "no database is set")
    last = counted(config.db).counted
    if last is None:
        return Check(WARN, "nothing was counted yet: mars-server count")
    facts: dict[str, object] = {"seconds_ago": now - last}
    state = WARN if now - last > _COUNT_EVERY else OK
    return Check(state, f"last counted {_ago(now - last)} ago", facts)


def _publication(config: Config, now: int) -> Check:
    if not config.db:
        return Check(UNSET, "no database is set")
    found = counted(config.db)
    ran = found.publish_ran
    if found.published is None and ran is not None and now - ran <= _PUBLISH_EVERY:
        text = "no week is due yet: each is two days after its end, once its logs are counted"
        return Check(OK, text)
    if found.published is None:
        return Check(WARN, "no week was published yet: mars-server publish")
    facts: dict[str, object] = {"week": max(found.weeks), "seconds_ago": now - found.published}
    state = WARN if now - found.published > _PUBLISH_EVERY else OK
    ago = _ago(now - found.published)
    return Check(state, f"{max(found.weeks)} was published {ago} ago", facts)


def counted(url: str) -> Overview:
    """What a database tells without a count of it; none is made. Raises ``MarsError``."""
    engine = open_database(url, create=False, write=False)
    try:
        return overview(engine)
    finally:
        engine.dispose()


def _ago(seconds: int) -> str:
    return f"{seconds // DAY} days" if seconds >= 2 * DAY else f"{seconds // 3600} hours"


def _disk(config: Config, _now: int) -> Check:
    folders = [config.log, *filter(None, [config.spool])]
    gone = [folder for folder in folders if not Path(folder).is_dir()]
    if gone:
        return Check(FAIL, f"a folder of logs or spools is gone: {gone[0]}")
    usage = min(map(shutil.disk_usage, folders), key=lambda disk: disk.free / disk.total)
    share = usage.free / usage.total
    facts: dict[str, object] = {"free_bytes": usage.free, "free_percent": int(share * 100)}
    state = FAIL if share < _FULL_DISK else WARN if share < _LOW_DISK else OK
    return Check(state, f"{int(share * 100)} % free where logs and spools are", facts)
