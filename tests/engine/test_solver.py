"""Solvers: runs measured with real Caffe, what a solver shows, nets it builds."""

import re

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from tests.engine.nets import CLASSIFIER, RUNS, input_layer, write

CASES = ["SGD_step", "SGD_nomomentum", "SGD_iter2_clip_l1", "Nesterov_poly", "AdaGrad_inv", "RMSProp_exp",
         "AdaDelta_multistep", "AdaDelta_iter2", "Adam_sigmoid", "Adam_clip"]


def close(net, arrays, prefix, tolerance=2e-5):
    names = [k for k in arrays if k.startswith(prefix)]
    assert names
    for name in names:
        layer, k = name[len(prefix) :].split("/")
        error = np.abs(net.params[layer][int(k)].data - arrays[name]).max()
        assert error <= tolerance * max(1e-2, np.abs(arrays[name]).max()), (name, error)


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


def test_blobs_that_nobody_reads_are_freed_and_change_nothing(tiny):
    """keep_blobs: as `caffe train` and training.train run; of three steps, the losses and weights to the bit."""
    def run(keep):
        solver = tiny()
        solver.net.keep_blobs = keep
        losses = []
        for _ in range(3):
            solver.step(1)
            losses.append(float(solver.net.blobs["loss"].data))
        weights = [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]
        held = {name for name, blob in solver.net.blobs.items()
                for memory in (blob.data_memory, blob.diff_memory) if memory._value is not None}
        return losses, weights, held

    kept, freed = run(True), run(False)
    assert freed[0] == kept[0] and all(np.array_equal(*pair) for pair in zip(freed[1], kept[1], strict=True))
    assert {"conv1", "pool1", "ip"} <= kept[2] and not {"conv1", "pool1", "ip"} & freed[2]
