"""The backward pass is that of the blobs as they stand: edited, never run forward, in place."""

import numpy as np
import pytest
import torch
from caffe.layer import REGISTRY

from tests.engine.layers.differences import check_layer
from tests.engine.layers.nets import Single, make_net
from tests.engine.layers.test_gradients import CASES, values
from tests.engine.nets import input_layer

LOSS = 'layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 }'


# ---- edits between forward and backward --------------------------------------------------------------------

X, Y = np.array([[3.0, -3.0]]), np.array([[0.25, 0.75]])
#: layer text -> gradient of its bottom after forward on ones, when its bottom becomes X and its top Y: the formula of
#: Caffe's source, which reads the bottom, the top, or both
EDITED = {
    'type: "ReLU"': [1, 0],
    'type: "AbsVal"': [1, -1],
    'type: "PReLU"': [1, 0.25],
    'type: "BNLL"': [np.exp(3) / (np.exp(3) + 1), np.exp(-3) / (np.exp(-3) + 1)],
    'type: "Clip" clip_param { min: -1 max: 4 }': [1, 0],
    'type: "Log"': [1 / 3, -1 / 3],
    'type: "Scale" scale_param { filler { value: 2 } }': [2, 2],
    'type: "Reduction" reduction_param { operation: SUMSQ axis: 1 }': [6, -6],
    'type: "Sigmoid"': [0.25 * 0.75, 0.75 * 0.25],
    'type: "TanH"': [1 - 0.25**2, 1 - 0.75**2],
    'type: "Softmax"': [(1 - 1) * 0.25, 0],  # ones above: grad - sum(grad y) is 0
    'type: "Exp" exp_param { scale: 2 }': [2 * 0.25, 2 * 0.75],
    'type: "ELU"': [1, 0.75 + 1],
    'type: "Power" power_param { power: 3 scale: 2 shift: 1 }': [6 * 0.25 / 7, 6 * 0.75 / -5],
    'type: "Power" power_param { power: 2 }': [6, -6],
    'type: "Power" power_param { power: 0.5 }': [0.5 * 0.25 / 3, 0.5 * 0.75 / -3],
    'type: "Dropout" dropout_param { dropout_ratio: 0.5 }': [1, 1],  # TEST
}


@pytest.mark.parametrize("looked", [False, True], ids=["looked at afterwards", "looked at before"])
@pytest.mark.parametrize("text", EDITED)
def test_blobs_edited_after_forward_count_as_in_caffe(text, looked, tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, name="x") +
                   f'layer {{ name: "n" bottom: "x" top: "y" {text} }}\n' + LOSS)
    net.blobs["x"].data_memory.write(torch.ones(1, 2))
    if looked:
        net.blobs["x"].data[...] = net.blobs["y"].data[...] = 1
    net._forward()
    net.blobs["x"].data[...] = X
    if net.blobs["y"].data.size == 2:
        net.blobs["y"].data[...] = Y
    net._backward()
    np.testing.assert_allclose(net.blobs["x"].diff.ravel(), EDITED[text], rtol=1e-5, atol=1e-7)


def test_unedited_blobs_keep_the_graph_of_forward(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, name="x") +
                   'layer { name: "n" bottom: "x" top: "y" type: "Power" power_param { power: 2 } }' + LOSS)
    net.blobs["x"].data[...] = X
    net.forward()
    graph = net.layers[1]._graph  # whether it is kept, or made anew, shows in nothing but time
    net.blobs["x"].data[...] = X  # written, the same values
    net.backward()
    assert net.layers[1]._graph is graph


def test_labels_edited_after_forward_count_and_scores_do_not(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 3, name="x") + input_layer(1, name="label") +
                   'layer { name: "n" bottom: "x" bottom: "label" top: "y" type: "SoftmaxWithLoss" }')
    net.forward()
    net.blobs["x"].data[...] = [[5, 0, 0]]
    net.blobs["label"].data[...] = 2
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, [[1 / 3, 1 / 3, 1 / 3 - 1]], rtol=1e-6)


def test_statistics_and_maxima_are_those_of_forward(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 1, 2, 2, name="x") +
                   'layer { name: "n" bottom: "x" top: "y" type: "Pooling" pooling_param { kernel_size: 2 } }' + LOSS)
    net.blobs["x"].data[...] = np.reshape([1, 4, 2, 3], (1, 1, 2, 2))
    net.forward()
    net.blobs["x"].data[...] = np.reshape([9, 4, 2, 3], (1, 1, 2, 2))
    net.backward()
    assert net.blobs["x"].diff.ravel().tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("kind", ["Convolution", "InnerProduct"])
@pytest.mark.parametrize("looked", [False, True])
def test_weights_edited_after_forward_count(kind, looked, tmp_path):
    param = {"Convolution": "convolution_param { num_output: 2 kernel_size: 2",
             "InnerProduct": "inner_product_param { num_output: 2"}[kind]
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 1, 2, 2, name="x") +
                   f'layer {{ name: "n" bottom: "x" top: "y" type: "{kind}" '
                   f'{param} weight_filler {{ type: "gaussian" }} }} }}' + LOSS)
    weight = net.params["n"][0]
    if looked:
        assert weight.data.any()
    net.forward()
    weight.data[...] = np.arange(8).reshape(weight.data.shape)
    net.backward()
    assert net.blobs["x"].diff.ravel().tolist() == [4, 6, 8, 10]


def test_a_split_is_one_memory_and_its_edits_reach_all_readers(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, name="x") +
                   'layer { name: "a" bottom: "x" top: "y" type: "Power" power_param { power: 2 } }'
                   'layer { name: "b" bottom: "x" top: "z" type: "Power" power_param { power: 2 } }' + LOSS +
                   'layer { name: "m" type: "Reduction" bottom: "z" top: "m" loss_weight: 1 }')
    net.blobs["x"].data[...] = 1
    net.forward()
    net.blobs["x"].data[...] = X
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[12, -12]]
    net.forward(start="a")  # the split before it is passed over
    assert net.blobs["z"].data.tolist() == [[9, 9]]


def test_a_layer_in_place_behind_a_split_leaves_its_neighbours_alone(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, name="x") +
                   'layer { name: "s" bottom: "x" top: "y" top: "z" type: "Split" }'
                   'layer { name: "a" bottom: "y" top: "y" type: "Power" power_param { power: 2 } }' + LOSS)
    net.blobs["x"].data[...] = X
    assert net.blobs["z"].data is not None and net.blobs["y"].data is not None
    net.forward()
    assert net.blobs["y"].data.tolist() == [[9, 9]] and net.blobs["z"].data.tolist() == [[3, -3]]
    net.backward()
    assert net.blobs["x"].diff.tolist() == [[6, -6]]


# ---- backward of what never ran ----------------------------------------------------------------------------

TWO = ("force_backward: true " + input_layer(2, 3) +
       """layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 4 } }
layer { name: "r" type: "ReLU" bottom: "a" top: "a" }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
        inner_product_param { num_output: 4 weight_filler { type: "gaussian" } } }
layer { name: "l" type: "Reduction" bottom: "b" top: "l" loss_weight: 1 }""")


def test_backward_without_forward_computes_with_what_the_blobs_hold(tmp_path):
    net = make_net(tmp_path, TWO)
    net.blobs["a"].data[...] = 2
    net.blobs["b"].diff[...] = 1
    net.backward(start="b", end="b")
    weight = net.params["b"][0]
    np.testing.assert_allclose(net.blobs["a"].diff, [weight.data.sum(0)] * 2, rtol=1e-5)
    assert (weight.diff == 4).all()


def test_backward_reaches_layers_that_never_ran(tmp_path):
    net = make_net(tmp_path, TWO)
    net.blobs["data"].data[...], net.blobs["a"].data[...] = 3, [[2, 2, 2, 0]] * 2
    net.forward(start="b")
    net.backward()
    summed = net.params["b"][0].data.sum(0) * [1, 1, 1, 0]  # the ReLU closes the last
    np.testing.assert_allclose(net.params["a"][0].diff, np.outer(summed, [6, 6, 6]), rtol=1e-5)


def test_backward_without_forward_changes_no_state(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(2, 1, 2, name="x") + input_layer(2, 1, name="cont") +
                   'layer { name: "b" type: "BatchNorm" bottom: "x" top: "n" '
                   '        batch_norm_param { use_global_stats: false } }'
                   'layer { name: "r" type: "LSTM" bottom: "n" bottom: "cont" top: "y" '
                   '        recurrent_param { num_output: 1 } }')
    net.blobs["x"].data[...] = np.arange(4).reshape(2, 1, 2)
    net.backward()
    assert all(not blob.data.any() for blob in net.params["b"]) and net.layers[-1].state is None


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"Pooling STOCHASTIC", "Filter"}))  # random; shaped by forward
def test_every_layer_runs_backward_first(name, rng):
    text, bottoms, options = CASES[name]
    options = {k: v for k, v in options.items() if k not in ("rtol", "unread")}
    arrays = [values(b, rng) for b in bottoms]
    warm, cold = (Single(text, *(a.shape for a in arrays), **options) for _ in range(2))
    tops = warm.forward(*arrays)
    diffs = [rng.normal(size=t.shape) for t in tops]
    expected = warm.backward(*diffs)
    for blobs, contents in ((cold.bottom, arrays), (cold.top, tops)):
        for blob, value in zip(blobs, contents, strict=True):
            cold.set(blob, value)
    for ours, right in zip(sum(cold.backward(*diffs), []), sum(expected, []), strict=True):
        if right is not None:
            np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-6)


# ---- in place ----------------------------------------------------------------------------------------------

IN_PLACE = [n for n in CASES if REGISTRY[n.split()[0]].inplace]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_layers_have_the_gradients_of_those_that_are_not(name, rng):
    """As float32 nets run them, with every blob looked at, so that bottom and top are one memory."""
    text, bottoms, options = CASES[name]
    arrays = [np.float32(values(b, rng)) for b in bottoms]
    exact = Single(text, *(a.shape for a in arrays), phase=options.get("phase", "TRAIN"))
    y = exact.forward(*arrays)[0]
    diff = np.float32(rng.normal(size=y.shape))
    expected = exact.backward(diff)
    single = Single(text, *(a.shape for a in arrays), phase=options.get("phase", "TRAIN"))
    single.top = single.bottom[:1]
    for ours, theirs in zip(single.layer.blobs, exact.layer.blobs, strict=True):
        ours.data[...] = theirs.data_memory.array()
    for blob, value in zip(single.bottom, arrays, strict=True):
        blob.data[...] = value
    assert all(blob.diff is not None for blob in (*single.bottom, *single.layer.blobs))
    single.layer.forward(single.bottom, single.top)
    np.testing.assert_allclose(single.top[0].data, y, rtol=1e-4, atol=1e-5)
    single.top[0].diff[...] = diff
    single.layer.backward(single.top, single.needs, single.bottom)
    for blob, right in zip((*single.bottom, *single.layer.blobs), sum(expected, []), strict=True):
        if right is not None:
            np.testing.assert_allclose(blob.diff, right, rtol=1e-3, atol=1e-4)


def test_bottom_gradients_do_not_follow_the_top_that_they_equal(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(1, 2, name="x") + input_layer(1, 2, name="z") +
                   'layer { name: "n" bottom: "x" bottom: "z" top: "y" type: "Eltwise" }')
    net.forward()
    net.blobs["y"].diff[...] = 1
    net.backward()
    net.blobs["y"].diff[...] = 5
    assert net.blobs["x"].diff.tolist() == net.blobs["z"].diff.tolist() == [[1, 1]]


# ---- exposed states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "states"), [("LSTM", 2), ("RNN", 1)])
def test_no_gradient_enters_or_leaves_exposed_states(kind, states, tmp_path):
    """Caffe shares the data of the states with the unrolled net and not the diffs."""
    names = [f"s{k}" for k in range(states)]
    wiring = "".join(f' bottom: "{n}"' for n in names) + ' top: "y"' + "".join(f' top: "last_{n}"' for n in names)
    net = make_net(tmp_path, "force_backward: true " + input_layer(2, 1, 3, name="x") + input_layer(2, 1, name="cont") +
                   "".join(input_layer(1, 1, 2, name=n) for n in names) +
                   f'layer {{ name: "n" type: "{kind}" bottom: "x" bottom: "cont"{wiring} '
                   '        recurrent_param { num_output: 2 expose_hidden: true weight_filler { type: "gaussian" } } }')
    net.blobs["x"].data[...] = net.blobs["cont"].data[...] = 1
    for name in names:
        net.blobs[name].data[...], net.blobs[name].diff[...] = 0.5, 7.25
    net.forward()
    for name in names:
        net.blobs[f"last_{name}"].diff[...] = 1
    net.backward()
    assert not net.blobs["x"].diff.any() and all(not blob.diff.any() for blob in net.params["n"])
    assert all((net.blobs[name].diff == 7.25).all() for name in names)
    net.blobs["y"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.any() and all((net.blobs[name].diff == 7.25).all() for name in names)


def test_spp_of_one_level_is_a_global_pooling(rng):
    x = rng.normal(size=(2, 3, 4, 5))
    single = Single('type: "SPP" spp_param { pyramid_height: 1 }', x.shape)
    assert np.array_equal(single.forward(x)[0], x.max((2, 3), keepdims=True))
    assert check_layer(single, x) == x.size


def test_a_layer_in_place_may_change_the_shape_of_its_blob(tmp_path, monkeypatch):
    """As Caffe's MVN does, whose top has four axes whatever its bottom has."""
    cls = REGISTRY["Power"]
    monkeypatch.setattr(cls, "infer", lambda self, shape: (2, 3, 1, 1))
    monkeypatch.setattr(cls, "compute", lambda self, x: (x * x).reshape(2, 3, 1, 1))
    for look in (False, True):
        net = make_net(tmp_path, "force_backward: true " + input_layer(2, 3, name="x") +
                       'layer { name: "a" type: "TanH" bottom: "x" top: "y" }'
                       'layer { name: "n" type: "Power" bottom: "y" top: "y" }')
        x = np.arange(6).reshape(2, 3) / 10
        net.blobs["x"].data[...] = x
        for _ in range(2):
            net.forward()
            assert net.blobs["y"].data_memory.read(torch.device("cpu")).shape == (2, 3, 1, 1)
            if look:
                assert net.blobs["y"].data.shape == (2, 3, 1, 1)
            net.blobs["y"].diff_memory.write(torch.ones(2, 3, 1, 1))
            net.backward()
            y = np.tanh(x)
            np.testing.assert_allclose(net.blobs["x"].diff, 2 * y * (1 - y**2), rtol=1e-4, atol=1e-6)


def test_gradients_of_a_split_add_up_where_a_layer_in_place_changes_a_shape(tmp_path):
    net = make_net(tmp_path, "force_backward: true " + input_layer(2, 3, 2, name="x") +
                   'layer { name: "s" type: "Split" bottom: "x" top: "a" top: "b" }'
                   'layer { name: "n" type: "MVN" bottom: "b" top: "b" mvn_param { normalize_variance: false } }')
    net.blobs["x"].data[...] = np.arange(12).reshape(2, 3, 2)
    net.forward()
    assert tuple(net.blobs["b"].shape) == (2, 3, 2, 1)
    above = np.arange(12, dtype=float).reshape(2, 3, 2) ** 2
    net.blobs["a"].diff[...], net.blobs["b"].diff[...] = 1, above[..., None]
    net.backward()
    np.testing.assert_allclose(net.blobs["x"].diff, 1 + above - above.mean(2, keepdims=True), rtol=1e-5, atol=1e-5)
