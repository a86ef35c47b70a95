"""Layers that the engine calls with tensors on a GPU compute what they compute with arrays: each layer, and a training.

On a machine without a GPU the tensors are the CPU's; with one (pytest -m gpu) the same is done there.
"""

import caffe
import cv2
import numpy as np
import pylayers
import pytest
import torch
from pylayers.loss_base import LossLayer
from pylayers.tensor_face import small_photos

from tests.training.nets import one_layer_net
from tests.training.runs import NET, SOLVER, make_run
from tests.training.test_layers import LAYERS, batch  # noqa: F401 (a fixture)

MACHINES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


@pytest.fixture(params=MACHINES)
def machine(request):
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device; run with pytest -m gpu on a machine that has one")
        caffe.set_mode_gpu()
    yield request.param
    caffe.device.set_python_layers("auto")
    caffe.set_mode_cpu()


def run(face, folder, layer, arrays, diffs):
    """{blob: (data, diff)} of a net of one layer after forward and backward."""
    caffe.device.set_python_layers(face)
    names, param_str = LAYERS[layer]
    net = one_layer_net(folder, layer, {name: arrays[name] for name in names}, param_str,
                        loss_weight=3 if "Loss" in layer else None)
    net.forward()
    if "Loss" not in layer:
        net.blobs["top"].diff[...] = diffs(net.blobs["top"].data.shape)
    net.backward()
    return {name: (net.blobs[name].data.copy(), net.blobs[name].diff.copy()) for name in (*names, "top")}


@pytest.mark.parametrize("layer", LAYERS)
def test_blobs_are_equal_by_tensors_and_by_arrays(layer, batch, tmp_path, machine):  # noqa: F811
    def diffs(shape):
        return np.random.default_rng(1).standard_normal(shape)

    by_arrays = run("arrays", tmp_path, layer, batch, diffs)
    by_tensors = run("tensors", tmp_path, layer, batch, diffs)
    for name, pair in by_arrays.items():
        for expected, found in zip(pair, by_tensors[name], strict=True):
            np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7, err_msg=name)


WHOLE = NET.replace(", 'grow': False", "") + """
layer { name: "crf" type: "Python" bottom: "softmax" bottom: "images" top: "log_q"
  python_param { module: "pylayers" layer: "CRFLayer" } }
layer { name: "loss-constrain" type: "Python" bottom: "softmax" bottom: "log_q" top: "loss-constrain" loss_weight: 1
  python_param { module: "pylayers" layer: "ConstrainLossLayer" } }
layer { name: "loss-expand" type: "Python" bottom: "softmax" bottom: "labels" top: "loss-expand" loss_weight: 0.1
  python_param { module: "pylayers" layer: "ExpandLossLayer" } }
"""
MASKS = """
layer { name: "data" type: "Python" top: "data" top: "truth" python_param { module: "pylayers.layer"
  layer: "ImageSegDataLayer" param_str: "{'source': 'pairs.txt', 'root_folder': '', 'batch_size': 2,"
  " 'crop_size': 16, 'mirror': True, 'classes': 3}" } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
  convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "gaussian" std: 0.01 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "truth" top: "loss" }
"""


def trained(face):
    """Losses of four steps, and the weights after them."""
    caffe.device.set_python_layers(face)
    caffe.set_random_seed(3)
    np.random.seed(3)  # noqa: NPY002 (layers draw from it in setup)
    solver = caffe.SGDSolver("solver.prototxt")
    losses = []
    for _ in range(4):
        solver.step(1)
        losses.append([float(solver.net.blobs[name].data.sum()) for name in solver.net.outputs])
    return np.array(losses), [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


@pytest.mark.parametrize("net", [WHOLE, MASKS], ids=["weak labels", "label maps"])
def test_a_training_takes_the_same_steps(net, tmp_path, machine, monkeypatch):
    make_run(tmp_path, SOLVER.replace("snapshot: 3", "snapshot: 0 snapshot_after_train: false"), net)
    for k in range(6):
        mask = np.random.default_rng(k).integers(0, 3, (16, 16), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/{k}-mask.png"), mask)
    (tmp_path / "pairs.txt").write_text("".join(f"photos/{k}.png photos/{k}-mask.png\n" for k in range(6)))
    monkeypatch.chdir(tmp_path)
    losses, weights = trained("arrays")
    by_tensors, tensor_weights = trained("tensors")
    np.testing.assert_allclose(by_tensors, losses, rtol=1e-5)
    for found, expected in zip(tensor_weights, weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_every_layer_of_a_training_has_both_faces():
    classes = [getattr(pylayers, name) for name in pylayers.__all__]
    faces = ("forward_tensors", "backward_tensors")
    assert not [cls.__name__ for cls in classes if not all(hasattr(cls, face) for face in faces)]


class OtherGrowth(pylayers.DSRGLayer):
    """As somebody's experiment has it: the method that pycaffe calls is another, and no other."""

    def forward(self, bottom, top):
        top[0].data[...] = 7


class OtherLoss(pylayers.BalancedSeedLossLayer):
    def compute(self, probabilities, cues):
        return 5.0, np.ones(probabilities.shape), None


class NewLoss(LossLayer):
    """A loss that has no form for tensors yet."""

    BOTTOMS = ("probabilities", "cues")

    def check_shapes(self, bottom):
        pass

    def compute(self, probabilities, cues):
        return 4.0, np.ones(probabilities.shape), None


@pytest.mark.parametrize(("layer", "like", "value"), [
    (OtherGrowth, "DSRGLayer", 7), (OtherLoss, "BalancedSeedLossLayer", 5), (NewLoss, "SeedLossLayer", 4)])
def test_a_layer_whose_arrays_alone_are_its_own_is_called_with_them(layer, like, value, batch, tmp_path,  # noqa: F811
                                                                    machine):
    caffe.device.set_python_layers("tensors")
    names, param_str = LAYERS[like]
    net = one_layer_net(tmp_path, layer.__name__, {name: batch[name] for name in names}, param_str,
                        loss_weight=3 if "Loss" in like else None, module=__name__)
    net.forward()
    assert (net.blobs["top"].data == value).all()
    if "Loss" in like:
        net.backward()
        assert (net.blobs["probabilities"].diff == 3).all()


def test_an_unknown_face_is_refused():
    with pytest.raises(ValueError, match=r"'numpy': expected one of auto, tensors, arrays"):
        caffe.device.set_python_layers("numpy")


def test_small_photos_follow_what_is_written_through_a_view():
    view = np.zeros((1, 3, 5, 5), np.float32)
    images = torch.from_numpy(view)
    assert (small_photos(images, 3, 3, (0, 0, 0))() == 0).all()
    view[...] = 9
    assert (small_photos(images, 3, 3, (0, 0, 0))() == 9).all()
