"""One error report now, by an explicit act that is consent for this one alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mars.channels import filing, sealing
from mars.channels.queue import CROWD, Report
from mars.channels.reports import ReportsChannel, leaving
from mars.channels.sending import SEED_BYTES, Memory
from mars.consent import REPORTS, Purpose
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.errors import ConfigError
from mars.wire.product import is_release

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.journal import Outcome
    from mars.core.state import State
    from mars.ports import Chance
    from mars.wire.reports.fault import Fault


class OneFault(ReportsChannel):
    """It has no schedule. It is kept as any report is, so that its deletion can be asked for."""

    purposes: tuple[Purpose, ...] = (REPORTS,)

    def __init__(self, client: NewsClient, fault: Fault, way: str, message: str = "") -> None:
        """Raises ``ConfigError`` (``no-release``) of a version that is none, and ``StateError``."""
        super().__init__(client.known, client.queue)
        self._client = client
        ports, version = client.ports, client.app.version
        if not is_release(version):
            raise ConfigError(
                "no-release", "Only a release sends reports; name its version like 0.5.2."
            )
        chance = ports.chance
        memory = client.update(
            lambda state: ((kept := Memory.of(state).with_secret(chance)).into(state), kept)
        )
        report = filing.made(fault, version, memory.secret, ports.clock.now(), chance, ports.host)
        report = replace(report, counted=True, way=way, message=message)
        if way == CROWD:
            report = sealing.shared(memory.secret, report, client.app.product)
        self.report: Report = report
        self._secret = memory.secret
        self._seed = chance.token(SEED_BYTES).hex()
        self._planned: NextRequest | None = None
        self._left = False

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """Made once. Raises ``MarsError`` where registry or keys are not known."""
        if self._planned is None:
            known = self.known(view)
            self._planned = self.request(view, known, self._secret, self.report, self._seed, url)
        return self._planned

    def send(self, level: str, url: str | None = None) -> Outcome:
        """Sends it. Raises ``MarsError`` as ``Installation.send``; what did not go is not kept.

        It counts as sent before a byte leaves: what the application looks after meanwhile may drop
        whatever was not sent, or have it go by itself.
        """
        client, now = self._client, self._client.ports.clock.now()

        def keep(state: State) -> tuple[State, None]:
            self.queue.write(leaving(self.report, now, deletion=False))
            return state, None

        client.update(keep)
        try:
            return client.send(self, asked=level, url=url)
        finally:
            if not self._left:
                self.queue.delete(self.report.id)

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:
        self._left = ending.left
        return super().learn(view, ending, chance, scheduled=scheduled)

    @property
    def text(self) -> str:
        """What was sealed; empty until it was planned."""
        return self._planned.request.sealed if self._planned else ""

    @property
    def size(self) -> int:
        """Bytes of its body; 0 until it was planned."""
        return len(self._planned.request.body or b"") if self._planned else 0
