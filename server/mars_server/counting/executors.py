"""Three ways to run the same tasks: here, in a pool of processes, on a Dask cluster.

A driver gives results back in the order of the tasks, a bounded number ahead.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from threading import Thread

from mars.errors import StateError
from mars.wire.query import AllowList
from mars_server.counting.streams import STDIN
from mars_server.counting.tasks import Done, Task, perform

_AHEAD = 3
"""Tasks under way per process or thread: one runs, the others wait for it."""


Driver = Callable[[Iterable[Task], AllowList], Iterator[Done]]
"""Runs the tasks. Raises ``StateError`` (``worker-died``) where results are lost for good."""


def here(tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
    """One after another in this process."""
    return (perform(task, allow) for task in tasks)


@contextmanager
def driver(
    jobs: int = 1, cluster: str | None = None, say: Callable[[str], None] = lambda _: None
) -> Iterator[Driver]:
    """The driver that the options ask for; processes end with the body.

    ``say`` gets a sentence when a cluster waits for workers.
    """
    if cluster is not None:
        from mars_server.counting.cluster import on_cluster

        with on_cluster(cluster, say) as remote:
            yield remote
    elif jobs == 1:
        yield here
    else:
        with _in_processes(jobs) as pool:
            yield pool


# --- The same tasks in processes of this machine: the one home of multiprocessing ---


@dataclass(frozen=True)
class Ahead:
    """In other processes, a bounded number of tasks ahead."""

    submit: Callable[[Task, AllowList], Callable[[], Done]]
    """Hands a task over; what it gives waits for the result."""
    processes: Callable[[], int]
    lost: tuple[type[Exception], ...]
    """What is raised where results are lost for good."""

    def __call__(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        limit = _AHEAD * self.processes()
        under_way: deque[Callable[[], Done]] = deque()
        try:
            for task in tasks:
                if len(under_way) >= limit:
                    yield under_way.popleft()()
                # Standard input belongs to this process.
                mine = task.path == STDIN
                under_way.append(
                    partial(perform, task, allow) if mine else self.submit(task, allow)
                )
            while under_way:
                yield under_way.popleft()()
        except self.lost as error:
            raise StateError(
                "worker-died",
                "A counting process was ended from outside; what was stored is right, run again.",
            ) from error


@contextmanager
def _in_processes(jobs: int) -> Iterator[Ahead]:
    """They end with the body, or with this process, however that ends."""
    # Spawned, not forked: small processes that hold none of our files, locks or connections.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _die_with_parent) as executor:
        try:
            yield Ahead(
                lambda task, allow: executor.submit(perform, task, allow).result,
                lambda: jobs,
                (BrokenProcessPool,),
            )
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _die_with_parent() -> None:
    """A worker of a counter that was killed would wait for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
