"""What a settings page shows is what is kept and sent, and every "no" has its reason."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from mars.client import Mars
from mars.core.channel import NextRequest
from mars.core.records import STATE_FILE
from mars.errors import ConfigError, ConsentError, MarsError, TransportError
from mars.ports import Request, Response
from mars.testing.publisher import Publisher
from mars.testing.world import World
from tests.waiting import until

HTTPS = "https://news.example/motd/motd.json"


@pytest.fixture
def world() -> World:
    world = World()
    world.publish()
    return world


CHOICES: list[dict[str, Any]] = [
    dict(zip(("level", "variables", "country", "direct"), values, strict=True))
    for values in product(
        ("off", "plain", "tracked"),
        (None, (), ("v", "cc"), ("cc", "undeclared")),
        (None, "", "IS", " de "),
        (None, True, False),
    )
]


@pytest.mark.parametrize("before", [None, {"level": "tracked", "country": "FO", "direct": True}])
def test_what_a_choice_shows_is_what_is_kept_and_then_sent(before: dict[str, Any] | None) -> None:
    for choice in CHOICES:
        world = World(url=HTTPS)
        world.publish()
        mars = world.mars()
        if before:
            assert mars.consent.grant(**before)
        shown = mars.preview(**choice)
        assert mars.consent.grant(**choice)
        assert mars.preview() == shown, choice
        with contextlib.suppress(ConsentError):
            world.client().fetch()
        assert world.server.visits == ([shown.url] if shown else []), choice


def test_the_stored_country_can_be_read_and_a_wrong_one_is_refused(world: World) -> None:
    mars = world.mars()
    assert mars.consent.country == ""
    assert mars.consent.grant("tracked", ["cc"], country=" is ")
    assert (mars.consent.country, mars.status()["country"]) == ("IS", "IS")
    for wrong in ("XX", "Iceland", "i", "ΙS"):
        assert mars.preview("tracked", ["cc"], wrong) is None, "what is refused is not shown"
        assert not mars.consent.grant("plain", country=wrong)
        assert mars.status()["problem"]["reason"] == "country-unknown"
        assert (mars.consent.level, mars.consent.country) == ("tracked", "IS")
    assert mars.consent.grant("tracked", ["cc"])
    assert mars.consent.country == "IS", "what is not given stays"
    assert mars.consent.grant("tracked", ["cc"], country="")
    assert (mars.consent.country, mars.status()["problem"]) == ("", None)


def refusal(mars: Mars) -> str:
    assert mars.check_now() is False
    told = mars.status()["check"]
    assert told["message"].endswith(".")
    return str(told["reason"])


def test_each_check_that_may_not_be_has_its_reason(world: World) -> None:
    mars = world.mars()
    assert refusal(mars) == "not-running"
    mars.start()
    assert refusal(mars) == "no-consent"
    assert mars.consent.grant("plain")
    assert mars.status()["check"] is None
    assert mars.check_now() is True
    until(lambda: world.server.visits)
    until(mars.motd)
    assert refusal(mars) == "too-early"
    assert "2026-11-21T01:00:00Z" in mars.status()["check"]["message"]
    world.clock.advance(3600)
    assert mars.status()["check"] is None
    mars.stop()
    lost = World(url="")
    nowhere = lost.mars()
    nowhere.consent.grant("plain")
    nowhere.start()
    assert refusal(nowhere) == "no-url"
    nowhere.stop()


class Direct:
    """The direct way, which carries no query; ``goes`` is whether it comes so far."""

    def __init__(
        self, world: World, plan: NextRequest, *, goes: bool, fault: MarsError | None
    ) -> None:
        self.world, self.plan, self.goes, self.fault = world, plan, goes, fault

    def fetch(self, request: Request) -> Response:
        assert self.plan.direct is not None
        assert request.leaving is not None
        if self.goes:
            request.leaving(self.plan.direct, "direct")
        if self.fault is not None:
            raise self.fault
        return Response(200, self.world.server.body, "direct")


FAULT = TransportError("timeout", "Nothing came.")


@pytest.mark.parametrize(
    ("goes", "fault", "level"),
    [(True, None, "plain"), (True, FAULT, "plain"), (False, FAULT, "tracked")],
)
def test_a_direct_fetch_is_told_without_the_values_that_it_did_not_send(
    goes: bool, fault: MarsError | None, level: str
) -> None:
    world = World(url=HTTPS)
    world.publish()
    world.grant("tracked", direct=True)
    client = world.client()
    client.ports = replace(
        client.ports, fetcher=lambda plan: Direct(world, plan, goes=goes, fault=fault)
    )
    outcome = client.fetch()
    assert (outcome.url, outcome.level) == (HTTPS, level)
    (entry,) = client.journal()
    assert (entry["url"], entry["level"]) == (HTTPS, level)
    assert "?" not in entry["sent"]


def test_through_tor_the_values_that_went_are_told(world: World) -> None:
    world.grant("tracked")
    outcome = world.client().fetch()
    assert outcome.url == world.server.visits[0]
    assert "?v=" in outcome.url
    assert outcome.level == "tracked"


def test_the_first_fetch_is_planned_when_the_user_decides(world: World) -> None:
    world.grant("plain")
    assert world.mars().status()["next"] is not None
    world.mars().consent.revoke()
    assert world.mars().status()["next"] is None


def test_a_mapping_of_switches_grants_those_that_are_on(world: World) -> None:
    mars = world.mars()
    assert mars.consent.grant("tracked", {"v": False, "os": True, "ia": False})
    assert mars.consent.decision is not None
    assert mars.consent.decision.variables == ("os",)
    shown = mars.preview("tracked", {"v": True, "os": False})
    assert shown is not None
    assert set(shown.values) == {"v"}


@pytest.mark.parametrize("switch", ["false", "no", "", 1, 0, None], ids=repr)
@pytest.mark.parametrize("argument", [{"variables": "cc"}, {"purposes": "statistics"}], ids=str)
def test_a_switch_is_true_or_false(world: World, argument: dict[str, str], switch: object) -> None:
    mars = world.mars()
    choice: dict[str, Any] = {name: {one: switch} for name, one in argument.items()}
    assert not mars.consent.grant("tracked", **choice)
    assert mars.status()["problem"]["reason"] == "wrong-call"
    assert (mars.consent.decision, mars.preview("tracked", **choice)) == (None, None)


@pytest.mark.parametrize("level", ["plain", "tracked"])
@pytest.mark.parametrize("purposes", [["metrics"], {"metrics": False}, {"news": False}], ids=str)
def test_what_the_level_decides_of_is_no_further_purpose(
    world: World, level: str, purposes: Any
) -> None:
    mars = world.mars()
    assert not mars.consent.grant(level, purposes=purposes)
    assert mars.status()["problem"]["reason"] == "purpose-of-level"
    assert (mars.consent.decision, mars.preview(level, purposes=purposes)) == (None, None)


@pytest.mark.parametrize("given", [None, True, False, "kept by an earlier release"])
def test_off_takes_back_the_direct_way_and_no_later_yes_revives_it(given: Any) -> None:
    world = World(url=HTTPS)
    world.grant("plain", direct=True)
    if isinstance(given, str):
        table = json.loads(world.store.files[STATE_FILE])
        table["decision"] |= {"level": "off", "purposes": {}}
        world.store.files[STATE_FILE] = json.dumps(table).encode()
    else:
        world.grant("off", direct=given)
    assert world.mars().consent.decision.direct is False  # type: ignore[union-attr]
    client = world.client()
    once = client.plan(client.load(), client.voice(client.load(), asked="plain"))
    assert once.direct is None
    world.grant("plain")
    assert world.mars().consent.decision.direct is False  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["v", "v,os", "", "everything", b"v"])
def test_a_text_is_no_list_of_names(world: World, text: Any) -> None:
    mars = world.mars()
    before = mars.consent.decision
    assert not mars.consent.grant("tracked", text)
    assert mars.status()["problem"]["reason"] == "wrong-call"
    assert mars.consent.decision == before
    assert mars.preview("tracked", text) is None
    with pytest.raises(ConfigError, match="not one text"):
        world.mars(debug=True).consent.grant("tracked", text)


@pytest.mark.parametrize("typed", ["ß", "ﬁ", "ﬆ", "ıs", "IS\u0301"])
def test_a_country_is_written_in_ascii_letters(world: World, typed: str) -> None:
    """Some letters become two others in capitals."""
    mars = world.mars()
    mars.consent.grant("plain", country="")
    assert not mars.consent.grant("plain", country=typed)
    assert mars.status()["problem"]["reason"] == "country-unknown"
    assert mars.consent.country == ""


@pytest.mark.parametrize("named", [("othermail", "stable"), ("examplemail", "beta")], ids=str)
def test_consent_given_to_one_product_and_channel_is_none_to_another(
    world: World, named: tuple[str, str]
) -> None:
    world.grant("tracked", "v", "cc", country="IS")
    kept = dict(world.store.files)
    mine, world.publisher = world.publisher, Publisher(*named)
    mars = world.mars()
    assert (mars.preview(), mars.consent.decision, mars.consent.level) == (None, None, "off")
    assert mars.status()["problem"]["reason"] == "wrong-product"
    assert not mars.consent.grant("tracked")
    assert not mars.consent.revoke()
    with pytest.raises(ConfigError, match="wrong-product"):
        world.client().fetch(asked="plain")
    assert (world.server.visits, world.store.files) == ([], kept)
    world.publisher = mine
    assert world.mars().consent.revoke()


@pytest.mark.parametrize("name", ["../../evil", "", "Evil", "a/b"])
def test_what_is_no_name_of_a_product_has_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a" / "b" / "c"))
    mars = World().mars(product=name, store=None)
    assert not mars.consent.grant("plain")
    assert mars.status()["problem"]["reason"] == "name-invalid"
    assert not list(tmp_path.rglob("*"))


def test_no_choice_is_kept_for_another_channel_while_trust_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    world = World(publisher=Publisher(channel="beta"))
    assert world.mars(store=None).consent.grant("tracked")
    broken = world.mars(store=None, trust=b"{")
    assert not broken.consent.revoke()
    assert not broken.consent.grant("tracked")
    kept = [path.parent.name for path in tmp_path.rglob("state.json")]
    assert kept == ["beta"]


def test_what_a_decision_is_bound_to_outlives_a_start_that_does_not_know_it(
    tmp_path: Path,
) -> None:
    world = World()
    assert world.mars().consent.grant("tracked")
    broken = world.mars(trust=b"{")
    broken.start()
    until(lambda: broken.status()["problem"])
    broken.stop()
    world.publisher = Publisher(channel="beta")
    mars = world.mars()
    assert mars.consent.level == "off"
    assert mars.status()["problem"]["reason"] == "wrong-product"


@pytest.mark.parametrize("damage", ["x", 5, []])
def test_where_it_is_not_known_whose_a_decision_is_it_is_nobodys(damage: object) -> None:
    world = World()
    assert world.mars().consent.grant("tracked")
    table = json.loads(world.store.files[STATE_FILE])
    world.store.files[STATE_FILE] = json.dumps({**table, "app": damage}).encode()
    assert world.mars().consent.level == "off"
