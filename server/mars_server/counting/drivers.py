"""Three ways to run the same tasks: here, in a pool of processes, on a Dask cluster.

A driver gives results back in the order of the tasks, a bounded number ahead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from mars.errors import StateError
from mars.wire.query import AllowList
from mars_server.counting.streams import STDIN
from mars_server.counting.work import Done, Task, perform

AHEAD = 3
"""Tasks under way per job: one runs, the others wait for it."""


class Driver(Protocol):
    def run(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        """Raises ``StateError`` (``worker-died``) where results are lost for good."""
        ...


class Here:
    """One after another in this process."""

    def run(self, tasks: Iterable[Task], allow: AllowList) -> Iterator[Done]:
        return (perform(task, allow) for task in tasks)


def ahead(
    tasks: Iterable[Task],
    submit: Callable[[Task], Callable[[], Done]],
    allow: AllowList,
    limit: int,
) -> Iterator[Done]:
    """Results in order, with up to ``limit`` tasks submitted before their turn."""
    under_way: deque[Callable[[], Done]] = deque()
    for task in tasks:
        if len(under_way) >= limit:
            yield under_way.popleft()()
        # Standard input belongs to this process.
        under_way.append(_later(task, allow) if task.path == STDIN else submit(task))
    while under_way:
        yield under_way.popleft()()


def _later(task: Task, allow: AllowList) -> Callable[[], Done]:
    return lambda: perform(task, allow)


def died() -> StateError:
    return StateError(
        "worker-died",
        "A counting process was ended from outside; what was stored is right, run again.",
    )


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
        yield Here()
    else:
        from mars_server.counting.pool import in_processes  # late: one job needs none of it

        with in_processes(jobs) as pool:
            yield pool
