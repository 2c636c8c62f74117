"""What a user sees of the error reports of this computer, and does with them.

All raise ``MarsError``, which says what to do. Reports are named by their place in the list, by
GUID, by id or by the name of their file.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mars.channels import sealing
from mars.channels.filing import counted
from mars.channels.queue import CROWD, DIRECT, PREFIX, WAYS, Report, name_of, plain
from mars.channels.reading import written
from mars.channels.sending import Memory
from mars.consent import REPORTS, refusal
from mars.consent.purposes import NEVER
from mars.core.records import file_of
from mars.errors import ConfigError, ConsentError, MarsError, starting_thread
from mars.wire.times import DAY

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.state import State
    from mars.wire.reports.status import Answer, Status

QUEUED, SENT, KNOWN, DELETED = "queued", "sent", "known", "deleted"
"""Beside the states that the publisher gives (``mars.wire.reports.status.STATES``)."""
REMOVED, ASKED = "removed", "asked"
"""What became of a report that the user forgets."""
_HELP = ("state", "summary", "how", "fix", "release")


class OwnReports:
    """Of one installation."""

    def __init__(self, client: NewsClient) -> None:
        self._client = client

    # --- to be seen -------------------------------------------------------------------------

    def listed(self) -> list[dict[str, Any]]:
        """Each, the oldest first, as plain values. Times are ISO 8601, None where there is none.

        ``number`` is its place, ``state`` one of ``queued, sent, open, resolved, known, deleted``;
        ``way`` is ``crowd`` or ``direct``, ``released`` whether it goes by itself, not before
        ``next``; ``deletion`` is ``asked`` or ``sent``, ``help`` what the publisher says of it.
        """
        state = self._client.load()
        memory, status = Memory.of(state), self._status(state)
        reports = self._client.queue.all().values()
        return [self._listed(one, at, memory, status) for at, one in enumerate(reports, 1)]

    def show(self, which: str) -> dict[str, Any]:
        """One of them, as in the list."""
        report = self._find(which)
        found = [one for one in self.listed() if one["id"] == report.id]
        if not found:  # the thread has dropped it since
            raise _unknown()
        return found[0]

    def export(self) -> list[dict[str, Any]]:
        """All that is kept of each."""
        kept = self._client.queue.all().values()
        return [plain(one) for one in kept]

    def outstanding(self) -> int:
        """How many deletions were asked for and have not gone yet."""
        return sum(one.asks_deletion for one in self._client.queue.all().values())

    def text(self, which: str, way: str = "", message: str | None = None) -> str:
        """The exact text that would be sealed, as it is chosen now or with this ``way`` and
        ``message``. A crowd report is made for it, in a thread of its own, and waited for."""
        report = _choosing(self._find(which), way, message)
        state = self._client.update(
            lambda now: (Memory.of(now).with_secret(self._client.ports.chance).into(now),) * 2
        )
        memory = Memory.of(state)
        if report.way == CROWD and not report.share:
            report = self._shared(memory.secret, report)
        view = self._client.view(self._client.reports, state)
        return sealing.text(self._client.known(view), memory.secret, report)

    def _shared(self, secret: str, report: Report) -> Report:
        made: list[Report | MarsError] = []

        def make() -> None:
            try:
                made.append(sealing.shared(secret, report, self._client.app.product))
            except MarsError as error:
                made.append(error)

        thread = threading.Thread(target=make, name="mars crowd report", daemon=True)
        with starting_thread():
            thread.start()
        thread.join()
        found = made[0]
        if isinstance(found, MarsError):
            raise found
        self._change(found.id, lambda one: replace(one, share=found.share))
        return found

    # --- to be done -------------------------------------------------------------------------

    def release(self, which: str, way: str = CROWD, message: str = "") -> dict[str, Any]:
        """Has it go, at a time uniform over the next 7 days. As it is shown then."""
        client, now = self._client, self._client.ports.clock.now()
        _require_short(message)

        def change(state: State) -> tuple[State, str]:
            report = _choosing(self._find(which), way, message)
            if report.sent is not None:
                raise ConsentError(
                    "already-sent", "That report was sent already; see mars report list."
                )
            voice = client.voice(state)
            if voice.reports == NEVER:
                raise refusal(voice, REPORTS)
            chance = client.ports.chance
            kept = {report.id: report}
            memory = counted(Memory.of(state), client.queue, kept, now, chance)
            if not kept:  # another of that fault counts, or three of that week
                raise _unknown()
            client.queue.write(kept[report.id])
            return memory.released(report.id, now, chance).into(state), report.id

        return self.show(client.update(change))

    def forget(self, which: str) -> str:
        """Removes it (``removed``); of a direct report that was sent its deletion is asked for,
        which goes at a time uniform over the next 30 days (``asked``). Once the publisher has said
        that it is gone there, it is removed here, too."""
        client = self._client
        if which in self._damaged():
            client.queue.delete(which)
            return REMOVED
        report, now = self._find(which), client.ports.clock.now()

        def change(state: State) -> tuple[State, str]:
            memory, chance = Memory.of(state), client.ports.chance
            sending = memory.find(report.id, deletion=False)
            memory = memory.without(sending) if sending else memory
            current = client.queue.get(report.id)
            answer = None if current is None else _answer(current, self._status(state))
            is_gone = answer is not None and answer.state == DELETED
            if current is None or is_gone or not current.can_be_deleted:
                client.queue.delete(report.id)
                return memory.into(state), REMOVED
            if current.deletion is None:
                client.queue.write(replace(current, deletion=now - now % DAY))
                memory = memory.deleting(report.id, now, chance)
            return memory.into(state), ASKED

        return client.update(change)

    def learn(self, *, telling: bool) -> list[dict[str, Any]]:
        """Those of which the publisher says something that the user was not told yet, or that are
        known before anything was sent; where somebody is ``telling`` that, they count as told."""
        client, news = self._client, list[str]()
        if not client.ports.store.names(PREFIX):
            return []

        def change(state: State) -> tuple[State, None]:
            kept, status = client.queue.all(), self._status(state)
            memory, now = Memory.of(state), client.ports.clock.now()
            if client.voice(state).reports != NEVER:
                memory = counted(memory, client.queue, kept, now, client.ports.chance)
            for one in kept.values():
                said = self._said(one, status)
                after = replace(one, gone=one.gone or said.startswith(f"{DELETED} "))
                if telling and said not in ("", one.told):
                    after = replace(after, told=said)
                    news.append(one.id)
                if after != one:
                    client.queue.write(after)
            return memory.into(state), None

        client.update(change)
        return [one for one in self.listed() if one["id"] in news]

    def answer(self, document: bytes) -> None:
        """Takes a status document that was not fetched, if it holds."""
        client = self._client

        def change(state: State) -> tuple[State, None]:
            view = client.view(client.answers, state)
            ending = client.answers.take(document, view, client.ports.openpgp)
            client.ports.store.write(file_of(client.answers.name), document)
            chance = client.ports.chance
            kept = client.answers.learn(view, ending, chance, scheduled=False)
            return state.keeping(client.answers.name, kept), None

        client.update(change)

    # --- inside -----------------------------------------------------------------------------

    def _status(self, state: State) -> Status | None:
        return self._client.answers.current(state)

    def _said(self, report: Report, status: Status | None) -> str:
        """What is told of it, in short; empty where nothing is."""
        answer = _answer(report, status)
        return f"{answer.state} {answer.rule} {answer.summary}" if answer else ""

    def _listed(
        self, report: Report, number: int, memory: Memory, status: Status | None
    ) -> dict[str, Any]:
        answer = _answer(report, status)
        pending = memory.find(report.id, deletion=False)
        deletion = memory.find(report.id, deletion=True)
        waits = pending or deletion
        tells = answer is not None and any((answer.summary, answer.how, answer.fix))
        return {
            "number": number,
            "id": report.id,
            "guid": report.guid if report.way == DIRECT else None,
            "telemetry": report.guid or None,
            "state": _state(report, answer),
            "way": report.way,
            "release": report.release,
            "day": written(report.day),
            **report.fault.members,
            "message": report.message,
            "released": pending is not None,
            "next": written(waits.due) if waits else None,
            "tries": waits.tries if waits else 0,
            "sent": written(report.sent),
            "deletion": _deletion(report),
            "help": _helping(answer) if answer and tells else None,
            "file": name_of(report.id),
        }

    def _find(self, which: str) -> Report:
        """Raises ``ConfigError`` (``unknown-report``)."""
        kept = self._client.queue.all()
        names = [*enumerate(kept.values(), 1)]
        for number, one in names:
            if which in (str(number), one.guid, one.id, name_of(one.id)) and which:
                return one
        raise _unknown()

    def _damaged(self) -> set[str]:
        self._client.queue.all()
        return self._client.queue.damaged

    def _change(self, id_: str, change: Any) -> None:
        def do(state: State) -> tuple[State, None]:
            report = self._client.queue.get(id_)
            if report is not None:
                self._client.queue.write(change(report))
            return state, None

        self._client.update(do)


def _answer(report: Report, status: Status | None) -> Answer | None:
    """By its GUID, else the help for its fault."""
    if status is None:
        return None
    direct = report.way == DIRECT and report.sent is not None
    found = status.answer(report.guid) if direct else None
    return found or status.known(report.fault, report.release)


def _state(report: Report, answer: Answer | None) -> str:
    if report.gone:
        return DELETED
    if report.sent is None:
        return QUEUED
    return answer.state if answer else SENT


def _helping(answer: Answer) -> dict[str, str]:
    """Plain text, as it may be shown."""
    from mars.wire.targeting import clean  # late: it loads packaging

    return {name: clean(getattr(answer, name), newlines=True) for name in _HELP}


def _deletion(report: Report) -> str | None:
    if report.deletion is None:
        return None
    return ASKED if report.deleted is None else SENT


def _choosing(report: Report, way: str, message: str | None) -> Report:
    """With that way and message, what is not said as it was. Raises ``ConfigError``."""
    way = way or report.way
    said = report.message if message is None else message
    if way not in WAYS:
        raise ConfigError("way-unknown", "A report goes as crowd or as direct; choose one.")
    if way == CROWD and message:
        raise ConfigError(
            "message-in-crowd",
            "A crowd report says types and frames alone; leave the message out, or choose direct.",
        )
    return replace(report, way=way, message="" if way == CROWD else said)


def _require_short(message: str) -> None:
    if message:
        from mars.wire.reports.direct import require_short  # late: it loads libsodium

        require_short(message)


def _unknown() -> ConfigError:
    return ConfigError("unknown-report", "There is no such report; see mars report list.")
