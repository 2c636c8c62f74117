"""A log in a format that is not known: told when it is counted, and never removed for it."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from mars_server.counting.formats import AUTO, COMBINED, JSON
from mars_server.counting.tally import is_unread
from tests.server.counting.commands import MADE, product, run, run_json
from tests.server.counting.examples import ALLOW, line, tally
from tests.server.counting.test_scrub import OLD, day, publish
from tests.server.counting.test_streams import PACK

_GET = "GET /motd/motd.json HTTP/1.1"
FOREIGN = {
    "Traefik": '{"ClientHost":"192.0.2.1","DownstreamStatus":200,"RequestMethod":"GET",'
    '"RequestPath":"/motd/motd.json","RequestProtocol":"HTTP/1.1","time":"2025-11-17T10:00:00Z"}',
    "ingress-nginx": "192.0.2.1 - [192.0.2.1] - - [17/Nov/2025:10:00:00 +0000] "
    f'"{_GET}" 200 512 "-" "-"',
    "HAProxy": "Nov 17 10:00:00 host haproxy[12]: 192.0.2.1:4444 [17/Nov/2025:10:00:00.123] "
    f'in back/one 0/0/0/1/1 200 512 - - ---- 1/1/0/0/0 0/0 "{_GET}"',
    "IIS": "2025-11-17 10:00:00 192.0.2.9 GET /motd/motd.json - 80 - 192.0.2.1 - - 200 0 0 1",
    "Envoy": f'[2025-11-17T10:00:00.123Z] "{_GET}" 200 - 0 512 1 1 "-" "-" "-" "host" "-"',
    "Docker's json-file": '{"log":"192.0.2.1 - - [17/Nov/2025:10:00:00 +0000] \\"'
    f'{_GET}\\" 200 512\\n","stream":"stdout","time":"2025-11-17T10:00:00.5Z"}}',
    "a name before": f'"host" 192.0.2.1 - - [17/Nov/2025:10:00:00 +0000] "{_GET}" 200 512',
    "Caddy's console": "2025/11/17 10:00:00.123 INFO http.log.access handled request "
    '{"request": {"method": "GET", "uri": "/motd/motd.json"}, "status": 200}',
    "UTF-16": "\0".join(day(17).decode().strip()),
}


def counted(folder: Path, content: bytes, *options: str, name: str = "a.log") -> tuple[str, Path]:
    """What counting an old log of a published week says, and the log."""
    log = folder / name
    log.write_bytes(content)
    os.utime(log, (OLD, OLD))
    url = f"sqlite:///{folder}/c.db"
    said = run("count", log, "--product", product(folder), "--db", url, *options).stderr
    publish(url)
    return said.replace(MADE % str(folder / "c.db").encode(), b"").decode(), log


def scrubbed(log: Path) -> tuple[list[str], list[str]]:
    """The names that went, and why others stayed."""
    done = run_json("scrub", log, "--db", f"sqlite:///{log.parent}/c.db", "--keep-days", 0)
    return done["removed"], list(done["kept"].values())


@pytest.mark.parametrize("form", FOREIGN.values(), ids=FOREIGN)
def test_a_foreign_format_is_told_and_stays(form: str, tmp_path: Path) -> None:
    said, log = counted(tmp_path, (form.encode() + b"\n") * 200)
    assert (
        f"{log}: about 200 of 200 lines, by a sample, are written in no format that is known"
        in said
    )
    removed, kept = scrubbed(log)
    assert removed == []
    assert kept == ["about 200 of its 200 lines fit no known format and were not read"]
    again = run_json("count", log, "--product", tmp_path / "product.toml", "--dry-run")
    assert (again["lines"], again["hits"]) == (200, 0)


def test_a_log_of_other_requests_was_read_and_goes(tmp_path: Path) -> None:
    others = day(17).replace(b"GET /motd/motd.json", b"\\x16\\x03")
    said, log = counted(tmp_path, b"#Fields: x\n\n" + others * 30)
    assert said == ""
    assert scrubbed(log) == ([], ["too young"])  # was counted today, and no hit says when it began


def test_another_format_in_the_middle_is_told(tmp_path: Path) -> None:
    foreign = FOREIGN["Traefik"].encode() + b"\n"
    said, log = counted(tmp_path, day(17) * 3000 + foreign * 2000)
    assert "of 5000 lines, by a sample, are written in no format" in said
    assert scrubbed(log)[0] == []


def test_what_was_counted_as_another_format_stays(tmp_path: Path) -> None:
    said, log = counted(tmp_path, day(17) * 9, "--format", JSON)
    assert "about 9 of 9 lines" in said
    assert scrubbed(log)[0] == []


def test_our_own_log_counted_as_another_format_is_not_retained_away(tmp_path: Path) -> None:
    token = "ab" * 16
    start = b"# mars access log v1 id=%s\n" % token.encode()
    for form, gone in ((JSON, 0), (AUTO, 1)):
        folder = tmp_path / form
        folder.mkdir()
        name = f"access-2025-11-17-{token}.log"
        _, log = counted(folder, start + day(17) * 9, "--format", form, name=name)
        told = ("retain", "--log", folder, "--db", f"sqlite:///{folder}/c.db")
        ran = run(*told)
        assert ran.stdout.startswith(b"%d log" % gone)
        assert log.exists() != bool(gone)
        assert (b"kept, its lines fitted no format" in ran.stderr) != bool(gone)


@pytest.mark.parametrize(
    ("lines", "unread", "told"),
    [
        (0, 0, False),
        (2, 1, False),
        (3, 2, True),
        (40, 20, False),
        (80, 21, True),
        (999, 40, False),
        (999, 50, True),
        (2000, 100, False),
        (9, 5, True),
    ],
)
def test_how_many_are_many(lines: int, unread: int, told: bool) -> None:
    assert is_unread(lines, unread) == told


_WHEN = b"192.0.2.1 - - [17/Nov/2025:10:00:00 +0000] "
_LOST = {
    "status last": _WHEN + b'"GET /motd/motd.json HTTP/1.1" 5120 "-" "-" 200',
    "status alone": _WHEN + b'"GET /motd/motd.json HTTP/1.1" 200',
    "CRLF": _WHEN + b'"GET /motd/motd.json?v=0.5.2 HTTP/1.1" 200\r',
    "quoted status": _WHEN + b'"GET /motd/motd.json HTTP/1.1" "200" 512',
    "size first": _WHEN + b'"GET /motd/motd.json HTTP/1.1" 5120 200 "-"',
    "HTTP/2": _WHEN + b'"GET /motd/motd.json HTTP/2" 200 512 "-" "-"',
    "no protocol": _WHEN + b'"GET /motd/motd.json" 200 512 "-" "-"',
    "absolute": _WHEN + b'"GET http://host/motd/motd.json HTTP/1.1" 200 512 "-" "-"',
    "a host before": _WHEN + b'"host" "GET /motd/motd.json HTTP/1.1" 200 512 "-" "-"',
    "Caddy's HTTP/2": b'{"ts":1763373600.5,"request":{"method":"GET","proto":"HTTP/2",'
    b'"uri":"/motd/motd.json"},"status":200}',
    "absolute uri": b'{"ts":1763373600,"request":{"method":"GET","proto":"HTTP/1.1",'
    b'"uri":"https://host/motd/motd.json?v=0.5.2"},"status":200}',
    "uri": b'{"msec":"1763373600.5","request_method":"GET","uri":"/motd/motd.json",'
    b'"server_protocol":"HTTP/1.1","status":"200"}',
    "no server_protocol": b'{"msec":"1763373600.5","request_method":"GET",'
    b'"request_uri":"/motd/motd.json","status":"200"}',
    "another object": b'{"ts":1763373600.5,"request":{"verb":"GET","path":"/motd/motd.json"},'
    b'"status":200}',
}


@pytest.mark.parametrize("form", _LOST.values(), ids=_LOST)
def test_answers_that_nearly_are_hits_are_told_and_stay(form: bytes, tmp_path: Path) -> None:
    said, log = counted(tmp_path, (form + b"\n") * 40)
    assert "are written in no format that is known" in said
    assert scrubbed(log)[0] == []


@pytest.mark.parametrize(
    "answer",
    [
        _WHEN + b'"GET /motd/motd.json HTTP/1.1" 200 512 "-" "-"',
        _WHEN + b'"GET /motd/motd.json HTTP/1.1" 404 200 "-" "-"',
        _WHEN + b'"GET /motd/motd.json HTTP/1.1" 499 0 "-" "200"',
        _WHEN + b'"GET /motd/motd.json HTTP/2.0" 304 0 "-" "-"',
        _WHEN + b'"HEAD /motd/motd.json HTTP/1.1" 200 0 "-" "-"',
        _WHEN + b'"GET /motd/motd.json?v=%20 HTTP/1.1" 200 512 "-" "-"',
        _WHEN + b'"GET /icon HTTP/1.1" 200 512 "https://host/motd/motd.json" "-"',
        _WHEN + b'"GET /a HTTP/1.1" 200 5 "-" "\\"GET /motd/motd.json HTTP/2\\" 200 "',
    ],
)
def test_other_answers_in_a_known_format_were_read(answer: bytes) -> None:
    assert tally((answer + b"\n") * 40, ALLOW).unread == 0


@pytest.mark.parametrize(
    "members",
    [
        b'"request":"GET /motd/motd.json HTTP/1.1","status":"200"',
        b'"request":"HEAD /motd/motd.json HTTP/1.1","status":"200"',
        b'"request":"GET /motd/motd.json HTTP/2.0","status":304',
        b'"request":{"method":"POST","uri":"/motd/motd.json","proto":"HTTP/2"},"status":200',
        b'"request":"GET / HTTP/1.1","http_referer":"http://h/motd/motd.json","status":200',
        b'"request":{"method":"GET","headers":{"Referer":["http://h/motd/motd.json"]}},"status":200',
    ],
)
def test_other_answers_in_json_were_read(members: bytes) -> None:
    answer = b'{"ts":1763373600.5,' + members + b"}\n"
    assert tally(answer * 40, ALLOW, JSON).unread == 0


@pytest.mark.parametrize("at", [0, 300, 1000])
def test_a_part_in_another_format_is_told_wherever_it_stands(tmp_path: Path, at: int) -> None:
    other = b'{"ts":1763373600.5,"request":"GET /motd/motd.json HTTP/1.1","status":200}\n'
    said, log = counted(
        tmp_path, day(17) * at + other * 100 + day(17) * (1000 - at), "--format", "combined"
    )
    assert "are written in no format" in said
    assert scrubbed(log)[0] == []


@pytest.mark.parametrize("steps", [[30], [10, 10, 10]], ids=["at once", "in all"])
def test_what_was_told_once_is_kept_however_much_follows(tmp_path: Path, steps: list[int]) -> None:
    log = tmp_path / "a.log"
    told = ("count", log, "--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    content, foreign = day(17) * 100, FOREIGN["Traefik"].encode() + b"\n"
    for step in (0, *steps):
        content += foreign * step
        log.write_bytes(content)
        said = run(*told).stderr
    assert b"about %d of %d lines" % (step, step) in said
    said_last, log = counted(tmp_path, content + day(17) * 2000)
    assert said_last == ""
    assert scrubbed(log) == (
        [],
        ["about 30 of its 2130 lines fit no known format and were not read"],
    )


def test_a_log_that_was_read_in_the_wrong_format_says_how_to_count_it(tmp_path: Path) -> None:
    _, log = counted(tmp_path, day(17) * 30, "--format", JSON)
    url = f"sqlite:///{tmp_path}/d.db"
    told = ("--product", product(tmp_path), "--db", url)
    said = run("count", log, *told, "--format", JSON).stderr
    assert b"counts recount DAY LOG --format" in said
    again = run("count", log, *told, "--format", COMBINED).stderr
    assert b"was read as json" in again
    assert b"counts recount DAY LOG --format combined" in again
    days = ("counts", "recount", "2025-11-17", log, *told, "--format", COMBINED)
    assert run_json(*days)["hits"] == 30


def test_lines_of_whatever_length_are_judged() -> None:
    long = b"x" * 10_000 + b"\n"
    assert tally(long * 3, ALLOW).unread == 3
    assert tally(line(before=b"x" * 10_000) * 3, ALLOW).unread == 0


@pytest.mark.parametrize("form", ["gz", "zst", "xz", "bz2"])
@pytest.mark.parametrize("place", ["behind lines", "at the end", "in a pipe", "in an archive"])
def test_an_archive_behind_lines_is_told_and_the_log_stays(
    form: str, place: str, tmp_path: Path
) -> None:
    """As ``cat access.log access.log.1.gz`` joins them; ``at the end`` no LF follows."""
    archive = PACK[form](b"".join(line(b"?x=%d" % n) for n in range(500)))
    lines = day(17) * 200
    if place == "at the end":
        log, content = tmp_path / "a.log", lines + archive[:9]
    elif place == "in an archive":
        log, content = tmp_path / "a.gz", gzip.compress(lines) + gzip.compress(archive)
    else:
        log, content = tmp_path / "a.log", lines + archive + b"\n" + day(17)
    if place == "in a pipe":
        said = run("count", "-", "--product", product(tmp_path), "--dry-run", stdin=content).stderr
        assert b"holds an archive behind its lines" in said
        return
    log.write_bytes(content)
    os.utime(log, (OLD, OLD))
    url = f"sqlite:///{tmp_path}/c.db"
    told = ("count", log, "--product", product(tmp_path), "--db", url)
    said = run(*told, code=int(place == "in an archive")).stderr
    due = b"packed twice" if place == "in an archive" else b"holds an archive behind its lines"
    assert due in said
    publish(url)
    assert scrubbed(log)[0] == []
