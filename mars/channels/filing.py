"""Faults that were met become error reports: one for each fault and release, three a week.

What takes a fault (``Filing.take``) is called in the thread that failed, with whatever locks are
held: it waits for nothing and takes no lock. It writes one file of its own; whether that counts is
decided later, by who holds the state's lock.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mars.channels import sealing
from mars.channels.queue import ID_BYTES, Queue, Report
from mars.channels.sending import Memory
from mars.consent.purposes import NEVER
from mars.wire.product import is_release
from mars.wire.times import DAY

if TYPE_CHECKING:
    from mars.core.installation import Installation
    from mars.ports import Chance, Platform
    from mars.wire.reports.fault import Fault

LINE = "TELEMETRY {}"
"""Stands beside the exception in the application's own log, with the report's GUID."""
NONCE_BYTES = 24


class Filing:
    """Of one installation."""

    def __init__(self, client: Installation, queue: Queue) -> None:
        self._client = client
        self._queue = queue

    def take(self, fault: Fault) -> str | None:
        """``mars.faults.capture.Sink``: what is logged beside the exception, if a report of it is
        kept. Without a yes to reports, and in a build that is no release, none is."""
        client = self._client
        version, now = client.app.version, client.ports.clock.now()
        if not is_release(version):
            return None
        state = client.load()
        if client.voice(state).reports == NEVER:
            return None
        memory, kept = Memory.of(state), self._queue.all()
        for one in kept.values():
            if one.release == version and one.fault.digest == fault.digest:
                return _line(one)
        for one in kept.values():
            if not one.counted:
                memory = memory.taking(mark(memory, one.fault, one.release), now) or memory
        if memory.taking(mark(memory, fault, version), now) is None:
            return None
        report = made(fault, version, memory.secret, now, client.ports.chance, client.ports.host)
        self._queue.write(report)
        return _line(report)


def made(
    fault: Fault, release: str, secret: str, now: int, chance: Chance, host: Platform
) -> Report:
    """A report that is not counted yet. Without a ``secret`` it has no GUID yet either."""
    report = Report(
        id=chance.token(ID_BYTES).hex(),
        fault=fault,
        release=release,
        day=now - now % DAY,
        guid="",
        nonce=chance.token(NONCE_BYTES).hex(),
        platform=sealing.platform_of(host),
    )
    return named(report, secret) if secret else report


def named(report: Report, secret: str) -> Report:
    """With its GUID."""
    return replace(report, guid=sealing.identity(secret, report).guid)


def mark(memory: Memory, fault: Fault, release: str) -> str:
    """By which a fault of a release is known again here, and nowhere else."""
    from hashlib import blake2b  # late: it loads OpenSSL

    said = f"{release} {fault.digest}".encode("ascii")
    return blake2b(said, key=bytes.fromhex(memory.secret), digest_size=8).hexdigest()


def counted(
    memory: Memory, queue: Queue, kept: dict[str, Report], now: int, chance: Chance
) -> Memory:
    """With all that was written since the last time counted for its week, or dropped from ``kept``
    and its file deleted. The state's lock is held."""
    memory = memory.with_secret(chance)
    for report in [one for one in kept.values() if not one.counted]:
        after = memory.taking(mark(memory, report.fault, report.release), now)
        if after is None:
            queue.delete(kept.pop(report.id).id)
            continue
        memory = after
        kept[report.id] = replace(report, counted=True)
        if not report.guid:
            kept[report.id] = named(kept[report.id], memory.secret)
        queue.write(kept[report.id])
    return memory


def _line(report: Report) -> str | None:
    return LINE.format(report.guid) if report.guid else None
