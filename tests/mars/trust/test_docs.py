"""docs/wire-format.md says what the code does, and its commands work."""

from __future__ import annotations

import ast
import base64
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mars.testing.publisher import EXAMPLE_NOW, Publisher
from mars.trust.reasons import REASONS
from mars.wire import ed25519
from mars.wire.keys import KeysDocument, TrustRoot, keyid
from testbed.packets import PacketKey

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "wire-format.md").read_text(encoding="utf-8")
SEEDS = [bytes([n]) * 32 for n in (1, 2, 3)]
NAMES = [keyid(ed25519.public_key(seed)) for seed in SEEDS]
KEY = PacketKey(b"p" * 32)


def raised(path: Path) -> set[str]:
    """The reason codes that stand as literals in a module's ``…Error(…)`` calls."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            name = ast.unparse(node.func)
            first = node.args[0]
            if name in {"WireError", "TrustError", "RefusedError"}:
                assert isinstance(first, ast.Constant) or ast.unparse(first) == "reason", path
            if name == "require_threshold":
                first = node.args[3]
            elif not name.endswith("Error") and "__init__" not in name:
                continue
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found


def test_every_reason_is_listed_and_every_listed_one_is_raised() -> None:
    wire = ("strictjson", "envelope", "members", "motd", "keys", "steering", "release")
    paths = [ROOT / "mars" / "wire" / f"{name}.py" for name in wire]
    paths += sorted((ROOT / "mars" / "trust").glob("*.py"))
    codes = set().union(*map(raised, paths)) - {"state-invalid", "extra-member"}  # of no document
    assert codes == set(REASONS)


def test_table_of_reasons_is_the_code_s() -> None:
    table = PAGE.partition("## 8. Reasons")[2].partition("## 9.")[0]
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", table, re.MULTILINE))
    assert rows == REASONS


def snippet(name: str) -> str:
    found = re.search(rf"<!-- test: {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None, name
    return found[1]


def run(name: str, folder: Path, *edits: tuple[str, str]) -> list[str]:
    """Runs a documented command; returns who signed, by its output."""
    script = snippet(name)
    for old, new in edits:
        assert old in script
        script = script.replace(old, new)
    own = Path(sys.executable).parent
    environment = {"PATH": f"{own}:{os.environ['PATH']}", "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["sh", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=120
    )
    assert done.returncode in (0, 1), done.stderr.decode()
    return sorted(re.findall(r"^signed by (\S+)$", done.stdout.decode(), re.MULTILINE))


def signed_by_two_of_three() -> Publisher:
    return Publisher(seeds=SEEDS[:2], threshold=2, openpgp=[KEY])


def pinned() -> TrustRoot:
    return Publisher(seeds=SEEDS, threshold=2, openpgp=[KEY]).trust()


def test_stock_tools_verify_two_of_three(tmp_path: Path) -> None:
    (tmp_path / "motd.json").write_bytes(signed_by_two_of_three().document())
    (tmp_path / "trust.json").write_bytes(pinned().encode())
    run("split", tmp_path)
    run("keys", tmp_path)
    assert run("openssl", tmp_path) == sorted(NAMES[:2])
    assert run("gpgv", tmp_path) == [KEY.fingerprint]
    assert run("securesystemslib", tmp_path) == sorted(NAMES[:2])


def test_stock_tools_refuse_a_changed_document(tmp_path: Path) -> None:
    (tmp_path / "motd.json").write_bytes(signed_by_two_of_three().document())
    (tmp_path / "trust.json").write_bytes(pinned().encode())
    run("split", tmp_path)
    run("keys", tmp_path)
    pae = tmp_path / "motd" / "pae"
    pae.write_bytes(pae.read_bytes().replace(b"Hello", b"Hallo"))
    assert run("openssl", tmp_path) == []
    assert run("gpgv", tmp_path) == []


@pytest.mark.parametrize(("role", "folder"), [("root", "steering"), ("release", "release")])
def test_stock_tools_verify_what_rides_along(role: str, folder: str, tmp_path: Path) -> None:
    publisher = signed_by_two_of_three()
    publisher.steer()
    publisher.offer()
    (tmp_path / "motd.json").write_bytes(publisher.document())
    (tmp_path / "trust.json").write_bytes(pinned().encode())
    run("split", tmp_path)
    names = names_of(publisher, role)
    for asked, due in ((role, names), ("motd", [])):
        run("keys", tmp_path, (" motd pinned", f" {asked} pinned-{asked}"))
        edits = (("motd/", f"{folder}/"), ("pinned/", f"pinned-{asked}/"))
        assert run("openssl", tmp_path, *edits) == due
    edits = (("motd/", f"{folder}/"), ("pinned/", f"pinned-{role}/"))
    assert run("gpgv", tmp_path, *edits) == [KEY.another(role).fingerprint]
    edit = ("trust.json motd", f"trust.json {role}")
    assert run("securesystemslib", tmp_path, edit) == names


def names_of(publisher: Publisher, role: str) -> list[str]:
    return sorted(keyid(ed25519.public_key(seed)) for seed in publisher.seeds_of(role))


def test_stock_tools_verify_after_a_rotation(tmp_path: Path) -> None:
    publisher = signed_by_two_of_three()
    root, before = replace(pinned(), keys=publisher.key_set()), names_of(publisher, "root")
    publisher.rotate(EXAMPLE_NOW, seeds=[bytes([n]) * 32 for n in (4, 5, 6)], threshold=2)
    (tmp_path / "motd.json").write_bytes(publisher.document())
    (tmp_path / "trust.json").write_bytes(root.encode())
    run("split", tmp_path)
    run("keys", tmp_path, (" motd pinned", " root pinned"))
    step, new = ("motd/", "keys-2/"), "keys-2/payload.json"
    gpg = [KEY.another("root").fingerprint]
    assert run("openssl", tmp_path, step) == before, "by root of the old keys"
    assert run("gpgv", tmp_path, step) == gpg
    run("keys", tmp_path, ("trust.json motd pinned", f"{new} root new"))
    assert run("openssl", tmp_path, step, ("pinned/", "new/")) == names_of(publisher, "root")
    assert run("gpgv", tmp_path, step, ("pinned/", "new/")) == gpg
    run("keys", tmp_path, ("trust.json motd pinned", f"{new} motd news"))
    names = names_of(publisher, "motd")
    assert run("openssl", tmp_path, ("pinned/", "news/")) == names, "and the document by the new"
    assert run("gpgv", tmp_path, ("pinned/", "news/")) == [KEY.fingerprint]
    edit = ("motd.json trust.json", f"motd.json {new}")
    assert len(run("securesystemslib", tmp_path, edit)) == 2
    document = KeysDocument.decode((tmp_path / "keys-2" / "payload.json").read_bytes())
    assert sorted(document.keys.roles["motd"].ed25519) == names


@pytest.mark.parametrize("name", ["LOOKED_AT", "FUTURE", "SIGNED_BEFORE_ISSUED"])
def test_figures_of_the_page_are_the_code_s(name: str) -> None:
    from mars.trust import signatures

    said = {"LOOKED_AT": 8, "FUTURE": 86_400, "SIGNED_BEFORE_ISSUED": 2 * 86_400}
    assert getattr(signatures, name) == said[name]
    assert "only the first 8 are looked at" in PAGE
    assert "from 2 days before `issued` to a day after `now`" in PAGE


def test_paths_never_come_from_the_document(tmp_path: Path) -> None:
    """Key ids that climb out of the folder, or are missing, change nothing."""
    trust = json.loads(pinned().encode())
    motd = trust["roles"]["motd"]
    motd["ed25519"] = {f"../../{n}": key for n, key in enumerate(motd["ed25519"].values())}
    (tmp_path / "trust.json").write_text(json.dumps(trust))
    document = json.loads(signed_by_two_of_three().document())
    for entry in document["signatures"]:
        entry["keyid"] = f"{tmp_path}/evil"
    del document["signatures"][0]["keyid"]
    (tmp_path / "motd.json").write_text(json.dumps(document))
    run("split", tmp_path)
    run("keys", tmp_path)
    assert run("openssl", tmp_path) == sorted(NAMES[:2])
    assert run("gpgv", tmp_path) == [KEY.fingerprint]
    names = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert names == {"motd.json", "trust.json", "motd", "pinned"}


@pytest.mark.parametrize("epoch", ["../../x", "x", None])
def test_an_epoch_that_is_no_number_stops_the_script(tmp_path: Path, epoch: object) -> None:
    payload = base64.b64encode(json.dumps({"epoch": epoch}).encode()).decode()
    step = {"payloadType": "x", "payload": payload, "signatures": []}
    document = {**json.loads(signed_by_two_of_three().document()), "x-keys": [step]}
    (tmp_path / "motd.json").write_text(json.dumps(document))
    run("split", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"motd.json", "motd"}
