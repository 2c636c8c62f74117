"""A home of real gpg in which the clock is the test's: keys that end, are prolonged or revoked."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mars.wire.times import DAY
from testbed.packets import EARLY


class Home:
    """What gpg does here, it does at the time that it is told, ``at`` in Unix seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, at: int, *arguments: str, data: bytes = b"") -> bytes:
        moment = f"{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%S}!"
        command = ["gpg", "--homedir", str(self.path), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase", "", "--faked-system-time", moment, *arguments]
        done = subprocess.run(command, input=data, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def make(self, name: str, *usage_and_end: str, at: int = EARLY, kind: str = "ed25519") -> str:
        """The fingerprint of a new key."""
        self.run(at, "--quick-gen-key", name, kind, *usage_and_end)
        return self.fingerprints(name)[0]

    def fingerprints(self, name: str) -> list[str]:
        """The primary's, then its subkeys'."""
        listed = self.run(EARLY, "--with-colons", "--list-keys", name).decode().splitlines()
        return [line.split(":")[9] for line in listed if line.startswith("fpr:")]

    def block(self, name: str) -> str:
        return self.run(
            EARLY, "--armor", "--export-options", "export-minimal", "--export", name
        ).decode()

    def sign(self, fingerprint: str, message: bytes, at: int) -> bytes:
        return self.run(at, "--local-user", f"{fingerprint}!", "--detach-sign", data=message)

    def revoke(self, fingerprint: str) -> None:
        path = self.path / "openpgp-revocs.d" / f"{fingerprint}.rev"
        text = path.read_text().replace(":-----BEGIN", "-----BEGIN")
        self.run(EARLY, "--import", data=text.encode())

    def revoke_subkey(self, fingerprint: str) -> None:
        said = b"key 1\nrevkey\ny\n0\n\ny\nsave\n"
        self.run(EARLY + DAY, "--command-fd", "0", "--edit-key", fingerprint, data=said)


@contextmanager
def running() -> Iterator[Home]:
    """A new home; its agent ends with it."""
    # A short path: the agent's socket has at most 108 characters.
    with tempfile.TemporaryDirectory(prefix="mars-home-", dir="/tmp") as folder:
        try:
            yield Home(Path(folder))
        finally:
            agent = ["gpgconf", "--homedir", folder, "--kill", "all"]
            subprocess.run(agent, timeout=30, check=True)
