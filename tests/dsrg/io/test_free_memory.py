"""Freed memory goes back to the system when it is asked for."""

import os
import subprocess
import sys

import pytest

from dsrg.io import free_memory
from tests.conftest import ROOT

#: 128 MB in blocks that come from the heap, all but every sixteenth freed again: gaps between what is held
GAPS = """
from pathlib import Path
from dsrg.io import free_memory

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

blocks = [bytes([k % 255 + 1]) * 16000 for k in range(8000)]
blocks = blocks[::16]
before = resident()
free_memory.give_back()
print(before - resident())
"""


@pytest.mark.skipif(free_memory._trim is None, reason="malloc_trim is glibc's")
def test_the_gaps_between_blocks_go_back_to_the_system():
    """As the stages of a run are started: no block is given back by itself."""
    done = subprocess.run([sys.executable, "-c", GAPS], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_MMAP_MAX_": "0",
                               "MALLOC_TRIM_THRESHOLD_": "2147483647"})
    assert float(done.stdout) > 100        # of 120


def test_a_c_library_without_it_is_no_error(monkeypatch):
    monkeypatch.setattr(free_memory.ctypes, "CDLL", lambda _: object())
    assert free_memory._found() is None
    monkeypatch.setattr(free_memory, "_trim", free_memory._found())
    free_memory.give_back()
