"""The declared statistics as a settings screen lists them: plain values that fit into JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from mars.channels.motd import check_url
from mars.channels.reading import written as iso
from mars.channels.statistics import (
    StatisticsChannel,
    answer,
    asked,
    asked_as,
    is_live,
    policy,
    sealed,
    written,
)
from mars.channels.upcoming import NAME, Memory
from mars.consent import STATISTICS, Purpose, new_entries
from mars.consent.entries import agreed, outgrown, purpose_of
from mars.core.channel import View
from mars.errors import MarsError, WireError
from mars.ports import Chance
from mars.wire.randomized import in_words
from mars.wire.registry import Metric
from mars.wire.request import HTTPRequest
from mars.wire.times import LAST

if TYPE_CHECKING:
    from mars.channels.news import NewsClient
    from mars.core.state import State
    from mars.wire.catalogue import Catalogue

_TEXTS = ("name", "project", "key", "label", "description", "reason", "owner", "review")
OFF, LOCAL, ON = MODES = ("off", "local", "on")
"""Nothing is collected; collected and shown; also sent, as far as the user agreed."""


def mode(view: View, catalogue: Catalogue | None, purpose: Purpose = STATISTICS) -> str:
    """One of ``MODES``. Local is no consent. While no registry is known every yes counts."""
    voice = view.voice
    agreed = voice.agreed(catalogue.questions) if catalogue else voice.entries
    if any(purpose_of(name) is purpose for name in agreed):
        return ON
    return LOCAL if Memory.of(view.state).local else OFF


def standing(client: NewsClient, state: State, purpose: Purpose = STATISTICS) -> dict[str, Any]:
    """The ``mode``, and in ``to_ask`` what the user is to be asked (anew) before it goes.

    Raises ``ConfigError`` where the registry cannot be read.
    """
    view = client.view(client.statistics, state)
    asked = new_entries(state.decision, client.declared(state), purpose)
    return {"mode": mode(view, client.shown_registry(state), purpose), "to_ask": list(asked)}


def entries(
    view: View,
    catalogue: Catalogue | None,
    channel: StatisticsChannel,
    journal: Iterable[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Each entry in the order of the registry. Times are ISO 8601, None where there is none.

    ``value`` is the present one as it may be said, None where nothing is collected or provided;
    ``said`` what the next report of it would say; ``agreed`` whether the user said yes to it as it
    asks now, ``on`` whether it may be sent, which policy and environment can only lower;
    ``vetoed`` whether a rule of the policy or the user has nothing said of it, and so it is not
    ``on``, as what is not collected any more is not; ``changed`` whether it asks
    something else, or more, than the user said yes to, and so is off; ``last`` what was last sent,
    and when.
    """
    if catalogue is None:
        return []
    went, now = sent(journal), mode(view, catalogue)
    return [
        entry(view, catalogue, metric, channel, went.get(metric.name), collects(view, metric, now))
        for metric in catalogue.metrics
    ]


def collects(view: View, metric: Metric, now: str) -> bool:
    """Whether values of it are collected to be shown in the mode of ``now``: of what was declined
    only for who wants to see all."""
    decision, local = view.state.decision, Memory.of(view.state).local
    return local or (now == ON and not (decision and asked_as(metric) in decision.declined))


def entry(
    view: View,
    catalogue: Catalogue,
    metric: Metric,
    channel: StatisticsChannel,
    last: Mapping[str, Any] | None,
    collected: bool,
) -> dict[str, Any]:
    """One of them."""
    asks, name = asked(catalogue, metric), asked_as(metric)
    since = view.voice.agreed(asks).get(name)
    live = is_live(metric, view.now)
    upcoming = Memory.of(view.state).upcoming
    value = channel.value(view, catalogue, metric) if live and collected else None
    is_next = live and upcoming is not None and upcoming.name == metric.name
    vetoed = is_vetoed(view, metric)
    return {
        **{name: getattr(metric, name) for name in _TEXTS},
        "sensitivity": metric.sensitivity,
        "type": metric.type,
        "values": list(metric.values_known),
        "rate": metric.rate,
        "epsilon": metric.epsilon,
        "randomized": in_words(metric.epsilon, len(metric.values_known)),
        "expires": str(metric.expires),
        "state": _standing(metric, view.now),
        "agreed": name in agreed(view.state.decision, asks),
        "on": since is not None and live and not vetoed,
        "changed": name in outgrown(view.state.decision, asks),
        "since": None if since is None else iso(min(since, LAST)),
        "vetoed": vetoed,
        "value": value,
        "said": upcoming.said if upcoming and is_next else value,
        "next": is_next,
        "last": last and {**last, "time": iso(last["time"])},
    }


def is_vetoed(view: View, metric: Metric) -> bool:
    """Whether a rule of the policy or the user has nothing said of it, whatever was agreed to."""
    return policy(view).vetoes(metric) or Memory.of(view.state).rules.vetoes(metric)


def preview(
    view: View, catalogue: Catalogue, metric: Metric, channel: StatisticsChannel, chance: Chance
) -> dict[str, Any] | None:
    """A report of it: the very one that goes next, or such as would go now; None where nothing
    could be said. ``text`` is what is sealed, ``shown`` the request, where that can be known."""
    with suppress(MarsError):
        ready = channel.plan(view)
        if metric.name in ready.values:
            return _shown(metric, ready.request, is_next=True)
    shown = collects(view, metric, mode(view, catalogue, purpose_of(asked_as(metric))))
    value = channel.value(view, catalogue, metric) if shown else None
    if value is None:
        return None
    text = written(catalogue, metric, view.app.version, answer(metric, value, chance))
    request = HTTPRequest("POST", "", sealed=text)
    with suppress(MarsError):
        known = channel.known(view)
        request = HTTPRequest.post(check_url(known.url).url, sealed(text, known.key, chance), text)
    return _shown(metric, request, is_next=False)


def _shown(metric: Metric, request: HTTPRequest, *, is_next: bool) -> dict[str, Any]:
    from mars.wire.sealed import SMALL  # late: it loads libsodium

    return {
        "name": metric.name,
        "next": is_next,
        "text": request.sealed,
        "bytes": SMALL,
        "url": request.url or None,
        "shown": request.shown if request.url else None,
    }


def _standing(metric: Metric, now: int) -> str:
    if is_live(metric, now):
        return "collected"
    return "withdrawn" if metric.withdrawn and metric.withdrawn < metric.expires else "expired"


def sent(journal: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of each entry the last report that left, by the sealed text that the journal shows."""
    found: dict[str, dict[str, Any]] = {}
    for one in journal:
        text = str(one.get("sent", "")).partition("\r\n\r\n")[2].partition("\r\n[")[0]
        if one.get("channel") != NAME or not text:
            continue
        from mars.wire.report import decode  # late: it loads libsodium

        try:
            report = decode(text.encode("utf-8"))
        except WireError:
            continue
        found[report.name] = {
            "time": one["time"],
            "value": report.value,
            "release": report.release,
            "reason": one.get("reason"),
        }
    return found
