"""The chain itself: publisher, server, onion service, clients, and a tampered copy."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from examples.demo.stage import Stage, server, short
from testbed.tornet import Control, TorNetwork
from testbed.tornet.process import wait_until

PRODUCT = "examplemail"
EXAMPLE_NEWS = Path(__file__).parents[2] / "motd" / "messages"
RELEASES = ("0.4.0", "0.5.0", "0.5.1", "0.5.2")
LANGUAGES = ("en", "is", "de", "fr")
LINKS = ("https://example.org/",)
CROWD = 1_000
"""Of the installations that say something: so each request says version, system and age."""

INSTALLATIONS = (
    ("plain", "0.5.2"),
    ("plain", "0.5.1"),
    ("tracked", "0.5.2"),
    ("tracked", "0.5.2"),
    ("tracked", "0.5.1"),
    ("tracked", "0.6.dev1+local"),
)
"""Level and version of each simulated installation; the last is a build that is no release."""


@dataclass(frozen=True)
class Served:
    """What is left when the server has ended."""

    log: Path
    queries: Counter[str]
    """What was asked, ``""`` for the plain URL."""


def publish_news(stage: Stage) -> None:
    """Keys, one news item, the signed document, and what clients pin."""
    stage.step("The publisher makes keys and signs the news, offline")
    stage.run("mars-motd", "init", "motd", "--product", PRODUCT)
    _edit_product(stage.folder / "motd" / "product.toml")
    for item in sorted(EXAMPLE_NEWS.glob("*.toml")):
        shutil.copy(item, stage.folder / "motd" / "messages")
        stage.say(f"written in an editor: motd/messages/{item.name}")
    stage.run("mars-motd", "key", "new", "motd", "--no-passphrase")
    stage.run("mars-motd", "sign", "motd", "--out", "motd.json")
    stage.run("mars-motd", "trust", "motd", "--out", "trust.json")
    verdict = stage.ask("mars-motd", "verify", "motd.json", "--trust", "trust.json")
    envelope = json.loads((stage.folder / "motd.json").read_bytes())
    sizes = [len(base64.b64decode(one["sig"])) for one in envelope["signatures"]]
    stage.say(f"{len(sizes)} signatures: Ed25519 (64 bytes) and OpenPGP ({max(sizes)} bytes)")
    stage.check(verdict["ok"] is True and 64 in sizes, "the document verifies with both signatures")


def _edit_product(path: Path) -> None:
    """What a publisher would do in an editor: name releases, languages, crowd and links."""
    text = f"crowd = {CROWD}\n{path.read_text('utf-8')}"
    for name, values in (("releases", RELEASES), ("languages", LANGUAGES), ("links", LINKS)):
        listed = ", ".join(f'"{value}"' for value in values)
        text = re.sub(rf"(?m)^{name}\s*=\s*\[[^\]]*\]", f"{name} = [{listed}]", text)
    path.write_text(text, "utf-8")


def serve_and_fetch(stage: Stage, net: TorNetwork) -> Served:
    """The onion service up, every installation fetches, the tampered copy is refused."""
    folder = stage.folder
    stage.step("The operator starts the server and its onion service")
    options = ["--motd", "motd.json", "--product", "motd/product.toml"]
    options += ["--trust", "trust.json", "--log", "logs"]
    onion = ("--onion", str(folder / "onion"), "--control", str(net.service.control_socket))
    serve = partial(server, stage, "server", "unix:server.sock")
    with net.publications() as published, serve(*options, *onion):
        name = folder / "onion" / "hostname"
        wait_until(name.exists, 20.0, "mars-server made no onion service")
        host = name.read_text("ascii").strip()
        published(host)
        stage.say(f"the onion service is published: http://{host}")
        asked = fetch_all(stage, net, f"http://{host}")
        refuse_tampered(stage, net)
    logs = list((folder / "logs").glob("access-*.log"))
    stage.step("The server has ended; this is all that it wrote down")
    lines = [line for log in logs for line in log.read_text("ascii").splitlines()]
    hits = [line for line in lines if not line.startswith("#")]
    for line in short(sorted(set(lines)), 8):
        stage.say(line)
    stage.check(len(logs) == 1, "one closed log for this run and this day")
    stage.check(len(hits) == sum(asked.values()), "one line for each fetch, none for the rest")
    stage.check(
        all(line.startswith("- - - [") and ":00:00:00 +0000]" in line for line in hits)
        and all(line.endswith('"-" "-"') for line in hits),
        "no address, no browser, no time finer than the day",
    )
    return Served(logs[0], asked)


def fetch_all(stage: Stage, net: TorNetwork, server_url: str) -> Counter[str]:
    """Each installation fetches once, over a circuit of its own."""
    stage.step(f"{len(INSTALLATIONS)} installations fetch through three hops of Tor")
    asked: Counter[str] = Counter()
    accepted = []
    control = net.client.control()
    control.ask("SETEVENTS STREAM")
    for number, (level, version) in enumerate(INSTALLATIONS, start=1):
        before = stage.elapsed()
        words = fetch_words(f"{server_url}/motd/motd.json", net, f"installation{number}", version)
        answer = stage.ask(*words, "--level", level, show=number == 1)
        query = answer["url"].partition("?")[2]
        asked[query] += 1
        accepted.append(answer["ok"] is True)
        took = stage.elapsed() - before
        where = f"/motd/motd.json{'?' if query else ''}{query}"
        stage.say(f"{number}  {level:<7}  {where:<46} accepted, {took:.1f} s")
    stage.say()
    show = stage.run("mars", "show", "--state", "installation2", "--product", PRODUCT)
    for line in show.strip().splitlines():
        stage.say(f"| {line}")
    stage.say()
    with control:
        hops = _circuits(control, len(accepted))
    stage.say(f"the last one's way: {' > '.join([*hops[-1], 'the onion service'])}")
    stage.check(all(accepted), "every installation accepted the document")
    stage.check(
        len(hops) == len(accepted) and min(map(len, hops)) >= 3,
        f"each fetch had a circuit of its own, of three hops at least ({len(hops)} circuits)",
    )
    stage.check(asked[""] == 2, "the plain ones sent no data at all")
    stage.check(any("v=dev" in query for query in asked), "a build that is no release sent v=dev")
    stage.check(
        all(re.fullmatch(r"(v=[^&]+&os=[^&]+&ia=1)?", query) for query in asked),
        f"with {CROWD} of them a request says three things, as its trust file has it",
    )
    return asked


def _circuits(control: Control, streams: int) -> list[list[str]]:
    """The relays of each circuit that carried a stream, first used first.

    Reads the client tor's events (control-spec, STREAM) until ``streams`` streams succeeded.
    """
    used: list[str] = []
    while streams:
        words = control.event().split()
        if words[:1] == ["STREAM"] and words[2] == "SUCCEEDED":
            used.append(words[3])
            streams -= 1
    known = {
        line.split()[0]: line.split()[2] for line in control.info("circuit-status").split("\n")
    }
    distinct = [name for name in dict.fromkeys(used) if name in known]
    return [[hop.partition("~")[2] for hop in known[name].split(",")] for name in distinct]


def fetch_words(url: str, net: TorNetwork, state: str, version: str) -> list[str]:
    """The command line of one fetch."""
    words = ["mars", "fetch", "--url", url, "--trust", "trust.json", "--socks", net.socks]
    return [*words, "--state", state, "--product", PRODUCT, "--app-version", version]


def refuse_tampered(stage: Stage, net: TorNetwork) -> None:
    """A server that lies: another onion service with a document that was changed after signing."""
    stage.step("A server that lies: one word of the signed document was changed")
    folder = stage.folder
    before, after = _tamper(folder / "motd.json", folder / "tampered.json")
    stage.say(f"signed:   {before}")
    stage.say(f"tampered: {after}")
    verdict = stage.ask("mars-motd", "verify", "tampered.json", "--trust", "trust.json", expect=1)
    stage.say(f"refused:  {verdict['reason']}: {verdict['message']}")
    stage.check(verdict["ok"] is False, "the publisher's own check refuses it")
    careful = ["mars-server", "serve", "--bind", "unix:careful.sock", "--motd", "tampered.json"]
    careful += ["--trust", "trust.json", "--log", "logs-careful", "--product", "motd/product.toml"]
    stage.run(*careful, expect=1)
    stage.check(True, "an honest server refuses to serve it")
    liar = ("--motd", "tampered.json", "--product", "motd/product.toml", "--log", "logs-liar")
    with server(stage, "liar", "unix:liar.sock", *liar):
        onion = net.add_onion(80, f"unix:{folder / 'liar.sock'}")
        shown = stage.ask("mars", "show", "--state", "installation1", show=False, expect=None)
        words = fetch_words(f"{onion.url}/motd/motd.json", net, "installation1", "0.5.2")
        answer = stage.ask(*words, "--level", "plain", expect=1)
        stage.say(f"refused:  {answer['reason']}: {answer['message']}")
        stage.check(answer["ok"] is False, "the client refuses it, though it came through Tor")
        kept = stage.ask("mars", "show", "--state", "installation1", show=False, expect=None)
        stage.check(kept == shown, "and still shows the last good document")


def _tamper(source: Path, target: Path) -> tuple[str, str]:
    """Changes one member of the payload and keeps the signatures; returns it before and after."""
    envelope = json.loads(source.read_bytes())
    payload = base64.b64decode(envelope["payload"])
    found = re.search(rb'"newest_version"\s*:\s*"([^"]*)"', payload)
    if found is None:
        raise ValueError("the document names no newest version")
    before = found[0]
    after = before.replace(b'"' + found[1] + b'"', b'"9.9.9"')
    envelope["payload"] = base64.b64encode(payload.replace(before, after)).decode("ascii")
    target.write_text(json.dumps(envelope), "ascii")
    return before.decode("ascii"), after.decode("ascii")
