"""nginx and Caddy in front of the intake: reports pass as they are, and nothing of them stays."""

from __future__ import annotations

import os
import re
from base64 import b64encode

import pytest

from mars.wire.catalogue import Catalogue
from mars.wire.sealed import LARGE, SMALL
from tests.server.serving import kit
from tests.server.serving.test_fronts import front

REGISTRY = Catalogue("examplemail", "stable", ("0.5.2",)).encode()
MARK = b"evil-mark"


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_reports_pass_a_front_and_leave_no_trace_there(name: str) -> None:
    reports = [os.urandom(size) for size in (SMALL, LARGE)]
    marked = f"X-Forwarded-For: 192.0.2.7\r\nCookie: {MARK.decode()}\r\n"
    with kit.served("--host", "localhost", unix=True, spool=True) as ours:
        ours.folder.chmod(0o755)
        (ours.folder / "s").chmod(0o666)
        (ours.folder / "registry.json").write_bytes(REGISTRY)
        ours.wait_for("serving serial 1", times=2)
        with front(name, ours.body, behind=str(ours.folder / "s")) as theirs:
            for report in reports:
                answer = theirs.ask(kit.post(report, fields=marked))
                assert kit.status(answer) == 204
                assert b"\r\nCache-Control: no-store\r\n" in answer
                assert b"mars" not in answer
            for size in (0, SMALL - 1, LARGE + 1):
                long = kit.post((MARK * 2000)[:size])
                assert kit.status(theirs.ask(long)) == 413
            asked = kit.golden().replace(b"/motd/motd.json", b"/motd/registry.json")
            assert kit.body(theirs.ask(asked)) == REGISTRY
            for path in (b"/motd/in/", b"/motd/in?" + MARK, b"/motd/%69n", b"/motd/status.json"):
                request = kit.post(reports[0]).replace(b"/motd/in", path, 1)
                assert kit.status(theirs.ask(request)) in (404, 405)
            assert kit.status(theirs.ask(asked.replace(b"registry.json", b"in"))) == 405
            ours_too = (name, "motd.json", "stderr", "nginx.pid", "autosave.json")
            written = b"".join(
                path.read_bytes()
                for path in theirs.folder.rglob("*")
                if path.is_file() and path.name not in ours_too
            )
        assert not re.search(rb"POST|/motd/in|registry|192\.0|" + MARK, written)
        assert ours.stop() == 0
        assert sorted(ours.reports()) == sorted(reports)
        assert MARK not in ours.stderr.encode() + b"".join(map(b64encode, ours.reports()))
