"""The configuration of each role, as text. Pure; where a line surprises, a comment says why.

Sources: tor(1), section "TESTING NETWORK OPTIONS", and trials with tor 0.4.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mars.wire.times import DAY

VOTING_INTERVAL = 1800
"""Seconds. Long, so that after the one vote that we ask for the network is quiet; the vote that
comes by the clock is put half an interval away."""
STEADY = ("LearnCircuitBuildTimeout 0", "CircuitBuildTimeout 10")
"""For clients and services: a timeout that tor has learnt gets too short on loopback and makes a
few fetches per thousand hang."""


@dataclass(frozen=True)
class Authority:
    """What every tor must know of the directory authority."""

    name: str
    or_port: int
    dir_port: int
    v3_identity: str
    fingerprint: str

    def line(self) -> str:
        return (
            f"DirAuthority {self.name} orport={self.or_port} no-v2 v3ident={self.v3_identity} "
            f"127.0.0.1:{self.dir_port} {self.fingerprint}"
        )


def joining(authority: str) -> list[str]:
    """What every tor of this network needs, wherever its folder lies."""
    return [
        "TestingTorNetwork 1",
        authority,
        "PathsNeededToBuildCircuits 0.67",
        # What is bound to loopback reaches nothing else, whatever an exit is asked for.
        "OutboundBindAddress 127.0.0.1",
    ]


def common(folder: Path, authority: str, owner: int) -> list[str]:
    """For every role. ``owner`` is the process whose end ends this tor, however it dies."""
    return [
        *joining(authority),
        f"DataDirectory {folder}",
        f"PidFile {folder}/pid",
        f"Log notice file {folder}/notice.log",
        "RunAsDaemon 0",
        "ShutdownWaitLength 0",
        "AssumeReachable 1",
        "AvoidDiskWrites 1",
        f"GeoIPFile {folder}/no-geoip",
        f"GeoIPv6File {folder}/no-geoip",
        f"ControlSocket {folder}/control",
        "CookieAuthentication 1",
        f"CookieAuthFile {folder}/cookie",
        "SafeLogging 0",
        "LogTimeGranularity 1",
        "ProtocolWarnings 1",
        # Leading zeros: a controller in the owner's own process that sees exactly its own pid
        # here (stem does) takes ownership, and closing it would end this tor.
        f"__OwningControllerProcess 000{owner}",
    ]


def router(name: str, folder: Path, or_port: int) -> list[str]:
    """For relays and authorities: all are exits, towards loopback too, and none asks DNS."""
    return [
        f"Nickname {name}",
        "Address 127.0.0.1",
        f"ORPort 127.0.0.1:{or_port}",
        "SocksPort 0",
        f"ContactInfo {name}@test.invalid",
        "ExitRelay 1",
        "ExitPolicyRejectPrivate 0",
        "ExitPolicy accept *:*",
        "IPv6Exit 0",
        "ServerDNSDetectHijacking 0",
        "ServerDNSTestAddresses",
        f"ServerDNSResolvConfFile {folder}/resolv.conf",
        "NumCPUs 1",
    ]


def authority(dir_port: int, offset: int) -> list[str]:
    """``offset`` in seconds places the votes within ``VOTING_INTERVAL``."""
    return [
        f"DirPort 127.0.0.1:{dir_port}",
        "AuthoritativeDirectory 1",
        "V3AuthoritativeDirectory 1",
        f"TestingV3AuthInitialVotingInterval {VOTING_INTERVAL}",
        "TestingV3AuthInitialVoteDelay 2",
        "TestingV3AuthInitialDistDelay 2",
        f"V3AuthVotingInterval {VOTING_INTERVAL}",
        "V3AuthVoteDelay 2",
        "V3AuthDistDelay 2",
        "V3AuthNIntervalsValid 12",
        f"TestingV3AuthVotingStartOffset {offset}",
        "TestingDirAuthVoteExit *",
        "TestingDirAuthVoteHSDir *",
        "TestingDirAuthVoteGuard *",
        "TestingMinExitFlagThreshold 0",
        "TestingAuthDirTimeToLearnReachability 0",
    ]


def end_point(socks_port: int) -> list[str]:
    """For clients and services; ``socks_port`` 0 for none. Network off until there is one."""
    return [
        f"SocksPort 127.0.0.1:{socks_port}" if socks_port else "SocksPort 0",
        "DisableNetwork 1",
        *STEADY,
    ]


def bandwidth_state(ends: str) -> str:
    """A ``state`` file that gives a router a past: without it only the authority has a weight.

    ``ends`` is ``YYYY-MM-DD HH:MM:SS`` UTC, the end of the last day of history.
    """
    day, amount = DAY, 1_000_000_000
    lines = []
    for way in ("Read", "Write"):
        lines += [
            f"BWHistory{way}Ends {ends}",
            f"BWHistory{way}Interval {day}",
            f"BWHistory{way}Values {amount}",
            f"BWHistory{way}Maxima {amount // day * 10}",
        ]
    return "\n".join(lines) + "\n"
