"""Declared statistics and error events: which report goes when, what it says, and that it goes at
most once.

One report says one value of one entry that the user agreed to, sealed for the intake's key of the
week in which it goes. When a byte of it has left, its draw is spent, whatever comes back: a lost
answer makes totals a little low, and nothing has to be sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mars.channels import draws as rules
from mars.channels import upcoming
from mars.channels.altering import NOTHING, Rules
from mars.channels.draws import Draw, Wanted
from mars.channels.motd import check_url
from mars.channels.upcoming import Memory, Upcoming
from mars.consent import EVENTS, STATISTICS, Purpose, refusal
from mars.consent.lowering import policy_table
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.core.schedule import PAUSE
from mars.core.state import State
from mars.errors import ConsentError, MarsError, TransportError, WireError
from mars.ports import Chance, OpenPGP
from mars.wire.query import INTAKE_PATH
from mars.wire.randomized import answered
from mars.wire.registry import ALL
from mars.wire.request import HTTPRequest
from mars.wire.times import WEEK, day_of

if TYPE_CHECKING:
    from mars.wire.catalogue import Catalogue
    from mars.wire.events import Domain
    from mars.wire.registry import Metric, Question

NO_CONTENT = 204
LIMIT = 1_024
"""Bytes of an answer; ours has none."""


@dataclass(frozen=True)
class Known:
    """What is known of the publisher at one moment."""

    catalogue: Catalogue
    """The registry whose hash stands in the steering document."""
    key: str
    """The intake's of this week, hex; empty where there is none."""
    url: str
    """The intake's; empty where no server is known."""


Knows = Callable[[View], Known]
"""Raises ``MarsError`` where the registry is not known."""
Collect = Callable[["Metric"], str | None]
"""What may be said of an entry as far as the application goes; None where nothing may."""
Counted = Callable[["Domain", "Metric", int, int | None], str | None]
"""What was counted here of an entry of a domain, as it is known at a Unix time; of one that was
agreed to at another, if it was, of nothing before that. None where it is not known yet."""


class Posted:
    """What every channel of the intake takes for an answer: none."""

    def require_judge(self, view: View, openpgp: Callable[[], OpenPGP]) -> None:
        """An answer says nothing that could be judged."""

    def take(
        self,
        body: bytes,
        view: View,  # noqa: ARG002 - the protocol's
        openpgp: Callable[[], OpenPGP],  # noqa: ARG002 - the protocol's
    ) -> Ending:
        """Raises ``TransportError`` (``bad-answer``) of anything but nothing."""
        if body:
            raise TransportError("bad-answer", "The intake answers with no body; tell its host.")
        return Ending()


class StatisticsChannel(Posted):
    """``mars.core.channel.Channel``."""

    name = upcoming.NAME
    purposes: tuple[Purpose, ...] = (STATISTICS, EVENTS)

    def __init__(
        self,
        knows: Knows,
        collect: Collect,
        counted: Counted | None = None,
        tell: Callable[[MarsError | None], None] | None = None,
    ) -> None:
        """``tell`` hears of draws that are too many."""
        self._knows = knows
        self._collect = collect
        self._counted = counted or (lambda *_said: None)
        self._tell = tell or (lambda _error: None)

    # --- when -------------------------------------------------------------------------------

    def stopped(self, state: State) -> Kept:
        return Memory.of(state).stopped().plain()

    def look(self, view: View, ran: int | None, chance: Chance) -> tuple[Kept, int]:
        memory = replace(Memory.of(view.state), trying=None)  # one that a crash cut off is spent
        known = self._known(view)
        wants = None if known is None else wanted(view, known.catalogue)
        found, due, sleep = rules.look(
            memory.draws,
            wants,
            view.now,
            ran,
            chance,
            free=view.free,
            day_after=view.day_after,
            floor=view.app.built,
        )
        self._tell(_too_many() if len(found.pending) > rules.MOST else None)
        found = rules.bounded(found)
        memory = replace(memory, draws=found)
        first = due or found.upcoming(view.now)
        ready = None if _is_stale(memory.upcoming, first, known) else memory.upcoming
        if view.planning:
            return replace(memory, upcoming=ready).plain(), sleep
        if ran is None or due or ready is None:
            ready = self._sealed(view, known, first, ready, chance)
        memory = replace(memory, upcoming=ready)
        if due and ready is None:  # nothing is there to be said, or no key to seal it to
            memory = replace(memory, draws=rules.moved(found, due, view.day_after, chance))
            sleep = PAUSE
        return memory.plain(), sleep

    def due(self, state: State) -> int | None:
        return min((draw.due for draw in Memory.of(state).draws.pending), default=None)

    def attempt(self, view: View, chance: Chance) -> Kept:  # noqa: ARG002 - the protocol's
        memory = Memory.of(view.state)
        draw, ready = _next(memory), memory.upcoming
        if draw is None or ready is None or not draw.is_due(view.now):
            raise _nothing()
        return replace(memory, draws=rules.spent(memory.draws, draw), trying=draw).plain()

    def rested(self, state: State, ran: int | None) -> Kept:
        memory = Memory.of(state)
        return replace(memory, draws=rules.rested(memory.draws, ran)).plain()

    # --- what -------------------------------------------------------------------------------

    def value(self, view: View, catalogue: Catalogue, metric: Metric) -> str | None:
        """What may be said of it now; None where nothing may, or nothing is known."""
        domain = catalogue.domain(metric.project)
        if domain is None:
            return lessened(view, metric, self._collect(metric))
        since = view.voice.agreed(asked(catalogue, metric)).get(asked_as(metric))
        return lessened(view, metric, self._counted(domain, metric, view.now, since))

    def known(self, view: View) -> Known:
        """Raises ``MarsError`` where something of it is not known."""
        return self._knows(view)

    def _known(self, view: View) -> Known | None:
        try:
            return self.known(view)
        except MarsError:  # ``plan`` says why
            return None

    def _sealed(
        self,
        view: View,
        known: Known | None,
        draw: Draw | None,
        before: Upcoming | None,
        chance: Chance,
    ) -> Upcoming | None:
        """The report of ``draw``: the one from ``before``, if any, where it still says the same."""
        metric = known.catalogue.metric(draw.name) if known and draw else None
        value = self.value(view, known.catalogue, metric) if known and metric else None
        if not (known and draw and metric and known.key) or value is None:
            return None
        release = known.catalogue.release(view.app.version)
        if before and (before.value, before.release) == (value, release):
            return before
        said = answer(metric, value, chance)
        text = written(known.catalogue, metric, view.app.version, said)
        body = sealed(text, known.key, chance)
        whose, asked = (draw.name, draw.week), metric.question
        return Upcoming(*whose, value, said, release, known.key, text, body, asked)

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """The report that goes next, at whatever time; to ``url`` where one is given."""
        known, ready = self.known(view), Memory.of(view.state).upcoming
        if not known.key:
            raise no_intake_key()
        if ready is None or ready.key != known.key:
            raise _nothing()
        metric = known.catalogue.metric(ready.name)
        if metric is None or ready.name not in wanted(view, known.catalogue):
            agreed = metric is not None and asked_as(metric) in view.voice.entries
            is_event = metric is not None and metric.purpose == EVENTS.name
            purpose = EVENTS if is_event else STATISTICS
            raise _asks_anew() if agreed else refusal(view.voice, purpose)
        if ready.question != metric.question:
            raise _nothing()
        if not metric.fits(ready.said) or lessened(view, metric, ready.value) != ready.value:
            raise _says_less()
        place = check_url(url or known.url, path=INTAKE_PATH).url
        message = HTTPRequest.post(place, ready.body, ready.text)
        return request(view, ready.name, ready.said, message)

    # --- what an answer means ---------------------------------------------------------------

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        memory = Memory.of(view.state)
        draw = memory.trying if scheduled else _next(memory)
        if ending.left:
            after = rules.spent(memory.draws, draw) if draw else memory.draws
            return replace(memory, draws=after, upcoming=None, trying=None).plain()
        if scheduled and draw is not None:
            back = replace(memory.draws, pending=(*memory.draws.pending, draw))
            memory = replace(memory, draws=rules.moved(back, draw, view.day_after, chance))
        return replace(memory, trying=None).plain()

    is_damaged = staticmethod(upcoming.is_damaged)


def asked_as(metric: Metric) -> str:
    """The name under which a user is asked for it: its own, or that of all of its domain."""
    return f"{metric.project}/{ALL}" if metric.purpose == EVENTS.name else metric.name


def asked(catalogue: Catalogue, metric: Metric) -> dict[str, Question]:
    """What a user is asked who is asked for it, under that name."""
    domain = catalogue.domain(metric.project)
    return {asked_as(metric): metric.question if domain is None else domain.question}


def agreed_only(state: State) -> State:
    """Without draws and a sealed report of what the user does not agree to any more, whatever is
    declared."""
    memory, entries = Memory.of(state), state.decision.entries if state.decision else {}

    def stays(name: str) -> bool:
        return name in entries or f"{name.partition('/')[0]}/{ALL}" in entries

    pending = tuple(draw for draw in memory.draws.pending if stays(draw.name))
    ready = memory.upcoming if memory.upcoming and stays(memory.upcoming.name) else None
    draws = replace(memory.draws, pending=pending)
    after = replace(memory, draws=draws, upcoming=ready)
    return state if after == memory else after.into(state)


def wanted(view: View, catalogue: Catalogue) -> dict[str, Wanted]:
    """The entries that the user agreed to as they ask now, and that are collected now."""
    since = view.voice.agreed(catalogue.questions)
    return {
        metric.name: Wanted(metric.rate, since[asked_as(metric)] + _known_after(metric))
        for metric in catalogue.entries
        if asked_as(metric) in since and is_live(metric, view.now)
    }


def _known_after(metric: Metric) -> int:
    """Seconds from the yes until it can be known: what is counted is of whole days after it."""
    return WEEK if metric.purpose == EVENTS.name else 0


def is_live(metric: Metric, now: int) -> bool:
    """Whether it is collected on the UTC day of ``now``."""
    return metric.is_live(day_of(now))


def policy(view: View) -> Rules:
    """The administrator's; of a file that cannot be read all is vetoed."""
    try:
        found = policy_table(view.host)
    except (OSError, ValueError):
        return NOTHING
    return Rules() if found is None else Rules.read(found.get("statistics", {}))


def lessened(view: View, metric: Metric, value: str | None) -> str | None:
    """What the administrator and the user let be said of ``value``; None where nothing may."""
    if value is None or not metric.fits(value):
        return None
    for less in (policy(view), Memory.of(view.state).rules):
        value = None if value is None else less.applied(metric, value)
    return value


def answer(metric: Metric, value: str, chance: Chance) -> str:
    """What one report says where ``value`` is true, drawn anew for each."""
    return answered(value, metric.values_known, metric.epsilon, chance.uniform)


def written(catalogue: Catalogue, metric: Metric, version: str, said: str) -> str:
    """The text of a report. Raises ``WireError`` (``bad-value``) of what is not declared."""
    if not metric.fits(said):
        raise WireError("bad-value", f"{metric.name} would say what is not declared; mend that.")
    from mars.wire.report import Report  # late: it loads libsodium

    whose = (catalogue.product, catalogue.channel, metric.project, metric.key)
    return Report(*whose, catalogue.release(version), said, metric.purpose).encode().decode("utf-8")


def sealed(text: str, key: str, chance: Chance) -> bytes:
    """The body that holds it. Raises ``WireError`` (``bad-key``)."""
    from mars.wire.sealed import SEED_BYTES, seal  # late: it loads libsodium

    return seal(text.encode("utf-8"), bytes.fromhex(key), chance.token(SEED_BYTES))


def request(view: View, name: str, said: str, message: HTTPRequest) -> NextRequest:
    """As it is shown, agreed to, sent and recorded."""
    values, expect = {name: said}, frozenset({NO_CONTENT})
    return NextRequest(view.voice.level, message, None, values, expect=expect, limit=LIMIT)


def _next(memory: Memory) -> Draw | None:
    ready = memory.upcoming
    return next((draw for draw in memory.draws.pending if ready and ready.is_of(draw)), None)


def _is_stale(ready: Upcoming | None, draw: Draw | None, known: Known | None) -> bool:
    """Whether it is none of ``draw`` by the key and the question of now, as far as is ``known``."""
    if ready is None or not ready.is_of(draw):
        return True
    metric = known.catalogue.metric(ready.name) if known else None
    now = (known.key, metric.question if metric else None) if known else None
    return now is not None and now != (ready.key, ready.question)


def _asks_anew() -> ConsentError:
    return ConsentError(
        "asks-anew",
        "What would be told asks something else, or more, than was agreed to, or is not collected "
        "any more, so nothing of it goes; see mars stats list, or mars failures show, and answer "
        "anew.",
    )


def _too_many() -> MarsError:
    return MarsError(
        "too-many-draws",
        f"{rules.MOST} reports wait, more than can go one a day, so further ones are dropped; have "
        "the publisher declare fewer statistics, or lower their rates.",
    )


def _says_less() -> ConsentError:
    return ConsentError(
        "says-less",
        "Less may be said of it than its report would say, so that does not go; wait for the next "
        "one.",
    )


def _nothing() -> TransportError:
    return TransportError("nothing-drawn", "No report is drawn; wait for the next week.")


def nothing(_metric: Metric) -> str | None:
    """``Collect`` of whoever provides no values, such as a command."""
    return None


def registry_unknown() -> TransportError:
    return TransportError(
        "registry-unknown",
        "The registry that the publisher's keys name is not here, so nothing is sent; wait for the "
        "next news.",
    )


def no_intake_key() -> TransportError:
    return TransportError(
        "no-intake-key",
        "The publisher names no key for the reports of this week, so nothing is sent; wait for "
        "the next news.",
    )
