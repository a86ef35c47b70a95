"""caffe.set_random_seed: what it reaches, and how processes come to one order."""

import json
import os
import subprocess
import sys

import caffe
import cv2
import numpy as np
import pytest
from caffe import device

from tests.conftest import ROOT
from tests.engine.layers.pictures import batches, image_net
from tests.engine.nets import build, write
from tests.engine.test_parallel import free_port

DRAWS = """
layer { name: "data" type: "DummyData" top: "data" top: "x" dummy_data_param {
        shape { dim: 2 dim: 1 dim: 4 dim: 4 } data_filler { type: "gaussian" } } }
layer { name: "drop" type: "Dropout" bottom: "data" top: "drop" }
layer { name: "pool" type: "Pooling" bottom: "x" top: "pool"
        pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 } }
"""


def drawn(net):
    net.forward()
    return np.concatenate([net.blobs[name].data.ravel() for name in ("data", "x", "drop", "pool")])


def test_a_net_that_stands_follows_the_seed(tmp_path):
    net = build(tmp_path, DRAWS, caffe.TRAIN)
    runs = []
    for seed in (9, 9, 8):
        caffe.set_random_seed(seed)
        runs.append([drawn(net), drawn(net)])
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0][0], runs[0][1]), "the numbers go on from forward to forward"
    assert not np.array_equal(runs[0][0], runs[2][0])


def test_nets_that_stand_take_turns_as_those_that_are_made(tmp_path):
    nets = [build(tmp_path, DRAWS, caffe.TRAIN) for _ in range(2)]
    caffe.set_random_seed(9)
    first = [drawn(net) for net in nets]
    caffe.set_random_seed(9)
    again = [drawn(net) for net in nets]
    assert np.array_equal(first, again) and not np.array_equal(*first)
    caffe.set_random_seed(9)
    assert np.array_equal(drawn(build(tmp_path, DRAWS, caffe.TRAIN)), first[0])


@pytest.fixture
def numbered(tmp_path):
    for i in range(10):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((4, 4), i, np.uint8))
    return tmp_path, [(f"{i}.png", i) for i in range(10)]


def test_data_layers_keep_the_order_they_were_made_with(numbered):
    folder, lines = numbered
    caffe.set_random_seed(3)
    net = image_net(folder, lines, "batch_size: 5 shuffle: true", root=folder)
    whole = [labels for _, labels in batches(net, 4)]
    caffe.set_random_seed(3)
    net = image_net(folder, lines, "batch_size: 5 shuffle: true", root=folder)
    parts = [batches(net, 1)[0][1] for seed in (5, 6, 7, 8) if caffe.set_random_seed(seed) is None]
    assert parts == whole


def test_a_restored_layer_goes_on_after_its_seed_was_set(tmp_path):
    net = build(tmp_path, DRAWS, caffe.TRAIN)
    caffe.set_random_seed(9)
    whole = [drawn(net) for _ in range(4)]
    caffe.set_random_seed(9)
    net = build(tmp_path, DRAWS, caffe.TRAIN)
    for layer in net.layers:
        layer.seek(2)
    assert np.array_equal(drawn(net), whole[2])


def test_processes_that_nobody_seeded_and_nothing_joins_share_one_order(numbered, monkeypatch):
    folder, lines = numbered
    labels = []
    for rank in (0, 1):
        state = {"solver_rank": rank, "solver_count": 2, "seeded": False,
                 "seeds": np.random.SeedSequence()}  # as a process that has just begun
        for name, value in state.items():
            monkeypatch.setitem(device._state, name, value)
        net = image_net(folder, lines, "batch_size: 5 shuffle: true", root=folder, phase="TRAIN")
        labels.append(batches(net, 2))
    epochs = [sorted(labels[0][k][1] + labels[1][k][1]) for k in (0, 1)]
    assert epochs == [list(range(10))] * 2


SOLVER = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 1 solver_mode: CPU snapshot_prefix: "snap"'
PROGRAM = """
import json, caffe
solver = caffe.get_solver("solver.prototxt")
labels = []
for _ in range(2):
    solver.step(1)
    labels.append(solver.net.blobs["label"].data.astype(int).tolist())
open(f"labels{caffe.solver_rank()}", "w").write(json.dumps(labels))
"""


def test_processes_without_random_seed_take_disjoint_shards_of_one_order(numbered):
    folder, lines = numbered
    (folder / "list.txt").write_text("".join(f"{a} {b}\n" for a, b in lines))
    write(folder, """
        layer { name: "data" type: "ImageData" top: "data" top: "label"
                image_data_param { source: "list.txt" batch_size: 5 shuffle: true } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 10 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }""")
    write(folder, SOLVER, "solver.prototxt")
    common = {**os.environ, "PYTHONPATH": str(ROOT / "engine"), "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2",
              "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    ranks = [subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=folder, stderr=subprocess.PIPE, text=True,
                              env={**common, "RANK": str(k), "LOCAL_RANK": str(k)}) for k in range(2)]
    for process in ranks:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    labels = [json.loads((folder / f"labels{k}").read_text()) for k in range(2)]
    assert [sorted(a + b) for a, b in zip(*labels, strict=True)] == [list(range(10))] * 2
