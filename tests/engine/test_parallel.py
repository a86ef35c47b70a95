"""Two processes under torch.distributed (gloo) train as one process with iter_size 2 does."""

import os
import socket
import subprocess
import sys

import caffe
import numpy as np
import pytest

from tests.conftest import ROOT
from tests.engine import parallel_run
from tests.engine.nets import write

NET = """
layer { name: "data" type: "Python" top: "data" top: "label" python_param { module: "parallel_run" layer: "Shard" } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 4 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = 'net: "net.prototxt" base_lr: 0.5 momentum: 0.9 lr_policy: "fixed" max_iter: 6 display: 2 snapshot: 3 ' \
         'snapshot_prefix: "snap" solver_mode: CPU test_iter: 1 test_interval: 3 '


def start(folder, out, **variables):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "engine"), "OMP_NUM_THREADS": "1", **variables}
    command = [sys.executable, parallel_run.__file__, "solver.prototxt", out]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def finish(process):
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return err


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, NET)
    return tmp_path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def test_two_processes_equal_one_with_two_batches_an_iteration(folder, monkeypatch):
    write(folder, SOLVER, "solver.prototxt")
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    logs = [finish(p) for p in [start(folder, "two", RANK=str(k), LOCAL_RANK=str(k), **common) for k in range(2)]]
    assert "Iteration 2 " in logs[0] and "Testing net" in logs[0]
    assert "Iteration" not in logs[1] and "Snapshotting" not in logs[1]  # rank 0 alone writes
    ranks = [dict(np.load(folder / f"two{k}.npz")) for k in range(2)]
    assert ranks[0]["count"] == 2
    for name in ("first", "last"):
        assert np.array_equal(ranks[0][name], ranks[1][name])  # same start, and in step ever after

    (folder / "snap_iter_3.caffemodel").unlink()
    write(folder, SOLVER.replace("0.5", "0.5 iter_size: 2"), "solver.prototxt")
    monkeypatch.chdir(folder)
    monkeypatch.setitem(sys.modules, "parallel_run", parallel_run)
    solver = caffe.get_solver("solver.prototxt")
    solver.net.params["ip"][0].data[...] = ranks[0]["first"]
    solver.solve()
    ours = solver.net.params["ip"][0].data
    assert np.allclose(ours, ranks[0]["last"], rtol=1e-4, atol=1e-6)
    assert not np.allclose(ranks[0]["first"], ours, atol=1e-2)
