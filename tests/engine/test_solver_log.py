"""The lines of a solver's log, as Caffe writes them."""

import re

import numpy as np
import pytest

from tests.engine.nets import CLASSIFIER, RUNS


def test_lines_of_a_run(tiny, logged, tmp_path):
    solver = tiny("display: 2 max_iter: 4 snapshot: 3 test_iter: 2 test_interval: 4 test_compute_loss: true",
                  net=CLASSIFIER)
    solver.solve()
    number = r"[-+.e\d]+"
    expected = [
        "Solving classifier", "Learning Rate Policy: fixed",
        r"Iteration 0, Testing net \(#0\)", f"Test loss: {number}", f"    Test net output #0: acc = {number}",
        rf"    Test net output #1: loss = {number} \(\* 1 = {number} loss\)",
        rf"Iteration 0 \(0 iter/s, {number}s/2 iters\), loss = {number}",
        rf"    Train net output #0: loss = {number} \(\* 1 = {number} loss\)",
        "Iteration 0, lr = 0.1",
        rf"Iteration 2 \({number} iter/s, {number}s/2 iters\), loss = {number}",
        rf"    Train net output #0: loss = {number} \(\* 1 = {number} loss\)",
        "Iteration 2, lr = 0.1",
        f"Snapshotting to binary proto file {tmp_path}/snap_iter_3.caffemodel",
        f"Snapshotting solver state to binary proto file {tmp_path}/snap_iter_3.solverstate",
        f"Snapshotting to binary proto file {tmp_path}/snap_iter_4.caffemodel",
        f"Snapshotting solver state to binary proto file {tmp_path}/snap_iter_4.solverstate",
        f"Iteration 4, loss = {number}",
        r"Iteration 4, Testing net \(#0\)", f"Test loss: {number}", f"    Test net output #0: acc = {number}",
        rf"    Test net output #1: loss = {number} \(\* 1 = {number} loss\)",
        "Optimization Done.",
    ]
    seen = logged()
    assert len(seen) == len(expected)
    for line, pattern in zip(seen, expected, strict=True):
        assert re.fullmatch(pattern, line), line


def test_average_loss_smooths_over_the_last_iterations(tiny, logged, measured):
    solver = tiny(str(measured["SGD_step/solver"]).replace("display: 0", "display: 1 average_loss: 3"))
    with np.load(RUNS / "data.npz") as data:
        for key in data.files:
            if key.startswith("param/"):
                _, layer, k = key.split("/")
                solver.net.params[layer][int(k)].data[...] = data[key]
    solver.step(6)
    shown = [float(line.rsplit(" = ", 1)[1]) for line in logged() if re.match(r"Iteration \d+ \(.*loss", line)]
    losses = measured["SGD_step/loss"]
    assert shown == pytest.approx([losses[max(0, k - 2) : k + 1].mean() for k in range(6)], rel=1e-4)


def test_lines_of_clipping_and_multistep(tiny, logged):
    tiny('base_lr: 0.1 lr_policy: "multistep" stepvalue: 1 gamma: 0.5 clip_gradients: 1e-3', net=CLASSIFIER).step(2)
    seen = logged()
    assert "MultiStep Status: Iteration 1, step = 1" in seen
    pattern = r"Gradient clipping: scaling down gradients \(L2 norm [\d.]+ > 0.001\) by scale factor [\d.e-]+"
    assert re.fullmatch(pattern, seen[0])


def test_debug_info_only_at_displayed_iterations(tiny, logged):
    tiny("debug_info: true display: 2", net=CLASSIFIER).step(2)
    seen = [line for line in logged() if line.startswith("    [Backward] All net params")]
    assert len(seen) == 1
