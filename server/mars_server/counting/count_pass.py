"""One pass over some logs: look, recognise, count what is new, store it with how far it got."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from mars.errors import MarsError
from mars.wire.query import AllowList
from mars_server.counting import formats
from mars_server.counting.checkpoint import Checkpoints
from mars_server.counting.foreign.identity import Source, Verdict
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import LogMovedError, Probe, probe, spans
from mars_server.counting.progress import Progress
from mars_server.counting.sizes import Sizes
from mars_server.counting.store_port import Advance, Ledger
from mars_server.counting.streams import refused, shown
from mars_server.counting.tally import UNREAD, Tally, is_part_unread, is_unread
from mars_server.counting.tasks import Done, Driver, Piece, Span, Task, Whole


@dataclass
class Outcome:
    """What one pass did."""

    tally: Tally = field(default_factory=Tally)
    """The lines that this pass counted."""
    late: int | None = None
    """Those of its hits that were dropped because their week is published; None for a dry run."""
    problems: list[tuple[str, str]] = field(default_factory=list)
    """Reason code and sentence for each log that could not be counted."""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Job:
    """A log on its way through a pass."""

    probe: Probe
    source: int | None = None
    position: int = 0
    timeless: bool = True
    stopped: bool = False
    lines: int = 0
    unread: int = 0
    before: Source | None = None
    """What was known of it before this pass."""
    changed: bool = False

    @property
    def name(self) -> str:
        """As a message may name it."""
        return shown(self.probe.path)

    def settle(self, verdict: Verdict) -> None:
        """This log is known now, or known to be new."""
        source = verdict.source
        self.source = source.id if source else None
        self.position = source.position if source else verdict.start or 0
        self.timeless = verdict.timeless
        self.before = source
        self.changed = verdict.changed

    @property
    def is_unread(self) -> bool:
        """Whether too much of what this pass read, or of all that was read, fits no format."""
        return self.unread > 0 and (
            is_part_unread(self.lines, self.unread) or is_unread(*self._whole)
        )

    @property
    def stays(self) -> str | None:
        """Why it must not be removed. The first few lines alone say nothing of a log."""
        if self.changed:
            return "changed"
        return "unread" if self.is_unread and self._whole[1] > UNREAD else None

    @property
    def _whole(self) -> tuple[int, int]:
        known = (self.before.lines, self.before.unread) if self.before else (0, 0)
        return known[0] + self.lines, known[1] + self.unread


class _Pass:
    """What both kinds of pass share: problems are kept, results come back by log."""

    def __init__(self, allow: AllowList, driver: Driver, progress: Progress) -> None:
        self._allow = allow
        self._driver = driver
        self._progress = progress
        self.outcome = Outcome()

    def look(self, paths: Iterable[str], format_name: str) -> list[Probe]:
        found = []
        for path in paths:
            try:
                found.append(probe(path, format_name))
            except MarsError as error:
                self.problem(error.reason, error.message)
            except OSError as error:
                told = refused(path, error)
                self.problem(told.reason, told.message)
        self._progress.start(sum(one.size for one in found))
        return found

    def problem(self, reason: str, message: str) -> None:
        self.outcome.problems.append((reason, message))

    def results(
        self, jobs: Iterable[_Job], plan: Callable[[_Job], list[Task]]
    ) -> Iterator[tuple[_Job, Task, Done]]:
        """Each good result, those of one log in its order."""
        order: list[tuple[_Job, Task]] = []

        def tasks() -> Iterator[Task]:
            for job in jobs:
                for task in plan(job):
                    order.append((job, task))
                    yield task

        for at, done in enumerate(self._driver.run(tasks(), self._allow)):
            job, task = order[at]
            if done.problem is not None:
                self.problem(*done.problem)
            elif not done.pieces and not job.stopped and isinstance(task, Span):
                self.outcome.notes.append(LogMovedError(job.probe.path).message)
            if done.cut_short:
                note = f"{job.name} ends in the middle; its whole lines were counted."
                self.outcome.notes.append(note)
            if done.problem is not None or not done.pieces:
                job.stopped = True  # and what follows waits for the next pass
            if not job.stopped:
                yield job, task, done
        for job in {id(job): job for job, _ in order}.values():
            if job.is_unread:
                self.outcome.notes.append(
                    f"{job.name}: about {job.unread} of {job.lines} lines, by a sample, are "
                    "written in no format that is known, so nothing in them was counted: let the "
                    "server write combined or JSON lines. If the log was read in the wrong format, "
                    "count its days anew: mars-server counts recount DAY LOG --format NAME."
                )

    def counted(self, job: _Job, task: Task, pieces: Iterable[Piece]) -> Tally:
        tally = Tally()
        for piece in pieces:
            tally.add(piece.tally)
        self.outcome.tally.add(tally)
        job.lines += tally.lines
        job.unread += tally.unread
        size = task.end - task.start if isinstance(task, Span) else job.probe.size
        self._progress.add(tally.lines, size)
        return tally


def _news(source: Source, inode: str | None, verdict: Verdict) -> bool:
    """Whether there is something to remember of a log that holds nothing new to count."""
    if verdict.timeless:
        return source.own is None and source.inode != inode
    return source.timeless


_DOUBTFUL = (
    "begins as a counted log does that is not there any more, and goes on otherwise, so nothing of "
    "it was counted. If it is a log of its own, count it with --new; if it is what a power cut "
    "left of the other, --new would count its first lines once more: move it away."
)
_CHANGED = (
    "was changed after it had been counted, as by a power cut. Its first %d bytes were not counted "
    "again; lines that were written there since are missing from the figures."
)


def _doubt(verdict: Verdict) -> str | None:
    """What a person should know of a log whose lines could be another's."""
    if verdict.waits:
        return (
            "begins as a longer log that is counted: a copy that ends early, or another log of "
            "which nothing is counted until it differs."
        )
    if verdict.taken and verdict.source is not None:
        return (
            "begins as a counted log that is no longer here, and its lines hold no time of day. It "
            f"is taken for a copy; its first {verdict.source.position} bytes were not counted."
        )
    return None


def dry_run(
    paths: Iterable[str],
    allow: AllowList,
    driver: Driver,
    progress: Progress,
    format_name: str = formats.AUTO,
) -> Outcome:
    """Counts whatever the logs hold; stores nothing. Raises ``StateError`` (``worker-died``)."""
    one = _Pass(allow, driver, progress)
    jobs = [_Job(found) for found in one.look(paths, format_name)]
    for job, task, done in one.results(jobs, _everything):
        one.counted(job, task, done.pieces)
    progress.end()
    return one.outcome


def _everything(job: _Job) -> list[Task]:
    found = job.probe
    if found.length is None:
        return [Whole(found.path, found.format)]
    return [*spans(found, 0, Sizes().span)]


class _LedgerPass(_Pass):
    def __init__(
        self,
        allow: AllowList,
        driver: Driver,
        progress: Progress,
        ledger: Ledger,
        now: Callable[[], int],
        sizes: Sizes,
        *,
        new: bool,
    ) -> None:
        super().__init__(allow, driver, progress)
        self._register = Register(ledger, sizes.span, new=new)
        self._marks = self._register.marks
        self._checkpoints = Checkpoints(ledger, self._register, now, sizes)
        self._format = formats.AUTO

    def run(self, paths: Iterable[str], format_name: str) -> Outcome:
        self._format = format_name
        probes = self.look(paths, format_name)
        self._register.expect(probes)
        for one_round in _rounds(probes, self._register.is_known_file):
            jobs = [_Job(found) for found in one_round]
            for job, task, done in self.results(jobs, self._plan):
                self._take(job, task, done)
            self._checkpoints.flush()
        self._progress.end()
        self.outcome.late = self._checkpoints.late
        return self.outcome

    def _plan(self, job: _Job) -> list[Task]:
        try:
            verdict, tasks = self._register.plan(job.probe)
        except LogMovedError as moved:
            self.outcome.notes.append(moved.message)
            return []
        except MarsError as error:
            self.problem(error.reason, f"{job.name}: {error.message}")
            return []
        found = job.probe
        source = verdict.source
        self._know(job, verdict)
        inode = self._marks.inode(found.own, found.inode)
        if source and not tasks and verdict.start and _news(source, inode, verdict):
            self._advance(job, source.position, source.tail, found, Tally())
        return tasks

    def _know(self, job: _Job, verdict: Verdict) -> None:
        job.settle(verdict)
        read = verdict.source.format if verdict.source else None
        if read and self._format not in (formats.AUTO, read):
            self.outcome.notes.append(
                f"{job.name} is known and was read as {read}; what was counted of it stays. To "
                f"read it as {self._format} count its days anew: "
                f"mars-server counts recount DAY LOG --format {self._format}."
            )
        if verdict.changed:
            self.problem("log-changed", f"{job.name} {_CHANGED % job.position}")
        if verdict.doubtful:
            self.problem("log-doubtful", f"{job.name} {_DOUBTFUL}")
        doubt = _doubt(verdict)
        if doubt is not None:
            self.outcome.notes.append(f"{job.name} {doubt}")

    def _take(self, job: _Job, task: Task, done: Done) -> None:
        pieces: Iterable[Piece] = done.pieces
        who: Probe | Done = job.probe
        if isinstance(task, Whole):
            try:
                verdict, pieces = self._register.settle(done)
            except MarsError as error:
                self.problem(error.reason, f"{job.name}: {error.message}")
                return
            self._know(job, verdict)
            who = done
            if verdict.start is None:
                return
        tally = self.counted(job, task, pieces)
        last = done.pieces[-1]
        mark = self._marks.tail(who.own, last.tail)
        self._advance(job, last.end, mark, who, tally, whole=not done.cut_short)

    def _advance(
        self,
        job: _Job,
        position: int,
        tail: str,
        who: Probe | Done,
        tally: Tally,
        *,
        whole: bool = True,
    ) -> None:
        lacking = who.gap if job.source is None and job.position == 0 else None
        if lacking is not None:
            self.outcome.notes.append(
                f"{job.name} lacks {lacking.lost} answers of {lacking.day}, whose lines the "
                "disk refused; the figures of that day are too low."
            )
        step = Advance(
            source=job.source,
            own=who.own,
            ladder=self._marks.ladder(who.own, who.ladder),
            before=job.position,
            position=position,
            tail=tail,
            inode=self._marks.inode(who.own, job.probe.inode),
            timeless=job.timeless,
            tally=tally,
            fingerprint=self._marks.archive(who.own, job.probe.fingerprint) if whole else None,
            format=None if job.probe.format == formats.AUTO else job.probe.format,
            stays=job.stays,
            gap=lacking,
        )
        job.position = position
        self._checkpoints.add(job.probe.path, step)


def count_once(
    paths: Iterable[str],
    allow: AllowList,
    driver: Driver,
    progress: Progress,
    ledger: Ledger,
    now: Callable[[], int],
    format_name: str = formats.AUTO,
    sizes: Sizes = Sizes(),  # noqa: B008 - frozen
    *,
    new: bool = False,
) -> Outcome:
    """Counts each line of the logs that was not counted before. The caller holds the lock.

    ``new``: a log that only begins as a known one is a log of its own.

    Raises ``StateError`` where the database or the driver fails; what was stored until then is
    whole. Problems with single logs are in the outcome.
    """
    return _LedgerPass(allow, driver, progress, ledger, now, sizes, new=new).run(paths, format_name)


def _rounds(probes: Iterable[Probe], is_known: Callable[[Probe], bool]) -> Iterator[list[Probe]]:
    """Logs that may be one source go into different rounds, so the first is known to the next.

    Archives go first in their family: one that was cut short is known by the source that it
    continues, and could not be told from a part of a plain log that took that source before it.
    Then go the files that are known (``is_known``), before a copy takes their source.
    """
    families: defaultdict[str, list[Probe]] = defaultdict(list)
    streams = []
    for one in sorted(
        probes, key=lambda one: 0 if one.length is None else 1 if is_known(one) else 2
    ):
        if one.family is None:
            streams.append([one])
        else:
            families[one.family].append(one)
    depth = max(map(len, families.values()), default=0)
    for level in range(depth):
        yield [members[level] for members in families.values() if level < len(members)]
    yield from streams
