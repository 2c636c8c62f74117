#!/usr/bin/python3
"""A stand-in for systemctl on a machine without systemd: it reads the units and does what they say.

Users, groups, folders, what may be written (``ProtectSystem=strict``), capabilities, environment,
``PrivateTmp``, ``PrivateNetwork``, the notice of readiness, the order of the commands. What it
does not know (AppArmor, filters of system calls, watchdogs, timers, limits) it names in its log.
Runs under Debian's own Python without any package; ``bench.debian`` puts it into its machines.
"""

from __future__ import annotations

import grp
import os
import pwd
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

STATE = Path("/run/stand-in")
UNITS = (Path("/etc/systemd/system"), Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
PATIENCE = 120.0
"""Seconds for a service to be ready, or to end."""
FOLDERS = {"RuntimeDirectory": "/run", "StateDirectory": "/var/lib", "LogsDirectory": "/var/log"}
KNOWN = {
    *FOLDERS, *(f"{name}Mode" for name in FOLDERS), "Type", "User", "Group", "SupplementaryGroups",
    "ExecStartPre", "ExecStart", "ExecStartPost", "Environment", "EnvironmentFile", "KillSignal",
    "CapabilityBoundingSet", "NoNewPrivileges", "PermissionsStartOnly", "ProtectSystem",
    "ReadWritePaths", "PrivateTmp", "PrivateNetwork", "UMask", "NotifyAccess",
}  # fmt: skip


class Unit:
    """The [Service] section of one unit."""

    def __init__(self, name: str) -> None:
        self.name = name if "." in name else f"{name}.service"
        self.entries: dict[str, list[str]] = {}
        paths = [folder / self.name for folder in UNITS if (folder / self.name).exists()]
        if not paths:
            sys.exit(f"systemctl (stand-in): Unit {self.name} not found.")
        section = ""
        for line in paths[0].read_text().replace("\\\n", " ").splitlines():
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and line[0] not in "#;":
                key, _, value = line.partition("=")
                self.entries.setdefault(key, []).append(value.strip())

    def one(self, key: str, default: str = "") -> str:
        return self.entries.get(key, [default])[-1]

    @property
    def pid(self) -> Path:
        return STATE / f"{self.name}.pid"

    @property
    def log(self) -> Path:
        return STATE / f"{self.name}.log"

    @property
    def group(self) -> str:
        user = pwd.getpwnam(self.one("User", "root"))
        return self.one("Group") or grp.getgrgid(user.pw_gid).gr_name

    def environment(self) -> dict[str, str]:
        found = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        for line in self.entries.get("Environment", []):
            found |= dict(word.split("=", 1) for word in shlex.split(line))
        for line in self.entries.get("EnvironmentFile", []):
            path = Path(line.removeprefix("-"))
            if path.exists() or not line.startswith("-"):
                found |= dict(word.split("=", 1) for word in shlex.split(path.read_text()))
        return found

    def folders(self) -> list[str]:
        """Makes those of the unit; returns what it may write."""
        for key, above in FOLDERS.items():
            for name in self.one(key).split():
                folder = Path(above, name)
                folder.mkdir(parents=True, exist_ok=True)
                user = pwd.getpwnam(self.one("User", "root"))
                os.chown(folder, user.pw_uid, grp.getgrnam(self.group).gr_gid)
                folder.chmod(int(self.one(f"{key}Mode", "0755"), 8))
        own = [f"{above}/{n}" for key, above in FOLDERS.items() for n in self.one(key).split()]
        return own + " ".join(self.entries.get("ReadWritePaths", [])).split()

    def closed(self, writable: list[str]) -> list[str]:
        """The file system and the network as the unit shows them."""
        command = ["unshare", "--mount"]
        command += ["--net"] if self.one("PrivateNetwork") == "yes" else []
        steps = [f"mount --bind {shlex.quote(path)} {shlex.quote(path)}" for path in writable]
        steps += ["mount -t tmpfs none /tmp"] if self.one("PrivateTmp") == "yes" else []
        steps += ["mount -o remount,bind,ro /"] if self.one("ProtectSystem") == "strict" else []
        umask = self.one("UMask", "0022")
        return [*command, "sh", "-ec", "\n".join([*steps, f"umask {umask}", 'exec "$@"']), "sh"]

    def privileges(self) -> list[str]:
        name, group = self.one("User", "root"), grp.getgrnam(self.group)
        more = " ".join(self.entries.get("SupplementaryGroups", [])).split()
        groups = {*os.getgrouplist(name, group.gr_gid), *(grp.getgrnam(n).gr_gid for n in more)}
        command = ["setpriv", f"--reuid={name}", f"--regid={group.gr_gid}"]
        command += [f"--groups={','.join(map(str, sorted(groups)))}"]
        if "CapabilityBoundingSet" in self.entries:
            kept = [word.lower() for word in self.one("CapabilityBoundingSet").split()]
            marks = ["-all", *(f"+{word.removeprefix('cap_')}" for word in kept)]
            command += [f"--bounding-set={','.join(marks)}"]
        return command + (["--no-new-privs"] if self.one("NoNewPrivileges") == "yes" else [])

    def commands(self, key: str) -> Iterator[list[str]]:
        for line in self.entries.get(key, []):
            free = "+" in line[: len(line) - len(line.lstrip("-@:+!"))]
            free |= key == "ExecStartPre" and self.one("PermissionsStartOnly") == "yes"
            words = []
            for word in shlex.split(line.lstrip("-@:+!")):
                plain = word.startswith("$") and word[1:].isidentifier()
                words += shlex.split(self.environment().get(word[1:], "")) if plain else [word]
            yield words if free else [*self.closed(self.folders()), *self.privileges(), *words]


def start(unit: Unit) -> None:
    if unit.name.endswith(".timer"):
        return  # a timer runs nothing here
    STATE.mkdir(exist_ok=True)
    if running(unit):
        return
    with unit.log.open("a") as log:
        ignored = ", ".join(sorted(set(unit.entries) - KNOWN))
        print(
            f"stand-in for systemd; not interpreted: {ignored or 'nothing'}", file=log, flush=True
        )
        for command in unit.commands("ExecStartPre"):
            finish(unit, subprocess.run(command, stdout=log, stderr=log, env=unit.environment()))
        for command in unit.commands("ExecStart"):
            if unit.one("Type") == "oneshot":
                finish(
                    unit, subprocess.run(command, stdout=log, stderr=log, env=unit.environment())
                )
            else:
                launch(unit, command, log.fileno())
        for command in unit.commands("ExecStartPost"):
            finish(unit, subprocess.run(command, stdout=log, stderr=log, env=unit.environment()))


def finish(unit: Unit, done: subprocess.CompletedProcess[bytes]) -> None:
    if done.returncode:
        fail(unit, f"exit code {done.returncode}")


def fail(unit: Unit, why: str) -> None:
    sys.exit(f"systemctl (stand-in): {unit.name} failed ({why}):\n{unit.log.read_text()[-4000:]}")


def launch(unit: Unit, command: list[str], log: int) -> None:
    """Returns when the service says that it is ready."""
    address = STATE / f"{unit.name}.notify"
    address.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(address))
        address.chmod(0o777)
        notices.settimeout(0.2)
        environment = {**unit.environment(), "NOTIFY_SOCKET": str(address)}
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
            start_new_session=True,
        )  # fmt: skip
        unit.pid.write_text(f"{process.pid}\n")
        end = time.monotonic() + PATIENCE
        while unit.one("Type") == "notify":
            try:
                if b"READY=1" in notices.recv(4096):
                    return
            except TimeoutError:
                if process.poll() is not None:
                    fail(unit, f"ended with {process.returncode}")
                if time.monotonic() > end:
                    fail(unit, "never ready")


def running(unit: Unit) -> int:
    """Its process id, 0 where it has ended (a zombie has)."""
    try:
        pid = int(unit.pid.read_text())
        state = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else pid


def stop(unit: Unit) -> None:
    if unit.name.endswith(".timer") or not (pid := running(unit)):
        return
    os.kill(pid, getattr(signal, unit.one("KillSignal", "SIGTERM")))
    end = time.monotonic() + PATIENCE
    while running(unit):
        if time.monotonic() > end:
            fail(unit, "does not end")
        time.sleep(0.05)


def main(arguments: list[str]) -> None:
    words = [word for word in arguments if not word.startswith("-")]
    verb, units = words[0], [Unit(name) for name in words[1:]]
    now = "--now" in arguments
    for unit in units:
        if verb in ("stop", "restart") or (verb == "disable" and now):
            stop(unit)
        if verb in ("start", "restart") or (verb == "enable" and now):
            start(unit)


if __name__ == "__main__":
    main(sys.argv[1:])
