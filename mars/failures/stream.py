"""``mars.failures(domain)`` of an application: where it says what failed, and who is told of it.

Whoever calls never waits for another thread: what it says goes into a queue, and whoever finds
nobody at work works all of it off.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, Never

from mars.core.journal import told
from mars.errors import ConfigError, MarsError
from mars.failures.counts import MOST_COUNTED, Counts
from mars.failures.machine import Case, Machine
from mars.failures.subjects import LONGEST, Subject, as_bytes
from mars.failures.subscription import Subscription
from mars.ports import Chance, Clock
from mars.wire.events import Domain, ErrorName
from mars.wire.registry import is_name
from mars.wire.times import DAY, number_of

MOST_WAITING = 1_000
"""Calls that wait to be worked off; who finds more waits for who works."""
PATIENCE = 0.1
"""Seconds that it waits at most, as where it interrupted that very thread."""
MOST_FAULTS = 16
"""Faults of the application that are remembered."""
MAXLEN, MOST_MAXLEN = 1_000, 100_000
"""Events that a subscription holds."""


class Failure:
    """Something that failed, until it works."""

    __slots__ = ("_case", "_stream")

    def __init__(self, stream: Stream | None = None, case: Case | None = None) -> None:
        self._stream = stream
        self._case = case

    def resolved(self) -> None:
        """It works now. Called again it says nothing."""
        stream, case, self._case = self._stream, self._case, None
        if stream is not None and case is not None:
            stream.resolve(case)


class Stream:
    """The failures of one domain. Any thread may call any method; none raises, but for what the
    developer got wrong where ``raises``, as in tests.

    It counts nothing before ``known``.
    """

    def __init__(
        self,
        name: str,
        domain: Domain | None,
        clock: Clock,
        chance: Chance,
        *,
        raises: bool = False,
    ) -> None:
        """``domain`` is None where none of that name is declared: then nothing counts."""
        self.name = name
        self.raises = raises
        self.faults: dict[str, MarsError] = {}
        """What the application got wrong, by what it said."""
        self.lost = 0
        """Calls that could not be worked off and do not count."""
        self._clock = clock
        self._machine = Machine(0, 0, chance.token)
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._working = threading.Lock()
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._watched = False
        self._due = inf
        self.declare(domain)
        _alive.add(self)

    def declare(self, domain: Domain | None) -> None:
        """What the registry says of it from now on; None where that is nothing."""
        names = domain.names if domain else ()
        self._causes = {one.name: (one, number_of(one.ends)) for one in names}
        if domain is not None:
            self._must(self._machine.declare, domain.grace, domain.late)

    # --- for the application ------------------------------------------------------------------

    def fail(self, cause: str, /, subject: Subject | None = None, **dimensions: object) -> Failure:
        """Something failed now, by a declared ``cause``: a name, or a member of its enumeration.

        ``subject`` is what failed, such as a message or a device; only a keyed hash of it is kept.
        Without one each call is a failure of its own. ``dimensions`` are of declared values.
        """
        try:
            case = self._case(cause, subject, dimensions)
        except Exception as error:  # noqa: BLE001 - whatever an object of the application raises
            self._wrong(error)
            return Failure()
        if case is None:
            return Failure()
        self._do(self._machine.begin, case)
        return Failure(self, case)

    def succeeded(self, n: int = 1) -> None:
        """So many tries worked."""
        if type(n) is not int or n < 0:
            self._wrong(
                ConfigError("bad-value", "succeeded takes a whole number from 0 on; give one.")
            )
        elif n and self._machine.counting:
            self._do(self._machine.succeed, min(n, MOST_COUNTED), self._clock.now())

    def subscribe(self, maxlen: int = MAXLEN) -> Subscription:
        """A queue of its own of what fails, and what resolves late, from now on, whether it counts
        or not. It holds up to ``maxlen`` events (1 to 100,000)."""
        if type(maxlen) is not int or not 1 <= maxlen <= MOST_MAXLEN:
            self._wrong(
                ConfigError(
                    "bad-value",
                    f"subscribe takes a whole number of 1 to {MOST_MAXLEN}, so it holds {MAXLEN}; "
                    "give one.",
                )
            )
            maxlen = MAXLEN
        one = Subscription(maxlen, self._until, partial(self._must, self._subscriptions.discard))
        self._must(self._subscribed, one)
        return one

    def resolve(self, case: Case) -> None:
        """``Failure.resolved`` was called."""
        self._do(self._machine.resolve, case, self._clock.now(), self._clock.monotonic())

    # --- for the client -------------------------------------------------------------------------

    def known(self, kept: Counts) -> None:
        """Counts from now on, what ``kept`` does not know: what is kept at first, and then what
        comes of each writing."""
        self.look()
        self._must(self._machine.known, kept, self._clock.now())

    def gained(self) -> Counts:
        """What counts since the last time, for ``merged``; then either ``known`` or ``regain``
        follows. False where that is nothing."""
        if not self._working.acquire(timeout=PATIENCE):
            return Counts()
        try:
            self._inbox.append((self._machine.look, (self._clock.monotonic(),)))
            self._work()
            return self._machine.gained()
        finally:
            self._working.release()
            self.look()

    def regain(self, gained: Counts) -> None:
        """What was ``gained`` last could not be written, and is to be gained again."""
        self._must(self._machine.regain, gained)

    def forget(self) -> None:
        """Counts nothing any more, and forgets what was not written. Subscribers are told on."""
        self.look()
        self._must(self._machine.forget)

    def look(self) -> None:
        """Has who waits too long have failed, and tells subscribers of it."""
        self._must(self._machine.look, self._clock.monotonic())

    # --- inside ---------------------------------------------------------------------------------

    def _case(self, cause: str, subject: object, dimensions: dict[str, object]) -> Case | None:
        """None where nobody wants to know."""
        declared, ends = self._causes.get(cause) or self._undeclared(cause)
        said = {n: self._said(declared, n, value) for n, value in dimensions.items()}
        data = None if subject is None else self._subject(subject)
        now = self._clock.now()
        if now // DAY >= ends or not (self._machine.counting or self._watched):
            return None
        return Case(declared.name, said, now, self._clock.monotonic(), data)

    def _undeclared(self, cause: object) -> Never:
        what = f"{self.name}.{cause}" if isinstance(cause, str) and is_name(cause) else ""
        what = what or f"What {self.name} was to say"
        said = "is not declared, so it does not count; declare it, or name another cause."
        raise ConfigError("undeclared", f"{what} {said}")

    def _said(self, cause: ErrorName, name: str, value: object) -> str:
        for dimension in cause.dimensions:
            if dimension.name == name:
                plain = str.__str__(value) if isinstance(value, str) else value
                return dimension.said(plain)
        raise ConfigError(
            "undeclared",
            f"{self.name}.{cause.name} has no such dimension, so it does not count; declare it, or "
            "leave it out.",
        )

    def _subject(self, subject: object) -> bytes:
        try:
            return as_bytes(subject)
        except (TypeError, ValueError):
            raise ConfigError(
                "bad-subject",
                f"A subject is a text, bytes or a whole number, of at most {LONGEST} characters or "
                "bytes, so that failure does not count; give such a one, or none.",
            ) from None

    def _wrong(self, error: Exception) -> None:
        """Stands in ``faults``, in our own words alone."""
        if not isinstance(error, MarsError):
            said = f"fail of {self.name} was called with what it cannot read; give plain values."
            error = ConfigError("wrong-call", said)
        if self.raises:
            raise error from None
        if len(self.faults) < MOST_FAULTS:
            self.faults[error.message] = error

    def _until(self) -> float | None:
        """Looks, and gives the seconds until it should look again; None where nothing is due."""
        self.look()
        return None if self._due == inf else max(self._due - self._clock.monotonic(), 0.0)

    def _do(self, call: Callable[..., object], *args: object) -> None:
        if len(self._inbox) < MOST_WAITING or self._help():
            self._must(call, *args)
        else:
            self.lost += 1

    def _must(self, call: Callable[..., object], *args: object) -> None:
        self._inbox.append((call, args))
        # Whoever works looks again when done, so that nothing stays.
        while self._inbox and self._help(0.0):
            pass

    def _help(self, patience: float = PATIENCE) -> bool:
        """Works all off; False where another thread is at it for longer."""
        if not self._working.acquire(timeout=patience):
            return False
        try:
            self._work()
        finally:
            self._working.release()
        return True

    def _work(self) -> None:
        while self._inbox:
            call, args = self._inbox.popleft()
            try:
                call(*args)
            except Exception as error:  # noqa: BLE001 - nothing of ours reaches the application
                self.faults["internal"] = told(error)
        if self._watched and (self._machine.told or self._machine.due != self._due):
            self._tell()

    def _subscribed(self, one: Subscription) -> None:
        self._subscriptions.add(one)
        self._watched = self._machine.watched = True

    def _tell(self) -> None:
        subscriptions, machine = list(self._subscriptions), self._machine
        events, machine.told, self._due = machine.told, [], machine.due
        self._watched = machine.watched = bool(subscriptions)
        for one in subscriptions:
            for event in events:
                one.put(event)
            one.wake()

    def forked(self) -> None:
        """In the child of a fork: what is pending, or not written, is the parent's to count."""
        self._working = threading.Lock()
        self._inbox.clear()
        self._machine.leave()
        for one in list(self._subscriptions):
            one.forked()


_alive: weakref.WeakSet[Stream] = weakref.WeakSet()


def _after_fork() -> None:
    for each in list(_alive):
        each.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
