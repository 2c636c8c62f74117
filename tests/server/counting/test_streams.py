"""Archives as their own tools read them: no byte of one is passed over in silence."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mars.errors import StateError
from mars_server.counting import formats
from mars_server.counting.foreign.probe import LogMovedError
from mars_server.counting.streams import CHUNK, Stream, compression, shown
from mars_server.counting.tasks import Whole, perform
from tests.server.counting.commands import contract, expected, product, run, run_json
from tests.server.counting.examples import ALLOW, line, shuffled

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
    "bz2": bz2.compress,
}
PADDING = {"gz": b"\0" * 4, "xz": b"\0" * 4}
"""What may stand between members, by format (RFC 1952's tools; the .xz format 2.2)."""
SKIPPABLE = b"\x5a\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
"""A frame for others that every reader of Zstandard skips (RFC 8878 3.1.2)."""
ONE, TWO = b"one\n" * 100, os.urandom(3 * CHUNK) + b"two\n"


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """The folder by HTTP, from the standard library's server, which knows no Range requests."""
    told = (sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1")
    with subprocess.Popen(
        told, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        port = server.stdout.readline().split("port ")[1].split()[0]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


def read(archive: bytes) -> tuple[bytes, bool]:
    """The content, and whether the archive ended early."""
    with closing(Stream(io.BytesIO(archive), "log")) as stream:
        return b"".join(stream.chunks()), stream.cut_short


@pytest.mark.parametrize("kind", PACK)
def test_every_member_of_an_archive_is_read(kind: str) -> None:
    one, two = PACK[kind](ONE), PACK[kind](TWO)
    padding = PADDING.get(kind, b"")
    empty = PACK[kind](b"")
    for archive, content in (
        (one + two, ONE + TWO),
        (one + padding + two + padding, ONE + TWO),
        (one + empty + padding * 40_000 + two, ONE + TWO),
        (empty, b""),
    ):
        assert compression(archive[:8]) == kind
        assert read(archive) == (content, False)


@pytest.mark.parametrize("kind", PACK)
def test_what_follows_a_member_and_is_none_is_refused(kind: str) -> None:
    one = PACK[kind](ONE)
    changed = bytearray(one + one)
    changed[len(one) + 1] ^= 1  # in the second member's magic number
    for archive in (bytes(changed), one + b"garbage", one + ONE, one + b"\0" * 3 + b"x" * 40):
        with pytest.raises(StateError) as error:
            read(archive)
        assert error.value.reason == "log-unreadable"
    if kind not in PADDING:
        with pytest.raises(StateError):
            read(one + b"\0" * 4)


@pytest.mark.parametrize("padding", [1, 2, 3, 5])
def test_padding_of_xz_comes_in_fours(padding: int) -> None:
    one = lzma.compress(ONE)
    for archive in (one + b"\0" * padding, one + b"\0" * padding + one):
        with pytest.raises(StateError):
            read(archive)


@pytest.mark.parametrize("kind", PACK)
def test_an_archive_that_ends_in_any_member_is_cut_short(kind: str) -> None:
    one, two = PACK[kind](ONE), PACK[kind](TWO)
    for keep in (len(one) + 5, len(one) + len(two) // 2, len(one) + len(two) - 1):
        content, cut_short = read((one + two)[:keep])
        assert cut_short
        assert (ONE + TWO).startswith(content)
        assert len(content) >= len(ONE)


def test_frames_that_zstandard_skips_are_skipped() -> None:
    one = zstd.compress(ONE)
    assert compression(SKIPPABLE[:8]) == "zst"
    assert read(SKIPPABLE + one + SKIPPABLE + one + SKIPPABLE) == (ONE * 2, False)


def test_a_look_at_the_first_bytes_takes_none_away() -> None:
    with closing(Stream(io.BytesIO(gzip.compress(TWO)), "log")) as stream:
        first = stream.head()
        assert first == stream.head() == TWO[: len(first)]
        assert b"".join(stream.chunks()) == TWO


def test_the_tools_agree(tmp_path: Path) -> None:
    content = shuffled(1, 200) + b"\n"
    log = tmp_path / "a.log"
    log.write_bytes(content)
    packed = [
        subprocess.run([tool, "-c", log], capture_output=True, check=True).stdout
        for tool in ("gzip", "xz", "bzip2")
    ]
    for archive in packed:
        log.write_bytes(archive)
        assert contract(
            run_json("count", log, "--product", product(tmp_path), "--dry-run")
        ) == expected(content)


@pytest.mark.parametrize(
    "magic",
    [b"PK\x03\x04", b"\x1f\x9d\x90", b"\x5d\x00\x00\x80", b"\x04\x22\x4d\x18", b"7z\xbc\xaf"],
)
def test_other_archives_are_refused_and_not_read_as_text(tmp_path: Path, magic: bytes) -> None:
    log = tmp_path / "a.log.packed"
    log.write_bytes(magic + b"\0" * 100)
    ran = run("count", log, "--product", product(tmp_path), "--dry-run", code=1)
    assert b"unpack it" in ran.stderr


@pytest.mark.parametrize("how", ["", "gz", "zst"])
@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_archive_counts_nothing_beside_the_log_it_holds(
    tmp_path: Path, how: str, form: int
) -> None:
    log, archive = tmp_path / "logs" / "a.log", tmp_path / "logs" / "old"
    log.parent.mkdir()
    log.write_bytes(line() * 9)
    with tarfile.open(archive, "w", format=form) as made:
        made.add(log, "a.log")
    if how:
        archive.write_bytes(PACK[how](archive.read_bytes()))
    told = ("--product", product(tmp_path), "--db", f"sqlite:///{tmp_path}/c.db")
    done = run_json("count", log.parent, *told, code=1)
    assert (done["hits"], done["reason"]) == (9, "log-unreadable")
    assert f"{archive} cannot be read (a tar archive; unpack it" in done["message"]
    done = run_json("count", "-", *told, code=1, stdin=archive.read_bytes())
    assert (done["hits"], "a tar archive" in done["message"]) == (0, True)


def test_no_client_can_make_a_tar_archive_of_a_log() -> None:
    """It could choose every field of a header and their sum, but gets no NUL into a log."""
    header = tarfile.TarInfo("a.log").tobuf(tarfile.GNU_FORMAT)
    head = header[:345].replace(b"\0", b" ") + b"x" * 167
    summed = sum(head) - sum(head[148:156]) + 8 * ord(" ")
    head = b"%b%06o  %b" % (head[:148], summed, head[156:])
    assert "a.log" in tarfile.TarInfo.frombuf(head, "utf-8", "strict").name
    assert (compression(header), compression(head)) == ("tar", "")


def test_a_pipe_by_name_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """It has no writer: opening it would wait for ever."""
    fifo = tmp_path / "pipe"
    os.mkfifo(fifo)
    (tmp_path / "a.log").write_bytes(line())
    told = ("--product", product(tmp_path), "--dry-run")
    ran = run("count", fifo, tmp_path / "a.log", *told, code=1)
    assert b"standard input" in ran.stderr
    assert ran.stdout.startswith(b"1 line, 1 hit")


@pytest.mark.parametrize(
    ("url", "names"),
    [
        ("/var/log/a?b@c.log", "/var/log/a?b@c.log"),
        ("https://example.org/a/b.log", "https://example.org/a/b.log"),
        ("http://bob:hunter2@example.org:8080/a@b", "http://b"),
        ("http://bob:hunter2@example.org:8080/a", "http://example.org:8080/a"),
        ("http://bob:hun@ter2@example.org/a", "http://example.org/a"),
        ("https://h/a.log?X-Amz-Signature=s&user=x@y", "https://h/a.log"),
        ("https://h/a.log#s", "https://h/a.log"),
        ("http://bob:hunt?er2@example.org/a", "http://…"),
        ("http://[::1]:80/a", "http://[::1]:80/a"),
        ("s3://bucket/2026/*.log", "s3://bucket/2026/*.log"),
        ("memory:///a", "memory:///a"),
        ("zip://a.log::https://u:secret@h/z.zip", "zip://h/z.zip"),
    ],
)
def test_a_message_names_no_secret_of_a_url(url: str, names: str) -> None:
    assert shown(url) == names


OWN = b"# mars access log v1 id=%032x\n" % 5
NAMED = {
    "none.log": "none.log cannot be read (FileNotFoundError).",
    "none*.log": "There is no log",
    "damaged.log": "damaged.log cannot be read (damaged archive);",
    "cut.log": "cut.log ends in the middle;",
    "gap.log": "gap.log lacks 7 answers of 2026-11-21,",
    "own.log": "own.log: A log of our own server was changed",
    "own.log.gz": "own.log.gz: A log of our own server was changed",
}
"""Names on a server, and what the counter must say of each."""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_password_or_token_in_a_url_is_never_printed(
    tmp_path: Path, form: tuple[str, ...]
) -> None:
    """By no message that names a log: of one that is missing, damaged, cut short or changed."""
    database = ("--db", f"sqlite:///{tmp_path}/c.db", *form)
    told = ("--product", product(tmp_path))
    packed = gzip.compress(line() * 100)
    (tmp_path / "damaged.log").write_bytes(packed[:20] + packed[:20] + packed[40:])
    (tmp_path / "cut.log").write_bytes(packed[:-8])
    (tmp_path / "gap.log").write_bytes(
        b"# mars access log v1 id=%032x\n# mars lost=7 day=2026-11-21\n" % 6 + line()
    )
    (tmp_path / "own.log").write_bytes(OWN + line())
    run("count", tmp_path / "own.log", *told, *database)
    (tmp_path / "own.log").write_bytes(OWN + line(b"?x") * 9)
    (tmp_path / "own.log.gz").write_bytes(gzip.compress(OWN + line(b"?x") * 9))
    with web(tmp_path) as address:
        host = address.removeprefix("http://")
        for place, due in NAMED.items():
            url = f"http://bob:hunter2@{host}/{place}?X-Amz-Signature=TOKEN"
            printed = ""
            for command in (
                ("count", url, "--dry-run", *form, *told),
                ("count", url, *database, *told),
                ("counts", "recount", "2026-11-21", url, *database, *told),
                ("scrub", url, *database),
            ):
                ran = run(*command, code=None)
                printed += (ran.stdout + ran.stderr).decode()
            assert due in printed
            assert "hunter2" not in printed
            assert "TOKEN" not in printed


def test_what_a_worker_lacks_is_a_problem_of_the_log_and_no_error_of_the_worker() -> None:
    """A cluster writes a task that raises into its own log, the URL with all its secrets."""
    done = perform(Whole("gs://bob:hunter2@bucket/a.log?token=TOKEN", formats.COMBINED), ALLOW)
    assert done.problem is not None
    reason, message = done.problem
    assert reason == "extra-missing"
    assert message.startswith("gs://bucket/a.log cannot be read: Please install gcsfs")


def test_a_log_that_moved_is_named_without_its_secrets() -> None:
    moved = LogMovedError("https://bob:hunter2@h/a.log?X-Amz-Signature=TOKEN").message
    assert moved.startswith("https://h/a.log was rotated")


def test_a_web_server_without_range_is_named_and_the_others_are_counted(tmp_path: Path) -> None:
    (tmp_path / "big.log").write_bytes(line(b"?x=" + b"y" * 200) * 30_000)
    (tmp_path / "a.log").write_bytes(line())
    with web(tmp_path) as address:
        told = ("count", f"{address}/big.log", tmp_path / "a.log", "--product", product(tmp_path))
        ran = run(*told, "--dry-run", code=1)
    assert ran.stderr.count(b"\n") == 1
    assert b"Range" in ran.stderr
    assert ran.stdout == b"1 line, 1 hit, 0 rejected\n"


def test_a_slow_pipe_is_read_to_its_end() -> None:
    """A pipe gives what is there, which may be less than was asked for."""
    archive = lzma.compress(ONE) + b"\0" * 8 + lzma.compress(TWO)
    ours, theirs = os.pipe()

    def write() -> None:
        with os.fdopen(theirs, "wb", buffering=0) as pipe:
            for at in range(0, len(archive), 4999):
                pipe.write(archive[at : at + 4999])

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(ours, "rb", buffering=0) as pipe, closing(Stream(pipe, "-")) as stream:
        assert b"".join(stream.chunks()) == ONE + TWO
    writer.join()


@pytest.mark.parametrize("inner", PACK)
@pytest.mark.parametrize("outer", PACK)
def test_what_is_packed_twice_is_refused(outer: str, inner: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(PACK[outer](PACK[inner](line() * 9)))
    ran = run("count", log, "--product", product(tmp_path), "--dry-run", code=1)
    assert b"packed twice" in ran.stderr
    assert b"[log-unreadable]" in ran.stderr


def test_the_longest_window_of_zstandard_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(line() * 30)
    told = ["zstd", "-q", "-19", "--ultra", "--long=31"]
    with log.open("rb") as content:  # from a pipe, so that the frame does not say how short it is
        packed = subprocess.run(told, input=content.read(), capture_output=True, check=True).stdout
    assert read(packed) == (line() * 30, False)


@pytest.mark.parametrize(
    ("kind", "keep"), [("gz", 5), ("gz", 11), ("zst", 5), ("xz", 7), ("bz2", 9)]
)
def test_an_archive_cut_in_its_first_bytes_is_told(kind: str, keep: int, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(PACK[kind](line())[:keep])
    ran = run("count", log, "--product", product(tmp_path), "--dry-run")
    assert b"ends in the middle" in ran.stderr
