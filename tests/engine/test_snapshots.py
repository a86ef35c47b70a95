"""Snapshots: when they are written, what is in them, and runs that go on from them."""

import caffe
import cv2
import h5py
import numpy as np
import pytest
from caffe import serialization
from caffe.proto import caffe_pb2

from tests.engine.nets import CLASSIFIER


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


@pytest.mark.parametrize("extra", ["", " snapshot_format: HDF5"])
def test_a_folder_that_vanished_meanwhile_is_made_again(tiny, tmp_path, extra):
    """The net in memory is hours of somebody's time."""
    (tmp_path / "models").mkdir()
    solver = tiny(f'snapshot: 2 snapshot_prefix: "{tmp_path}/models/snap"{extra}', net=CLASSIFIER)
    solver.step(1)
    (tmp_path / "models").rmdir()
    solver.step(1)
    assert len(list((tmp_path / "models").iterdir())) == 2


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
