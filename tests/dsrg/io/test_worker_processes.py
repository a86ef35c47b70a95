"""Processes that work side by side: in order, a thread each."""

import os
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

from dsrg.io.workers import THREADS, in_order
from tests.conftest import ROOT


def threads_of_this_process(size):
    """Threads of the process and what OpenCV would take, after a product that BLAS would share among cores."""
    a = np.ones((size, size))
    a @ a
    return len(os.listdir("/proc/self/task")), cv2.getNumThreads(), [os.environ.get(name) for name in THREADS]


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="threads are counted as Linux lists them")
def test_processes_compute_with_one_thread_each(monkeypatch):
    """As many as the machine has cores work side by side: more threads would wait for each other."""
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    for found, opencv, variables in in_order(threads_of_this_process, [512] * 4, 2):
        assert opencv == 1 and variables == ["1"] * len(THREADS)
        assert found == 2       # one of them waits for the end of this process
    assert os.environ["OMP_NUM_THREADS"] == "7" and "OPENBLAS_NUM_THREADS" not in os.environ


NOTES = []


def note(text):
    NOTES.append(text)


def notes(number):
    return number, list(NOTES)


@pytest.mark.parametrize("workers", [1, 2])
def test_setup_runs_once_in_each_process_before_its_first_job(workers, monkeypatch):
    monkeypatch.setattr(f"{__name__}.NOTES", [])
    assert list(in_order(notes, range(6), workers, note, ("set up",))) == [(k, ["set up"]) for k in range(6)]


OWNER = """
import sys, time
from concurrent.futures import wait
from dsrg.io.workers import Processes
from tests.dsrg.io.test_worker_processes import number_and_rest

if __name__ == "__main__":
    pool = Processes(2)
    jobs = [pool.submit(number_and_rest, seconds) for seconds in (1.0, 1.0)]
    print(*(job.result() for job in jobs), flush=True)
    pool.submit(number_and_rest, 600)       # one is at work, the other waits for a job
    time.sleep(600)
"""


def number_and_rest(seconds):
    time.sleep(seconds)
    return os.getpid()


def test_no_worker_outlives_a_process_that_is_killed(tmp_path):
    """Nor does multiprocessing's process that removes what the pool held say anything about it."""
    (tmp_path / "owner.py").write_text(OWNER)
    owner = subprocess.Popen([sys.executable, tmp_path / "owner.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    workers = {int(word) for word in owner.stdout.readline().split()}
    assert len(workers) == 2
    owner.kill()
    owner.wait()
    owner.stdout.close()
    end = time.monotonic() + 20
    while any(os.path.exists(f"/proc/{number}") for number in workers):
        assert time.monotonic() < end, "a worker outlived its pool"
        time.sleep(0.05)
    with owner.stderr:
        assert owner.stderr.read() == ""        # to the end of the last process that holds it
