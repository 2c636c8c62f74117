"""The console as an onion service with client authorisation, over the private Tor network."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from pathlib import Path

import pytest

from mars import factory
from mars.errors import ConfigError, TransportError
from mars.ports import Request, Response
from mars.wire.request import HTTPRequest
from mars_server.onion.authorised import (
    AuthorisedService,
    client_key,
    client_keys,
    new_secret,
    secret_key,
)
from mars_server.onion.control import connected
from testbed.tornet import TorNetwork
from tests.server.console import kit
from tests.server.counting.commands import run
from tests.server.triage.kit import Triage
from tests.waiting import until

DOCS = Path(__file__).resolve().parents[3] / "docs/triage.md"
SECRET = new_secret(b"s" * 32)
PUBLIC = base64.b32encode(b"k" * 32).decode().rstrip("=")


@pytest.fixture
def triage(tmp_path: Path) -> Triage:
    folder = tmp_path / "triage"
    folder.mkdir()
    return kit.filled(Triage(folder, f"sqlite:///{folder}/triage.db"))


def documented(folder: Path) -> tuple[str, str]:
    """The private and the public key that the documentation's lines make."""
    (lines,) = re.findall(r"```sh\n(openssl .*?)```", DOCS.read_text("utf-8"), re.DOTALL)
    done = subprocess.run(["sh", "-ec", lines], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    private, public = done.stdout.split()
    return private, public


def fetched(socks: str, host: str) -> Response:
    asked = HTTPRequest.get(f"http://{host}/")
    return factory.fetcher(socks).fetch(Request(asked, deadline=30.0, expect=None))


def test_j24_the_service_is_asked_for_with_authorisation_alone() -> None:
    service = AuthorisedService(SECRET, "unix:/run/c/s", [PUBLIC, PUBLIC])
    assert service.command == (
        f"ADD_ONION {SECRET} Flags=Detach,V3Auth Port=80,unix:/run/c/s"
        f" ClientAuthV3={PUBLIC} ClientAuthV3={PUBLIC}"
    )
    with pytest.raises(ConfigError) as refused:
        AuthorisedService(SECRET, "unix:/run/c/s", [])
    assert refused.value.reason == "authorise-missing"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--onion", "key"), 2, b"--onion and --control go together"),
        (("--authorise", "A" * 52), 2, b"--authorise is for --onion"),
        (("--onion", "key", "--control", "9051"), 1, b"[authorise-missing]"),
        (("--onion", "key", "--control", "9051", "--authorise", "A" * 51), 1, b"[authorise-"),
    ],
)
def test_j24_an_onion_service_for_all_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    told: bytes,
) -> None:
    monkeypatch.chdir(tmp_path)
    base = ("--db", "sqlite:///none.db", "--socket", "c/s")
    done = run("errors", "console", *base, *words, code=code)
    assert told in done.stderr
    assert not (tmp_path / "c").exists()


def test_j24_only_who_has_a_key_finds_the_console(
    tornet: TorNetwork, triage: Triage, tmp_path: Path
) -> None:
    private, public = documented(tmp_path)
    stranger = tornet.add_client("stranger")
    control = f"unix:{tornet.service.folder}/control"
    key = tmp_path / "onion.key"
    more = ("--onion", key, "--control", control, "--authorise", public)
    with tornet.publications() as published, kit.console(triage, *more) as running:
        until(lambda: ".onion" in running.said)  # a line after that of the socket
        [host] = re.findall(r"console on http://([a-z2-7]{56}\.onion)", running.said)
        published(host)
        assert key.stat().st_mode & 0o777 == 0o600
        with tornet.client.control() as client:
            raw = base64.b64encode(base64.b32decode(f"{private}====")).decode()
            client.ask(f"ONION_CLIENT_AUTH_ADD {host.removesuffix('.onion')} x25519:{raw}")
        answer = patiently(tornet.socks, host)
        assert answer.status == 200
        assert b"plantedmail.archive:planted_loading" in answer.body
        with pytest.raises(TransportError):
            fetched(f"127.0.0.1:{stranger.socks_port}", host)
        with connected(control) as tor:
            tor.remove(host)  # as a tor does that starts anew
            until(lambda: tor.has(host))
        assert running.stop() == 0
        with connected(control) as tor:
            assert not tor.has(host)


def patiently(socks: str, host: str) -> Response:
    end = time.monotonic() + 30.0
    while True:
        try:
            return fetched(socks, host)
        except TransportError:
            if time.monotonic() > end:
                raise
            time.sleep(0.5)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (PUBLIC, PUBLIC),
        (PUBLIC.lower(), PUBLIC),
        (f"descriptor:x25519:{PUBLIC}\n", PUBLIC),
        (PUBLIC[1:], None),
        (f"{PUBLIC} Flags=DiscardPK", None),
        (f"{PUBLIC}\nDEL_ONION", None),
        ("1" * 52, None),
        ("", None),
    ],
)
def test_keys_of_clients_are_read_as_tor_writes_them(text: str, wanted: str | None) -> None:
    assert client_key(text) == wanted


@pytest.mark.parametrize("text", ["", "# none\n", f"{PUBLIC}\nrubbish\n", "\ufffd"])
def test_a_file_without_keys_of_clients_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"keys\.txt") as refused:
        client_keys(text, "keys.txt")
    assert refused.value.reason == "authorise-invalid"
    assert client_keys(f"# Ida\n{PUBLIC}  # laptop\n\n", "keys.txt") == [PUBLIC]


def test_a_key_of_something_else_is_refused() -> None:
    assert secret_key(f"{SECRET}\n", "onion.key") == SECRET
    for text in ("", SECRET[:-3], f"{SECRET} Flags=Detach", "RSA1024:x"):
        with pytest.raises(ConfigError) as refused:
            secret_key(text, "onion.key")
        assert refused.value.reason == "onion-key"
