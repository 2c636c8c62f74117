"""What each variable says of an installation, and which values a product counts."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from mars.errors import MarsError
from mars.wire import ed25519, passphrase, sealed
from mars.wire.product import Product
from mars.wire.query import AllowList
from mars.wire.reports import crowd
from mars.wire.times import DAY
from mars.wire.variables import (
    NAMES,
    VARIABLES,
    Facts,
    country_value,
    install_age,
    language_value,
    python_value,
    values,
)

NOW = 1_795_219_200
ALL = Facts("0.5.2", "Darwin", NOW - 40 * DAY, ("is_IS.UTF-8",), ("is",), "3.11", "IS", NOW)
PRODUCT = Product("examplemail", "stable", ("0.5.1",), ("linux",), ("en",))


def test_every_variable_says_its_coarse_value_in_the_order_of_the_query() -> None:
    assert list(values(ALL).items()) == list(
        zip(NAMES, ("0.5.2", "macos", "100", "is", "3.11", "IS"), strict=True)
    )
    for variable in VARIABLES:
        assert variable.fits(values(ALL)[variable.name])


def test_what_is_unknown_is_absent() -> None:
    assert values(Facts(version="1.0+local", system="amiga")) == {"v": "dev", "os": "other"}
    assert language_value(["C"], ["en"]) is language_value(["fr"], ["en"]) is None
    assert country_value("XX") is python_value("2.7") is None


@pytest.mark.parametrize(
    ("days", "due"), [(-1, None), (3, "1"), (31, "10"), (316, "100"), (7305, "1000"), (7306, None)]
)
def test_the_age_is_a_power_of_ten_of_days(days: int, due: str | None) -> None:
    assert install_age(NOW - days * DAY, NOW) == due
    assert install_age(NOW, NOW, built=NOW + 1) is None


def test_a_release_that_is_known_besides_is_counted_too() -> None:
    assert PRODUCT.also("0.6.0").releases == ("0.5.1", "0.6.0")
    assert PRODUCT.also("0.5.1") is PRODUCT.also("") is PRODUCT
    allowed = AllowList.of(PRODUCT)
    assert not allowed.admits("v", "0.6.0")
    assert allowed.also(["0.6.0"]).admits("v", "0.6.0")


@pytest.mark.parametrize(
    ("module", "missing"),
    [
        (crowd, "nacl.bindings"),
        (ed25519, "nacl.bindings"),
        (sealed, "nacl.bindings"),
        (passphrase, "nacl.pwhash"),
    ],
)
def test_without_libsodium_nothing_can_be_judged(
    monkeypatch: pytest.MonkeyPatch, module: ModuleType, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    spec = importlib.util.spec_from_file_location("without_sodium", module.__file__)
    assert spec is not None
    assert spec.loader is not None
    with pytest.raises(MarsError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert caught.value.reason == "cannot-judge"
