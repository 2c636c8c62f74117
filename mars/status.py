"""Where one application's client stands, in plain values."""

from __future__ import annotations

from typing import Any

from mars import consent
from mars.channels.memory import Memory
from mars.channels.motd import source
from mars.channels.news import NewsClient
from mars.consent.api import since, switches
from mars.core.state import State
from mars.errors import MarsError
from mars.wire.times import LAST, format_time


def status(client: NewsClient) -> dict[str, Any]:
    """What ``mars status --json`` prints. Times are ISO 8601, None where there is none.

    ``check`` says why no check may be asked for, None where one may.
    Where the state cannot be read it is that of nobody, with what is wrong as ``problem``; so is a
    journal that cannot be read, since without one nothing is sent.
    """
    state, problem = State(), None
    try:
        state = client.load()
        client.journal()
    except MarsError as error:
        problem = error
    problem = problem or client.damage
    try:
        reading = client.reading(state)
    except MarsError:  # what it lacks is told when it is next needed
        reading = None
    voice, decision, known = client.voice(state), state.decision, Memory.of(state)
    server, last, due = source(client.view(state, voice)), known.last, known.schedule
    waits = due is not None and server and voice.level != consent.OFF
    return {
        "product": state.app.get("product"),
        "version": state.app.get("version"),
        "level": voice.level,
        "decided_by": voice.by.name,
        "decided": None if decision is None else _time(decision.decided),
        "variables": sorted(voice.variables),
        **switches(lambda purpose: purpose.name in voice.purposes),
        "direct": voice.direct,
        "country": state.country,
        "purposes": since(client.offered, voice, decision),
        "to_ask": list(consent.new_variables(decision)),
        "next": _time(due.due) if due and waits else None,
        "overdue_wait": due.wait if due else None,
        "failures": due.failures if due else 0,
        "last": last and {"time": _time(last.get("time")), "reason": last.get("reason")},
        "server": server or None,
        "serial": reading.serial if reading else None,
        "issued": _time(reading.issued) if reading else None,
        "expires": _time(reading.expires) if reading else None,
        "stale_since": _time(reading.stale_since) if reading else None,
        "update": reading.update if reading else "unknown",
        "newest_version": reading.newest_version if reading else "",
        "installed": _time(state.installed),
        "check": _told(client.check_refusal(state)),
        "problem": _told(problem),
    }


def _told(error: MarsError | None) -> dict[str, str] | None:
    return None if error is None else {"reason": error.reason, "message": error.message}


def _time(seconds: object) -> str | None:
    if type(seconds) is not int or not 0 <= seconds <= LAST:
        return None
    return format_time(seconds)
