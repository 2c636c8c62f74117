"""``mars-server check`` against files that a server would stumble over later."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mars_server.cli.serve import check
from tests.server.cli.test_ops import run
from tests.server.counting.spools import METRICS
from tests.server.serving import kit

GOOD = """bind = "unix:{here}/s"
motd = "{here}/motd.json"
product = "{here}/product.toml"
log = "{here}/log"
site = "{here}/site"
db = "sqlite:///{here}/counts.db"
"""
ONION = '[onion]\nfolder = "/var/lib/tor/mars"\ncontrol = "unix:/run/tor/control"\n'

BROKEN = {
    "a public address": ("bind", '"0.0.0.0:80"', "bind-public"),
    "no address": ("bind", '"localhost"', "bind-invalid"),
    "a port too large": ("bind", '"127.0.0.1:99999"', "bind-invalid"),
    "a socket in no folder": ("bind", '"unix:/proc/nowhere/s"', "make it"),
    "a path with a blank behind an onion": ("bind", '"unix:{here}/a b"', "onion-path"),
    "no motd": ("motd", '""', "motd is not set"),
    "a motd that is not there": ("motd", '"/proc/none"', "motd-missing"),
    "a motd that is none": ("motd", '"{here}/product.toml"', "not-json"),
    "a product that is none": ("product", '"{here}/motd.json"', "product-invalid"),
    "a trust file that is not there": ("trust", '"/proc/none"', "file-missing"),
    "a trust file that is a motd": ("trust", '"{here}/motd.json"', "wrong-kind"),
    "a log that is a file": ("log", '"{here}/motd.json"', "is no folder"),
    "a site below a file": ("site", '"{here}/motd.json/site"', "is no folder"),
    "a database that is no URL": ("db", '"counts.db"', "db: "),
    "a database that is none": ("db", '"sqlite:///{here}/motd.json"', "db: "),
    "a database that is away": ("db", '"postgresql://nobody@127.0.0.1:1/x"', "db: "),
    "socks without a port": ("socks", '"127.0.0.1"', "socks: "),
    "metrics in no folder": ("metrics", '"/proc/nowhere/m"', "make it"),
    "metrics on a public address": ("metrics", '"0.0.0.0:9464"', "metrics takes no public address"),
    "metrics that are neither": ("metrics", '"9464"', "is neither"),
    "no days": ("keep_days", "0", "more than 0"),
    "a time that never comes": ("limits.idle", "nan", "more than 0, and a number"),
    "a time without end": ("limits.write", "inf", "more than 0, and a number"),
    "too many processes": ("workers", "65", "64 at most"),
    "a text for a list": ("hosts", '"a"', "list of texts"),
    "metrics at the socket of bind": ("metrics", '"{here}/s"', "bind and metrics are both"),
    "metrics at it by another name": ("metrics", '"{here}/link/s"', "bind and metrics are both"),
    "a document for a socket": ("bind", '"unix:{here}/motd.json"', "bind and motd are both"),
    "a site of logs": ("site", '"{here}/log"', "log and site are both"),
    "logs within the public site": ("site", '"{here}"', "log lies in the folder of site"),
    "a site among the logs": ("site", '"{here}/log/site"', "site lies in the folder of log"),
    "a site that is a cache": ("chart_cache", '"{here}/site"', "site and chart_cache are both"),
    "a cache in the site": ("chart_cache", '"{here}/site/c"', "chart_cache lies in the folder"),
    "counts in the site": ("db", '"sqlite:///{here}/site/c.db"', "db lies in the folder of site"),
    "counts in it by a driver": (
        "db",
        '"sqlite+pysqlite:///{here}/link/site/c.db?timeout=9"',
        "db lies in the folder of site",
    ),
    "the logs as counts": ("db", '"sqlite:///{here}/log"', "log and db are both"),
    "an unknown entry": ("logs", '"/x"', "logs is unknown"),
}
ONION_BROKEN = {
    "a port too large": ("port", "70000", "65535 at most"),
    "no control port": ("control", '""', "go together"),
    "a control port that is none": ("control", '"tor"', "control-address"),
    "a password file that is not there": ("control_password_file", '"/proc/none"', "file-missing"),
    "a password in the public site": (
        "control_password_file",
        '"{here}/site/p"',
        "onion.control_password_file lies in the folder of site",
    ),
    "a key in the public site": ("folder", '"{here}/site/key"', "onion.folder lies in the folder"),
    "a key among the logs": ("folder", '"{here}/log"', "log and onion.folder are both"),
    "our socket as tor's": ("control", '"unix:{here}/s"', "bind and onion.control are both"),
    "a text for a switch": ("balanced", '"yes"', "true or false"),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "product.toml").write_text(kit.PRODUCT)
    (tmp_path / "motd.json").write_bytes(kit.document())
    (tmp_path / "link").symlink_to(tmp_path)
    yield tmp_path
    assert not (tmp_path / "counts.db").exists()  # to look makes nothing
    assert not (tmp_path / "log").exists()


def told(here: Path, text: str) -> list[str]:
    """The problems that ``check`` finds in ``text``."""
    file = here / "server.toml"
    file.write_text(text.replace("{here}", str(here)))
    done = CliRunner().invoke(check, ["--config", str(file), "--json"], standalone_mode=False)
    answer = json.loads(done.stdout)
    problems: list[str] = answer["problems"]
    if problems:
        assert problems[0] == f"{answer['message']} [{answer['reason']}]"
    assert answer["ok"] is not bool(problems)
    assert done.return_value == int(bool(problems))
    return problems


def changed(text: str, name: str, value: str) -> str:
    """``text`` with an entry replaced, or added at the end."""
    lines = [line for line in text.splitlines() if not line.startswith(f"{name} =")]
    return "\n".join([*lines, f"{name} = {value}"]) + "\n"


def test_check_takes_a_good_file_and_says_what_would_surprise(here: Path) -> None:
    assert told(here, GOOD + ONION) == []
    done = run("check", "--config", str(here / "server.toml"))
    assert "note: trust is not set" in done.stdout
    assert "is good" in done.stdout


def test_check_says_where_no_report_would_count(here: Path) -> None:
    with_spool = GOOD + 'spool = "{here}/spool"\n'
    assert told(here, with_spool) == []
    done = run("check", "--config", str(here / "server.toml"))
    assert "metrics.toml is not there or declares nothing" in done.stdout
    (here / "metrics.toml").write_text("[mail.encrypted]\ntype = 'bool'\n")
    assert "mail.encrypted" in " ".join(told(here, with_spool))


@pytest.mark.parametrize(("release", "warned"), [("0.6.0", True), ("0.5.2", False), ("", False)])
def test_check_warns_of_a_newest_release_that_is_not_listed(
    here: Path, release: str, warned: bool
) -> None:
    (here / "motd.json").write_bytes(kit.document(newest_version=release))
    assert told(here, GOOD) == []
    done = run("check", "--config", str(here / "server.toml"))
    said = "note: the document calls 0.6.0 the newest release and product.toml does not list it"
    assert ((said in done.stdout), done.returncode) == (warned, 0)


MISSING = "metrics.toml is not there or declares nothing"
DECLARES = kit.PRODUCT + '[statistics]\nreleases = ["0.5.2"]\n'


@pytest.mark.parametrize(
    ("product", "spool", "there", "said"),
    [
        (kit.PRODUCT, "", False, False),
        (kit.PRODUCT, "{here}/spool", False, True),
        (DECLARES, "", False, True),
        (DECLARES, "{here}/spool", True, False),
    ],
)
def test_check_says_that_what_is_declared_was_not_installed(
    here: Path, product: str, spool: str, there: bool, said: bool
) -> None:
    (here / "product.toml").write_text(product)
    if there:
        (here / "metrics.toml").write_text(METRICS)
    assert told(here, changed(GOOD, "spool", f'"{spool}"')) == []
    done = run("check", "--config", str(here / "server.toml"))
    assert ((f"note: {here}/{MISSING}" in done.stdout), done.returncode) == (said, 0)


@pytest.mark.parametrize("text", ["[folders", "[folders]\nproject = 'examplemail'"])
def test_check_reads_what_is_declared(here: Path, text: str) -> None:
    (here / "metrics.toml").write_text(text)
    (problem,) = told(here, GOOD)
    assert "metrics.toml" in problem
    assert "[metrics-invalid]" in problem


def test_check_knows_that_a_unit_makes_its_folder_in_run(here: Path) -> None:
    file = changed(GOOD, "bind", '"unix:/run/mars-that-is-not-there/s"')
    assert told(here, file) == []
    done = run("check", "--config", str(here / "server.toml"))
    assert "note: bind: /run/mars-that-is-not-there is not there yet" in done.stdout


@pytest.mark.parametrize(("name", "value", "said"), BROKEN.values(), ids=BROKEN)
def test_check_names_what_is_broken(here: Path, name: str, value: str, said: str) -> None:
    onion = ONION if said == "onion-path" else ""
    problems = told(here, changed(GOOD, name, value) + onion)
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(("name", "value", "said"), ONION_BROKEN.values(), ids=ONION_BROKEN)
def test_check_names_what_is_broken_of_the_onion(
    here: Path, name: str, value: str, said: str
) -> None:
    problems = told(here, GOOD + changed(ONION, name, value))
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    "data", [b"\xff", b"bind = ", b"limits = 3"], ids=["not text", "no TOML", "no table"]
)
def test_check_answers_as_json_where_the_file_is_none(here: Path, data: bytes) -> None:
    (here / "server.toml").write_bytes(data)
    done = run("check", "--config", str(here / "server.toml"), "--json")
    assert done.returncode == 1
    assert "config-invalid" in json.loads(done.stdout)["problems"][0]


@pytest.mark.parametrize("entry", ["metrics", "site", "chart_cache", "trust"])
def test_what_check_refuses_of_places_serve_refuses_too(here: Path, entry: str) -> None:
    same = {"metrics": "s", "site": "log", "chart_cache": "site", "trust": "motd.json"}[entry]
    problems = told(here, changed(GOOD, entry, f'"{{here}}/{same}"'))
    done = run("serve", "--config", str(here / "server.toml"))
    assert done.returncode == 1
    assert problems[0] in done.stderr


def test_a_cache_may_lie_around_the_site(here: Path) -> None:
    assert told(here, changed(GOOD, "chart_cache", '"{here}"')) == []


def test_a_file_that_is_not_there_names_init(here: Path) -> None:
    done = run("check", "--config", str(here / "none.toml"))
    assert done.returncode == 1
    assert "mars-server init" in done.stdout
