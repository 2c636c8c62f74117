"""One report of a statistic now, by an explicit act that is consent for this one alone."""

from __future__ import annotations

from mars.channels.motd import check_url
from mars.channels.statistics import (
    Knows,
    StatisticsChannel,
    answer,
    is_live,
    no_intake_key,
    policy,
    request,
    sealed,
    written,
)
from mars.core.channel import Ending, Kept, NextRequest, View
from mars.errors import ConfigError, ConsentError
from mars.ports import Chance
from mars.wire.query import INTAKE_PATH
from mars.wire.registry import BOOL, BUCKET, Metric
from mars.wire.request import HTTPRequest

_BOOLS = {"true": True, "false": False}
_DIGITS = 19


class OneReport(StatisticsChannel):
    """Of the entry ``name``, with the raw ``value`` as text. It has no schedule, and remembers
    nothing of its own."""

    def __init__(self, knows: Knows, name: str, value: str, chance: Chance) -> None:
        super().__init__(knows, lambda _metric: None)
        self._entry = name
        self._raw = value
        self._chance = chance
        self._made: NextRequest | None = None

    def plan(self, view: View, url: str | None = None) -> NextRequest:
        """Made once. Raises ``MarsError`` where what is given is not declared, or not collected
        now, or where registry or key are not known."""
        if self._made is None:
            self._made = self._report(view, url)
        return self._made

    def _report(self, view: View, url: str | None) -> NextRequest:
        known = self.known(view)
        metric = known.catalogue.metric(self._entry)
        if metric is None or not is_live(metric, view.now):
            raise ConfigError(
                "undeclared", f"{self._entry!r} is not declared, or not collected any more."
            )
        if not known.key:
            raise no_intake_key()
        value = policy(view).applied(metric, metric.said(raw(metric, self._raw)))
        if value is None:
            raise ConsentError(
                "vetoed", "The administrator's policy lets nothing be said of it; ask there."
            )
        said = answer(metric, value, self._chance)
        text = written(known.catalogue, metric, view.app.version, said)
        place = check_url(url or known.url, path=INTAKE_PATH).url
        message = HTTPRequest.post(place, sealed(text, known.key, self._chance), text)
        return request(view, metric.name, said, message)

    @property
    def size(self) -> int:
        """Bytes of its body; 0 until it was planned."""
        return len(self._made.request.body or b"") if self._made else 0

    def learn(self, view: View, ending: Ending, chance: Chance, *, scheduled: bool) -> Kept:  # noqa: ARG002 - the protocol's
        return view.state.kept(self.name)


def raw(metric: Metric, text: str) -> bool | int | str:
    """What a provider would give for a value that somebody typed."""
    if metric.type == BOOL:
        return _BOOLS.get(text.lower(), text)
    if metric.type == BUCKET:
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= _DIGITS else text
    return text
