"""When jobs are due."""

from __future__ import annotations

from calendar import timegm
from dataclasses import replace

from mars.wire.times import DAY
from mars_server.common.config import Config, PublishConfig
from mars_server.up.schedule import AGAIN, SETTLED, Job, Schedule, jobs

WEDNESDAY = timegm((2026, 12, 2, 0, 0, 0))
CONFIG = Config(log="log", db="sqlite:///counts.db", site="site")


def names(schedule: Schedule, now: int, failing: str = "") -> list[str]:
    """Of all jobs that run at ``now``, in order."""
    ran = []
    while (job := schedule.due(now)) is not None:
        ran.append(job.name)
        schedule.ended(job, now, well=job.name != failing)
    return ran


def made(config: Config = CONFIG) -> Schedule:
    return Schedule(jobs(config, "server.toml"))


def test_at_the_start_everything_runs_once() -> None:
    schedule = made()
    assert names(schedule, WEDNESDAY + DAY) == ["count", "publish", "retain", "doctor"]
    assert names(schedule, WEDNESDAY + DAY + 60) == []


def test_logs_are_counted_every_night_and_weeks_published_on_wednesdays() -> None:
    schedule, ran = made(), []
    names(schedule, WEDNESDAY - DAY // 2)
    for minute in range(0, 9 * DAY, 60):
        ran += [(minute, name) for name in names(schedule, WEDNESDAY - DAY // 2 + minute)]
    half, week = DAY // 2 + SETTLED, ("count", "publish", "retain", "doctor")
    assert ran == [
        *((half, name) for name in week),
        *((half + n * DAY, "count") for n in range(1, 7)),
        *((half + 7 * DAY, name) for name in week),
        (half + 8 * DAY, "count"),
    ]


def test_what_failed_is_tried_again_in_an_hour_and_what_needs_it_waits() -> None:
    schedule = made()
    assert names(schedule, WEDNESDAY + DAY, failing="count") == ["count"]
    assert names(schedule, WEDNESDAY + DAY + AGAIN - 1) == []
    later = WEDNESDAY + DAY + AGAIN
    assert names(schedule, later) == ["count", "publish", "retain", "doctor"]


def test_what_the_doctor_finds_is_no_reason_to_ask_again_at_once() -> None:
    schedule = made()
    assert names(schedule, WEDNESDAY + DAY // 2, failing="doctor")[-1] == "doctor"
    assert names(schedule, WEDNESDAY + DAY // 2 + AGAIN) == []


def test_a_clock_that_was_wrong_for_a_moment_stops_nothing() -> None:
    schedule = made()
    for wrong in (WEDNESDAY + 3650 * DAY, 0, WEDNESDAY + 365 * DAY):
        names(schedule, wrong, failing="publish")
    noon = WEDNESDAY + DAY // 2
    assert names(schedule, noon) == ["count", "publish", "retain", "doctor"]
    assert names(schedule, noon + DAY) == ["count"]


def test_error_reports_are_opened_answered_and_told_where_the_settings_say_so() -> None:
    triage = replace(CONFIG, triage_db="sqlite:///triage.db", spool="spool")
    assert names(made(triage), WEDNESDAY) == ["count", "publish", "retain", "doctor"]
    whole = replace(
        triage, keys=("k",), status_key="s", publish=PublishConfig(faults="f"), textfile="t"
    )
    assert names(made(whole), WEDNESDAY) == [
        *("count", "errors open", "errors status", "errors stats"),
        *("publish", "retain", "doctor", "status"),
    ]


def test_marks_do_not_depend_on_when_the_process_began() -> None:
    job = Job("x", ("x",), DAY)
    assert {job.mark(WEDNESDAY + SETTLED + n) for n in (0, 1, DAY - 1)} == {WEDNESDAY + SETTLED}
    assert job.mark(WEDNESDAY + SETTLED - 1) == WEDNESDAY + SETTLED - DAY
