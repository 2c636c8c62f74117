"""Consent, and what a metric may say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product

import pytest

from mars import consent
from mars.core.records import STATE_FILE
from mars.errors import ConfigError, ConsentError
from mars.testing.memory import START, machine, session
from mars.testing.world import World
from mars.wire import variables
from mars.wire.crowd import CROWDS
from mars.wire.variables import NAMES, Facts

DAY = 86_400
ALL = ("v", "os", "ia", "lang", "py", "cc")


def query(world: World) -> dict[str, str]:
    """What the next request would say."""
    client = world.client()
    state = client.load()
    return dict(client.plan(state, client.voice(state)).values)


def test_declared_variables_are_the_ones_on_the_wire() -> None:
    assert NAMES == ("v", "os", "ia", "lang", "py", "cc")


def test_f01_without_consent_to_metrics_the_bytes_are_the_same_for_everybody() -> None:
    sent = set()
    for system, version, locale in (("linux", "0.5.1", "is_IS"), ("windows", "9.9", "de_DE")):
        world = World(host=machine(system, locale=locale), version=version)
        world.grant("plain")
        client = world.client()
        state = client.load()
        sent.add(client.plan(state, client.voice(state)).bytes)
    assert len(sent) == 1
    assert b"?" not in sent.pop()


def test_f01_undecided_means_not_a_byte() -> None:
    world = World()
    world.publish()
    with pytest.raises(ConsentError):
        world.client().fetch()
    session(world.client(), world.clock, 365 * DAY)
    assert world.server.visits == []


@pytest.mark.parametrize("off", ALL)
def test_f02_each_variable_can_be_switched_off_alone(off: str) -> None:
    world = World()
    kept = [name for name in ALL if name != off]
    world.grant("tracked", *kept, country="IS")
    found = variables.values(Facts("0.5.1", "linux", START, ("en",), ("en",), "3.11", "IS", START))
    for pick, crowd in product((0.0, 0.3, 0.6, 0.8, 1.0), CROWDS):
        said = variables.chosen(found, frozenset(kept), pick, crowd)
        assert off not in said
        assert list(said) == [name for name in ALL if name in said], "the order is fixed"
    assert off not in query(world)


def test_f03_consent_withdrawn_while_a_fetch_is_due_is_obeyed() -> None:
    world = World()
    world.publish()
    world.grant("tracked")
    client = world.client()
    session(client, world.clock, 11 * DAY)
    assert world.server.visits
    world.server.visits.clear()
    world.grant("plain")
    session(client, world.clock, 30 * DAY)
    assert world.server.visits
    assert all("?" not in url for url in world.server.visits)
    world.server.visits.clear()
    world.mars().consent.revoke()
    session(client, world.clock, 30 * DAY)
    assert world.server.visits == []


@pytest.mark.parametrize(
    "version",
    [
        "1.2.3.dev5+g0123abc.d20260101",
        "1.2.3+debian1",
        "1.2.3-1ubuntu2",
        "1" * 5000,
        "1.2.3\r\nX: y",
        "1.2.3 ",
        "١.٢",
        "",
        "1",
        "1.2.3.4",
    ],
)
def test_f04_anything_but_a_release_sends_dev(version: str) -> None:
    assert variables.version_value(version) == "dev"
    world = World(version=version)
    world.grant("tracked")
    assert query(world)["v"] == "dev"


@pytest.mark.parametrize(
    "system", ["linux-6.1.0-custom-smith", "cygwin", "", "Linux\n", "freebsd14", "LINUX/ARM"]
)
def test_f05_an_odd_platform_is_other(system: str) -> None:
    assert variables.system_value(system) == "other"


@pytest.mark.parametrize(
    ("platform", "value"),
    [("Linux", "linux"), ("Windows", "windows"), ("Darwin", "macos"), ("macos", "macos")],
)
def test_f05_the_known_platforms(platform: str, value: str) -> None:
    assert variables.system_value(platform) == value


@pytest.mark.parametrize(
    ("locale", "value"),
    [
        ("is_IS.UTF-8@euro", "is"),
        ("is", "is"),
        ("IS-is", "is"),
        ("tlh", None),
        ("C", None),
        ("C.UTF-8", None),
        ("POSIX", None),
        ("", None),
        ("en\r\nX", None),
    ],
)
def test_f06_only_the_primary_subtag_of_a_shipped_language(locale: str, value: str | None) -> None:
    assert variables.language_value([locale], ("en", "is")) == value
    assert variables.language_value([], ("en", "is")) is None


@pytest.mark.parametrize(
    ("days", "value"),
    [
        (0, "1"),
        (1, "1"),
        (3, "1"),
        (4, "10"),
        (31, "10"),
        (32, "100"),
        (316, "100"),
        (317, "1000"),
        (7305, "1000"),
        (7306, None),
        (-1, None),
    ],
)
def test_f07_age_as_a_power_of_ten(days: int, value: str | None) -> None:
    assert variables.install_age(START - days * DAY, START) == value


@pytest.mark.parametrize("installed", [None, "2026", 1.5, True, [], 0])
def test_f07_an_unknown_date_is_absent(installed: object) -> None:
    assert variables.install_age(installed, START) is None


def test_f07_a_clock_known_to_be_wrong_sends_no_age() -> None:
    assert variables.install_age(START, START, built=START + 1) is None
    assert variables.install_age(START, START, issued=START + DAY) == "1"
    assert variables.install_age(START, START, issued=START + DAY + 1) is None


def test_f07_the_table_equals_the_formula() -> None:
    import math

    for days in range(1, 7306):
        power = min(10 ** round(math.log10(days)), 1000)
        assert variables.install_age(0, days * DAY) == str(power)


def periods(crowd: int, count: int) -> Iterator[tuple[str, str]]:
    """What the preview shows of each of ``count`` periods, and what then goes."""
    world = World(crowd=crowd)
    world.grant("tracked", *ALL, country="IS")
    world.publish()
    client = world.client()
    client.step(None)  # a schedule, whose periods draw
    for _ in range(count):
        state = client.load()
        shown = client.plan(state, client.voice(state)).url
        yield shown, client.fetch(asked="tracked", scheduled=True).url
        world.clock.advance(DAY)


@pytest.mark.parametrize(
    ("crowd", "due"),
    [
        (0, {"v": 100, "os": 50, "ia": 50}),
        (100, {"v,os": 100, "v,ia": 100}),
        (1000, {"v,os,ia": 100, "v,os,ia,lang": 33, "v,os,ia,py": 33, "v,os,ia,cc": 33}),
    ],
)
def test_f08_what_a_period_says_is_drawn_for_it_alone(crowd: int, due: dict[str, int]) -> None:
    """Kept for two periods, or for an installation, it would make both requests one's."""
    said = [",".join(name for name in ALL if f"{name}=" in url) for _, url in periods(crowd, 200)]
    seen = Counter(said)
    assert seen.keys() == due.keys()
    assert all(abs(seen[names] - count) < 25 for names, count in due.items()), seen
    again = sum(one == other for one, other in pairwise(said))
    by_chance = sum(count**2 for count in due.values()) / 200
    assert abs(again - by_chance) < 25, "the next period's is no function of this one's"


@pytest.mark.parametrize("crowd", CROWDS)
def test_f08_the_preview_shows_the_very_value_that_is_sent(crowd: int) -> None:
    for shown, sent in periods(crowd, 20):
        assert sent == shown


def test_f09_undeclared_names_are_dropped_and_told_to_the_developer() -> None:
    world = World()
    mars = world.mars()
    assert mars.consent.grant("tracked", ["v", "hostname"])
    decision = mars.consent.decision
    assert decision is not None
    assert decision.variables == ("v",)
    assert mars.status()["problem"]["reason"] == "undeclared"
    with pytest.raises(ConfigError, match="hostname"):
        world.mars(debug=True).consent.grant("tracked", ["v", "hostname"])


@pytest.mark.parametrize(
    "change",
    [
        {"level": "everything"},
        {"level": None},
        {"decided": "yesterday"},
        {"decided": True},
        {"variables": "v"},
        {"variables": None},
        {"stats": 1},
        {"asked": None},
    ],
)
def test_f10_a_decision_that_is_not_understood_is_none(change: dict[str, object]) -> None:
    world = World()
    world.grant("tracked")
    table = json.loads(world.store.files[STATE_FILE])
    table["decision"] |= change
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    state = world.client().load()
    assert state.decision is None
    assert world.client().voice(state).level == "off"
    assert state.installed is not None, "the rest of the state stands"


def test_f10_an_older_schema_is_none() -> None:
    world = World()
    world.grant("tracked")
    table = json.loads(world.store.files[STATE_FILE])
    for missing in ("level", "decided", "variables", "asked", "stats", "errors", "direct"):
        older = {name: value for name, value in table["decision"].items() if name != missing}
        world.store.files[STATE_FILE] = json.dumps(table | {"decision": older}).encode()
        assert world.client().load().decision is None


# --- layers ------------------------------------------------------------------------------


def test_no_metric_before_the_date_of_consent() -> None:
    world = World()
    world.grant("tracked")
    world.clock.step(-2 * DAY)
    voice = world.client().voice(world.client().load())
    assert voice.level == "plain"
    assert not voice.variables
    assert voice.purposes == {"news"}


@pytest.mark.parametrize("name", ["DO_NOT_TRACK", "CI"])
@pytest.mark.parametrize("value", ["1", "true", "yes"])
def test_a_switch_in_the_environment_stops_all_automatic_traffic(name: str, value: str) -> None:
    world = World(host=machine(environ={name: value}))
    world.grant("tracked")
    session(world.client(), world.clock, 100 * DAY)
    assert world.server.visits == []
    world.publish()
    with pytest.raises(ConsentError):
        world.client().fetch()
    assert world.client().fetch(asked="plain").ok, "an explicit level is for this fetch alone"
    assert len(world.server.visits) == 1


@pytest.mark.parametrize("value", ["", "0", "false", "no"])
def test_a_switch_that_is_off_switches_nothing(value: str) -> None:
    world = World(host=machine(environ={"DO_NOT_TRACK": value, "CI": value}))
    world.grant("tracked")
    assert world.mars().consent.level == "tracked"


@pytest.mark.parametrize(
    ("policy", "environ", "ceiling", "level", "by"),
    [
        (None, {}, "tracked", "tracked", "user"),
        (b'level = "plain"', {}, "tracked", "plain", "policy"),
        (b'level = "off"', {"MARS_LEVEL": "plain"}, "tracked", "off", "policy"),
        (b"not toml [", {}, "tracked", "off", "policy"),
        (b'level = "all"', {}, "tracked", "off", "policy"),
        (b"unknown = 1", {}, "tracked", "off", "policy"),
        (b"\xff", {}, "tracked", "off", "policy"),
        (None, {"MARS_LEVEL": "plain"}, "tracked", "plain", "MARS_LEVEL"),
        (None, {"MARS_LEVEL": "full"}, "tracked", "off", "MARS_LEVEL"),
        (None, {}, "plain", "plain", "application"),
        (None, {}, "off", "off", "application"),
        (None, {"MARS_LEVEL": "tracked"}, "plain", "plain", "application"),
    ],
)
def test_the_least_of_all_layers_holds(
    policy: bytes | None, environ: dict[str, str], ceiling: str, level: str, by: str
) -> None:
    world = World(host=machine(policy=policy, environ=environ))
    world.grant("tracked")
    client = world.client(ceiling=consent.cap("application", ceiling))
    voice = client.voice(client.load())
    assert (voice.level, voice.by.name) == (level, by)
    explicit = client.voice(client.load(), asked="tracked")
    assert explicit.level == level, "an explicit level goes no higher than the ceilings"


def test_nothing_but_the_user_can_raise() -> None:
    loud = {"MARS_LEVEL": "tracked", "MARS_VARIABLES": ",".join(ALL)}
    world = World(host=machine(environ=loud, policy=b'level = "tracked"'))
    assert world.mars().consent.level == "off"


def test_variables_are_limited_by_policy_and_environment() -> None:
    host = machine(environ={"MARS_VARIABLES": "v os"}, policy=b'variables = ["v", "ia"]')
    world = World(host=host)
    world.grant("tracked")
    assert list(query(world)) == ["v"]


def test_an_unreadable_policy_means_off() -> None:
    def refuse() -> bytes | None:
        raise PermissionError

    world = World(host=replace(machine(), policy=refuse))
    world.grant("tracked")
    assert world.mars().consent.level == "off"


def test_a_grown_set_of_variables_is_asked_about_and_off_until_then() -> None:
    world = World(crowd=1000)
    world.grant("tracked", *ALL)
    table = json.loads(world.store.files[STATE_FILE])
    table["decision"]["asked"] = ["v", "os", "ia"]  # as an older release asked
    world.store.files[STATE_FILE] = json.dumps(table).encode()
    mars = world.mars()
    assert list(mars.consent.to_ask) == ["lang", "py", "cc"]
    assert set(query(world)) == {"v", "os", "ia"}
    mars.consent.grant("tracked", ALL)
    assert list(mars.consent.to_ask) == []


def test_an_explicit_level_respects_the_switches_and_nothing_else() -> None:
    world = World()
    world.grant("tracked", "v")
    voice = world.client().voice(world.client().load(), asked="tracked")
    assert voice.variables == {"v"}
    assert voice.purposes == {"news", "metrics"}
    world.grant("plain")
    voice = world.client().voice(world.client().load(), asked="tracked")
    assert voice.variables == {"v", "os", "ia"}
    assert not voice.direct


def test_e20_check_now_sends_no_metrics_and_is_limited() -> None:
    world = World()
    world.publish()
    world.grant("tracked", *ALL)
    client = world.client()
    for _ in range(10):
        client.check()
    assert len(world.server.visits) == 1
    assert "?" not in world.server.visits[0]
    world.clock.advance(3600)
    assert client.check() is not None
    assert World(seed=2).client().check() is None, "never before anybody decided"
