"""BatchNorm and Scale computed at once: the same values, gradients and statistics as one after the other."""

import caffe
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engine.nets import build, input_layer

IN_PLACE = """
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { eps: 0.01 GLOBAL } }
layer { name: "scale" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
"""
NET = ("force_backward: true " + input_layer(4, 3, 5, 6, name="x") +
       'layer { name: "conv" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 3 kernel_size: 1'
       '        bias_term: false weight_filler { type: "gaussian" } } }' + IN_PLACE +
       'layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }'
       'layer { name: "square" type: "Power" bottom: "c" top: "y" power_param { power: 2 } }'
       'layer { name: "loss" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }')
PARAMS = [("conv", 0), ("bn", 0), ("bn", 1), ("bn", 2), ("scale", 0), ("scale", 1)]


@pytest.fixture
def normalisations(monkeypatch):
    """How many normalisations torch has computed."""
    count, real = [0], torch.batch_norm

    def counted(*args):
        count[0] += 1
        return real(*args)

    monkeypatch.setattr(torch, "batch_norm", counted)
    return count


def filled(folder, text=NET, phase=caffe.TRAIN, use_global=False):
    """The net with values that are the same each time."""
    setting = f"use_global_stats: {str(use_global).lower()}"
    net, rng = build(folder, text.replace("GLOBAL", setting), phase=phase), np.random.default_rng(3)
    net.blobs["x"].data[...] = rng.normal(size=(4, 3, 5, 6)) + 1
    for name, k in PARAMS:
        blob = net.params[name][k]
        blob.data[...] = 2 if (name, k) == ("bn", 2) else rng.uniform(0.5, 2, size=blob.data.shape)
    return net


def one_by_one(net):
    """Watched, the layers of a net run one after the other."""
    net.after_forward(lambda index: None)
    return net


def found(net):
    """Everything that a forward and backward pass leaves."""
    blobs = {name: (blob.data.copy(), blob.diff.copy()) for name, blob in net.blobs.items()}
    params = {(name, k): (net.params[name][k].data.copy(), net.params[name][k].diff.copy()) for name, k in PARAMS}
    return {**blobs, **params}


def assert_same(ours, right):
    for name, pair in right.items():
        for k, value in enumerate(pair):
            np.testing.assert_allclose(ours[name][k], value, rtol=1e-3, atol=1e-3, err_msg=f"{name} {k}")


@pytest.mark.parametrize("use_global", [False, True])
def test_both_at_once_leave_what_one_by_one_they_leave(use_global, tmp_path, normalisations):
    nets = filled(tmp_path, use_global=use_global), one_by_one(filled(tmp_path, use_global=use_global))
    computed = []
    for net in nets:
        normalisations[0] = 0
        for _ in range(2):
            net.forward()
            net.backward()
        computed.append(normalisations[0])
    assert computed == [2, 4], "the first once an iteration, the second once for each of the two layers"
    assert_same(found(nets[0]), found(nets[1]))


def test_values_and_gradients_are_those_of_torch(tmp_path):
    net = filled(tmp_path)
    with torch.enable_grad():
        x = torch.tensor(net.blobs["x"].data, dtype=torch.float64, requires_grad=True)
        weight, *_, factor, offset = leaves = [
            torch.tensor(net.params[name][k].data, dtype=torch.float64, requires_grad=True) for name, k in PARAMS]
        y = F.batch_norm(F.conv2d(x, weight), None, None, factor, offset, True, 0.0, 0.01).relu().square()
        y.sum().backward()
    net.forward()
    net.backward()
    np.testing.assert_allclose(net.blobs["y"].data, y.detach(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.blobs["x"].diff, x.grad, rtol=1e-3, atol=1e-4)
    for (name, k), leaf in zip(PARAMS, leaves, strict=True):
        if leaf.grad is not None:
            np.testing.assert_allclose(net.params[name][k].diff, leaf.grad, rtol=1e-3, atol=1e-3)


def edit_factor(net):
    net.params["scale"][0].data[...] = [3, 1, 2]


def edit_blob(net):
    net.blobs["c"].data[...] *= 2


def watch(net):
    one_by_one(net)


def backward_in_parts(net):
    net.backward(end="scale")
    net.backward(start="bn", end="bn")


def call_the_layers(net):
    node = net.layers[list(net._layer_names).index("scale")]
    blob = net.blobs["c"]
    node.backward([blob], [True], [blob])


@pytest.mark.parametrize("looked", [False, True], ids=["", "looked at before"])
@pytest.mark.parametrize("meddle", [edit_factor, edit_blob, watch, backward_in_parts, call_the_layers])
def test_what_comes_between_forward_and_backward_finds_the_layers_apart(meddle, looked, tmp_path):
    nets = filled(tmp_path), one_by_one(filled(tmp_path))
    for net in nets:
        if looked:
            assert net.blobs["c"].data.shape == net.blobs["c"].diff.shape  # from now on with a memory of its own
        net.forward()
        meddle(net)
        net.backward()
        net.backward()
    assert_same(found(nets[0]), found(nets[1]))


@pytest.mark.parametrize("ends", [("conv", "bn"), ("scale", "relu")])
def test_a_pass_that_begins_or_ends_between_them(ends, tmp_path):
    nets = filled(tmp_path), one_by_one(filled(tmp_path))
    for net in nets:
        net.forward()
        net.forward(start=ends[0], end=ends[1])
        net.backward()
    assert_same(found(nets[0]), found(nets[1]))


@pytest.mark.parametrize("change", [('bottom: "c" top: "c" batch_norm', 'bottom: "c" top: "d" batch_norm'),
                                    ("bias_term: true", "bias_term: false"), ("bias_term: true", "axis: 0")])
def test_other_pairs_run_one_by_one(change, tmp_path, normalisations):
    text = NET.replace(*change)
    if '"d"' in text:
        text = text.replace('"Scale" bottom: "c"', '"Scale" bottom: "d"').replace('"c" scale_param', '"e" scale_param')
        text = text.replace('"ReLU" bottom: "c" top: "c"', '"ReLU" bottom: "e" top: "f"').replace(
            '"Power" bottom: "c"', '"Power" bottom: "f"')
    net = build(tmp_path, text.replace("GLOBAL", ""), phase=caffe.TRAIN)
    net.blobs["x"].data[...] = np.random.default_rng(0).normal(size=(4, 3, 5, 6))
    net.forward()
    if '"d"' in text:
        d = net.blobs["d"].data
        np.testing.assert_allclose(d.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    assert not net._fused


def test_without_a_backward_pass_the_statistics_of_a_file_are_scaled_at_once(tmp_path, normalisations):
    text = NET.replace("force_backward: true ", "").replace(
        'layer { name: "loss" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }', "")
    net = filled(tmp_path, text, caffe.TEST, use_global=True)
    c = F.conv2d(torch.tensor(net.blobs["x"].data), torch.tensor(net.params["conv"][0].data))
    mean, variance, count, factor, offset = (torch.tensor(net.params[n][k].data) for n, k in PARAMS[1:])
    normalisations[0] = 0
    net.forward()
    assert normalisations == [1]
    right = F.batch_norm(c, mean / count, variance / count, factor, offset, False, 0.0, 0.01).relu().square()
    np.testing.assert_allclose(net.blobs["y"].data, right, rtol=1e-4, atol=1e-5)


def test_bf16_keeps_one_rounding(tmp_path):
    net = filled(tmp_path)
    caffe.set_precision("bf16")
    try:
        net.forward()
        net.backward()
    finally:
        caffe.set_precision("fp32")
    right = one_by_one(filled(tmp_path))
    right.forward()
    right.backward()
    np.testing.assert_allclose(net.blobs["y"].data, right.blobs["y"].data, rtol=0.1, atol=0.1)
    np.testing.assert_allclose(net.params["scale"][0].diff, right.params["scale"][0].diff, rtol=0.05, atol=0.5)
