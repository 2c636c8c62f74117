"""One look at everything an operator answers for. Each check is a function of its own."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from mars import factory
from mars.errors import MarsError
from mars.ports import Request
from mars.wire.reports.status import MAX_DOCUMENT
from mars.wire.request import HTTPRequest
from mars.wire.times import DAY
from mars.wire.url import is_onion_host
from mars_server.common.config import Config, load_product
from mars_server.daylog.crash_recovery import held, parts
from mars_server.daylog.format import ACCESS, SPOOL, Kind
from mars_server.daylog.generation import LOG, PartName, lost_in
from mars_server.onion.control import connected, for_publisher, unnamed
from mars_server.onion.folder import hostname
from mars_server.operate.figures import (
    ANSWERS_EXPIRE,
    ANSWERS_SERIAL,
    COUNT_EVERY,
    DISK_FREE,
    EXPIRES,
    EXPIRY_WARNING,
    FLAWS,
    FULL_DISK,
    LOW_DISK,
    PUBLISH_EVERY,
    SERIAL,
    UNLISTED,
)
from mars_server.publication.status_document import judged
from mars_server.serving.aiohttp_connection import CHECK_PATH
from mars_server.serving.bind import Bind, parse_bind, parse_metrics
from mars_server.serving.disk import fullest, hundredths
from mars_server.serving.launch import source
from mars_server.serving.motd_source import STATUS, read
from mars_server.storage.database import open_database
from mars_server.storage.reading import Overview, overview

OK, WARN, FAIL, UNSET = "ok", "warn", "fail", "not-set"
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
    """``state`` is ``ok``, ``warn``, ``fail`` or ``not-set``; ``facts`` are for programs, and
    ``figures`` the numbers by the names of ``FIGURES``. ``kept`` is the text for who keeps it,
    without what grows by clients; where it is empty, ``text`` has nothing of that."""

    state: str
    text: str
    facts: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)
    kept: str = ""


def examine(config: Config, now: int) -> dict[str, Check]:
    """All checks by name at ``now`` (Unix seconds); none of them raises."""
    checks = (
        *(_motd, _answers, _server, _tor, _onion, _log, _spool),
        *(_count, _publication, _doctor, _disk),
    )
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
    left = document.motd.expires - now
    days = left // DAY
    facts: dict[str, object] = {
        "serial": document.motd.serial, "days_left": days, "verified": document.verified
    }  # fmt: skip
    facts |= {"unlisted": document.unlisted} if document.unlisted else {}
    figures = {
        EXPIRES: document.motd.expires,
        SERIAL: document.motd.serial,
        UNLISTED: int(bool(document.unlisted)),
        FLAWS: len(document.flaws),
        "mars_motd_verified": int(document.verified),
    }
    told = [*filter(None, [document.unlisted and document.doubt]), *document.flaws]
    if left < EXPIRY_WARNING:
        told.insert(0, f"expires in {days} days; sign and deploy a new one")
    if not document.verified:
        told.append("not verified: set trust to what clients pin")
    if told:
        return Check(WARN, told[0], facts, figures)
    return Check(OK, f"signed, {days} days to expiry", facts, figures)


def _answers(config: Config, now: int) -> Check:
    try:
        product = load_product(config.product)
    except MarsError:  # "motd" tells
        return Check(UNSET, "no product.toml says whether a release takes error reports")
    if not product.reports_releases:
        return Check(UNSET, "no release takes error reports")
    path = Path(config.motd).with_name(STATUS)
    if not path.is_file():
        text = (
            f"clients ask for {path.name}, and there is none: mars-server errors status makes one"
        )
        return Check(WARN, text, {"reason": "answers-missing"})
    document = read(path, "The answers to reports", "status", MAX_DOCUMENT)
    served = source(config)
    with contextlib.suppress(MarsError):  # "motd" tells; the keys that hold may come with it
        served.load(now)
    status = judged(document, product, now, served.root, served.state).status
    left = status.expires - now
    facts = {"serial": status.serial, "days_left": left // DAY}
    figures = {ANSWERS_EXPIRE: status.expires, ANSWERS_SERIAL: status.serial}
    if left < EXPIRY_WARNING:
        text = f"expire in {left // DAY} days; mars-server errors status"
        return Check(WARN, text, facts, figures)
    return Check(OK, f"{len(status.prefixes)} codes, {left // DAY} days to expiry", facts, figures)


def _server(config: Config, _now: int) -> Check:
    bind = parse_bind(config.bind)
    answers = "mars_server_answers"
    try:
        answer = _exchange(bind)
    except OSError as error:
        why = error.strerror or "no answer in time"
        text = f"nobody answers at {bind} ({why}); is mars-server serve running?"
        return Check(FAIL, text, {"reason": "server-unreachable"}, {answers: 0})
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        return Check(FAIL, "answers, but not with the MOTD", figures={answers: 0})
    if body != read(Path(config.motd)):
        text = "serves another document than the file; was it refused?"
        return Check(WARN, text, figures={answers: 0})
    return Check(OK, f"answers on {bind} with the file's bytes", figures={answers: 1})


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
    figures = {"mars_tor_bootstrapped": int("PROGRESS=100" in phase)}
    if not facts["bootstrapped"]:
        return Check(FAIL, "tor is not bootstrapped; see its log", facts, figures)
    if config.onion.folder and wanted not in folders:
        text = "tor runs without the onion service; is the server up?"
        return Check(FAIL, text, facts, figures)
    return Check(OK, f"tor {version} runs with the onion service", facts, figures)


def _onion(config: Config, _now: int) -> Check:
    folder = config.onion.folder
    name = (hostname(folder) if folder else None) or _named(config)
    if folder and name is None:
        return Check(FAIL, unnamed(folder), {"reason": "onion-key"})
    if name is None or not config.socks:
        return Check(UNSET, "no onion service here, or no socks to reach it through")
    url = f"http://{name}{CHECK_PATH}"
    request = Request(HTTPRequest.get(url), deadline=90.0, expect=None)
    clock = factory.system_clock()
    began = clock.monotonic()
    answer = factory.fetcher(config.socks).fetch(request)
    figures = {"mars_onion_fetch_seconds": round(clock.monotonic() - began, 1)}
    if answer.status == 404:
        text = f"the server answers 404 to its own address, http://{name}: it could not read it "
        text += "when it looked, and hosts does not name it; what did serve say at its start?"
        return Check(FAIL, text, {"reason": "onion-key"})
    same = answer.status == 200 and answer.body == read(Path(config.motd))
    if not same:
        return Check(FAIL, "reached through Tor, but it serves something else", figures=figures)
    facts = {"address": name}
    if folder and not config.onion.balanced:
        listed = f"http://{name}" in load_product(config.product).servers
        figures["mars_onion_listed"] = int(listed)
        if not listed:
            text = f"reached through Tor, but clients are not told of it; {for_publisher(name)}"
            return Check(WARN, text, facts, figures)
    return Check(OK, f"reached through Tor: http://{name}", facts, figures)


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
    facts = {**found.facts, "reports_at_most": most}
    if found.state != OK:
        return replace(found, facts=facts)
    return replace(
        found, text=f"{found.text}, at most {most} reports", facts=facts, kept=found.text
    )


def _day_log(folder: Path, config: Config, now: int, kind: Kind) -> Check:
    live, opened = held(folder, kind), parts(folder, kind)
    closed = [path for path in folder.glob(f"{kind.prefix}-*{LOG}") if path.is_file()]
    lacking = [*map(lost_in, closed), *(part.lost for part in opened)]
    lost = sum(lacking)
    facts: dict[str, object] = {"open": len(live), "closed": len(closed), "lost": lost}
    counts = {"open": len(live), "closed": len(closed), "incomplete": sum(map(bool, lacking))}
    figures = {f"mars_{kind.short}s_{name}": n for name, n in counts.items()}
    if trouble := _unwritten(folder, config, live, now, kind):
        return Check(FAIL, trouble, facts, figures)
    if folder.stat().st_mode & _OTHERS:
        text = f"other users may see when the open {kind.short} grows: chmod 700 {folder}"
        return Check(WARN, text, facts, figures)
    if lost:
        text = f"{kind.entries} are missing in the {kind.short}s: the disk refused them"
        return Check(WARN, f"{lost} {text}", facts, figures, kept=text)
    return Check(OK, f"{len(live)} open, {len(closed)} closed", facts, figures)


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


def _metrics(place: str) -> bytes:
    """Nothing where nobody answers, which says nothing of the log."""
    try:
        return _exchange(parse_metrics(place))
    except OSError:
        return b""


def _count(config: Config, now: int) -> Check:
    if not config.db:
        return Check(UNSET, "no database is set")
    last = counted(config.db).counted
    if last is None:
        return Check(WARN, "nothing was counted yet: mars-server count")
    state = WARN if now - last > COUNT_EVERY else OK
    figures = {"mars_last_count_timestamp_seconds": last}
    return Check(
        state, f"last counted {_ago(now - last)} ago", {"seconds_ago": now - last}, figures
    )


def _publication(config: Config, now: int) -> Check:
    if not config.db:
        return Check(UNSET, "no database is set")
    found = counted(config.db)
    ran = found.publish_ran
    if found.published is None and ran is not None and now - ran <= PUBLISH_EVERY:
        text = "no week is due yet: each is two days after its end, once its logs are counted"
        return Check(OK, text)
    if found.published is None:
        return Check(WARN, "no week was published yet: mars-server publish")
    facts: dict[str, object] = {"week": max(found.weeks), "seconds_ago": now - found.published}
    state = WARN if now - found.published > PUBLISH_EVERY else OK
    figures = {"mars_last_publish_timestamp_seconds": found.published}
    text = f"{max(found.weeks)} was published {_ago(now - found.published)} ago"
    return Check(state, text, facts, figures)


def _doctor(config: Config, now: int) -> Check:
    if not config.db:
        return Check(UNSET, "no database is set")
    found = counted(config.db)
    ran = found.doctor_ran
    if ran is None:
        return Check(WARN, "no promise was proved yet: mars-server doctor, as the logs' user")
    facts: dict[str, object] = {"broken": found.broken, "seconds_ago": now - ran}
    figures = {
        "mars_last_doctor_timestamp_seconds": ran,
        "mars_doctor_broken_promises": found.broken,
    }
    if found.broken:
        text = f"{found.broken} of its findings were bad: mars-server doctor says which"
        return Check(FAIL, text, facts, figures)
    state = WARN if now - ran > PUBLISH_EVERY else OK
    return Check(state, f"all was as promised {_ago(now - ran)} ago", facts, figures)


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
    usage = fullest(folders)
    share = usage.free / usage.total
    facts: dict[str, object] = {"free_bytes": usage.free, "free_percent": int(share * 100)}
    state = FAIL if share < FULL_DISK else WARN if share < LOW_DISK else OK
    text = f"{int(share * 100)} % free where logs and spools are"
    return Check(state, text, facts, {DISK_FREE: hundredths(usage)})
