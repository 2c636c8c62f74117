"""A domain with its causes, and one process of an application that fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from mars.failures.counts import Counts, Day, merged, total
from mars.failures.machine import Case, Event, Machine
from mars.failures.subjects import as_bytes
from mars.testing.memory import SeededChance
from mars.wire.events import Dimension, Domain, ErrorName
from mars.wire.times import DAY, WEEK, week_start

MONDAY = week_start(1_795_219_200) + WEEK
GRACE, LATE = 60, 86_400


def cause(name: str, *dimensions: Dimension, expected: bool = False) -> ErrorName:
    return ErrorName(
        name,
        description="What failed.",
        owner="someone",
        review="https://example.org/1",
        sensitivity="technical",
        expires=date(2027, 12, 31),
        expected=expected,
        dimensions=dimensions,
    )


DECRYPTION = Domain(
    "decryption",
    (
        cause("key_missing", Dimension("device", ("own", "other")), Dimension("verified")),
        cause("damaged"),
        cause("cancelled", expected=True),
        cause("other"),
    ),
    description="Decrypting a mail that somebody sent.",
)


@dataclass
class Process:
    """One process of an application, which writes what it gained to ``kept``."""

    wall: int = MONDAY
    running: float = 0.0
    kept: Counts = field(default_factory=Counts)
    grace: int = GRACE
    late: int = LATE

    def __post_init__(self) -> None:
        self.chance = SeededChance(1)
        self.restart()
        self.events: list[Event] = []

    def restart(self, counting: bool = True) -> None:
        self.machine = Machine(self.grace, self.late, self.chance.token, watched=True)
        if counting:
            self.machine.known(self.kept, self.wall)

    def passes(self, seconds: int) -> None:
        self.wall += seconds
        self.running += seconds

    def fail(self, name: str = "damaged", subject: object = None, **dimensions: str) -> Case:
        data = None if subject is None else as_bytes(subject)
        case = Case(name, dimensions, self.wall, self.running, data)
        self.machine.begin(case)
        return case

    def resolve(self, case: Case) -> None:
        self.machine.resolve(case, self.wall, self.running)

    def succeed(self, tries: int = 1) -> None:
        self.machine.succeed(tries, self.wall)

    def told(self) -> list[tuple[str, str]]:
        self.machine.look(self.running)
        told, self.machine.told = self.machine.told, []
        return [(one.kind, one.name) for one in told]

    def write(self) -> None:
        self.machine.look(self.running)
        self.kept = merged(self.kept, self.machine.gained(), self.wall)
        self.machine.known(self.kept, self.wall)

    def day(self, ago: int = 0) -> Day:
        """What is kept of that day, once written."""
        self.write()
        return total(self.kept, [self.wall // DAY - ago])
