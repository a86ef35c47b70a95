"""Fixtures of the engine's tests."""

from pathlib import Path

import caffe
import numpy as np
import pytest
from caffe import device

from tests.engine.nets import RUNS, TINY, write


@pytest.fixture(scope="session")
def data_files():
    """Folder of small files that real Caffe wrote: weights, states, a mean, pictures, samples of pycaffe."""
    return Path(__file__).resolve().parents[1] / "data" / "caffe" / "files"


@pytest.fixture(scope="session")
def measured():
    """Arrays of the measured runs: "<run>/loss", "<run>/iter20/<layer>/<k>", ..."""
    with np.load(RUNS / "runs.npz") as z:
        return {k: z[k] for k in z.files}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Builds a solver of TINY in tmp_path, which is the working folder; the rate is 0.1 unless the text says it."""
    monkeypatch.chdir(tmp_path)

    def make(extra="", start=0, net=TINY, cls=None):
        path = write(tmp_path, net.replace("START", str(start)), f"net{start}.prototxt")
        extra = extra if "base_lr" in extra else 'base_lr: 0.1 lr_policy: "fixed" ' + extra
        extra = extra if "snapshot_prefix" in extra else f'snapshot_prefix: "{tmp_path}/snap" ' + extra
        return (cls or caffe.get_solver)(write(tmp_path, f'net: "{path}"\n{extra}', "solver.prototxt"))

    return make


@pytest.fixture
def logged(monkeypatch, capsys):
    """A function that returns the messages of the log so far, without time and process."""
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    return lambda: [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines() if "] " in line]


@pytest.fixture(autouse=True)
def as_a_fresh_process(monkeypatch):
    """Programs choose device and log level for the rest of their process; what tests of commands chose ends here."""
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    monkeypatch.setitem(device._state, "mode_chosen", False)
