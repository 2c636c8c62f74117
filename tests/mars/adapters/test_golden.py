"""E14: the bytes on the wire are the golden files, whatever Python and packages send them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from mars.factory import fetcher
from mars.ports import Request
from mars.testing.socks import SocksServer, answering, ok
from mars.wire.request import HTTPRequest, request_bytes
from testbed.interpreters import Interpreter, found, not_found

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "tests/mars/golden"
ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion"
QUERIES = {
    "plain": "",
    "tracked": "v=0.5.2&os=linux&ia=100",
    "optional": "v=0.5.2&os=linux&ia=100&lang=is",
}
PURE = ("requests", "urllib3", "idna", "certifi", "charset_normalizer")
"""requests and what it imports; all of it also runs without compiled parts."""
ZSTD = () if sys.version_info >= (3, 14) else ("backports.zstd",)
UNPACKERS = ("brotli", "_brotli", *ZSTD)
"""Where these are installed, urllib3 would offer their codings in Accept-Encoding."""


def golden(name: str) -> bytes:
    return (GOLDEN / f"{name}.http").read_bytes()


def url(name: str) -> str:
    query = QUERIES[name]
    return f"http://{ONION}/motd/motd.json" + (f"?{query}" if query else "")


def folder_with(modules: tuple[str, ...], folder: Path) -> Path:
    """Links to these modules of the running Python and nothing else, for PYTHONPATH."""
    for module in modules:
        spec = find_spec(module)
        assert spec is not None, f"{module} is not installed: pip install -e .[dev]"
        assert spec.origin is not None
        origin = Path(spec.origin)
        source = origin.parent if origin.stem == "__init__" else origin
        place = folder.joinpath(*module.split(".")[:-1], source.name)
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(source)
    (folder / "mars").symlink_to(ROOT / "mars")
    return folder


def sent_by(python: Path, path: Path, name: str, *first: str) -> bytes:
    with SocksServer(answering(ok(b"news"))) as proxy:
        done = subprocess.run(
            [python, "-S", *first, str(GOLDEN / "send.py"), proxy.address, url(name)],
            env={
                "PYTHONPATH": str(path),
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return proxy.visits[0].request


@pytest.mark.parametrize("name", QUERIES)
def test_e14_the_wire_rule_makes_the_golden_bytes(name: str) -> None:
    assert request_bytes(ONION, QUERIES[name]) == golden(name)


@pytest.mark.parametrize("name", QUERIES)
def test_e14_what_leaves_is_the_golden_bytes(name: str) -> None:
    with SocksServer(answering(ok(b"news"))) as proxy:
        fetcher(proxy.address).fetch(Request(HTTPRequest.get(url(name))))
    assert proxy.visits[0].request == golden(name)


@pytest.mark.parametrize("python", found(), ids=lambda item: item.version)
def test_e14_every_python_sends_the_golden_bytes(
    python: Interpreter, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Supported versions that are not installed here stand in the report as not run."""
    record_property("not run", ", ".join(not_found()))
    path = folder_with(PURE, tmp_path)
    assert sent_by(python.executable, path, "tracked") == golden("tracked")


@pytest.mark.parametrize("unpackers", [(), UNPACKERS], ids=["without", "with"])
def test_e14_optional_unpackers_change_nothing(unpackers: tuple[str, ...], tmp_path: Path) -> None:
    path = folder_with(PURE + unpackers, tmp_path)
    probe = "import urllib3.util.request as r; print(r.ACCEPT_ENCODING)"
    offered = subprocess.run(
        [sys.executable, "-S", "-c", probe],
        env={"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ("br" in offered) == ("zstd" in offered) == bool(unpackers), offered
    assert sent_by(Path(sys.executable), path, "tracked") == golden("tracked")
