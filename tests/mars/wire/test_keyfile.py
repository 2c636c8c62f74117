"""Files of secret keys: what is written is read, and nothing else is taken for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mars.errors import WireError
from mars.wire import keyfile

SECRETS = {"2026-W48": b"\x01" * 32, "2026-W49": b"\x02" * 32}
PHRASE = b"correct horse"


def never() -> bytes:
    raise AssertionError("no passphrase is needed")


@pytest.fixture(scope="module")
def protected() -> bytes:
    return keyfile.encode("intake", SECRETS, PHRASE)


def test_what_is_written_is_read(protected: bytes) -> None:
    clear = keyfile.encode("intake", SECRETS, None)
    assert keyfile.decode(clear, never) == keyfile.KeyFile("intake", SECRETS)
    assert keyfile.decode(protected, lambda: PHRASE) == keyfile.KeyFile("intake", SECRETS)
    reports = {"0.5.2": b"\x03" * 32}
    assert keyfile.decode(keyfile.encode("reports", reports, None), never).secrets == reports


def test_only_what_nothing_protects_is_read_without_a_passphrase(protected: bytes) -> None:
    assert keyfile.in_the_clear(keyfile.encode("intake", SECRETS, None)) == SECRETS
    assert keyfile.in_the_clear(protected) == {}


def test_i19_a_passphrase_hides_the_secrets(protected: bytes) -> None:
    assert not any(secret.hex().encode() in protected for secret in SECRETS.values())
    with pytest.raises(WireError) as caught:
        keyfile.decode(protected, lambda: b"wrong horse")
    assert caught.value.reason == "passphrase-wrong"


def test_keys_leave_a_file_without_its_passphrase(protected: bytes) -> None:
    assert keyfile.names(protected) == ("intake", tuple(SECRETS))
    rest = keyfile.without(protected, lambda week: week < "2026-W49")
    assert keyfile.decode(rest, lambda: PHRASE).secrets == {"2026-W49": SECRETS["2026-W49"]}


def swapped(file: dict[str, Any]) -> None:
    secrets = file["secrets"]
    secrets["2026-W48"], secrets["2026-W49"] = secrets["2026-W49"], secrets["2026-W48"]


def test_i19_no_secret_passes_for_that_of_another_week(protected: bytes) -> None:
    file = json.loads(protected)
    swapped(file)
    with pytest.raises(WireError, match="complete file"):
        keyfile.decode(json.dumps(file).encode(), lambda: PHRASE)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.update(type="mars-motd-secret"),
        lambda file: file.update(version=2),
        lambda file: file.update(kind="motd"),
        lambda file: file.update(kind=["intake"]),
        lambda file: file.update(kdf="scrypt"),
        lambda file: file.pop("kdf"),
        lambda file: file.update(memlimit=2**50),
        lambda file: file.update(opslimit="3"),
        lambda file: file.update(salt="zz"),
        lambda file: file.pop("salt"),
        lambda file: file.update(secrets=[]),
        lambda file: file.update(secrets={"2026-W54": "00" * 72}),
        lambda file: file.update(secrets={"0.5.2": "00" * 72}),
        lambda file: file.update(secrets={"2026-W48": 1}),
        lambda file: file.update(secrets={"2026-W48": "00"}),
        lambda file: file.update(secrets={f"{year}-W01": "" for year in range(1000, 1513)}),
    ],
)
def test_i19_a_damaged_file_is_refused(
    protected: bytes, change: Callable[[dict[str, Any]], object]
) -> None:
    file = json.loads(protected)
    change(file)
    with pytest.raises(WireError) as caught:
        keyfile.decode(json.dumps(file).encode(), lambda: PHRASE)
    assert caught.value.reason in ("key-damaged", "passphrase-wrong")


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b"null", b"{" * 99])
def test_what_is_no_file_of_keys_is_refused(data: bytes) -> None:
    for read in (lambda: keyfile.decode(data, never), lambda: keyfile.names(data)):
        with pytest.raises(WireError) as caught:
            read()
        assert caught.value.reason == "key-damaged"


@pytest.mark.parametrize("secret", ["", "00", "0g" * 32, "AB" * 32, "00" * 33])
def test_a_secret_in_the_clear_is_32_bytes(secret: str) -> None:
    file = json.loads(keyfile.encode("intake", SECRETS, None))
    file["secrets"]["2026-W48"] = secret
    with pytest.raises(WireError, match="complete file"):
        keyfile.decode(json.dumps(file).encode(), never)
