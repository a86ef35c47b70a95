"""A run goes on from the newest snapshot that is whole; the others are named."""

import re

import caffe
import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from dsrg.io.errors import UserError
from tests.engine.nets import CLASSIFIER, write
from training.run_files import resolve
from training.snapshot_check import fault


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A RunFiles with whole snapshots at 2 and 4; `snapshot_format` is the parameter."""
    monkeypatch.chdir(tmp_path)

    def make(extra=""):
        write(tmp_path, CLASSIFIER)
        text = ('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 4 snapshot: 2 momentum: 0.9 '
                'snapshot_prefix: "snap" solver_mode: CPU random_seed: 1 ')
        path = write(tmp_path, text + extra, "solver.prototxt")
        caffe.get_solver(path).solve()
        return resolve(caffe_pb2, path)

    return make


def edit_state(path, change):
    state = caffe_pb2.SolverState.FromString(path.read_bytes())
    change(state)
    path.write_bytes(state.SerializeToString())


@pytest.mark.parametrize(("change", "why"), [
    (lambda s: s.ClearField("history"), "has 0 arrays of history, a solver of type SGD with these weights needs 2; it "
                                        "was written by another solver"),
    (lambda s: s.history.extend(list(s.history)), "has 4 arrays of history, a solver of type SGD"),
    (lambda s: setattr(s, "iter", -3), "says iteration -3; expected 0 or more"),
    (lambda s: s.ClearField("iter"), "has no iteration"),
    (lambda s: setattr(s, "iter", 2**31 - 1), "says iteration 2147483647; it is damaged, or was renamed"),
    (lambda s: setattr(s, "iter", 2), "says iteration 2; it is damaged, or was renamed"),
    (lambda s: s.ClearField("learned_net"), "names no file for its weights, expected snap_iter_4.caffemodel"),
    (lambda s: setattr(s, "learned_net", "snap_iter_2.caffemodel"),
     "names 'snap_iter_2.caffemodel' for its weights, expected snap_iter_4.caffemodel"),
    (lambda s: setattr(s, "learned_net", "/etc/passwd"), "names '/etc/passwd' for its weights"),
    (lambda s: setattr(s, "learned_net", "elsewhere/snap_iter_4.caffemodel"), None),
    (lambda s: s.history[1].data.__setitem__(0, float("nan")), "holds numbers that are not finite"),
    (lambda s: s.history[1].data.__setitem__(slice(0, 2), [float("inf"), float("-inf")]),
     "holds numbers that are not finite"),
    (lambda s: s.history[0].data.pop(), r"has an array of shape \(4, 3\) with 11 numbers"),
    (lambda s: s.history[0].shape.dim.__setitem__(0, -4),
     r"has an array of shape \(-4, 3\) with 12 numbers; it is damaged"),
    (lambda s: s.history.reverse(), None),
])
def test_a_state_that_is_not_whole_is_named_and_the_one_before_it_taken(run, tmp_path, capsys, change, why):
    files = run()
    assert files.newest_complete(caffe_pb2)[0] == 4
    edit_state(tmp_path / "snap_iter_4.solverstate", change)
    assert files.newest_complete(caffe_pb2)[0] == (4 if why is None else 2)
    if why:
        assert re.search(f"note: snapshot of iteration 4 is left out: snap_iter_4.solverstate {why}",
                         capsys.readouterr().err)


def test_damaged_weights_make_a_snapshot_unusable(run, tmp_path, capsys):
    files = run()
    model = tmp_path / "snap_iter_4.caffemodel"
    model.write_bytes(model.read_bytes()[:-5])
    assert files.newest_complete(caffe_pb2)[0] == 2
    assert "snap_iter_4.caffemodel is cut short or damaged" in capsys.readouterr().err
    (tmp_path / "snap_iter_2.caffemodel").write_bytes(b"")
    assert files.newest_complete(caffe_pb2) is None


def test_weights_that_are_not_finite_make_a_snapshot_unusable(run, tmp_path, capsys):
    """Every start would end at its first iteration, and never reach the one before."""
    files = run()
    model = tmp_path / "snap_iter_4.caffemodel"
    net = caffe_pb2.NetParameter.FromString(model.read_bytes())
    next(layer for layer in net.layer if layer.blobs).blobs[0].data[0] = float("nan")
    model.write_bytes(net.SerializeToString())
    assert files.newest_complete(caffe_pb2)[0] == 2
    assert "snap_iter_4.caffemodel holds numbers that are not finite" in capsys.readouterr().err


@pytest.mark.parametrize(("change", "why"), [
    (lambda f: f["iter"].__setitem__(0, 9), "says iteration 9; it is damaged, or was renamed"),
    (lambda f: f["history/0"].__setitem__((0, 0), np.inf), "holds numbers that are not finite"),
    (lambda f: (f.pop("learned_net"), f.__setitem__("learned_net", "other.caffemodel.h5")),
     "names 'other.caffemodel.h5' for its weights, expected snap_iter_4.caffemodel.h5")])
def test_hdf5_states_that_contradict_their_name(run, tmp_path, change, why):
    run("snapshot_format: HDF5")
    with h5py.File(tmp_path / "snap_iter_4.solverstate.h5", "a") as file:
        change(file)
    found = fault(tmp_path / "snap_iter_4.solverstate.h5", caffe_pb2, "SGD")
    assert found.startswith(f"{tmp_path}/snap_iter_4.solverstate.h5 {why}")


def test_hdf5_snapshots_are_looked_through(run, tmp_path):
    files = run("snapshot_format: HDF5")
    assert files.newest_complete(caffe_pb2)[0] == 4
    with h5py.File(tmp_path / "snap_iter_4.solverstate.h5", "a") as file:
        del file["history/1"]
    assert "history" in fault(tmp_path / "snap_iter_4.solverstate.h5", caffe_pb2, "SGD")
    (tmp_path / "snap_iter_2.caffemodel.h5").write_bytes((tmp_path / "snap_iter_2.caffemodel.h5").read_bytes()[:900])
    found = fault(tmp_path / "snap_iter_2.solverstate.h5", caffe_pb2)
    assert "snap_iter_2.caffemodel.h5 is cut short or damaged" in found
    assert files.newest_complete(caffe_pb2) is None


def test_a_state_of_a_solver_with_two_histories(run, tmp_path):
    run()
    assert "needs 4" in fault(tmp_path / "snap_iter_4.solverstate", caffe_pb2, "Adam")


def test_a_prefix_that_is_a_folder_gets_the_solvers_name(run, tmp_path):
    (tmp_path / "models").mkdir()
    for prefix in ("models", "models/"):
        files = resolve(caffe_pb2, tmp_path / "solver.prototxt" if run() else None, snapshot_prefix=prefix)
        assert files.prefix == "models/solver"
    with pytest.raises(UserError, match="snapshot_prefix 'nowhere/' is a folder that does not exist"):
        resolve(caffe_pb2, tmp_path / "solver.prototxt", snapshot_prefix="nowhere/")


def test_the_engine_refuses_a_state_without_history(run, tmp_path):
    run()
    edit_state(tmp_path / "snap_iter_4.solverstate", lambda s: s.ClearField("history"))
    solver = caffe.get_solver("solver.prototxt")
    before = solver.net.params["ip"][0].data.copy()
    with pytest.raises(caffe.SolverError, match="holds 0 history blobs, this SGD solver needs 2"):
        solver.restore("snap_iter_4.solverstate")
    assert solver.iter == 0 and np.array_equal(solver.net.params["ip"][0].data, before)
