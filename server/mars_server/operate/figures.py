"""The numbers that checks of ``status`` find, for Prometheus, monitoring plugins and JSON.

What grows by clients is not among them: whoever looks every minute and keeps what he sees would
have the time of single answers and reports. So of logs there is only how many there are, and of a
disk how many hundredths are free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mars.wire.times import DAY

EXPIRY_WARNING = 7 * DAY
"""Seconds before a document expires."""
COUNT_EVERY = 2 * DAY
"""Seconds without a count after which something is wrong with its timer."""
PUBLISH_EVERY = 10 * DAY
"""Seconds: a week is published two days after its end, so every seven."""
LOW_DISK = 0.10
FULL_DISK = 0.01
"""Free shares of the fullest disk that holds logs or spools."""


def _plain(value: float, _now: int) -> float:
    return value


def _ahead(value: float, now: int) -> float:
    return value - now


def _ago(value: float, now: int) -> float:
    return now - value


def _percent(value: float, _now: int) -> float:
    return round(value * 100)


@dataclass(frozen=True)
class Figure:
    """What a metric means, and how a monitoring plugin shows it.

    ``label`` and ``unit`` are those of performance data, ``warn`` and ``fail`` its ranges;
    ``shown(value, now)`` makes a moment (Unix seconds) a distance, and a share a percentage.
    """

    label: str
    help: str
    unit: str = ""
    warn: str = ""
    fail: str = ""
    shown: Callable[[float, int], float] = _plain

    def performance(self, value: float, now: int) -> str:
        """As monitoring-plugins.org writes it: ``'label'=value[UOM];warn;crit;min``."""
        shown = self.shown(value, now)
        return f"'{self.label}'={shown:.10g}{self.unit};{self.warn};{self.fail}"


EXPIRES, SERIAL = "mars_motd_expires_timestamp_seconds", "mars_motd_serial"
UNLISTED, FLAWS = "mars_motd_newest_version_unlisted", "mars_motd_companions_refused"
ANSWERS_EXPIRE, ANSWERS_SERIAL = "mars_answers_expire_timestamp_seconds", "mars_answers_serial"
DISK_FREE = "mars_disk_free_ratio"
FIGURES = {
    EXPIRES: Figure(
        "motd_left", "When the document expires", "s", f"{EXPIRY_WARNING}:", "0:", _ahead
    ),
    SERIAL: Figure("motd_serial", "Serial of the document"),
    UNLISTED: Figure(
        "motd_unlisted", "1 while product.toml does not list the newest version", "", "0"
    ),
    FLAWS: Figure("motd_refused", "Files beside the document that were not taken over", "", "0"),
    "mars_motd_verified": Figure(
        "motd_verified", "1 where the signatures were compared with what clients pin", "", "1:"
    ),
    ANSWERS_EXPIRE: Figure(
        "answers_left",
        "When the answers to error reports expire",
        "s",
        f"{EXPIRY_WARNING}:",
        "0:",
        _ahead,
    ),
    ANSWERS_SERIAL: Figure("answers_serial", "Serial of the answers to error reports"),
    "mars_server_answers": Figure(
        "server_answers", "1 while the server answers with the document's bytes", "", "1:"
    ),
    "mars_tor_bootstrapped": Figure("tor", "1 while tor is bootstrapped", "", "", "1:"),
    "mars_onion_fetch_seconds": Figure("onion", "Time that a fetch through Tor took", "s"),
    "mars_onion_listed": Figure(
        "onion_listed", "1 where product.toml names the onion service to clients", "", "1:"
    ),
    "mars_logs_open": Figure("logs_open", "Access logs that are being written", "", "", "1:"),
    "mars_logs_closed": Figure("logs_closed", "Access logs of days that are over"),
    "mars_logs_incomplete": Figure("logs_incomplete", "Access logs that lack lines", "", "0"),
    "mars_spools_open": Figure("spools_open", "Spools that are being written", "", "", "1:"),
    "mars_spools_closed": Figure("spools_closed", "Spools of days that are over"),
    "mars_spools_incomplete": Figure("spools_incomplete", "Spools that lack reports", "", "0"),
    "mars_last_count_timestamp_seconds": Figure(
        "count_age", "When logs were last counted", "s", str(COUNT_EVERY), shown=_ago
    ),
    "mars_last_publish_timestamp_seconds": Figure(
        "publication_age", "When a week was last published", "s", str(PUBLISH_EVERY), shown=_ago
    ),
    "mars_last_doctor_timestamp_seconds": Figure(
        "doctor_age", "When the doctor last looked", "s", str(PUBLISH_EVERY), shown=_ago
    ),
    "mars_doctor_broken_promises": Figure(
        "doctor_broken", "Findings of the doctor that were bad", "", "", "0"
    ),
    DISK_FREE: Figure(
        "disk_free",
        "Free share of the fullest disk that holds logs or spools, in hundredths",
        "%",
        f"{LOW_DISK * 100:.0f}:",
        f"{FULL_DISK * 100:.0f}:",
        _percent,
    ),
}
"""By the metric's name, which ``Check.figures`` uses too."""
STATE = "mars_check_state", "What status says of it: 0 ok, 1 warn, 2 fail; absent where not set"
LOOKED = "mars_status_timestamp_seconds", "When status looked"
