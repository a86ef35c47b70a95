"""Processes that work side by side: in order, a thread each."""

import os

import cv2
import numpy as np
import pytest

from dsrg.io.workers import THREADS, in_order


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
        assert found == 1
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
