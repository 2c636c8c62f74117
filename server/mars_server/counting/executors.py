"""Three ways to run the same tasks: here, in a pool of processes, on a Dask cluster.

A driver gives results back in the order of the tasks, a bounded number ahead.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import Thread

from mars.wire.query import AllowList
from mars_server.counting.tasks import Ahead, Done, Driver, Task, perform


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


@contextmanager
def _in_processes(jobs: int) -> Iterator[Ahead]:
    """They end with the body, or with this process, however that ends."""
    import multiprocessing  # late: most counts run in this process alone
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

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
    import multiprocessing

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    from multiprocessing.connection import wait

    wait([sentinel])
    os._exit(1)
