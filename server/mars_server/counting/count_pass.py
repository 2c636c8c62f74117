"""One pass over some logs: look, recognise, count what is new, store it with how far it got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from mars.errors import MarsError
from mars.wire.query import AllowList
from mars_server.counting import formats
from mars_server.counting.foreign.identity import Beginning, Source, Verdict
from mars_server.counting.foreign.known_logs import Register
from mars_server.counting.foreign.probe import LogMovedError, Probe, probe, spans
from mars_server.counting.progress import Progress
from mars_server.counting.store_port import Advance, Checkpoints, Ledger, Sizes
from mars_server.counting.streams import refused, shown
from mars_server.counting.tally import UNREAD, Tally, is_unread, merge
from mars_server.counting.tasks import Done, Driver, Piece, Span, Task, Whole


@dataclass
class Counted:
    """What one pass did."""

    tally: Tally = field(default_factory=Tally)
    """The lines that this pass counted."""
    late: int | None = None
    """Those of its hits that were dropped because their week is published; None for a dry run."""
    problems: list[MarsError] = field(default_factory=list)
    """One for each log that could not be counted."""
    notes: list[str] = field(default_factory=list)


@dataclass
class _Job:
    """A log on its way through a pass."""

    probe: Probe
    verdict: Verdict = field(default=Verdict(None, 0))
    position: int = 0
    stopped: bool = False
    lines: int = 0
    unread: int = 0
    packed: bool = False
    """An archive stands among its lines."""

    @property
    def name(self) -> str:
        """As a message may name it."""
        return shown(self.probe.path)

    @property
    def is_unread(self) -> bool:
        """Whether too much of what this pass read, or of all that was read, fits no format."""
        return self.unread > 0 and (
            # A part of a log may be as short as a line.
            (self.unread > UNREAD and is_unread(self.lines, self.unread)) or is_unread(*self._whole)
        )

    @property
    def stays(self) -> str | None:
        """Why it must not be removed. The first few lines alone say nothing of a log."""
        if self.verdict.changed:
            return "changed"
        unread = self.packed or (self.is_unread and self._whole[1] > UNREAD)
        return "unread" if unread else None

    @property
    def _whole(self) -> tuple[int, int]:
        known = self.verdict.source
        if known is None:
            return self.lines, self.unread
        return known.lines + self.lines, known.unread + self.unread


_PACKED = (
    "holds an archive behind its lines, of which nothing was counted: unpack it into a file of its "
    "own."
)

_UNREAD_LINES = (
    "lines, by a sample, are written in no format that is known, so nothing in them was counted: "
    "let the server write combined or JSON lines. If the log was read in the wrong format, count "
    "its days anew: mars-server counts recount DAY LOG --format NAME."
)


@dataclass(kw_only=True)
class _Pass:
    """What both kinds of pass share: problems are kept, results come back by log."""

    allow: AllowList
    driver: Driver
    progress: Progress
    format: str
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

    def note(self, job: _Job, what: str) -> None:
        self.outcome.notes.append(f"{job.name} {what}")

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
            elif job.is_unread:
                about = f"{job.name}: about {job.unread} of {job.lines} {_UNREAD_LINES}"
                self.outcome.notes.append(about)

    def counted(self, job: _Job, task: Task, pieces: Iterable[Piece]) -> Tally:
        tally = merge(piece.tally for piece in pieces)
        self.outcome.tally.add(tally)
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
) -> Counted:
    """Counts whatever the logs hold; stores nothing. Raises ``StateError`` (``worker-died``)."""
    one = _Pass(allow=allow, driver=driver, progress=progress, format=format_name)
    jobs = [_Job(found) for found in one.look(paths)]
    for job, task, done in one.results(jobs, _everything):
        one.counted(job, task, done.pieces)
    progress.end()
    return one.outcome


def _everything(job: _Job) -> list[Task]:
    found = job.probe
    if found.length is None:
        return [Whole(found.path, found.format)]
    return [*spans(found, 0, Sizes().span)]


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
            jobs = [_Job(found) for found in one_round]
            for job, task, done in self.results(jobs, self._plan):
                self._take(job, task, done)
            self.checkpoints.flush()
        self.progress.end()
        if self.unsure:
            more = f" (and {len(self.unsure) - 1} more)" if self.unsure[1:] else ""
            self.outcome.notes.append(f"{self.unsure[0]}{more} {_UNSURE}")
        self.outcome.late = self.checkpoints.late
        return self.outcome

    def _plan(self, job: _Job) -> list[Task]:
        try:
            verdict, tasks = self.register.plan(job.probe)
        except LogMovedError as moved:
            self.outcome.notes.append(moved.message)
            return []
        except MarsError as error:
            self.problem(error.reason, f"{job.name}: {error.message}")
            return []
        found = job.probe
        source = verdict.source
        self._know(job, verdict)
        inode = self.register.marks.of("inode", found.own, found.inode)
        boot = self.register.marks.of("boot", found.own, self.boot)
        if source and not tasks and verdict.start and _news(source, inode, verdict, boot):
            self._advance(job, source.position, source.tail, found, Tally())
        return tasks

    def _know(self, job: _Job, verdict: Verdict) -> None:
        job.verdict = verdict
        job.position = verdict.source.position if verdict.source else verdict.start or 0
        read = verdict.source.format if verdict.source else None
        if read and self.format not in (formats.AUTO, read):
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

    def _is_first_timeless(self, job: _Job, verdict: Verdict) -> bool:
        """Whether nobody was told yet what holds of logs without a time of day."""
        own = job.probe.own or verdict.source
        counts = verdict.timeless and verdict.start is not None and not own
        return counts and not (self.told_timeless or self.register.knows_timeless)

    def _take(self, job: _Job, task: Task, done: Done) -> None:
        pieces: Iterable[Piece] = done.pieces
        who: Beginning = job.probe
        if isinstance(task, Whole):
            try:
                verdict, pieces = self.register.settle(done)
            except MarsError as error:
                self.problem(error.reason, f"{job.name}: {error.message}")
                return
            self._know(job, verdict)
            who = done
            if verdict.start is None:
                return
        tally = self.counted(job, task, pieces)
        last = done.pieces[-1]
        mark = self.register.marks.tail(who.own, last.tail)
        self._advance(job, last.end, mark, who, tally, whole=not done.cut_short)

    def _advance(
        self,
        job: _Job,
        position: int,
        tail: str,
        who: Beginning,
        tally: Tally,
        *,
        whole: bool = True,
    ) -> None:
        lacking = who.gap if job.verdict.source is None and job.position == 0 else None
        if lacking is not None:
            lost = f"lacks {lacking.lost} answers of {lacking.day}, whose lines the disk refused"
            self.note(job, f"{lost}; the figures of that day are too low.")
        marks = self.register.marks
        read = None if job.probe.format == formats.AUTO else job.probe.format
        now = replace(
            job.verdict.source or Source(0, who.own, (), 0, "", None, format=read),
            ladder=marks.ladder(who.own, who.ladder),
            position=position,
            tail=tail,
            inode=marks.of("inode", who.own, job.probe.inode),
            boot=marks.of("boot", who.own, self.boot),
            timeless=job.verdict.timeless,
            stays=job.stays,
        )
        archive = marks.archive(who.own, job.probe.fingerprint) if whole else None
        step = Advance(now, job.position, tally, archive, lacking)
        job.position = position
        self.checkpoints.add(job.probe.path, step)


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
) -> Counted:
    """Counts each line of the logs that was not counted before. The caller holds the lock.

    ``boot`` tells this start of the computer from others: a power cut lies between two of them.
    ``new``: a log that only begins as a known one is a log of its own.

    Raises ``StateError`` where the database or the driver fails; what was stored until then is
    whole. Problems with single logs are in the outcome.
    """
    register = Register(ledger, sizes.span, new=new)
    return _LedgerPass(
        allow=allow,
        driver=driver,
        progress=progress,
        format=format_name,
        register=register,
        checkpoints=Checkpoints(ledger, register.moved, now, sizes),
        boot=boot,
    ).run(paths)
