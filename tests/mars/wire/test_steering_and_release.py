"""Steering and release documents of another form than agreed; what they say to clients."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mars.errors import WireError
from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.wire.release import Release
from mars.wire.steering import Steering

ONION = "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
HEX = "ab" * 32
STEERING = Publisher().steer(
    servers=(ONION,), registry=HEX, intake={"2026-W48": HEX}, reportback_next=7
)
RELEASE = Publisher().offer(minimum_version="0.4")
DOWNLOAD = json.loads(RELEASE.payload)["downloads"][0]


def refused(kind: type[Steering | Release], payload: bytes, changes: dict[str, Any]) -> str:
    with pytest.raises(WireError) as caught:
        kind.decode(json.dumps({**json.loads(payload), **changes}).encode())
    return caught.value.reason


@pytest.mark.parametrize(
    "changes",
    [
        *({"epoch": 0}, {"serial": 0}, {"issued": 1}, {"product": "Upper"}, {"channel": None}),
        *({"servers": ["https://example.org"]}, {"servers": [ONION] * 9}, {"servers": ONION}),
        *({"reportback_next": "0"}, {"reportback_next": None}),
        *({"registry": HEX[:-1]}, {"registry": HEX.upper()}, {"registry": 1}),
        *({"intake": []}, {"intake": {"2026-W54": HEX}}, {"intake": {"2026-W00": HEX}}),
        {"intake": {"2027-W53": HEX}},  # a year of 52 weeks
        *({"intake": {"2026-48": HEX}}, {"intake": {"2026-W48": HEX[:-2]}}),
        {"intake": {"2026-W48": None}},
        {"intake": {f"{year}-W01": HEX for year in range(2000, 2065)}},
        *({"links": ["https://example.org"]}, {"links": ["https://example.org/?x"]}),
        *({"links": ["https://example.org/"] * 17}, {"links": "https://example.org/"}),
    ],
)
def test_a_steering_document_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    assert refused(Steering, STEERING.payload, changes) == "bad-payload"


@pytest.mark.parametrize(
    "changes",
    [
        *({"epoch": 0}, {"serial": 0}, {"issued": 1}, {"product": "Upper"}),
        *({"release": ""}, {"release": "1"}, {"release": "v1.0"}, {"release": None}),
        *({"minimum_version": "1.0-rc1"}, {"minimum_version": 1}),
        *({"notes": []}, {"notes": {"en": "x" * 4001}}, {"notes": {"english": "x"}}),
        *({"downloads": {}}, {"downloads": [DOWNLOAD] * 17}, {"downloads": [1]}),
    ],
)
def test_a_release_document_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    assert refused(Release, RELEASE.payload, changes) == "bad-payload"


@pytest.mark.parametrize(
    "changes",
    [
        *({"platform": "other"}, {"platform": 1}, {"size": "1"}, {"size": True}),
        *({"sha256": HEX[:-1]}, {"sha256": HEX.upper()}, {"sha256": ""}),
        *({"url": ""}, {"url": "http://example.org/"}, {"url": "https://user@example.org/"}),
        *({"page": "file:///etc/passwd"}, {"page": 1}),
    ],
)
def test_a_download_of_another_form_is_refused(changes: dict[str, Any]) -> None:
    bad = {"downloads": [{**DOWNLOAD, **changes}]}
    assert refused(Release, RELEASE.payload, bad) == "bad-payload"


@pytest.mark.parametrize(
    ("kind", "payload"), [(Steering, STEERING.payload), (Release, RELEASE.payload)]
)
def test_each_is_of_its_own_kind_and_size(kind: type[Steering | Release], payload: bytes) -> None:
    assert kind.decode(payload).encode() == payload
    assert refused(kind, payload, {"type": "motd"}) == "wrong-kind"
    assert refused(kind, payload, {"version": 2}) == "newer-format"
    assert refused(kind, payload, {"later": "x" * 16_384}) == "too-large"
    assert kind.decode(json.dumps({**json.loads(payload), "later": {}}).encode())


def test_steering_that_says_the_same_again_is_known() -> None:
    said = Steering.decode(STEERING.payload)
    again = replace(said, serial=said.serial + 1, issued=EXAMPLE_NOW + 1)
    assert said.same_as(again)
    for other in (
        replace(again, product="other"),
        replace(again, epoch=2),
        replace(again, servers=()),
        replace(again, reportback_next=0),
        replace(again, registry=""),
        replace(again, intake={}),
        replace(again, links=()),
    ):
        assert not said.same_as(other)


def test_a_release_that_says_the_same_again_is_known() -> None:
    said = Release.decode(RELEASE.payload)
    again = replace(said, serial=said.serial + 1, issued=EXAMPLE_NOW + 1)
    assert said.same_as(again)
    assert not said.same_as(replace(again, epoch=2))
    assert not said.same_as(replace(again, downloads=()))
