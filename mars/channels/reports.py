"""Error reports and the requests to delete them: which goes when, and what an answer means.

A report that was released is tried at most three times, days apart, under one GUID and sealed anew
each time. Deletions go in the same way, also after consent was withdrawn: they are the user's act.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from mars.channels import sealing, sending
from mars.channels.draws import MOVED_WITHIN
from mars.channels.filing import counted
from mars.channels.queue import CROWD, Queue, Report
from mars.channels.sending import TRIES, Memory, Pending, Upcoming
from mars.channels.statistics import LIMIT, NO_CONTENT, Known, Knows, Posted, no_intake_key
from mars.consent import DELETIONS, REPORTS, Effective, Purpose, refusal
from mars.consent.purposes import ALWAYS, NEVER
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.core.schedule import LONGEST_SLEEP, PAUSE
from mars.core.state import State
from mars.core.waiting import sleep as until_next
from mars.errors import MarsError, StateError, TransportError
from mars.ports import Chance
from mars.wire.times import DAY

_REPORT, _DELETION = "report", "deletion"
"""What a request says of whose it is."""


class ReportsChannel(Posted):
    """``mars.core.channel.Channel``."""

    name = sending.NAME
    purposes: tuple[Purpose, ...] = (REPORTS, DELETIONS)

    def __init__(self, knows: Knows, queue: Queue) -> None:
        self._knows = knows
        self.queue = queue

    # --- when -------------------------------------------------------------------------------

    def stopped(self, state: State) -> Kept:
        """Without any report to come; deletions stay."""
        memory = Memory.of(state)
        reports = [one for one in memory.pending if not one.deletion]
        return replace(memory.without(*reports), upcoming=None).plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        memory = Memory.of(view.state)
        if view.now < view.app.built - DAY:
            return memory.plain(), LONGEST_SLEEP
        self.settled(view.state)  # should the files have withstood the decision itself
        queue = self.queue.settle(view.now)
        if view.voice.reports != NEVER:
            memory = counted(memory, self.queue, queue, view.now, chance)
        memory = _allowed(memory, queue, view, chance)
        pending = tuple(one.rested(ran).late(view.now, ran, chance) for one in memory.pending)
        memory = replace(memory, pending=pending)
        if view.planning:
            return memory.plain(), until_next(pending, view.now, ran)
        memory = self._made(memory, queue, view.app.product, chance)
        due = sending.first([one for one in pending if one.is_due(view.now)], view.now)
        known = self._known(view) if pending else None
        memory = _sealing(memory, due or sending.first(pending, view.now), known, chance)
        if due and view.free and self._can_go(view, memory, due):
            return memory.plain(), 0
        for one in pending:
            if one.is_due(view.now):
                moved = one.moved(view.day_after, MOVED_WITHIN, chance)
                memory = memory.putting(moved)
        wait = until_next(memory.pending, view.now, ran)
        return memory.plain(), PAUSE if due and view.free else wait

    def settled(self, state: State) -> tuple[State, None]:
        """After a decision: without a yes to reports none stays that was not sent."""
        decision = state.decision
        if decision is None or REPORTS.name not in decision.purposes:
            for one in self.queue.all().values():
                if one.sent is None:
                    self.queue.delete(one.id)
        return state, None

    def due(self, state: State) -> int | None:
        return min((one.due for one in Memory.of(state).pending), default=None)

    def attempt(self, view: View, chance: Chance) -> Kept:
        memory, report = Memory.of(view.state), None
        ready = memory.upcoming
        pending = memory.find(ready.id, deletion=ready.deletion) if ready else None
        report = self.queue.get(ready.id) if ready else None
        if report is None or pending is None or not pending.is_due(view.now):
            raise _nothing()
        self.queue.write(leaving(report, view.now, deletion=pending.deletion))
        return sending.begun(memory, pending, view.now, chance).plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        memory = Memory.of(state)
        return replace(memory, pending=tuple(one.rested(ran) for one in memory.pending)).plain()

    def _made(
        self, memory: Memory, queue: dict[str, Report], product: str, chance: Chance
    ) -> Memory:
        """With the share of one crowd report that was released, should one lack it: this is the
        client's own thread."""
        for one in memory.pending:
            report = queue[one.id]
            if report.way == CROWD and not (one.deletion or report.share):
                memory = memory.with_secret(chance)
                try:
                    made = sealing.shared(memory.secret, report, product)
                except StateError:  # too little memory just now: it waits, as without a key
                    break
                self.queue.write(made)
                break
        return memory

    def _can_go(self, view: View, memory: Memory, due: Pending) -> bool:
        """What cannot be sealed now, as without a key, waits for another day."""
        kept = view.state.keeping(self.name, memory.plain())
        try:
            self.plan(replace(view, state=kept))
        except MarsError:
            return False
        return memory.upcoming is not None and memory.upcoming.id == due.id

    def _known(self, view: View) -> Known | None:
        try:
            return self._knows(view)
        except MarsError:  # ``plan`` says why
            return None

    # --- what -------------------------------------------------------------------------------

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """What goes next, at whatever time; to ``url`` where one is given."""
        memory = Memory.of(view.state)
        ready = memory.upcoming
        report = self.queue.get(ready.id) if ready else None
        pending = memory.find(ready.id, deletion=ready.deletion) if ready else None
        if ready is None or report is None or pending is None:
            raise _nothing()
        if not _may(pending, view.voice):
            raise refusal(view.voice, DELETIONS if pending.deletion else REPORTS)
        known = self.known(view)
        if ready.key != known.key:
            raise _nothing()
        return self.request(view, known, memory.secret, report, ready.seed, url, ready.deletion)

    def known(self, view: View) -> Known:
        """What sending takes. Raises ``MarsError`` where something of it is not known."""
        known = self._knows(view)
        if not known.key:
            raise no_intake_key()
        return known

    def request(
        self,
        view: View,
        known: Known,
        secret: str,
        report: Report,
        seed: str,
        url: str | None = None,
        deletion: bool = False,
    ) -> NextRequest:
        """As it is shown, agreed to, sent and recorded. Raises ``MarsError`` as
        ``sealing.message``."""
        message = sealing.message(known, secret, report, seed, url, deletion=deletion)
        values = {_DELETION if deletion else _REPORT: report.id}
        expect = frozenset({NO_CONTENT})
        return NextRequest(view.voice.level, message, None, values, expect=expect, limit=LIMIT)

    # --- what an answer means ---------------------------------------------------------------

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        memory = Memory.of(view.state)
        said = dict(view.asked.values) if view.asked else {}
        id_, deletion = said.get(_DELETION) or said.get(_REPORT, ""), _DELETION in said
        report, pending = self.queue.get(id_), memory.find(id_, deletion=deletion)
        if report is not None and (ending.left or scheduled):
            tried = ending.left or bool(pending and pending.tries > 1)
            after = leaving(report, view.now, deletion=deletion)
            self.queue.write(after if tried else _unleft(report, deletion=deletion))
        if pending is None or not (ending.left or scheduled):
            return memory.plain()
        done = ending.error is None
        end = partial(sending.ended, memory, pending, view.day_after, chance)
        return end(left=ending.left, done=done).plain()

    is_damaged = staticmethod(sending.is_damaged)


def _allowed(memory: Memory, queue: dict[str, Report], view: View, chance: Chance) -> Memory:
    """With what is pending by what is in the queue and what the user agrees to now."""
    for one in memory.pending:
        report = queue.get(one.id)
        if report is None or one.tries >= TRIES or not _may(one, view.voice):
            memory = memory.without(one)
    for report in queue.values():
        if report.asks_deletion and not memory.find(report.id, deletion=True):
            memory = memory.deleting(report.id, view.now, chance)
        waits = report.sent is None and not memory.find(report.id, deletion=False)
        if waits and view.voice.reports == ALWAYS:
            memory = memory.released(report.id, view.now, chance, by_hand=False)
    return memory


def _may(pending: Pending, voice: Effective) -> bool:
    """Whether it may go by what is agreed to now."""
    if pending.deletion:
        return DELETIONS.name in voice.purposes
    if REPORTS.name not in voice.purposes:
        return False
    return pending.by_hand or voice.reports == ALWAYS


def _sealing(
    memory: Memory, pending: Pending | None, known: Known | None, chance: Chance
) -> Memory:
    """With what ``pending`` is sealed with, anew for each try and each key of the intake."""
    if known is None or not known.key or pending is None:
        return replace(memory, upcoming=None)
    if memory.upcoming and memory.upcoming.is_of(pending, known.key):
        return memory
    seed = chance.token(sending.SEED_BYTES).hex()
    made = Upcoming(pending.id, pending.deletion, pending.tries, known.key, seed)
    return replace(memory.with_secret(chance), upcoming=made)


def leaving(report: Report, now: int, *, deletion: bool) -> Report:
    """Of which a byte leaves now, or may; the first such day counts."""
    day = now - now % DAY
    if deletion:
        return replace(report, deleted=day if report.deleted is None else report.deleted)
    return replace(report, sent=day if report.sent is None else report.sent)


def _unleft(report: Report, *, deletion: bool) -> Report:
    """Of which no byte left after all."""
    return replace(report, deleted=None) if deletion else replace(report, sent=None)


def _nothing() -> TransportError:
    return TransportError(
        "nothing-released",
        "No error report is released to be sent, and none is to be deleted; see mars report list.",
    )
