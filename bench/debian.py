"""The documents followed on an empty Debian, block by block, as they stand.

On one machine everything is set up, counted and packed; on a second it is restored, upgraded and
taken away again. Both are fresh roots of debootstrap in namespaces of their own for mounts and
processes, so that nothing outlives the trial. Debian's own tor is started by its unit, as root, and
speaks to a private Tor network on loopback alone; ``bench/systemctl.py`` stands in for systemd.
Needs root, the package registries as this machine reaches them, and 127.0.0.1:9050 free.
``RELEASES="12"`` tries one of both; ``ROOTS=DIR`` unpacks ``DIR/bookworm.tar`` for debootstrap.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.tornet import tor_network

ROOT = Path(__file__).parent.parent
SUITES = {"12": "bookworm", "13": "trixie"}
PACKAGES = "ca-certificates,python3,systemd"
MIRROR, SECURITY = "http://deb.debian.org/debian", "http://security.debian.org/debian-security"
REPOSITORY, WORK, VISITOR = "/root/repository", "/root/mars", "visitor"
PATIENCE, INSTALLING = 240.0, 1800.0
"""Seconds for a block, and for one that installs packages."""
TOR_DEFAULTS = "usr/share/tor/tor-service-defaults-torrc"
OLD_SCHEMA = "0007"
"""Of the database that the upgrade finds."""
STORY = (
    ("docs/operating.md", "Install"),
    ("README.md", "Embed it"),
    ("docs/operating.md", "A server by hand"),
    ("docs/operating.md", "The onion service and its address"),
    ("docs/operating.md", "With systemd"),
    ("docs/embedding.md", "Embedding the client"),
    ("docs/operating.md", "Backup and restore"),
    ("docs/embedding.md", "Embedding the client"),
    ("docs/operating.md", "Upgrade"),
    ("docs/onion.md", "Set it up"),
    ("docs/embedding.md", "Embedding the client"),
    ("docs/operating.md", "Uninstall"),
)
"""Pages and headings in the order in which the pages send their reader. "Embedding the client" is
read again with the restored machine and with the changed one."""
CARRIED = ("machine.tar", "onion.gpg", "backup.pass")
"""What the operator carries to the new machine."""
BEFORE_RESTORE = ("docs/operating.md", "The onion service and its address")
"""Its first block is followed on the new machine too, as that page says."""
SETTINGS = ("cert", "constraint", "find-links", "index-url", "extra-index-url", "proxy")
"""Settings of pip that say how this machine reaches the registry."""
_BLOCK = re.compile(r"^```(sh|python)(?: (\w+))?\n(.*?)^```", re.DOTALL | re.MULTILINE)


class TrialError(Exception):
    """A block failed; the text says which, and what it said."""


@dataclass(frozen=True)
class Block:
    """``reader`` is who follows it: server, publisher, run, client or new."""

    where: str
    reader: str
    text: str
    python: bool


def blocks(page: str, heading: str) -> list[Block]:
    """Those under one heading of ``page``, down to the next of its level or above."""
    text = (ROOT / page).read_text("utf-8")
    found = re.search(rf"^#{{1,2}} {re.escape(heading)}$(.*?)(?=^#{{1,2}} |\Z)", text, re.M | re.S)
    if found is None:
        raise TrialError(f"{page} has no heading {heading}")
    return [
        Block(f"{page}, {heading}, block {number}", reader or "client", code, kind == "python")
        for number, (kind, reader, code) in enumerate(_BLOCK.findall(found[1]), 1)
    ]


def unread() -> list[str]:
    """Blocks of commands that no step of the story follows."""
    told = {block.text for page, heading in STORY for block in blocks(page, heading)}
    left = []
    for page in dict.fromkeys(page for page, _ in STORY):
        for kind, _, text in _BLOCK.findall((ROOT / page).read_text("utf-8")):
            if kind == "sh" and text not in told:
                left.append(f"{page}: {text.splitlines()[0]}")
    return left


# --- how this machine reaches the registries ------------------------------------------------------


def registries() -> tuple[dict[str, str], list[str]]:
    """Environment for apt and pip inside, and files and folders that it names."""
    kept = re.compile(r"(?i)PIP_|SSL_CERT_FILE|(https?|no)_proxy")
    found = {name: value for name, value in os.environ.items() if kept.match(name)}
    pip = [sys.executable, "-m", "pip", "config", "list"]
    for line in subprocess.run(pip, capture_output=True, text=True, check=True).stdout.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        if name in SETTINGS:
            found.setdefault(f"PIP_{name.upper().replace('-', '_')}", value.strip("'"))
    words = " ".join(found.values()).replace("file://", "").split()
    paths = {word for word in words if word.startswith("/") and Path(word).exists()}
    # A local index is one folder of a tree that holds the files.
    return found, sorted({str(Path(p).parent) if p.endswith("/simple") else p for p in paths})


def apt_lines() -> str:
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    return "".join(f"{line}\n" for line in dump.splitlines() if re.match(r"Acquire::https?:", line))


# --- a machine ------------------------------------------------------------------------------------


class Machine:
    """A root with a shell of root's in it."""

    def __init__(self, root: Path, environment: dict[str, str]) -> None:
        self.root = root
        plain = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        plain |= {"HOME": "/root", "LANG": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        words = [f"{name}={value}" for name, value in (plain | environment).items()]
        command = [
            "chroot",
            str(root),
            "/usr/bin/env",
            "-i",
            *words,
            "bash",
            "-eu",
            "-o",
            "pipefail",
        ]
        self._shell = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip

    def run(self, text: str, where: str = "the trial's own step") -> str:
        """What it said. Variables and the folder stay for the next. Raises ``TrialError``."""
        assert self._shell.stdin is not None and self._shell.stdout is not None
        (self.root / "tmp/block.sh").write_text(text, "utf-8")
        self._shell.stdin.write(". /tmp/block.sh </dev/null\necho; echo the-end-of-the-block\n")
        self._shell.stdin.flush()
        patience = INSTALLING if "pip install" in text else PATIENCE
        watch = threading.Timer(patience, os.killpg, (self._shell.pid, signal.SIGKILL))
        watch.start()
        said = ""
        for line in self._shell.stdout:
            if line == "the-end-of-the-block\n":
                watch.cancel()
                return said
            said += line
        watch.cancel()
        raise TrialError(f"{where} failed:\n{text}\n--- it said:\n{said[-6000:]}{self._logs()}")

    def _logs(self) -> str:
        logs = (self.root / "run/stand-in").glob("*.log")
        return "".join(f"\n--- {log.name}:\n{log.read_text()[-2000:]}" for log in logs)


def fresh(release: str, folder: Path) -> Path:
    """A root as debootstrap makes it, with the mounts and files that a machine has."""
    root, suite = folder / "installed", SUITES[release]
    root.mkdir()
    packed = Path(os.environ.get("ROOTS", "/nowhere"), f"{suite}.tar")
    if packed.exists():
        _do("tar", "-C", root, "-xpf", packed)
    else:
        mirror = os.environ.get("MIRROR", MIRROR)
        _do("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, root, mirror)
    sources = [f"{MIRROR} {suite}", f"{MIRROR} {suite}-updates", f"{SECURITY} {suite}-security"]
    text = "".join(f"deb {source} main\n" for source in sources)
    (root / "etc/apt/sources.list").write_text(text)
    (root / "etc/apt/apt.conf.d/90trial").write_text(apt_lines())
    for name in ("resolv.conf", "hosts"):
        (root / "etc" / name).unlink(missing_ok=True)
        shutil.copy(Path("/etc", name), root / "etc" / name)
    policy = root / "usr/sbin/policy-rc.d"  # a tor that apt starts would go to the public network
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    stand_in = root / "usr/local/bin/systemctl"
    shutil.copy(ROOT / "bench/systemctl.py", stand_in)
    stand_in.chmod(0o755)
    copy = root / REPOSITORY[1:]
    copy.mkdir()
    listed = "git ls-files -z --cached --others --exclude-standard"
    unpacked = f"{listed} | tar --null -T - -c | tar -C {shlex.quote(str(copy))} -x"
    _do("bash", "-o", "pipefail", "-c", f"cd {shlex.quote(str(ROOT))} && {unpacked}")
    return root


def layer(installed: Path, name: str) -> Path:
    """A machine of its own on which everything is installed as on ``installed``."""
    root = installed.parent / name
    for part in ("", ".upper", ".work"):
        root.with_suffix(part).mkdir()
    places = f"upperdir={root.with_suffix('.upper')},workdir={root.with_suffix('.work')}"
    _do("mount", "-t", "overlay", "-o", f"lowerdir={installed},{places}", "none", root)
    return root


def mounted(root: Path, paths: Sequence[str]) -> None:
    """In the trial's own namespace, so that nothing has to be unmounted."""
    _do("mount", "-t", "proc", "proc", root / "proc")
    _do("mount", "--rbind", "/dev", root / "dev")
    _do("mount", "-t", "tmpfs", "-o", "mode=755", "none", root / "run")
    for path in paths:
        inside = root / path[1:]
        if Path(path).is_dir():
            inside.mkdir(parents=True, exist_ok=True)
        elif not inside.exists():
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.touch()
        _do("mount", "--bind", "-o", "ro", path, inside)


def _do(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise TrialError(f"{command[0]} failed: {(done.stdout + done.stderr)[-2000:]}")


# --- the trial ------------------------------------------------------------------------------------


class Trial:
    """One release of Debian, from the packages to nothing left."""

    def __init__(self, release: str, folder: Path, joining: Sequence[str]) -> None:
        self._folder, self._joining = folder, joining
        self._environment, self._paths = registries()
        self._installed = fresh(release, folder)
        mounted(self._installed, self._paths)
        self.machine = Machine(self._installed, self._environment)
        self.machine.run(f"apt-get update -q\nuseradd -m {VISITOR}\ncd {REPOSITORY}\n")
        self.followed = 0
        self.address = ""

    def follow(self) -> None:
        """The whole story. Raises ``TrialError`` at the first block that does not do as it says."""
        for page, heading in STORY:
            for block in blocks(page, heading):
                if block.reader == "new" and self.machine.root.name == "first":
                    self._move()
                if heading == "Upgrade":
                    self._age_database()
                self._read(block)
            if heading == "Install":
                self._join()
            if heading in ("Backup and restore", "Upgrade"):
                self._require_counts()
        self._require_gone()

    def _read(self, block: Block) -> None:
        print(f"   {block.where}", file=sys.stderr, flush=True)
        if block.reader == "client":
            said = self._as_visitor(block)
        else:
            said = self.machine.run(block.text, block.where)
        self.followed += 1
        if "onion add" in block.text:
            self.address = re.findall(r"http://(\S+\.onion)", said)[0]
        shown = block.python and "preview" in block.text and self.address
        if shown and f"Host: {self.address}" not in said:
            raise TrialError(f"{block.where}: no request to {self.address} is shown:\n{said}")

    def _as_visitor(self, block: Block) -> str:
        """By a user who has the application's trust file, and nothing else but the programs."""
        home = f"/home/{VISITOR}"
        name = "application.py" if block.python else "commands.sh"
        place = self.machine.root / home[1:]
        (place / name).write_text(block.text, "utf-8")
        with suppress(FileNotFoundError):
            shutil.copy(self.machine.root / WORK[1:] / "trust.json", place / "trust.json")
            (place / "trust.json").chmod(0o644)
        program = f"yes '' | /opt/mars/bin/python {name}" if block.python else f"bash -eu {name}"
        path = "/usr/local/bin:/usr/bin:/bin"
        command = f"cd && env -i HOME={home} PATH={path} bash -c {shlex.quote(program)}"
        return self.machine.run(
            f"runuser -u {VISITOR} -- bash -c {shlex.quote(command)}", block.where
        )

    def _join(self) -> None:
        """Debian's tor gets the private network by a drop-in before anything starts it; and both
        machines go on from here, since the same block is followed on the second."""
        defaults = self._installed / TOR_DEFAULTS
        defaults.write_text(defaults.read_text() + "\n".join(self._joining) + "\n")
        self.machine = self._machine("first")

    def _machine(self, name: str) -> Machine:
        root = layer(self._installed, name)
        mounted(root, self._paths)
        machine = Machine(root, self._environment)
        machine.run(f"cd {REPOSITORY} && REPO=$PWD && cd {WORK}\n")
        return machine

    def _move(self) -> None:
        """To the new machine, with what the operator carries and the visitor's own computer."""
        old = self.machine.root
        self.machine = self._machine("second")
        new = self.machine.root
        for name in (*CARRIED, "trust.json"):
            shutil.copy(old / WORK[1:] / name, new / WORK[1:] / name)
        _do("cp", "-a", old / f"home/{VISITOR}/.", new / f"home/{VISITOR}")
        self._read(blocks(*BEFORE_RESTORE)[0])

    def _age_database(self) -> None:
        """A database of an older program in the place of the present one."""
        code = (
            "import sys\nfrom alembic import command\nfrom alembic.config import Config\n"
            "from sqlalchemy import create_engine\nimport mars_server.storage.migrations as m\n"
            "config = Config()\nconfig.set_main_option('script_location', m.__path__[0])\n"
            "with create_engine('sqlite:////var/lib/mars/counts.db').begin() as connection:\n"
            "    config.attributes['connection'] = connection\n"
            f"    command.upgrade(config, '{OLD_SCHEMA}')\n"
        )
        self.machine.run(
            "mv /var/lib/mars/counts.db /var/lib/mars/counts.new\n"
            f"runuser -u mars -- /opt/mars/bin/python -c {shlex.quote(code)}\n"
        )

    def summary(self) -> str:
        """For the record."""
        said = self.machine.run("tor --version | head -n 1; python3 --version")
        versions = ", ".join(line.rstrip(".") for line in said.split("\n") if line)
        return f"{self.followed} blocks of the pages followed ({versions})"

    def _require_counts(self) -> None:
        """What was fetched before stands in the database, carried over or counted by the program
        that found an older one."""
        said = self.machine.run(
            "systemctl start mars-count\n"
            "mars-server counts show --json --db sqlite:////var/lib/mars/counts.db\n"
        )
        if not json.loads(said)["hits"]:
            raise TrialError(f"fetches were not counted:\n{said}")

    def _require_gone(self) -> None:
        left = self.machine.run(
            "find / -xdev -path '*mars*' -not -path '/root/*' -not -path '/tmp/*' "
            "-not -path '/home/*' -not -path '/var/lib/tor/*' || true"
        )
        if left.strip():
            raise TrialError(f"left after Uninstall:\n{left}")


def _one(release: str, folder: str) -> int:
    try:
        with tor_network() as network:
            trial = Trial(release, Path(folder), network.joining)
            trial.follow()
            print(f"Debian {release}: {trial.summary()}")
        return 0
    except TrialError as error:
        print(error, file=sys.stderr)
        return 1


def debian() -> list[str]:
    """Follows the documents on each release, each in namespaces of its own."""
    if left := unread():
        return [f"no step follows {', '.join(left)}"]
    if os.geteuid() != 0:
        return ["the documents on an empty Debian: debootstrap and its machines need root"]
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 9050)) == 0:
            return ["the documents on an empty Debian: a tor listens on 127.0.0.1:9050; stop it"]
    failed = []
    for release in os.environ.get("RELEASES", " ".join(SUITES)).split():
        apart = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        apart += ["sh", "-c", '"$@"; exit $?', "sh"]  # the first process of its own, which reaps
        # Made and removed out here, where nothing of the machine is mounted in it.
        with tempfile.TemporaryDirectory(prefix="mars-debian-", dir="/var/tmp") as folder:
            command = [*apart, sys.executable, "-m", "bench.debian", release, folder]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="")
        if done.returncode:
            failed.append(f"the documents on Debian {release}")
    return failed


if __name__ == "__main__":
    sys.exit(_one(*sys.argv[1:]) if sys.argv[1:] else "\n".join(unread()) or 0)
