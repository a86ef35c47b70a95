"""The tests for a GPU on a machine without one: on a device that has its rules and the host's arithmetic."""

import re
import subprocess
import sys

import pytest
import torch

from benchmarks.gpu.__main__ import GOLDENS, marked_files
from tests.conftest import PATIENCE, ROOT


def on_stand_in(*words):
    """What pytest prints with these words, on the stand-in."""
    if torch.version.cuda:
        pytest.skip("this torch has CUDA: run pytest -m gpu on its device")
    pytest_words = ["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *words]
    done = subprocess.run([sys.executable, "-m", "tests.stand_in_gpu", sys.executable, *pytest_words], cwd=ROOT,
                          capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def test_the_tests_for_a_gpu_pass_and_none_is_skipped():
    said = on_stand_in("-m", "gpu", *marked_files())
    passed, = re.findall(r"(\d+) passed", said)
    assert int(passed) >= 55 and "skipped" not in said


def test_measured_values_of_caffe_hold_on_the_device():
    said = on_stand_in("--device", "0", *GOLDENS, "-k", "caffe or measured or original")
    passed, = re.findall(r"(\d+) passed", said)
    assert int(passed) >= 200
