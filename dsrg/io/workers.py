"""Work on many items with all cores: results in order, a bounded number under way."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path

from dsrg.io.interrupts import without_interrupts


def available_cpus():
    """Number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: what limits the threads of a process's libraries, read when these are loaded: OpenMP and two BLAS
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Processes(ProcessPoolExecutor):
    """A pool of fresh processes, each of which computes with one thread.

    Threads of the libraries do not survive a fork, so the processes are spawned. Left alone, BLAS would start a thread
    for every core in every process, for products of a few rows; waiting for each other costs them more than the work.
    They end with this process, however it ends: a pool's own wait for jobs that nobody will send any more. Ctrl-C is
    for this process, which ends the pool; they do not see it, not even while they import.
    `setup(*setup_arguments)` runs once in each process before its first job.
    """

    def __init__(self, workers, setup=None, setup_arguments=()):
        _start_tracker()
        super().__init__(workers, multiprocessing.get_context("spawn"), initializer=_start,
                         initargs=(setup, setup_arguments))

    def submit(self, *job, **keywords):
        """As the pool's: a process is started here when all others are at work."""
        _start_tracker()        # of its own start it would have SIGINT let through
        with _environment(dict.fromkeys(THREADS, "1")), without_interrupts():
            return super().submit(*job, **keywords)


def _start_tracker():
    """Start the process that removes the pool's semaphores when this one was killed; it does so without a word."""
    earlier = os.environ.get("PYTHONWARNINGS")
    silent = ",".join(filter(None, (earlier, "ignore::UserWarning:multiprocessing.resource_tracker")))
    with _environment({"PYTHONWARNINGS": silent}):
        resource_tracker.ensure_running()


def _start(setup, arguments):
    import cv2  # which no variable tells

    threading.Thread(target=_end_with_parent, daemon=True).start()
    cv2.setNumThreads(1)
    if setup:
        setup(*arguments)


def _end_with_parent():
    """Wait for the end of the process that owns the pool, and end as by SIGKILL."""
    wait([multiprocessing.parent_process().sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def _environment(variables):
    """Variables that processes started in the block inherit."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def in_order(function, jobs, workers, setup=None, setup_arguments=(), waiting=4):
    """Yield function(job) for each job, in order, from processes; few results wait at a time.

    Parameters
    ----------
    function, setup : module-level functions
        `setup(*setup_arguments)` runs once in each process before its first job.
    jobs : iterable
    workers : int
        1 works in this process; several compute with one thread each.
    waiting : int
        Jobs a worker that may be under way or done and not yet asked for.

    Yields
    ------
    object
        What the function returned.
    """
    if workers == 1:
        if setup:
            setup(*setup_arguments)
        yield from map(function, jobs)
        return
    pool = Processes(workers, setup, setup_arguments)
    try:
        yield from ahead(pool, function, jobs, waiting * workers)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def in_threads(function, jobs):
    """Yield function(job) for each job, in order, from a thread a core: for what OpenCV, Pillow and numpy do.

    Parameters
    ----------
    function : callable
        Takes one job.
    jobs : iterable

    Yields
    ------
    object
        What the function returned.
    """
    count = available_cpus()
    pool = ThreadPoolExecutor(count)
    try:
        yield from ahead(pool, function, jobs, 4 * count)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def ahead(pool, function, jobs, depth):
    """Results of `function` over `jobs` in order from an executor, at most `depth` of them under way or waiting.

    Parameters
    ----------
    pool : concurrent.futures.Executor
    function : callable
        Takes one job.
    jobs : iterable
    depth : int
        1 or more.

    Yields
    ------
    object
        What the function returned.
    """
    waiting = deque()
    for job in jobs:
        waiting.append(pool.submit(function, job))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def available_memory():
    """Bytes that this process may still fill without swapping: of the machine, or of its control group."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
        free = min(free, limit - int(Path("/sys/fs/cgroup/memory.current").read_text()))
    except (OSError, ValueError):  # no such group, or "max"
        pass
    return max(0, free)


class MemoryBudget:
    """Bytes that threads share out among them: one that asks for more than is left waits for the others.

    Parameters
    ----------
    total : int, optional
        By default half of what is available; where that is not known, no limit.
    """

    def __init__(self, total=None):
        if total is None and (available := available_memory()) is not None:
            total = available // 2
        self._total, self._used, self._changed = total, 0, threading.Condition()

    @contextlib.contextmanager
    def claim(self, size):
        """Hold `size` bytes for the block; a claim above the total waits until it is alone.

        Parameters
        ----------
        size : int
            Bytes.

        Yields
        ------
        None
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._used or self._total is None or self._used + size <= self._total)
            self._used += size
        try:
            yield
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()
