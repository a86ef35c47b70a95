"""Solvers: runs measured with real Caffe, lines of the log, snapshots, and resuming."""

import re

import caffe
import cv2
import h5py
import numpy as np
import pytest
from caffe import serialization
from caffe.proto import caffe_pb2

from tests.conftest import DATA
from tests.engine.nets import CLASSIFIER, input_layer, write

RUNS = DATA / "caffe" / "solver"
CASES = ["SGD_step", "SGD_nomomentum", "SGD_iter2_clip_l1", "Nesterov_poly", "AdaGrad_inv", "RMSProp_exp",
         "AdaDelta_multistep", "AdaDelta_iter2", "Adam_sigmoid", "Adam_clip"]
TINY = """
name: "tiny"
layer { name: "data" type: "Python" top: "data" top: "label"
        python_param { module: "tests.engine.python_layers" layer: "Batches" param_str: '{"start": START}' } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
        param { lr_mult: 1 decay_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "pool1" top: "ip"
        param { lr_mult: 10 decay_mult: 0.5 } param { lr_mult: 20 decay_mult: 0 }
        inner_product_param { num_output: 5 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


@pytest.fixture(scope="module")
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


def close(net, arrays, prefix, tolerance=2e-5):
    names = [k for k in arrays if k.startswith(prefix)]
    assert names
    for name in names:
        layer, k = name[len(prefix) :].split("/")
        error = np.abs(net.params[layer][int(k)].data - arrays[name]).max()
        assert error <= tolerance * max(1e-2, np.abs(arrays[name]).max()), (name, error)


def lines(capsys):
    """Messages of the log, without time and process."""
    return [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines() if "] " in line]


# -- measured runs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_twenty_iterations_as_caffe(tiny, measured, name):
    solver = tiny(str(measured[f"{name}/solver"]))
    assert type(solver).__name__ == name.split("_")[0] + "Solver"
    with np.load(RUNS / "data.npz") as data:
        for key in data.files:
            if key.startswith("param/"):
                _, layer, k = key.split("/")
                solver.net.params[layer][int(k)].data[...] = data[key]
    for k in range(20):
        assert solver.lr == pytest.approx(measured[f"{name}/lr"][k], rel=1e-6)
        solver.step(1)
        assert float(solver.net.blobs["loss"].data) == pytest.approx(measured[f"{name}/loss"][k], rel=2e-5)
    close(solver.net, measured, f"{name}/iter20/")
    history = [slots[s] for s in range(solver.slots) for slots in solver.history()]
    for k, tensor in enumerate(history):
        expected = measured[f"{name}/history20/{k}"]
        assert np.abs(tensor.numpy() - expected).max() <= 2e-4 * max(1e-6, np.abs(expected).max()), k


def test_every_measured_run(tiny, shared):
    """All types with all policies, clipping, L1 and iter_size."""
    folder = shared / "goldens" / "caffe" / "solver"
    data = dict(np.load(folder / "data.npz"))
    count = 0
    for path in sorted(folder.glob("*_*.npz")):
        arrays = dict(np.load(path))
        if "lr" not in arrays:
            continue
        text = re.sub(r"\bnet: \S+", "", str(arrays["solver_prototxt"]))
        solver = tiny(text)
        for key, values in data.items():
            if key.startswith("param/"):
                _, layer, k = key.split("/")
                solver.net.params[layer][int(k)].data[...] = values
        for k in range(4):
            solver.step(5)
            close(solver.net, arrays, f"iter{5 * (k + 1)}/", 1e-4)
        count += 1
    assert count == 61


@pytest.mark.parametrize("suffix", ["", ".h5"])
@pytest.mark.parametrize("start", [0, 10])
def test_a_snapshot_of_caffe_goes_on_as_caffe_did(tiny, measured, data_files, start, suffix):
    """Without a seek of the Python data layer it starts again at its first batch, as Caffe's does."""
    solver = tiny('base_lr: 0.002 momentum: 0.9 lr_policy: "step" gamma: 0.5 stepsize: 6 weight_decay: 0.005', start)
    solver.restore(str(data_files / f"sgd_restore_iter_10.solverstate{suffix}"))
    assert solver.iter == 10
    for k in range(10):
        assert solver.lr == pytest.approx(measured[f"sgd_restore/restored_start{start}/lr"][k], rel=1e-6)
        solver.step(1)
        loss = measured[f"sgd_restore/restored_start{start}/loss"][k]
        assert float(solver.net.blobs["loss"].data) == pytest.approx(loss, rel=2e-5)
    close(solver.net, measured, f"sgd_restore/restored_start{start}/iter20/")


@pytest.mark.parametrize(("kind", "text"), [
    ("AdaDelta", "base_lr: 0.5 momentum: 0.95 delta: 1e-6"),
    ("Adam", "base_lr: 0.001 momentum: 0.9 momentum2: 0.99 delta: 1e-8"),
])
def test_states_of_two_slots_restore_and_are_written_back_byte_for_byte(tiny, measured, tmp_path, kind, text):
    text += f' type: "{kind}" lr_policy: "fixed" weight_decay: 0.005 snapshot_prefix: "state_{kind}"'
    solver = tiny(text, 10)
    solver.restore(str(RUNS / f"state_{kind}_iter_10.solverstate"))
    solver.snapshot()
    name = f"state_{kind}_iter_10"
    assert (tmp_path / f"{name}.solverstate").read_bytes() == (RUNS / f"{name}.solverstate").read_bytes()
    ours, theirs = (caffe_pb2.NetParameter.FromString((folder / f"{name}.caffemodel").read_bytes())
                    for folder in (tmp_path, RUNS))
    ours.layer[0].python_param.CopyFrom(theirs.layer[0].python_param)  # where the data layer is found
    assert ours.SerializeToString() == (RUNS / f"{name}.caffemodel").read_bytes()
    solver.step(10)
    close(solver.net, measured, f"state_{kind}/iter20/")


# -- attributes and running -----------------------------------------------------------------------------------


def test_attributes(tiny):
    solver = tiny("test_iter: 2 test_interval: 3", net=CLASSIFIER)
    assert type(solver) is caffe.SGDSolver and type(solver.test_nets).__name__ == "NetVec"
    assert len(solver.test_nets) == 1 and solver.test_nets[0].outputs == ["acc", "loss"]
    assert solver.lr == np.float32(0.1) and solver.iter == 0 and isinstance(solver.param.max_iter, int)
    assert solver.step(3) is None and solver.iter == 3


def test_test_nets_share_the_weights(tiny):
    solver = tiny("test_iter: 1 test_interval: 100", net=CLASSIFIER)
    solver.net.params["ip"][0].data[...] = 7
    assert (solver.test_nets[0].params["ip"][0].data == 7).all()
    solver.step(1)
    ours, theirs = solver.net.params["ip"][0].data, solver.test_nets[0].params["ip"][0].data
    assert np.array_equal(ours, theirs) and not (ours == 7).all()


def test_callbacks_come_before_and_after_the_gradients(tiny):
    solver, seen = tiny(net=CLASSIFIER), []
    solver.add_callback(lambda: seen.append(("start", bool(solver.net.params["ip"][1].diff.any()))),
                        lambda: seen.append(("grad", bool(solver.net.params["ip"][1].diff.any()))))
    solver.step(2)
    assert seen == [("start", False), ("grad", True)] * 2


def test_forward_backward_and_apply_update_by_hand(tiny):
    by_step, by_hand = tiny("momentum: 0.9"), tiny("momentum: 0.9")
    for name, blobs in by_step.net.params.items():
        for k, blob in enumerate(blobs):
            by_hand.net.params[name][k].data[...] = blob.data
    by_step.step(2)
    for k in range(2):
        by_hand.net.clear_param_diffs()
        by_hand.net.forward()
        by_hand.net.backward()
        by_hand.apply_update()
        assert by_hand.iter == k + 1
    assert np.array_equal(by_step.net.params["ip"][0].data, by_hand.net.params["ip"][0].data)
    assert np.array_equal(by_step.net.params["ip"][0].diff, by_hand.net.params["ip"][0].diff)  # the update


def test_iter_size_averages_gradients(tiny):
    """Two half batches with iter_size 2 do what one whole batch does."""
    text = input_layer(2, 3) + """layer { name: "y" type: "InnerProduct" bottom: "data" top: "y"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "Reduction" bottom: "y" top: "loss" loss_weight: 1
                reduction_param { operation: SUMSQ coeff: 0.25 } }"""
    whole = tiny("momentum: 0.5", net=text)
    halves = tiny("momentum: 0.5 iter_size: 2", net=text.replace("dim: 2", "dim: 1").replace("0.25", "0.5"))
    halves.net.params["y"][0].data[...] = whole.net.params["y"][0].data
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    whole.net.blobs["data"].data[...] = x
    parts = iter([x[:1], x[1:]] * 2)
    blob = halves.net.blobs["data"]
    halves.net.before_forward(lambda k: blob.data.__setitem__(..., next(parts)) if k == 0 else None)
    whole.step(2)
    halves.step(2)
    assert np.allclose(whole.net.params["y"][0].data, halves.net.params["y"][0].data, rtol=1e-5)


def test_nan_is_a_number_like_others(tiny):
    solver = tiny(net=CLASSIFIER)
    solver.net.params["ip"][0].data[...] = np.nan
    solver.step(2)
    assert solver.iter == 2 and np.isnan(solver.net.blobs["loss"].data)


def test_weights_named_in_the_solver(tiny, tmp_path):
    first = tiny(net=CLASSIFIER)
    first.net.save(str(tmp_path / "a.caffemodel"))
    solver = tiny(f'weights: "{tmp_path}/a.caffemodel"', net=CLASSIFIER)
    assert np.array_equal(solver.net.params["ip"][0].data, first.net.params["ip"][0].data)


def test_nets_inside_the_solver_file_and_other_test_nets(tmp_path):
    seven = CLASSIFIER.replace("dim: 2 dim: 3", "dim: 7 dim: 3").replace("{ dim: 2 }", "{ dim: 7 }")
    other = write(tmp_path, seven, "test.prototxt")
    solver = caffe.get_solver(write(tmp_path, f"""train_net_param {{ {CLASSIFIER} }} test_net_param {{ {CLASSIFIER} }}
        test_net: "{other}" test_iter: 1 test_iter: 2 test_interval: 5 base_lr: 0.1 lr_policy: "fixed"
        train_state {{ stage: "x" }} test_state {{ }} test_state {{ level: 2 }}""", "solver.prototxt"))
    assert [net.blobs["data"].num for net in (solver.net, *solver.test_nets)] == [2, 2, 7]
    solver.step(1)


def test_states_choose_layers_of_the_nets(tiny):
    net = CLASSIFIER.replace("include { phase: TEST }", 'include { phase: TEST stage: "score" }')
    solver = tiny('test_iter: 1 test_iter: 1 test_interval: 5 test_state { stage: "score" } test_state { }', net=net)
    assert [n.outputs for n in solver.test_nets] == [["acc", "loss"], ["loss"]]


def test_solver_mode_gpu_without_a_gpu_warns_and_computes_on_the_cpu(tiny, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setitem(caffe.device._state, "mode_chosen", False)
    message = "solver_mode: GPU, but torch finds no CUDA device: computing on the CPU"
    with pytest.warns(UserWarning, match=message) as seen:
        solver = tiny("solver_mode: GPU", net=CLASSIFIER)
    assert len(seen) == 1
    solver.step(1)
    monkeypatch.setitem(caffe.device._state, "mode_chosen", True)
    tiny("solver_mode: GPU", net=CLASSIFIER)  # the program has chosen the CPU: no warning


def test_a_solver_like_the_original(tiny):
    """Every line of a DSRG solver of 2018, old solver_type included."""
    solver = tiny('test_iter: 1 test_interval: 1000000 base_lr: 0.001 lr_policy: "step" gamma: 0.1 stepsize: 2000 '
                  "display: 20 average_loss: 20 max_iter: 8000 iter_size: 1 momentum: 0.9 weight_decay: 0.0005 "
                  "snapshot: 2000 solver_type: SGD debug_info: false solver_mode: CPU", net=CLASSIFIER)
    solver.step(1)
    assert type(solver) is caffe.SGDSolver


# -- the log --------------------------------------------------------------------------------------------------


@pytest.fixture
def logged(monkeypatch, capsys):
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    return lambda: lines(capsys)


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


# -- snapshots ------------------------------------------------------------------------------------------------


def test_solve_writes_snapshots_on_the_way_and_at_the_end(tiny, tmp_path):
    solver = tiny("max_iter: 7 snapshot: 4", net=CLASSIFIER)
    solver.solve()
    assert solver.iter == 7
    assert sorted(p.name for p in tmp_path.glob("snap*")) == [
        f"snap_iter_{n}.{kind}" for n in (4, 7) for kind in ("caffemodel", "solverstate")]
    solver.restore(str(tmp_path / "snap_iter_4.solverstate"))
    assert solver.iter == 4


def test_snapshot_after_train_can_be_switched_off(tiny, tmp_path):
    tiny("max_iter: 2 snapshot_after_train: false", net=CLASSIFIER).solve()
    assert list(tmp_path.glob("snap*")) == []


def test_learned_net_keeps_the_prefix_as_given_and_moved_files_are_found(tiny, tmp_path):
    solver = tiny('snapshot_prefix: "snap"', net=CLASSIFIER)
    solver.step(1)
    solver.snapshot()
    state = serialization.load_solverstate(tmp_path / "snap_iter_1.solverstate")
    assert state.learned_net == "snap_iter_1.caffemodel" and state.iter == 1
    (tmp_path / "moved").mkdir()
    for path in tmp_path.glob("snap_iter*"):
        path.rename(tmp_path / "moved" / path.name)
    solver.restore(str(tmp_path / "moved" / "snap_iter_1.solverstate"))


def test_hdf5_snapshots(tiny, tmp_path):
    solver = tiny("snapshot_format: HDF5 momentum: 0.9")
    solver.step(2)
    solver.snapshot()
    with h5py.File(tmp_path / "snap_iter_2.solverstate.h5") as state:
        assert sorted(state) == ["current_step", "history", "iter", "learned_net"] and len(state["history"]) == 4
    other = tiny("snapshot_format: HDF5 momentum: 0.9", start=2)
    other.restore(str(tmp_path / "snap_iter_2.solverstate.h5"))
    solver.step(3)
    other.step(3)
    assert np.array_equal(solver.net.params["ip"][0].data, other.net.params["ip"][0].data)


def test_snapshot_diff_writes_the_diffs(tiny, tmp_path):
    solver = tiny("snapshot_diff: true", net=CLASSIFIER)
    solver.step(1)
    solver.snapshot()
    model = caffe_pb2.NetParameter.FromString((tmp_path / "snap_iter_1.caffemodel").read_bytes())
    blob = next(layer for layer in model.layer if layer.name == "ip").blobs[0]
    assert np.array_equal(np.float32(blob.diff).reshape(4, 3), solver.net.params["ip"][0].diff)


def test_a_snapshot_that_fails_leaves_the_one_before(tiny, tmp_path, monkeypatch):
    solver = tiny(net=CLASSIFIER)
    solver.snapshot()
    before = {p.name: p.read_bytes() for p in tmp_path.glob("snap*")}

    def full_disk(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full_disk)
    solver.net.params["ip"][0].data[...] = 3
    with pytest.raises((OSError, caffe.ModelFileError), match="No space left on device"):
        solver.snapshot()
    assert {p.name: p.read_bytes() for p in tmp_path.glob("snap*")} == before


def test_a_request_stops_or_snapshots_after_the_iteration_under_way(tiny, tmp_path, logged):
    solver = tiny("max_iter: 50", net=CLASSIFIER)
    requests = {3: "snapshot", 5: "stop"}
    solver.add_callback(lambda: setattr(solver, "request", requests.get(solver.iter)), lambda: None)
    solver.solve()
    assert solver.iter == 6 and "Optimization stopped early." in logged()
    assert sorted(p.name for p in tmp_path.glob("*.caffemodel")) == ["snap_iter_4.caffemodel", "snap_iter_6.caffemodel"]


# -- resuming -------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path, rng):
    """A net with shuffled, mirrored, cropped pictures and dropout."""
    for k in range(5):
        cv2.imwrite(str(tmp_path / f"{k}.png"), rng.integers(0, 256, (9, 8, 3), dtype=np.uint8))
    (tmp_path / "list.txt").write_text("".join(f"{k}.png {k % 3}\n" for k in range(5)))
    return """
        layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { mirror: true crop_size: 6 }
                image_data_param { source: "list.txt" root_folder: "./" batch_size: 2 shuffle: true } }
        layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
                convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "gaussian" std: 0.01 } } }
        layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
        layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
                inner_product_param { num_output: 3 weight_filler { type: "gaussian" std: 0.01 } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }"""


@pytest.mark.parametrize("extra", ["momentum: 0.9", 'type: "Adam" momentum: 0.9 iter_size: 2', "snapshot_format: HDF5"])
def test_a_resumed_run_equals_the_unbroken_one_bit_for_bit(tiny, tmp_path, pictures, extra):
    text = 'base_lr: 0.001 lr_policy: "multistep" stepvalue: 2 stepvalue: 5 gamma: 0.5 weight_decay: 0.01 ' \
           "random_seed: 7 snapshot: 3 max_iter: 7 " + extra
    unbroken = tiny(text, net=pictures)
    unbroken.solve()
    suffix = ".h5" if "HDF5" in extra else ""
    whole = (tmp_path / f"snap_iter_7.caffemodel{suffix}").read_bytes()
    resumed = tiny(text, net=pictures)
    resumed.step(1)  # what a run did before it is restored is forgotten
    resumed.solve(str(tmp_path / f"snap_iter_3.solverstate{suffix}"))
    for name, blobs in unbroken.net.params.items():
        for ours, theirs in zip(resumed.net.params[name], blobs, strict=True):
            assert np.array_equal(ours.data, theirs.data)
    if not suffix:  # HDF5 files carry times
        assert (tmp_path / "snap_iter_7.caffemodel").read_bytes() == whole


def test_the_same_seed_gives_the_same_snapshot(tiny, tmp_path, pictures):
    contents = []
    for _ in range(2):
        solver = tiny("random_seed: 5", net=pictures)
        solver.step(3)
        solver.snapshot()
        contents.append((tmp_path / "snap_iter_3.caffemodel").read_bytes())
    assert contents[0] == contents[1]
