"""The training command: end to end, overrides, seeds, logs, weights, signals."""

import gc
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from dsrg.io.errors import UserError
from tests.conftest import ROOT
from tests.training.runs import NET, SOLVER, digest, iterations, remove_snapshots, weights
from training import train
from training.loss_watch import LossWatch


def test_a_run_ends_with_the_weights_of_the_last_iteration(run):
    assert run("--log", "logs/tiny.jsonl") == 0
    assert (run.folder / "models/tiny_iter_8.caffemodel").is_file()
    assert "trained: models/tiny_iter_8.caffemodel" in run.printed and "tiny: 8/8, loss-seed " in run.printed
    lines = [json.loads(line) for line in (run.folder / "logs/tiny.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(8))
    np.testing.assert_allclose([line["lr"] for line in lines], [5e-4] * 4 + [2.5e-4] * 4, rtol=1e-6)
    assert all(np.isfinite(line["losses"]["loss-seed"]) and line["seconds"] >= 0 for line in lines)


def test_a_net_that_learns_statistics_beside_layers_of_deeplab_trains_without_a_warning(run):
    """As the demo's train-f does: training.train has asked this Caffe what its BatchNorm learns."""
    drop = next(line for line in NET.splitlines() if '"drop"' in line)
    layers = ('layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }\n'
              'layer { name: "zoom" type: "Interp" bottom: "conv" top: "zoom" interp_param { zoom_factor: 1 } }')
    (run.folder / "net.prototxt").write_text(
        NET.replace(drop, layers).replace('bottom: "conv" top: "score"', 'bottom: "zoom" top: "score"'))
    assert run("--max-iter", "1") == 0 and "statistics" not in run.printed


def test_the_run_keeps_the_solver_and_net_that_made_it(run):
    run("--max-iter", "2", "--seed", "5", "--set", "annotation.mirror=false")
    solver = (run.folder / "models/tiny_solver.prototxt").read_text()
    assert 'net: "models/tiny_net.prototxt"' in solver and "max_iter: 2" in solver and "random_seed: 5" in solver
    assert "mirror: false" in (run.folder / "models/tiny_net.prototxt").read_text()
    model = digest(run.folder / "models/tiny_iter_2.caffemodel")
    remove_snapshots(run.folder)
    assert train.main(["--solver", "models/tiny_solver.prototxt"]) == 0
    assert digest(run.folder / "models/tiny_iter_2.caffemodel") == model


def test_the_net_is_kept_word_for_word_unless_it_is_changed(run):
    run("--max-iter", "1")
    assert (run.folder / "models/tiny_net.prototxt").read_text() == NET


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run):
    digests = []
    for seed in ("3", "3", "4"):
        remove_snapshots(run.folder)
        run("--seed", seed)
        digests.append(digest(run.folder / "models/tiny_iter_8.caffemodel"))
    assert digests[0] == digests[1] != digests[2]


def test_a_drawn_seed_stays_that_of_the_run(run):
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("random_seed: 11\n", ""))
    run("--max-iter", "4")
    seed = [line for line in (run.folder / "models/tiny_solver.prototxt").read_text().splitlines() if "seed" in line]
    run("--resume")
    assert len(seed) == 1 and seed[0] in (run.folder / "models/tiny_solver.prototxt").read_text()


def test_weights_are_copied_and_the_rest_is_named(run):
    run("--max-iter", "1")
    (run.folder / "first").mkdir()
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "first/a.caffemodel")
    remove_snapshots(run.folder)
    (run.folder / "net.prototxt").write_text(NET.replace('name: "score"', 'name: "score-new"'))
    run("--weights", "first/a.caffemodel", "--max-iter", "1")
    assert "first/a.caffemodel: copied 1 layer (conv); not in the net: score" in run.printed
    assert "left at their filler: score-new" in run.printed


def test_initial_weights_are_those_of_the_file(run):
    run("--max-iter", "1")
    first = weights(run.folder / "models/tiny_iter_1.caffemodel")
    (run.folder / "models/tiny_iter_1.caffemodel").rename(run.folder / "first.caffemodel")
    remove_snapshots(run.folder)
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("0.0005", "0"))
    run("--weights", "first.caffemodel", "--seed", "99", "--max-iter", "1")
    np.testing.assert_array_equal(weights(run.folder / "models/tiny_iter_1.caffemodel"), first)


def test_an_older_pycaffe_without_callbacks_rates_and_ranks_trains_to_the_same_weights(run, monkeypatch):
    """DeepLab-v2's Caffe is older than 1.0."""
    import caffe

    run()
    modern = digest(run.folder / "models/tiny_iter_8.caffemodel")
    remove_snapshots(run.folder)
    solver = caffe.SGDSolver.__mro__[1]
    for owner, name in ((solver, "add_callback"), (solver, "lr"), (caffe, "solver_count"), (caffe, "solver_rank")):
        monkeypatch.delattr(owner, name)
    run()
    assert digest(run.folder / "models/tiny_iter_8.caffemodel") == modern


# -- what is refused ----------------------------------------------------------------------------------------


def test_auto_means_the_same_arithmetic_in_every_part_of_a_run(run, monkeypatch):
    """Stopped where bf16 is native and resumed where it is not, or the other way: half a run in each otherwise."""
    import caffe

    asked = []
    set_precision = caffe.set_precision
    monkeypatch.setattr(caffe, "set_precision", lambda name: (asked.append(name), set_precision("fp32")))
    monkeypatch.setattr(caffe, "native_bf16", lambda: True)
    run("--max-iter", "4", "--precision", "auto")
    assert json.loads((run.folder / "models/tiny_machine.json").read_text()) == {"precision": "bf16"}
    monkeypatch.setattr(caffe, "native_bf16", lambda: False)
    run("--resume", "--max-iter", "6", "--precision", "auto")
    assert asked == ["bf16", "bf16"]
    run("--resume", "--precision", "fp32")
    assert asked[-1] == "fp32" and "note: goes on in fp32, the snapshot was made in bf16" in run.printed


def test_several_devices_start_one_process_for_each(run, monkeypatch):
    asked = []
    monkeypatch.setattr("training.multi_gpu.launch", lambda *words: asked.append(words) or 0)
    monkeypatch.setattr("sys.argv", ["train.py", "--solver", "solver.prototxt", "--device", "0,1", "--log", "x"])
    assert run("--device", "0,1", "--log", "x") == 0
    (command, count, _), = asked
    assert count == 2 and command[1:] == ["-m", "training.train", "--solver", "solver.prototxt", "--device", "0,1",
                                          "--log", "x", "--seed", "11"]


def test_several_processes_need_a_seed_they_share(run, monkeypatch):
    (run.folder / "solver.prototxt").write_text(SOLVER.replace("random_seed: 11\n", ""))
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="several processes need one seed: give --seed"):
        run()


# -- snapshots and their prefix ---------------------------------------------------------------------------


def test_freed_memory_goes_back_after_every_snapshot(run, monkeypatch):
    """Without it, a training grows for hours by the gaps between the blocks that it holds."""
    given_back = []
    monkeypatch.setattr(train.free_memory, "give_back", lambda: given_back.append(None))
    assert run() == 0
    assert len(given_back) == len(iterations(run.folder, "caffemodel")) - 1 == 2      # 3, 6; and the last, 8


def test_what_a_training_is_made_of_is_not_looked_through_by_the_collector(run, monkeypatch):
    frozen, step = [], LossWatch.step
    monkeypatch.setattr(LossWatch, "step", lambda self: frozen.append(gc.get_freeze_count()) or step(self))
    assert run() == 0
    assert min(frozen) > 10_000 and gc.get_freeze_count() == 0


def start(folder, *words, launcher=("-m",)):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "ENGINE": "embedded", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *launcher, "training.train", "--solver", "solver.prototxt", *words]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def test_errors_are_one_line_and_a_status(run):
    process = start(run.folder, "--weights", "none.caffemodel")
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    assert error.splitlines()[-1].startswith("error: weights file none.caffemodel does not exist")
    assert "Traceback" not in error


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_leaves_a_snapshot_and_says_how_to_go_on(run, number, status):
    (run.folder / "solver.prototxt").write_text(
        SOLVER.replace("max_iter: 8", "max_iter: 100000").replace("snapshot: 3", "snapshot: 0"))
    process = start(run.folder, "--log", "log.jsonl")
    deadline = time.monotonic() + 100
    while not ((run.folder / "log.jsonl").exists() and (run.folder / "log.jsonl").read_text()):
        assert time.monotonic() < deadline and process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    process.send_signal(number)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == status, error
    states = list(run.folder.glob("models/tiny_iter_*.solverstate"))
    assert len(states) == 1 and "python -m training.train --solver solver.prototxt --log log.jsonl --resume" in error
