"""Work on many items with all cores: results in order, a bounded number under way."""

import multiprocessing
import os
from collections import deque
from concurrent.futures import ProcessPoolExecutor


def available_cpus():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(function, jobs, workers, setup=None, setup_arguments=()):
    """Yield function(job) for each job, in order, from processes; few results wait at a time.

    Parameters
    ----------
    function, setup : module-level functions
        `setup(*setup_arguments)` runs once in each process before its first job.
    jobs : iterable
    workers : int
        1 works in this process.
    """
    if workers == 1:
        if setup:
            setup(*setup_arguments)
        yield from map(function, jobs)
        return
    # Threads of the libraries do not survive a fork, so the processes start afresh.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=setup,
                               initargs=setup_arguments)
    waiting = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(function, job))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
