"""The generated module is typed: mypy finds what was never declared, and which cause a mapping
forgot. What is declared is handed on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mars.errors import ConfigError
from mars.wire.catalogue import Catalogue
from mars.wire.events import Dimension, Domain, ErrorName
from mars.wire.registry import BOOL, BUCKET, ENUM, VERSION, Metric
from mars_motd import generated, markdown

Run = Callable[..., Any]
EXAMPLE = Path(__file__).parents[2] / "motd"
USED = Metric(
    key="used",
    project="examplemail",
    label='Quotes """ and \\ at the end\\',
    description="Ends with a quote\"\nand a line' " + "word " * 40,
    reason='"""\nimport os',
    owner="o",
    review="#1",
    sensitivity="technical",
    expires=date(2027, 12, 31),
    type=BOOL,
)
ALL = (
    USED,
    replace(USED, key="class", type=ENUM, values=("imap", "pop3")),
    replace(USED, key="bool", type=BUCKET, bounds=(1, 10)),
    replace(USED, key="server", type=VERSION),
    replace(USED, project="9-lives", key="used"),
    replace(USED, project="rare-plugin", key="a" * 40, type=ENUM, values=("a", "b")),
    replace(USED, key="gone", withdrawn=date(2027, 1, 1)),
)
MISSING = ErrorName(
    "key_missing",
    'Quotes """ and \\ at the end\\',
    *("o", "#1", "technical", date(2027, 12, 31)),
    dimensions=(Dimension("device", ("own", "other")), Dimension("class"), Dimension("stream")),
)
DAMAGED = replace(MISSING, name="damaged", description="Cut off.", dimensions=())
GONE = replace(MISSING, name="gone", withdrawn=date(2027, 1, 1))
DOMAINS = (
    Domain("decryption", (MISSING, DAMAGED, GONE), 'Ends with a quote" ' + "word " * 40),
    Domain("protocol", (DAMAGED,)),
    Domain("over", (GONE,)),
)


def module(*entries: Metric, domains: tuple[Domain, ...] = ()) -> bytes:
    return generated.module(Catalogue("examplemail", "stable", metrics=entries, domains=domains))


class Recorder:
    """Stands where ``Mars.statistics`` would."""

    def __init__(self) -> None:
        self.given: list[tuple[str, Any]] = []

    def provide(self, name: str, given: Any) -> None:
        self.given.append((name, given))

    def fail(self, cause: str, subject: Any = None, **dimensions: Any) -> str:
        self.given.append((cause, (subject, dimensions)))
        return "a failure"


def loaded(data: bytes) -> ModuleType:
    module = ModuleType("declared")
    exec(compile(data, "declared.py", "exec"), vars(module))
    return module


def test_each_function_hands_its_value_on() -> None:
    declared, statistics = loaded(module(*ALL)), Recorder()
    declared.used(statistics, True)
    declared.class_(statistics, "imap")
    declared.bool_(statistics, int)
    declared._9_lives_used(statistics, False)
    assert statistics.given == [
        *(("examplemail/used", True), ("examplemail/class", "imap")),
        *(("examplemail/bool", int), ("9-lives/used", False)),
    ]
    assert not hasattr(declared, "gone")
    assert not hasattr(declared, "os")
    assert declared.used.__doc__.startswith('Quotes """ and \\ at the end\\')


def test_the_causes_of_a_domain_are_an_enum_of_texts() -> None:
    declared = loaded(module(domains=DOMAINS))
    assert [str(it) for it in declared.Decryption] == ["key_missing", "damaged"]
    assert declared.Decryption.DAMAGED == "damaged"
    assert declared.Decryption.__doc__.startswith('Ends with a quote" word word')
    assert [str(it) for it in declared._Protocol] == ["damaged"]
    assert not hasattr(declared, "Over")


def test_a_cause_with_dimensions_hands_them_on_by_their_names() -> None:
    declared, stream = loaded(module(domains=DOMAINS)), Recorder()
    told = {"device": "own", "class_": True, "stream_": False}
    assert declared.decryption_key_missing(stream, "subject", **told) == "a failure"
    said = {"device": "own", "class": True, "stream": False}
    assert stream.given == [("key_missing", ("subject", said))]
    assert declared.decryption_key_missing.__doc__ == 'Quotes """ and \\ at the end\\'
    assert not hasattr(declared, "decryption_damaged")


def test_two_functions_of_one_name_are_refused() -> None:
    clash = (USED, replace(USED, key="b_c", project="a"), replace(USED, key="c", project="a-b"))
    with pytest.raises(ConfigError) as caught:
        module(*clash)
    assert caught.value.reason == "name-clash"


@pytest.mark.parametrize(
    ("entries", "domains"),
    [
        ((replace(USED, key="decryption_key_missing"),), DOMAINS),
        ((replace(ALL[1], key="decryption"),), (replace(DOMAINS[0], name="decryption_value"),)),
        ((), (replace(DOMAINS[0], name="tab1"), replace(DOMAINS[0], name="tab_1"))),
    ],
)
def test_names_of_statistics_and_domains_may_clash_too(
    entries: tuple[Metric, ...], domains: tuple[Domain, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        module(*entries, domains=domains)
    assert caught.value.reason == "name-clash"


RIGHT = """
from declared import bool_, class_, server, used
from mars import Mars

class Other:
    def provide(self, name: str, given: object) -> None: ...

def hand_on(mars: Other) -> None:
    used(mars, True)
    used(mars, lambda: False)
    class_(mars, "imap")
    bool_(mars, 7)
    server(mars, "3.11")
"""
WRONG = {
    'class_(mars, "nntp")': "arg-type",
    'class_(mars, lambda: "nntp")': "arg-type",
    'used(mars, "true")': "arg-type",
    'bool_(mars, "7")': "arg-type",
    "server(mars, 3.11)": "arg-type",
}


MAPPING = """
from typing import assert_never

from declared import Decryption, Failures, decryption_key_missing

def help_for(cause: Decryption) -> str:
    match cause:
        case Decryption.KEY_MISSING:
            return "Ask the sender."
        case Decryption.DAMAGED:
            return "Have it sent again."
        case _:
            assert_never(cause)

class Event: ...

def told(stream: Failures[Event]) -> Event:
    stream.fail(Decryption.DAMAGED, "a mail")
    return decryption_key_missing(stream, device="own", class_=True, stream_=False)
"""
FORGOTTEN = """\
        case Decryption.DAMAGED:
            return "Have it sent again."
"""


def test_a_type_checker_finds_what_was_never_declared(tmp_path: Path) -> None:
    """One run over right and wrong uses; a mapping that forgot a cause is one of these."""
    (tmp_path / "declared.py").write_bytes(module(*ALL, domains=DOMAINS))
    (tmp_path / "empty.py").write_bytes(module())
    (tmp_path / "enums.py").write_bytes(module(domains=DOMAINS[1:]))
    (tmp_path / "mapping.py").write_text(MAPPING)
    changes = {"forgot": (FORGOTTEN, ""), "other": ('device="own"', 'device="mine"')}
    changes |= {"undeclared": ("fail(Decryption.DAMAGED", "fail(Decryption.DAMAGE")}
    for name, (old, new) in changes.items():
        assert old in MAPPING
        (tmp_path / f"{name}.py").write_text(MAPPING.replace(old, new))
    right = RIGHT.replace("from mars import Mars\n", "")
    (tmp_path / "right.py").write_text(right)
    lines = right.partition("    used(mars, True)")[0]
    (tmp_path / "wrong.py").write_text(lines + "".join(f"    {each}\n" for each in WRONG))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--no-error-summary"),
            *("--config-file", "", "declared.py", "empty.py", "enums.py", "right.py", "wrong.py"),
            *("mapping.py", *(f"{name}.py" for name in changes)),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
    )
    found = [line.partition(": error: ") for line in done.stdout.splitlines() if ": error:" in line]
    first = len(lines.splitlines()) + 1
    where = {
        name: MAPPING[: MAPPING.index(old)].count("\n") + 1 for name, (old, _) in changes.items()
    }
    where["forgot"] += 1  # what no case is left for
    assert {place for place, _, _ in found} == {
        *(f"wrong.py:{first + n}" for n in range(len(WRONG))),
        *(f"{name}.py:{line}" for name, line in where.items()),
    }, done.stdout + done.stderr
    (said,) = [said for place, _, said in found if place.startswith("forgot.py")]
    assert "Decryption.DAMAGED" in said


def test_the_command_says_whether_it_is_current(tmp_path: Path, ok: Run, motd: Run) -> None:
    folder, out = tmp_path / "p", tmp_path / "declared.py"
    ok("init", folder, "--product", "examplemail")
    for name in ("metrics.toml", "errors.toml"):
        (folder / name).write_bytes((EXAMPLE / name).read_bytes())
    check = ("generate", folder, "--out", out, "--check")
    assert "[generated-stale]" in motd(*check).err
    ok("generate", folder, "--out", out)
    ok(*check)
    assert hasattr(loaded(out.read_bytes()), "folders")
    assert hasattr(loaded(out.read_bytes()), "Decryption")
    text = (folder / "metrics.toml").read_text()
    (folder / "metrics.toml").write_text(text.replace('"jmap"', '"nntp"'))
    assert "[generated-stale]" in motd(*check).err
    (folder / "metrics.toml").write_text(text.replace("reviews/12", "TODO"))
    assert "[registry-invalid]" in motd("generate", folder, "--out", out).err
    assert "[out-invalid]" in motd("generate", folder, "--out", folder / "metrics.toml").err


def test_the_public_catalogue_is_current_too(tmp_path: Path, ok: Run, motd: Run) -> None:
    folder, out, page = tmp_path / "p", tmp_path / "declared.py", tmp_path / "catalogue.md"
    ok("init", folder, "--product", "examplemail")
    for name in ("metrics.toml", "errors.toml"):
        (folder / name).write_bytes((EXAMPLE / name).read_bytes())
    given = ("generate", folder, "--out", out, "--catalogue", page)
    ok("generate", folder, "--out", out)
    stale = motd(*given, "--check")
    assert f"{page} is not what {folder} declares" in stale.err
    assert f"--out {out} --catalogue {page}" in stale.err
    ok(*given)
    ok(*given, "--check")
    text = (folder / "errors.toml").read_text()
    (folder / "errors.toml").write_text(text.replace("cut off", "damaged"))
    assert f"{out} is not" in motd("generate", folder, "--out", out, "--check").err
    assert "[generated-stale]" in motd(*given, "--check").err
    ok(*given)
    assert "was damaged or changed on its way" in page.read_text()
    other = motd("generate", folder, "--out", out, "--catalogue", folder / "metrics.toml")
    assert "[out-invalid]" in other.err


def test_the_public_catalogue_says_all_that_is_told_and_its_texts_are_no_markup() -> None:
    markup = replace(USED, label="<b>a</b>", description="[x](y)\n# z | `w`", epsilon=1.1)
    expected = replace(DAMAGED, expected=True, declared=date(2026, 12, 1))
    domain = Domain("decryption", (MISSING, expected, GONE), grace=0, late=5400)
    told = Catalogue("examplemail", "stable", metrics=(markup, ALL[3]), domains=(domain,))
    text = markdown.catalogue(told).decode()
    for line in (
        r"### \<b\>a\</b\> (`examplemail/used`)",
        r"\[x\](y) \# z \| \`w\`",
        "- One time in two a random answer is sent instead of the true one.",
        "- Values: a version, X.Y",
        "- Values: false, true",
        "#### `decryption/damaged`",
        "- Expected: left out of the share that failed",
        "- Collected: from 2026-12-01, before 2027-12-31",
        "- Collected: before 2027-01-01, withdrawn",
        "- Of the last one: device (own, other)",
        "- Of the last one: class (false, true)",
        "- What resolves within 0 s is no failure",
        "- What resolves later, within 90 min, is late",
    ):
        assert f"\n{line}\n" in text, line
    assert "0, 1, 2-9, 10-99, 100+" in " ".join(text.split())
