"""Layers through the engine: equal to their maths and to the original, bottoms untouched, clear refusals."""

from collections import deque

import numpy as np
import pytest

from dsrg.io.errors import UserError
from dsrg.io.voc import MEAN_BGR
from dsrg.supervision import (
    balanced_seed_loss,
    constrain_loss,
    expand_loss,
    floored_softmax,
    grow_seeds,
    refinement,
    seed_loss,
)
from tests.conftest import DATA
from tests.training.nets import digest, one_layer_net

THRESHOLDS = "{'th1': 0.6, 'th2': 0.4}"


@pytest.fixture
def batch(rng):
    """Bottoms of every layer, 4 classes, maps 6x5, photos 24x20."""
    probabilities = floored_softmax(3 * rng.normal(size=(2, 4, 6, 5))).astype(np.float32)
    return {
        "scores": rng.normal(size=(2, 4, 6, 5)).astype(np.float32),
        "probabilities": probabilities,
        "cues": (rng.random((2, 4, 6, 5)) < 0.1).astype(np.float32),
        "labels": np.array([[1, 1, 0, 1], [1, 0, 1, 0]], np.float32).reshape(2, 1, 1, 4),
        "log_q": np.log(floored_softmax(rng.normal(size=(2, 4, 6, 5)))).astype(np.float32),
        "images": rng.uniform(-100, 100, size=(2, 3, 24, 20)).astype(np.float32),
    }


LAYERS = {  # layer -> names of its bottoms, param_str
    "SoftmaxLayer": (("scores",), ""),
    "CRFLayer": (("probabilities", "images"), ""),
    "DSRGLayer": (("labels", "probabilities", "cues", "images"), THRESHOLDS),
    "SeedLossLayer": (("probabilities", "cues"), ""),
    "BalancedSeedLossLayer": (("probabilities", "cues"), ""),
    "ConstrainLossLayer": (("probabilities", "log_q"), ""),
    "ExpandLossLayer": (("probabilities", "labels"), ""),
}


def net_of(tmp_path, layer, batch, param_str=None, **changes):
    names, default = LAYERS[layer]
    bottoms = {name: changes.get(name, batch[name]) for name in names}
    return one_layer_net(tmp_path, layer, bottoms, default if param_str is None else param_str,
                         loss_weight=3 if "Loss" in layer else None)


@pytest.mark.parametrize("layer", LAYERS)
def test_bottoms_are_never_written(layer, batch, tmp_path):
    """The original floored its bottoms in place."""
    net = net_of(tmp_path, layer, batch)
    before = digest(net, LAYERS[layer][0])
    net.forward()
    net.blobs["top"].diff[...] = 1
    net.backward()
    assert digest(net, LAYERS[layer][0]) == before


@pytest.mark.parametrize("layer", LAYERS)
def test_propagate_down_is_honoured(layer, batch, tmp_path):
    net = net_of(tmp_path, layer, batch)
    net.forward()
    names = LAYERS[layer][0]
    for name in names:
        net.blobs[name].diff[...] = 77
    net.layer_dict["L"].backward([net.blobs["top"]], [False] * len(names), [net.blobs[n] for n in names])
    for name in names:
        assert (net.blobs[name].diff == 77).all()


@pytest.mark.parametrize(("layer", "function"), [
    ("SeedLossLayer", seed_loss), ("BalancedSeedLossLayer", balanced_seed_loss),
    ("ConstrainLossLayer", constrain_loss), ("ExpandLossLayer", expand_loss),
])
def test_loss_layers_give_value_and_gradient_times_the_loss_weight(layer, function, batch, tmp_path):
    net = net_of(tmp_path, layer, batch)
    first, second = LAYERS[layer][0]
    net.blobs[second].diff[...] = 77                # stale values must not flow on
    net.forward()
    net.backward()
    value, *gradients = function(batch[first], batch[second])
    assert tuple(net.blobs["top"].shape) == (1,)
    np.testing.assert_allclose(net.blobs["top"].data[0], value, rtol=1e-6)
    np.testing.assert_allclose(net.blobs[first].diff, 3 * gradients[0], rtol=1e-5, atol=1e-7)
    expected = 3 * gradients[1] if len(gradients) == 2 else np.zeros_like(batch[second])
    np.testing.assert_allclose(net.blobs[second].diff, expected, rtol=1e-5, atol=1e-7)


def test_softmax_layer_backward_follows_the_top_gradient(batch, tmp_path, rng):
    net = net_of(tmp_path, "SoftmaxLayer", batch)
    top = rng.normal(size=(2, 4, 6, 5)).astype(np.float32)
    net.forward()
    net.blobs["top"].diff[...] = top
    net.backward()
    step = 1e-5
    direction = rng.normal(size=top.shape)
    difference = [(floored_softmax(batch["scores"] + sign * step * direction) * top).sum() for sign in (1, -1)]
    expected = (difference[0] - difference[1]) / (2 * step)
    assert (net.blobs["scores"].diff * direction).sum() == pytest.approx(expected, rel=1e-4)


def test_crf_backward_is_one_minus_q_times_the_gradient(batch, tmp_path, rng):
    """As in the original; SEC's CRF passes nothing."""
    net = net_of(tmp_path, "CRFLayer", batch)
    net.forward()
    top = rng.normal(size=(2, 4, 6, 5)).astype(np.float32)
    net.blobs["top"].diff[...] = top
    net.backward()
    expected = (1 - np.exp(net.blobs["top"].data)) * top
    np.testing.assert_allclose(net.blobs["probabilities"].diff, expected, atol=1e-6)
    assert not net.blobs["images"].diff.any()


def test_dsrg_backward_copies_the_gradient_of_the_grown_cues(batch, tmp_path):
    net = net_of(tmp_path, "DSRGLayer", batch)
    net.forward()
    net.blobs["top"].diff[...] = 5
    net.backward()
    assert (net.blobs["probabilities"].diff == 5).all()
    assert not any(net.blobs[name].diff.any() for name in ("labels", "cues", "images"))


def test_dsrg_layer_grows_on_the_refined_probabilities(batch, tmp_path):
    net = net_of(tmp_path, "DSRGLayer", batch)
    net.forward()
    refined = refinement.refine(batch["probabilities"], batch["images"])
    expected = grow_seeds(batch["labels"][:, 0, 0], batch["cues"], refined, 0.6, 0.4)
    np.testing.assert_array_equal(net.blobs["top"].data, expected)


def test_grow_false_passes_the_cues_through_without_the_crf(batch, tmp_path, monkeypatch):
    monkeypatch.setattr("pylayers.dsrg_layer.refine", None)
    net = net_of(tmp_path, "DSRGLayer", batch, "{'th1': 0.99, 'th2': 0.85, 'grow': False}")
    net.forward()
    np.testing.assert_array_equal(net.blobs["top"].data, batch["cues"])


def test_crf_and_dsrg_layers_refine_once_a_step(batch, tmp_path, monkeypatch):
    monkeypatch.setattr(refinement.refine, "_results", deque(maxlen=2))     # nothing of other tests
    calls = []
    original = refinement._refine
    monkeypatch.setattr(refinement, "_refine", lambda *a: calls.append(1) or original(*a))
    crf, dsrg = net_of(tmp_path, "CRFLayer", batch), net_of(tmp_path, "DSRGLayer", batch)
    for step in range(3):
        for net in (dsrg, crf):
            net.blobs["probabilities"].data[...] = np.roll(batch["probabilities"], step, axis=3)
            net.forward()
        assert len(calls) == step + 1


def test_layers_equal_the_original(tmp_path):
    with np.load(DATA / "dsrg" / "python_layers.npz") as archive:
        golden = dict(archive)
    images = golden["images_at_41"].astype(np.float32) - np.reshape(MEAN_BGR, (1, 3, 1, 1))
    bottoms = {"labels": golden["labels"], "probabilities": golden["probs"], "cues": golden["cues"], "images": images}
    batch = {name: array.astype(np.float32) for name, array in bottoms.items()}
    crf = net_of(tmp_path, "CRFLayer", batch)
    crf.forward()
    np.testing.assert_allclose(crf.blobs["top"].data, golden["crf_log"], atol=5e-3)
    for key, text in (("grown_099_085", "{'th1': 0.99, 'th2': 0.85}"), ("grown_06_04", THRESHOLDS)):
        net = net_of(tmp_path, "DSRGLayer", batch, text)
        net.forward()
        differing = (net.blobs["top"].data != golden[key]).sum()
        assert differing <= 4, f"{key}: {differing} cells"       # a pixel on a threshold may turn by rounding


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("layer", "text", "message"), [
    ("DSRGLayer", "{'th1': 0.9, 'th2': 0.8, 'th3': 1}",
     r"layer 'L' \(DSRGLayer\): unknown param 'th3' in param_str; it takes th1, th2, iters, scale, textbook, mean, "
     "grow"),
    ("DSRGLayer", "{'th1': 0.9}", r"param_str lacks 'th2'; it takes th1"),
    ("DSRGLayer", "{'th1': 0.9, 'th2': 8.5}", r"th1 and th2 are probabilities in 0\.\.1, got 0\.9 and 8\.5"),
    ("DSRGLayer", "{'th1': 0.9, 'th2': 0.8, 'grow': 'no'}", r"param 'grow' must be True or False, got 'no'"),
    ("CRFLayer", "{'iters': 2.5}", r"param 'iters' must be a whole number, got 2\.5"),
    ("CRFLayer", "{'scale': 0}", r"expected iters >= 0 and scale > 0"),
    ("CRFLayer", "{'mean': [1, 2]}", r"param 'mean': expected three numbers in the order B, G, R, got \[1, 2\]"),
    ("CRFLayer", "[1, 2]", r"param_str must be a mapping"),
    ("CRFLayer", "{iters: [", r"layer 'L' \(CRFLayer\): param_str is not readable"),
    ("SeedLossLayer", "{'weight': 1}", r"unknown param 'weight' in param_str; it takes none"),
    ("CRFLayer", "__import__('os')", r"param_str must be a mapping"),
])
def test_param_str_is_parsed_strictly(layer, text, message, batch, tmp_path):
    with pytest.raises(UserError, match=message):
        net_of(tmp_path, layer, batch, text)


@pytest.mark.parametrize("text", ["iters: 1", "{'iters': 1}", "{iters: 1, mean: [1, 2, 3]}", "{'mean': (1, 2.5, 3)}"])
def test_param_str_may_be_yaml_or_a_python_dict(text, batch, tmp_path):
    net_of(tmp_path, "CRFLayer", batch, text)


@pytest.mark.parametrize(("layer", "bottom", "shape", "message"), [
    ("BalancedSeedLossLayer", "cues", (2, 4, 6, 6),
     r"layer 'L' \(BalancedSeedLossLayer\): bottom\[1\] 'cues' is \(2, 4, 6, 6\), expected \(2, 4, 6, 5\) like "
     "'probabilities'; the cues are for another number of classes or size of map"),
    ("ExpandLossLayer", "labels", (2, 1, 1, 5), r"'labels' is \(2, 1, 1, 5\), expected \(2, 1, 1, 4\)"),
    ("ConstrainLossLayer", "log_q", (2, 3, 6, 5), r"'log Q' is \(2, 3, 6, 5\), expected \(2, 4, 6, 5\)"),
    ("DSRGLayer", "labels", (2, 1, 1, 9), r"bottom\[0\] 'labels' is \(2, 1, 1, 9\), expected \(2, 1, 1, 4\)"),
    ("DSRGLayer", "cues", (1, 4, 6, 5), r"bottom\[2\] 'cues' is \(1, 4, 6, 5\)"),
    ("DSRGLayer", "images", (2, 1, 24, 20), r"bottom\[3\] 'images' is \(2, 1, 24, 20\), expected \(2, 3, any, any\)"),
    ("CRFLayer", "images", (3, 3, 24, 20), r"bottom\[1\] 'images' is \(3, 3, 24, 20\)"),
    ("CRFLayer", "probabilities", (2, 4), r"'probabilities' is \(2, 4\), expected \(any, any, any, any\)"),
    ("SoftmaxLayer", "scores", (2, 4), r"'scores' is \(2, 4\)"),
])
def test_shapes_that_do_not_fit_are_named(layer, bottom, shape, message, batch, tmp_path):
    with pytest.raises(UserError, match=message):
        net_of(tmp_path, layer, batch, **{bottom: np.zeros(shape, np.float32)})


def test_wrong_number_of_bottoms_is_named(batch, tmp_path):
    with pytest.raises(UserError, match=r"layer 'L' \(CRFLayer\): has 1 bottoms, expected 2: probabilities, images"):
        one_layer_net(tmp_path, "CRFLayer", {"p": batch["probabilities"]})
