"""kill -9 at random moments of a counting run: the final counts are exact.

``MARS_KILLS`` sets how many moments are tried.
"""

from __future__ import annotations

import gzip
import multiprocessing
import os
import random
import subprocess
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from sqlalchemy import select

from mars.factory import system_clock
from mars_server.common.config import load_catalogue
from mars_server.counting.count_pass import count_once
from mars_server.counting.executors import here
from mars_server.counting.inputs import expand
from mars_server.counting.intake_keys import load_keys
from mars_server.counting.progress import Progress
from mars_server.counting.reports import Opening
from mars_server.counting.store_port import Sizes
from mars_server.storage import open_database
from mars_server.storage.database import counting_lock
from mars_server.storage.ledger import Ledger
from mars_server.storage.schema import counts, pairs
from tests.server.counting import reference
from tests.server.counting.commands import PROGRAM, expected, product, run_json
from tests.server.counting.examples import ALLOW, ALLOWED, shuffled
from tests.server.counting.spools import (
    NEXT,
    WEEK,
    cells,
    keys_of,
    many,
    product_of,
    shown,
    spool,
    written,
)

KILLS = int(os.environ.get("MARS_KILLS", "16"))
SIZES = Sizes(span=20_000, checkpoint=40_000, steps=2)
"""Some thirty transactions in a run."""


def one_run(url: str, folder: str, opening: Opening | None = None) -> None:
    engine = open_database(url)
    clock = system_clock()
    with counting_lock(engine):
        ledger = Ledger(engine)
        using = (ALLOW, here, Progress(clock, None), ledger, clock.now)
        count_once(expand([folder]), *using, sizes=SIZES, opening=opening)
    engine.dispose()


def in_a_process(
    url: str, folder: Path, opening: Opening | None = None
) -> multiprocessing.process.BaseProcess:
    told = (url, str(folder), opening)
    process = multiprocessing.get_context("fork").Process(target=one_run, args=told)
    process.start()
    return process


def test_killed_at_random_moments_the_counts_are_exact(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    draw = random.Random(7)
    logs = tmp_path / "logs"
    logs.mkdir()
    parts = [shuffled(seed, 1500, days=9) + b"\n" for seed in range(5)]
    for number, content in enumerate(parts):
        (logs / f"{number}.log").write_bytes(content)
    (logs / "4.log").unlink()
    (logs / "4.log.gz").write_bytes(gzip.compress(parts[4]))
    truth = reference.count(b"".join(parts), ALLOWED)

    begin = time.monotonic()
    process = in_a_process(new_database(), logs)
    process.join()
    whole = time.monotonic() - begin
    left = KILLS
    while left > 0:
        url = new_database()
        open_database(url).dispose()
        for _ in range(min(8, left)):  # several deaths on the way to one result
            process = in_a_process(url, logs)
            time.sleep(draw.uniform(0, whole / 2))
            process.kill()
            process.join()
            left -= 1
        one_run(url, str(logs))
        engine = open_database(url)
        with engine.connect() as connection:
            cells = {(a, b, c): n for a, b, c, n in connection.execute(select(counts))}
            cross = {(a, b, c): n for a, b, c, n in connection.execute(select(pairs))}
        engine.dispose()
        assert cells == dict(truth.cells)
        assert cross == dict(truth.pairs)


def test_killed_at_random_moments_every_report_counts_once(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """A body stands in two spools; the keys of half of the reports come later."""
    draw = random.Random(8)
    folder = tmp_path / "spools"
    for number in range(4):
        bodies = [*many(60, 40 * number), *many(60, 40 * number, NEXT)]
        written(folder / f"{number}.log", spool(bodies, date(2026, 11, 29), str(number)))
    url, times = new_database(), []
    for weeks in ((WEEK,), (WEEK, NEXT)):
        openings = Opening(
            load_catalogue(product_of(tmp_path)),
            load_keys([keys_of(tmp_path, *weeks)], lambda _: b""),
        )
        begin = time.monotonic()
        one_run(new_database(), str(folder), openings)
        times.append(time.monotonic() - begin)
        for _ in range(KILLS // 4):
            process = in_a_process(url, folder, openings)
            time.sleep(draw.uniform(0, times[-1]))
            process.kill()
            process.join()
        one_run(url, str(folder), openings)
    kept = shown(url)
    assert kept["statistics"] == {**cells(180), **cells(180, NEXT)}
    assert (kept["lines"], kept["waiting"], kept["dropped"]) == (4 * 121, 0, {})


def test_the_program_killed_and_run_again_is_exact(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    part = shuffled(1, 10_000)
    for number in range(4):
        (logs / f"{number}.log").write_bytes(b"#" * (70 + number) + b"\n" + part)
    url = f"sqlite:///{tmp_path}/c.db"
    toml = product(tmp_path)
    told = ("count", str(logs), "--product", str(toml), "--db", url, "--jobs", "2")
    for delay in (0.6, 1.0):
        with subprocess.Popen([*PROGRAM, *told], stdout=subprocess.DEVNULL) as counter:
            time.sleep(delay)
            counter.kill()
    run_json(*told)
    want = expected(*((b"#" * (70 + number) + b"\n" + part) for number in range(4)))
    assert run_json("counts", "show", "--db", url)["days"] == want["days"]
