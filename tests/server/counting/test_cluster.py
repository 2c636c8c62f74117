"""A real Dask scheduler and real workers, as processes; one worker is killed in the middle."""

from __future__ import annotations

import functools
import gzip
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from mars.errors import StateError
from mars.factory import system_clock
from mars.wire.query import AllowList
from mars_server.counting.cluster import on_cluster
from mars_server.counting.count_pass import count_once, dry_run
from mars_server.counting.executors import driver, here
from mars_server.counting.progress import Progress
from mars_server.counting.store_port import Sizes
from mars_server.counting.tasks import Ahead, Done, Driver, Task
from mars_server.storage import open_database
from mars_server.storage.ledger import Ledger
from tests.server.counting import reference
from tests.server.counting.commands import contract, expected, product, run_json, running, said
from tests.server.counting.examples import ALLOW, ALLOWED, line, shuffled
from tests.server.counting.spools import (
    NEXT,
    WEEK,
    cells,
    errors_of,
    event,
    keys_of,
    many,
    product_of,
    sealed,
    secret,
    spool,
    written,
)

SMALL = Sizes(span=200_000)
BASE = ("--host", "127.0.0.1", "--no-dashboard")


@dataclass
class DaskCluster:
    folder: Path
    address: str
    workers: list[subprocess.Popen[bytes]]


def worker(place: Path, folder: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    one = ("distributed.cli.dask_worker", *BASE, "--scheduler-file", str(place))
    more = ("--nthreads", "1", "--no-nanny", "--local-directory", str(folder))
    return process(*one, *more, folder=folder)


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[Path, str]]:
    """A file that leads workers to it, and its address."""
    place = folder / "scheduler.json"
    told = ("distributed.cli.dask_scheduler", *BASE, "--port", "0", "--scheduler-file", str(place))
    with process(*told, folder=folder):
        wait_for(lambda: place.exists() and place.read_text().endswith("}"))
        yield place, json.loads(place.read_text())["address"]


@contextmanager
def process(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "10s"}
    with (folder / "log").open("ab") as log:
        running = subprocess.Popen(
            [sys.executable, "-m", *arguments], stdout=log, stderr=log, env=environment, cwd=folder
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    folder = tmp_path_factory.mktemp("dask")
    with ExitStack() as stack:
        place, address = stack.enter_context(scheduler(folder))
        workers = [stack.enter_context(worker(place, folder)) for _ in range(2)]
        yield DaskCluster(folder, address, workers)


def wait_for(done: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came up"
        time.sleep(0.1)


@contextmanager
def web(folder: Path) -> Iterator[str]:
    """The folder by HTTP on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_the_command_counts_on_a_cluster(cluster: DaskCluster, tmp_path: Path) -> None:
    parts = [shuffled(1, 3000) + b"\n", shuffled(2, 500) + b"\n"]
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "a.log").write_bytes(parts[0])
    (logs / "b.log.gz").write_bytes(gzip.compress(parts[1]))
    toml = product(tmp_path)
    told = ("--product", toml, "--cluster", cluster.address)
    want = expected(*parts)
    assert contract(run_json("count", logs, *told, "--dry-run")) == want
    with web(logs) as address:
        urls = (f"{address}/a.log", f"{address}/b.log.gz", f"file://{logs}/a.log")
        assert contract(run_json("count", *urls[:2], *told, "--dry-run")) == want
        url = f"sqlite:///{tmp_path}/c.db"
        # By whatever name: the content says that these are two logs.
        assert run_json("count", *urls, str(logs), *told, "--db", url)["hits"] == want["hits"]
    assert run_json("counts", "show", "--db", url)["days"] == want["days"]


def test_a_cluster_opens_spools_and_shows_no_key(cluster: DaskCluster, tmp_path: Path) -> None:
    """The folder of the cluster holds what its processes log."""
    bodies = [*many(40), sealed(event(), 90), *many(2, week=NEXT)]
    written(tmp_path / "spool.log", spool(bodies))
    told = ("--product", product_of(tmp_path), "--keys", keys_of(tmp_path, WEEK))
    errors_of(tmp_path)
    database = ("--db", f"sqlite:///{tmp_path}/c.db", "--cluster", cluster.address)
    out = run_json("count", tmp_path / "spool.log", *told, *database)
    assert (out["statistics"], out["waiting"]) == (cells(40), 2)
    assert out["events"] == {WEEK: {"decryption/key_missing": {"0.5.2": {"2-9": 1}}}}
    logged = (cluster.folder / "log").read_bytes()
    assert secret(WEEK).hex().encode() not in logged
    assert repr(secret(WEEK)).encode() not in logged


def test_a_cluster_out_of_reach_says_so() -> None:
    with pytest.raises(StateError) as error, on_cluster("tcp://127.0.0.1:1", patience=1):
        pass
    assert error.value.reason == "cluster-unreachable"


def test_a_cluster_without_a_worker_says_what_it_waits_for(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line() * 3)
    told = ("count", tmp_path / "a.log", "--product", product(tmp_path), "--dry-run", "--cluster")
    with scheduler(tmp_path) as (place, address), running(*told, address) as counter:
        assert said(counter.stderr).startswith("The cluster has no worker; waiting")
        with worker(place, tmp_path):
            assert said(counter.stdout).startswith("3 lines, 3 hits")
            assert counter.wait(60) == 0


def test_all_drivers_count_alike_and_a_dead_worker_changes_nothing(
    cluster: DaskCluster, tmp_path: Path
) -> None:
    content = b"".join(shuffled(seed, 10_000) + b"\n" for seed in range(4))
    path = tmp_path / "a.log"
    path.write_bytes(content)
    truth = reference.count(content, ALLOWED)
    for number, (jobs, address) in enumerate(((1, None), (2, None), (1, cluster.address))):
        with driver(jobs, address) as chosen:
            used = chosen if address is None else Killing(chosen, cluster.workers[0])
            found = count(used, path, tmp_path / f"{number}.db")
        assert found == (truth.lines, truth.hits, dict(truth.cells))
    assert cluster.workers[0].poll() is not None  # it is dead


class Killing:
    """A real driver; after its third result of many a worker is killed."""

    def __init__(self, real: Driver, victim: subprocess.Popen[bytes]) -> None:
        self._real = real
        self._victim = victim

    def __call__(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        number = 0
        for number, done in enumerate(self._real(tasks, allow), 1):
            if number == 3:
                self._victim.kill()
                self._victim.wait()
            yield done
        assert number > 10


def count(
    chosen: Driver, path: Path, database: Path
) -> tuple[int, int, dict[tuple[str, str, str], int]]:
    clock = system_clock()
    engine = open_database(f"sqlite:///{database}")
    out = count_once(
        [str(path)], ALLOW, chosen, Progress(clock, None), Ledger(engine), clock.now, sizes=SMALL
    )
    engine.dispose()
    assert out.problems == []
    return out.tally.lines, out.tally.hits, dict(out.tally.cells)


def test_a_dry_run_takes_any_driver(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(line() * 10)
    with driver(2) as pool:
        assert isinstance(pool, Ahead)
        progress = Progress(system_clock(), None)
        assert dry_run([str(tmp_path / "a.log")], ALLOW, pool, progress).tally.hits == 10
        assert dry_run([str(tmp_path / "a.log")], ALLOW, here, progress).tally.hits == 10
