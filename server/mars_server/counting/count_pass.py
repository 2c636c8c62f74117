"""One pass over some logs: look, recognise, count what is new, store it with how far it got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final

from mars.errors import MarsError
from mars.wire.query import AllowList
from mars_server.counting import formats
from mars_server.counting.foreign.identity import Beginning, Source, Verdict
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import LogMovedError, Probe, probe, spans
from mars_server.counting.job import Job
from mars_server.counting.progress import Progress
from mars_server.counting.reports import SPOOL, Opening, Reports, sums, unseen
from mars_server.counting.spools import Opened, is_last, may_be_spool, opening_of, tasks_of
from mars_server.counting.store_port import Advance, Checkpoints, Ledger, Sizes
from mars_server.counting.streams import refused, shown
from mars_server.counting.tally import Tally, merge
from mars_server.counting.tasks import Done, Driver, Piece, Span, Task, Whole

_NONE: Final[Mapping[str, str]] = {}


@dataclass
class Counted:
    """What one pass did."""

    tally: Tally = field(default_factory=Tally)
    """The lines that this pass counted."""
    late: int | None = None
    """Those of its hits that were dropped because their week is published; None for a dry run."""
    reports: Reports = field(default_factory=Reports)
    problems: list[MarsError] = field(default_factory=list)
    """One for each log that could not be counted."""
    notes: list[str] = field(default_factory=list)


_PACKED = (
    "holds an archive behind its lines, of which nothing was counted: unpack it into a file of its "
    "own."
)

_UNREAD_LINES = (
    "lines, by a sample, are written in no format that is known, so nothing in them was counted: "
    "let the server write combined or JSON lines. If the log was read in the wrong format, count "
    "its days anew: mars-server counts recount DAY LOG --format NAME."
)


_WAITING = (
    "has lines that no given key opens (%d). What is sealed to other keys waits until a count is "
    "given their files with --keys; the rest is junk, which anybody can post."
)


@dataclass
class _Pass:
    """What both kinds of pass share: problems are kept, results come back by log."""

    allow: AllowList
    driver: Driver
    progress: Progress
    format: str
    opening: Opening | None = None
    outcome: Counted = field(default_factory=Counted)

    def look(self, paths: Iterable[str]) -> list[Probe]:
        found = []
        for path in paths:
            try:
                found.append(one := probe(path, self.format))
                if one.packed:
                    self.outcome.notes.append(f"{shown(path)} {_PACKED}")
            except MarsError as error:
                self.problem(error.reason, error.message)
            except OSError as error:
                self.outcome.problems.append(refused(path, error))
        self.progress.start(sum(one.size for one in found))
        return found

    def problem(self, reason: str, message: str) -> None:
        """Never what was raised itself, whose traceback holds the log's first bytes."""
        self.outcome.problems.append(MarsError(reason, message))

    def note(self, job: Job, what: str) -> None:
        self.outcome.notes.append(f"{job.name} {what}")

    def results(
        self, jobs: Iterable[Job], plan: Callable[[Job], list[Task]]
    ) -> Iterator[tuple[Job, Task, Done]]:
        """Each good result, those of one log in its order."""
        order: list[tuple[Job, Task]] = []

        def tasks() -> Iterator[Task]:
            for job in jobs:
                for task in plan(job):
                    order.append((job, task))
                    yield task

        for at, done in enumerate(self.driver(tasks(), self.allow)):
            job, task = order[at]
            if done.problem is not None:
                self.problem(*done.problem)
            elif not done.pieces and not job.stopped and isinstance(task, Span):
                self.outcome.notes.append(LogMovedError(job.probe.path).message)
            if done.cut_short:
                self.note(job, "ends in the middle; its whole lines were counted.")
            if done.problem is not None or not done.pieces:
                job.stopped = True  # and what follows waits for the next pass
            if not job.stopped:
                yield job, task, done
        for job in {id(job): job for job, _ in order}.values():
            if job.packed:
                self.note(job, _PACKED)
            elif waits := job.opened.waiting:
                self.note(job, _WAITING % waits)
            elif job.is_unread:
                about = f"{job.name}: about {job.unread} of {job.lines} {_UNREAD_LINES}"
                self.outcome.notes.append(about)

    def counted(self, job: Job, task: Task, pieces: Iterable[Piece]) -> Tally:
        tally = merge(piece.tally for piece in pieces)
        if again := opening_of(task):
            tally = job.opened.again(tally, again, whole=is_last(task, job.position))
        else:
            job.opened.forward(tally, task.opening)
        self.outcome.tally.add(replace(tally, opened={}))  # which are as many as lines
        job.lines += tally.lines
        job.unread += tally.unread
        job.packed |= tally.packed
        size = task.end - task.start if isinstance(task, Span) else job.probe.size
        self.progress.add(tally.lines, size)
        return tally


def _news(source: Source, inode: str | None, verdict: Verdict, boot: str | None) -> bool:
    """Whether there is something to remember of a log that holds nothing new to count."""
    if _is_unsure(source, verdict, boot):
        return True
    if verdict.timeless:
        return source.own is None and source.inode != inode
    return source.timeless


_DOUBTFUL = (
    "begins as a counted log does whose file is not there any more (an archive or a copy of it may "
    "be), and goes on otherwise, so nothing of it was counted. If it is a log of its own, count it "
    "with --new; if it is what a power cut left of the other, --new would count its first lines "
    "once more: move it away."
)
_CHANGED = (
    "was changed after it had been counted, as by a power cut. Its first %d bytes were not counted "
    "again; lines that were written there since are missing from the figures."
)
_TIMELESS = (
    "holds no time of day, so two logs can be equal, and lines that replace lost ones. Rotate such "
    "logs once a day, by rename, and keep two or more. After copytruncate, or a power cut of "
    "another computer that holds them, lines may be missing from the figures, and no run says so."
)
_UNSURE = (
    "holds no time of day and was counted before this computer was started. If a power cut came "
    "between, and equal lines were written where it took counted ones, those are missing from the "
    "figures. After an orderly shutdown nothing is."
)

_WAITS = (
    "begins as a longer log that is counted: a copy that ends early, or another log of which "
    "nothing is counted until it differs."
)
_TAKEN = (
    "begins as a counted log that is no longer here, and its lines hold no time of day. It is "
    "taken for a copy; its first %d bytes were not counted."
)
_READ_AS = (
    "is known and was read as {0}; what was counted of it stays. To read it as {1} count its days "
    "anew: mars-server counts recount DAY LOG --format {1}."
)


def _is_unsure(source: Source, verdict: Verdict, boot: str | None) -> bool:
    """Whether lines of a log may have been lost since it was counted, and nothing shows it."""
    return verdict.blind and (boot is None or source.boot != boot)


def dry_run(
    paths: Iterable[str],
    allow: AllowList,
    driver: Driver,
    progress: Progress,
    format_name: str = formats.AUTO,
    opening: Opening | None = None,
) -> Counted:
    """Counts whatever the logs hold; stores nothing. Raises ``StateError`` (``worker-died``)."""
    one = _Pass(allow, driver, progress, format_name, opening)
    jobs = [Job(found) for found in one.look(paths)]
    fresh = unseen()
    for job, task, done in one.results(jobs, partial(_everything, opening)):
        tally = one.counted(job, task, done.pieces)
        one.outcome.reports.add(sums(tally.opened, fresh))
    progress.end()
    return one.outcome


def _everything(opening: Opening | None, job: Job) -> list[Task]:
    found = job.probe
    opening = opening if may_be_spool(found) else None
    if found.length is None:
        return [Whole(found.path, found.format, opening=opening)]
    return [replace(span, opening=opening) for span in spans(found, 0, Sizes().span)]


@dataclass(kw_only=True)
class _LedgerPass(_Pass):
    register: Register
    checkpoints: Checkpoints
    boot: str | None
    told_timeless: bool = False
    unsure: list[str] = field(default_factory=list)
    """Logs that may have lost lines of which nothing shows it."""

    def run(self, paths: Iterable[str]) -> Counted:
        probes = self.look(paths)
        self.register.expect(probes)
        for one_round in self.register.rounds(probes):
            jobs = [Job(found) for found in one_round]
            for job, task, done in self.results(jobs, self._plan):
                self._take(job, task, done)
            self.checkpoints.flush()
        self.progress.end()
        if self.unsure:
            more = f" (and {len(self.unsure) - 1} more)" if self.unsure[1:] else ""
            self.outcome.notes.append(f"{self.unsure[0]}{more} {_UNSURE}")
        self.outcome.late = self.checkpoints.late
        self.outcome.reports = self.checkpoints.reports
        return self.outcome

    def _plan(self, job: Job) -> list[Task]:
        try:
            verdict, tasks = self.register.plan(job.probe)
        except LogMovedError as moved:
            self.outcome.notes.append(moved.message)
            return []
        except MarsError as error:
            self.problem(error.reason, f"{job.name}: {error.message}")
            return []
        found = job.probe
        if found.day and verdict.source is None:  # of an archive a spool's id alone tells
            verdict = replace(verdict, source=self.register.own(found.own))
        source = verdict.source
        self._know(job, verdict)
        tasks = tasks_of(found, source, tasks, self.opening, self.register)
        inode = self.register.marks.of("inode", found.own, found.inode)
        boot = self.register.marks.of("boot", found.own, self.boot)
        if source and not tasks and verdict.start and _news(source, inode, verdict, boot):
            self._advance(job, source.position, source.tail, found, Tally())
        return tasks

    def _know(self, job: Job, verdict: Verdict) -> None:
        job.verdict = verdict
        job.position = verdict.source.position if verdict.source else verdict.start or 0
        job.opened = Opened.of(verdict.source)
        read = verdict.source.format if verdict.source else None
        if read and self.format not in (formats.AUTO, read) and read != SPOOL:
            self.note(job, _READ_AS.format(read, self.format))
        if verdict.changed:
            self.problem("log-changed", f"{job.name} {_CHANGED % job.position}")
        if verdict.doubtful:
            self.problem("log-doubtful", f"{job.name} {_DOUBTFUL}")
        boot = self.register.marks.of("boot", None, self.boot) if verdict.blind else None
        if verdict.source and _is_unsure(verdict.source, verdict, boot):
            self.unsure.append(job.name)
        if self._is_first_timeless(job, verdict):
            self.told_timeless = True
            self.note(job, _TIMELESS)
        if verdict.waits:
            self.note(job, _WAITS)
        elif verdict.taken and verdict.source is not None:
            self.note(job, _TAKEN % verdict.source.position)

    def _is_first_timeless(self, job: Job, verdict: Verdict) -> bool:
        """Whether nobody was told yet what holds of logs without a time of day."""
        own = job.probe.own or verdict.source
        counts = verdict.timeless and verdict.start is not None and not own
        return counts and not (self.told_timeless or self.register.knows_timeless)

    def _take(self, job: Job, task: Task, done: Done) -> None:
        pieces: Iterable[Piece] = done.pieces
        who: Beginning = job.probe
        if isinstance(task, Whole):
            try:
                verdict, pieces = self.register.settle(done)
            except MarsError as error:
                self.problem(error.reason, f"{job.name}: {error.message}")
                return
            if opening_of(task):
                pieces = [piece for piece in done.pieces if piece.end <= job.position]
            else:
                self._know(job, replace(verdict, timeless=verdict.timeless and not done.own))
            who = done
            if verdict.start is None:
                return
        tally = self.counted(job, task, pieces)
        opened = _weeks_opened(job, task, done)
        if opening_of(task) and (source := job.verdict.source):
            size = task.end - task.start if isinstance(task, Span) else source.position
            self._advance(job, source.position, source.tail, who, tally, again=size, opened=opened)
            return
        last = done.pieces[-1]
        mark = self.register.marks.tail(who.own, last.tail)
        whole = not done.cut_short
        self._advance(job, last.end, mark, who, tally, whole=whole, opened=opened)

    def _advance(
        self,
        job: Job,
        position: int,
        tail: str,
        who: Beginning,
        tally: Tally,
        *,
        whole: bool = True,
        again: int = 0,
        opened: Mapping[str, str] = _NONE,
    ) -> None:
        lacking = who.gap if job.verdict.source is None and job.position == 0 else None
        if lacking is not None and who.day:
            self.note(job, f"lacks {lacking.lost} reports, which the disk refused.")
        elif lacking is not None:
            lost = f"lacks {lacking.lost} answers of {lacking.day}, whose lines the disk refused"
            self.note(job, f"{lost}; the figures of that day are too low.")
        marks = self.register.marks
        read = None if job.probe.format == formats.AUTO else job.probe.format
        read = SPOOL if who.day else read
        now = replace(
            job.verdict.source or Source(0, who.own, (), 0, "", None, format=read),
            ladder=marks.ladder(who.own, who.ladder),
            position=position,
            tail=tail,
            inode=marks.of("inode", who.own, job.probe.inode),
            boot=marks.of("boot", who.own, self.boot),
            timeless=job.verdict.timeless,
            stays=job.stays,
            waiting=job.opened.waiting,
            keys=job.opened.keys,
            day=who.day.isoformat() if who.day else None,
            catalogue=job.opened.catalogue,
        )
        archive = marks.archive(who.own, job.probe.fingerprint) if whole and not again else None
        step = Advance(now, job.position, tally, archive, lacking, again, opened)
        job.position = position
        self.checkpoints.add(job.probe.path, step)


def _weeks_opened(job: Job, task: Task, done: Done) -> dict[str, str]:
    """Where ``task`` read a spool to its end with keys: their weeks by their ids."""
    if isinstance(task, Whole):
        whole = done.day is not None and not done.cut_short
    else:
        whole = task.day is not None and task.end == job.probe.length
    return task.opening.weeks if whole and task.opening else {}


def count_once(
    paths: Iterable[str],
    allow: AllowList,
    driver: Driver,
    progress: Progress,
    ledger: Ledger,
    now: Callable[[], int],
    format_name: str = formats.AUTO,
    sizes: Sizes = Sizes(),  # noqa: B008 - frozen
    boot: str | None = None,
    *,
    new: bool = False,
    opening: Opening | None = None,
) -> Counted:
    """Counts each line of the logs that was not counted before. The caller holds the lock.

    ``boot`` tells this start of the computer from others: a power cut lies between two of them.
    ``new``: a log that only begins as a known one is a log of its own. ``opening``: what spools are
    opened with; without it their lines wait.

    Raises ``StateError`` where the database or the driver fails; what was stored until then is
    whole. Problems with single logs are in the outcome.
    """
    register = Register(ledger, sizes.span, new=new)
    return _LedgerPass(
        allow=allow,
        driver=driver,
        progress=progress,
        format=format_name,
        opening=opening,
        register=register,
        checkpoints=Checkpoints(ledger, register.moved, now, sizes),
        boot=boot,
    ).run(paths)
