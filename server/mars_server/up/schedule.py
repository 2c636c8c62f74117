"""When the jobs of a server are due. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from mars.wire.times import DAY, WEEK
from mars_server.common.config import Config

SETTLED = 15 * 60
"""Seconds after midnight (UTC) until every server has turned its log."""
AGAIN = 60 * 60
"""Seconds after which a job that failed is tried again."""
LOOK = 5 * 60
"""Seconds between two looks of ``status`` for node_exporter."""
_WEDNESDAY = 6 * DAY
"""Unix time begins on a Thursday; on Wednesdays the last week has been over for two days."""


@dataclass(frozen=True)
class Job:
    """One command of ours. ``first`` is due ``every`` that many seconds, from Unix time ``at``."""

    name: str
    words: tuple[str, ...]
    every: int
    at: int = SETTLED
    after: str = ""
    """The job that must have succeeded since this one became due."""
    tells: bool = False
    """Whether a failure is what it found, and no reason to look again within the hour."""

    def mark(self, now: int) -> int:
        """The last time (Unix seconds) at which it became due."""
        return now - (now - self.at) % self.every


def jobs(config: Config, file: str) -> tuple[Job, ...]:
    """All that ``config``, which stands in ``file``, asks for, in the order in which they run."""
    told = ("--config", file)
    weekly = partial(Job, every=WEEK, at=_WEDNESDAY + SETTLED)
    found = [Job("count", ("count", *told), DAY)]
    if config.triage_db and config.spool and config.keys:
        found.append(Job("errors open", ("errors", "open", *told), DAY))
    if config.triage_db and config.status_key:
        found.append(Job("errors status", ("errors", "status", *told), DAY))
    if config.triage_db and config.publish.faults:
        stats = ("errors", "stats", *told, "--out", config.publish.faults)
        found.append(weekly("errors stats", stats, after="count"))
    found += [
        weekly("publish", ("publish", *told), after="count"),
        weekly("retain", ("retain", *told), after="publish"),
        weekly("doctor", ("doctor", *told), after="publish", tells=True),
    ]
    if config.textfile:
        look = ("status", *told, "--textfile", config.textfile)
        found.append(Job("status", look, LOOK, 0, tells=True))
    return tuple(found)


@dataclass
class Schedule:
    """What has run since this process began; on a fresh start everything is due once."""

    jobs: Iterable[Job]
    done: dict[str, int] = field(default_factory=dict)
    """When each last succeeded (Unix seconds)."""
    failed: dict[str, int] = field(default_factory=dict)
    """When each last failed, unless it has succeeded since."""

    def due(self, now: int) -> Job | None:
        """The next to run at ``now``."""
        return next((job for job in self.jobs if self._is_due(job, now)), None)

    def _is_due(self, job: Job, now: int) -> bool:
        if self._has_run(job.name, job.mark(now), now):
            return False
        failed = self.failed.get(job.name)
        if failed is not None and failed <= now < failed + AGAIN:
            return False
        return not job.after or self._has_run(job.after, job.mark(now), now)

    def _has_run(self, name: str, since: int, now: int) -> bool:
        """A time that is still to come is of a clock that was wrong."""
        return since <= self.done.get(name, -1) <= now

    def ended(self, job: Job, now: int, *, well: bool) -> None:
        if well or job.tells:
            self.done[job.name] = now
            self.failed.pop(job.name, None)
        else:
            self.failed[job.name] = now
