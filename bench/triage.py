"""Opening error reports beside libsodium alone, into both databases: rates and ratio; ten of forty.

    python -m bench.triage [--write]       # --write puts the table into docs/performance.md

The ratio is of CPU times within one run: each pass over a spool is followed by one in which the
same boxes are opened, signatures and shares verified, and nothing else is done.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from bench import page
from bench.counting import times
from bench.opening import cpu, databases
from mars.factory import system_clock
from mars.wire import ed25519
from mars.wire.reports import crowd
from mars.wire.reports.outer import Outer, parted
from mars.wire.sealed import Opener, opened, unboxed
from mars_server.counting.progress import Progress
from mars_server.storage.triage.store import open_triage
from mars_server.triage.grouping import Lists
from mars_server.triage.reading import Reading
from mars_server.triage.setup import load_opening
from tests.server.counting import spools
from tests.server.triage import kit

PAIRS, EACH = 3, 1_000
"""Passes, and reports in the spool of each."""
SHARES, POISONED, GROUPS = 40, 30, 20
"""Shares of a crowd, how many of these hold another text, and crowds."""
FAULTS = 100
"""Different ones among the direct reports; all crowd reports are of one."""
KINDS = ("direct", "crowd")


class Bench(page.Told):
    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.triage = kit.Triage(folder, "")
        keys = self.triage.keys([spools.WEEK], [kit.RELEASE])
        self.opening = load_opening(self.triage.product, keys, (), lambda _: b"")
        self.lists = Lists.parse(b"", "")
        self.bodies = {kind: self._bodies(kind) for kind in KINDS}

    def _bodies(self, kind: str) -> list[bytes]:
        numbers = range(PAIRS * EACH)
        sender = self.triage.sender
        if kind == "crowd":
            return sender.crowd(numbers)
        faults = [kit.fault(f"mail.view{n}:work", "mail.store:load") for n in range(FAULTS)]
        return [sender.direct([n], kit.content(faults[n % FAULTS]))[0] for n in numbers]

    def one_core(self, name: str, kind: str, url: str) -> None:
        """Rates on one core, and the ratio to the bare operations."""
        engine = open_triage(url, create=True)
        bare, whole = [], []
        for at in range(PAIRS):
            part = self.bodies[kind][at * EACH : (at + 1) * EACH]
            path = self.triage.spool(part, name=f"{kind} {name} {at}")
            inside = [self._inside(body) for body in part]
            bare.append(cpu(partial(self._alone, part, inside)))
            reading = Reading(engine, self.opening, self.lists, _silent(), str(spools.DAY))
            whole.append(cpu(partial(reading.run, [str(path)])))
            if reading.outcome.stored.kept[kind] != EACH:
                raise SystemExit(f"{reading.outcome.stored.kept} of {EACH} were kept")
        engine.dispose()
        total = PAIRS * EACH
        self.say(
            f"| {kind} | {name} | {total / sum(bare):,.0f} | {total / sum(whole):,.0f} "
            f"| {times(bare, whole)} |"
        )

    def _inside(self, body: bytes) -> tuple[bytes, Callable[[], object]]:
        """The box in ``body``, and how what is in it is verified."""
        box = Outer.decode(opened(body, spools.pair(spools.WEEK)) or b"").box
        head, rest = parted(unboxed(box, self.release) or b"")
        if head["kind"] == crowd.KIND:
            return box, crowd.Share.read(head, rest).fits
        key, signature = (bytes.fromhex(head[each]) for each in ("key", "signature"))
        return box, lambda: ed25519.verify(key, signature, bytes(400))

    @property
    def release(self) -> Opener:
        return Opener.of(kit.release_secret(kit.RELEASE))

    def _alone(
        self, bodies: Iterable[bytes], inside: Iterable[tuple[bytes, Callable[[], object]]]
    ) -> None:
        outer, release = spools.pair(spools.WEEK), self.release
        for body, (box, verify) in zip(bodies, inside, strict=True):
            opened(body, outer)
            unboxed(box, release)
            verify()

    def recovery(self) -> None:
        shares = [kit.share(number) for number in range(SHARES)]
        lies = [replace(each, encrypted=each.encrypted[::-1]) for each in shares[:POISONED]]
        held = lies + shares[POISONED:]
        work = [cpu(lambda: self._recover(held)) for _ in range(GROUPS)]
        self.say(
            f"\nOne crowd of {SHARES} shares, of which {POISONED} hold another text: "
            f"{1000 * min(work):.0f} to {1000 * max(work):.0f} ms; to verify one share: "
            f"{1000 * min(cpu(shares[0].fits) for _ in range(GROUPS)):.1f} ms."
        )

    def _recover(self, shares: Sequence[crowd.Share]) -> None:
        if crowd.recover(shares, kit.PRODUCT, kit.RELEASE) != kit.FAULT:
            raise SystemExit("the fault was not recovered")


def _silent() -> Progress:
    return Progress(system_clock(), None)


def run(bench: Bench, databases: dict[str, Callable[[], str]]) -> None:
    bench.say(f"{page.machine()}.\n")
    bench.say(
        f"Error reports a CPU second, {PAIRS} spools of {EACH:,}; least and most of a single one:\n"
    )
    bench.say("| kind | into | libsodium alone | opened and stored | CPU, libsodium = 1 |")
    bench.say("|---|---|---|---|---|")
    for kind in KINDS:
        for name, new in databases.items():
            bench.one_core(name, kind, new())
    bench.recovery()


def measured() -> Bench:
    with tempfile.TemporaryDirectory(prefix="mars-bench-") as name:
        bench = Bench(Path(name))
        with databases(bench, name) as found:
            run(bench, found)
    return bench


def main(arguments: Sequence[str] = ()) -> int:
    return page.main("triage", "the opening of error reports", measured, arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
