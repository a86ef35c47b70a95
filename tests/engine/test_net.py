"""Wiring, and which layers take part in the backward pass: the rules of Caffe's Net::Init."""

import caffe
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from tests.engine.nets import CLASSIFIER, TWO_HEADS, build, input_layer, python_layer

IP = """layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {extra}
        inner_product_param {{ num_output: {n} weight_filler {{ type: "xavier" }} }} }}\n"""
LOSS = 'layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "target" top: "loss" }\n'


def ip(name, bottom, extra="", n=3):
    return IP.format(name=name, bottom=bottom, extra=extra, n=n)


@pytest.fixture
def pair(rng):
    """Values for inputs "data" and "target"."""
    return {"data": rng.standard_normal((2, 3)), "target": rng.standard_normal((2, 3))}


def inputs():
    return input_layer(2, 3) + input_layer(2, 3, name="target")


def run(net, values):
    for name, array in values.items():
        net.blobs[name].data[...] = array
    net.forward()
    net.clear_param_diffs()
    net.backward()
    return net


# -- wiring ---------------------------------------------------------------------------------------------------


def test_legacy_inputs_become_an_input_layer(tmp_path):
    net = build(tmp_path, """
        name: "old" input: "data" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
        input: "other" input_dim: 2 input_dim: 1 input_dim: 1 input_dim: 1
        layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }""")
    assert net.inputs == ["data", "other"] and net.name == "old"
    assert tuple(net.blobs["data"].shape) == (1, 3, 8, 8) and tuple(net.blobs["other"].shape) == (2, 1, 1, 1)
    net = build(tmp_path, 'input: "x" input_shape { dim: 4 dim: 2 } layer { name: "s" type: "Silence" bottom: "x" }')
    assert tuple(net.blobs["x"].shape) == (4, 2) and net.outputs == []


def test_a_loss_without_a_top_gets_an_automatic_one_that_is_no_output(tmp_path, pair):
    net = build(tmp_path, inputs() + ip("y", "data") + LOSS.replace('top: "loss"', ""))
    assert net.outputs == [] and list(net.blobs)[-1] == "(automatic)" and net.top_names["loss"] == ["(automatic)"]
    run(net, pair)
    assert net.params["y"][0].diff.any()
    net.save(str(tmp_path / "a.caffemodel"))
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "a.caffemodel").read_bytes())
    assert list(saved.layer[-1].top) == [] and list(saved.layer[-1].loss_weight) == [1]


def test_phase_of_a_layer_wins_over_the_nets(tmp_path):
    drop = 'layer {{ name: "d" type: "Dropout" bottom: "data" top: "d" {} }}'
    for extra, zeros in (("", False), ("phase: TRAIN", True)):
        net = build(tmp_path, input_layer(1, 1000) + drop.format(extra))
        net.blobs["data"].data[...] = 1
        assert (net.forward()["d"] == 0).any() == zeros


# -- the loss -------------------------------------------------------------------------------------------------


def test_loss_weight_scales_loss_and_gradients(tmp_path, pair):
    plain = run(build(tmp_path, inputs() + ip("y", "data") + LOSS), pair)
    weighted = build(tmp_path, inputs() + ip("y", "data") + LOSS.replace('top: "loss"', 'top: "loss" loss_weight: 3'))
    weighted.share_with(plain)
    run(weighted, pair)
    assert weighted._forward() == pytest.approx(3 * plain._forward(), rel=1e-6)
    assert np.allclose(weighted.params["y"][0].diff, 3 * plain.params["y"][0].diff, rtol=1e-5)
    assert weighted.blobs["loss"].diff == 3 and weighted.blob_loss_weights["loss"] == 3
    assert weighted.blobs["loss"].data == pytest.approx(plain.blobs["loss"].data, rel=1e-6)


def test_any_blob_with_a_loss_weight_is_a_loss(tmp_path, pair):
    net = build(tmp_path, input_layer(2, 3) + ip("y", "data", "loss_weight: 2"))
    run(net, {"data": pair["data"]})
    assert net._forward() == pytest.approx(2 * net.blobs["y"].data.sum(), rel=1e-5)
    assert np.allclose(net.params["y"][1].diff, 4)  # two items, weight 2


def test_a_loss_that_is_read_as_well_is_split(tmp_path, pair):
    """As in Caffe: gradients have the weight given; the total also counts the loss layer's own weight, which is 1."""
    net = build(tmp_path, inputs() + ip("y", "data") + LOSS.replace('top: "loss"', 'top: "loss" loss_weight: 3')
                + 'layer { name: "twice" type: "Power" bottom: "loss" top: "twice" power_param { scale: 2 } }')
    run(net, pair)
    assert list(net.blob_loss_weights.items())[-3:] == [
        ("loss_loss_0_split_0", 3.0), ("loss_loss_0_split_1", 0.0), ("twice", 0.0)]
    assert net._forward() == pytest.approx((3 + 1) * float(net.blobs["loss"].data), rel=1e-6)
    plain = build(tmp_path, inputs() + ip("y", "data") + LOSS)
    plain.share_with(net)
    assert np.allclose(net.params["y"][0].diff, 3 * run(plain, pair).params["y"][0].diff, rtol=1e-5)


def test_the_loss_weight_stands_in_the_diff_after_a_reshape(tmp_path):
    net = build(tmp_path, input_layer(2, 3) + 'layer { name: "y" type: "TanH" bottom: "data" top: "y" loss_weight: 5 }')
    net.blobs["data"].reshape(7, 3)
    net.forward()
    assert (net.blobs["y"].diff == 5).all() and net.blobs["y"].diff.shape == (7, 3)


# -- where gradients go ---------------------------------------------------------------------------------------


def test_lr_mult_zero_stops_gradients(tmp_path, pair):
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    text = inputs() + ip("a", "data", frozen) + ip("b", "a", "param { lr_mult: 0 }") + ip("y", "b") + LOSS
    net = run(build(tmp_path, text), pair)
    assert not net.params["a"][0].diff.any() and not net.params["b"][0].diff.any()
    assert net.params["b"][1].diff.any()  # the bias has lr_mult 1
    assert not net.blobs["a"].diff.any()  # and nothing below it needs a gradient
    assert net.blobs["b"].diff.any()


def test_force_backward_reaches_inputs_and_frozen_parameters_but_not_labels(tmp_path, pair):
    frozen = "param { lr_mult: 0 } param { lr_mult: 0 }"
    text = "force_backward: true\n" + inputs() + ip("y", "data", frozen) + """
        layer { name: "class" type: "Reduction" bottom: "target" top: "label" reduction_param { axis: 1 coeff: 0 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "y" bottom: "label" top: "loss" }"""
    net = run(build(tmp_path, text), pair)
    assert net.blobs["data"].diff.any() and net.params["y"][0].diff.any()
    assert not net.blobs["label"].diff.any() and not net.blobs["target"].diff.any()


@pytest.mark.parametrize("layer, bottom", [
    ('type: "SoftmaxWithLoss" bottom: "data" bottom: "y" top: "loss"', 1),
    ('type: "Filter" bottom: "data" bottom: "y" top: "loss" loss_weight: 1', 1),
    ('type: "ArgMax" bottom: "y" top: "loss" loss_weight: 1', 0),
    ('type: "Threshold" bottom: "y" top: "loss" loss_weight: 1', 0),
    ('type: "Accuracy" bottom: "y" bottom: "label" top: "loss" loss_weight: 1', 0),
])
def test_a_loss_that_asks_for_the_gradient_of_labels_is_refused(tmp_path, layer, bottom):
    text = input_layer(2, 3) + input_layer(2, name="label") + ip("y", "data", n=1)
    net = build(tmp_path, text + f'layer {{ name: "end" {layer} }}')
    net.forward()  # without a backward pass there is nothing to refuse
    with pytest.raises(caffe.LayerError, match=rf"layer 'end' .*bottom {bottom} 'y' cannot have a gradient"):
        net.backward()
    cut = "propagate_down: false " * layer.count("bottom:")  # what the message says to do
    net = build(tmp_path, text + f'layer {{ name: "end" {layer} {cut} }}')
    net.forward()
    net.backward()
    assert not net.params["y"][0].diff.any()


def test_propagate_down_false_cuts_a_branch(tmp_path, pair):
    text = inputs() + ip("a", "data") + ip("y", "a", "propagate_down: false") + LOSS
    net = run(build(tmp_path, text), pair)
    assert net.params["y"][0].diff.any() and not net.params["a"][0].diff.any() and not net.blobs["a"].diff.any()


def test_propagate_down_true_does_not_make_a_layer_below_learn(tmp_path, pair):
    text = inputs() + python_layer("p", "Copy", ["data"], ["p"], "propagate_down: true") + \
        ip("y", "p", "param { lr_mult: 0 } param { lr_mult: 0 }") + LOSS
    net = run(build(tmp_path, text), pair)
    assert net.layer_dict["p"].propagate_down is None  # nothing below or in it learns: no backward at all


def test_what_does_not_reach_a_loss_has_no_backward(tmp_path, pair):
    text = inputs() + ip("a", "data") + ip("y", "a") + LOSS + \
        python_layer("side", "Copy", ["a"], ["side"])
    net = run(build(tmp_path, text), pair)
    assert net.layer_dict["side"].propagate_down is None and net.params["a"][0].diff.any()


def test_silence_and_split_give_zero_gradients_of_unread_branches(tmp_path, pair):
    text = "force_backward: true\n" + inputs() + ip("y", "data") + LOSS + \
        'layer { name: "hush" type: "Silence" bottom: "data" }'
    net = run(build(tmp_path, text), pair)
    alone = build(tmp_path, "force_backward: true\n" + inputs() + ip("y", "data") + LOSS)
    alone.share_with(net)
    assert np.allclose(run(alone, pair).blobs["data"].diff, net.blobs["data"].diff, atol=1e-7)


# -- shared parameters ----------------------------------------------------------------------------------------


def shared(first="", second="", n=3):
    return inputs() + ip("a", "data", f'param {{ name: "w" {first} }} param {{ name: "b" }}') + \
        ip("y", "a", f'param {{ name: "w" {second} }} param {{ name: "b" }}', n) + LOSS


def test_shared_parameters_learn_once_with_the_sum_of_gradients(tmp_path, pair):
    net = run(build(tmp_path, shared()), pair)
    for k in (0, 1):
        own, other = net.params["a"][k], net.params["y"][k]
        assert np.shares_memory(own.data, other.data) and np.shares_memory(own.diff, other.diff)
    apart = build(tmp_path, inputs() + ip("a", "data") + ip("y", "a") + LOSS)
    for name in "ay":
        for k in (0, 1):
            apart.params[name][k].data[...] = net.params["a"][k].data
    run(apart, pair)
    total = apart.params["a"][0].diff + apart.params["y"][0].diff
    assert np.allclose(net.params["a"][0].diff, total, rtol=1e-4, atol=1e-6)


def test_shared_parameters_take_lr_mult_from_whoever_gives_it(tmp_path):
    assert build(tmp_path, shared("", "lr_mult: 4")).learnable[0].spec.lr_mult == 4
    assert build(tmp_path, shared("lr_mult: 4", "")).learnable[0].spec.lr_mult == 4
    with pytest.raises(caffe.LayerError, match=r"'w' has lr_mult 5 here and 4 in 'a'; give one value"):
        build(tmp_path, shared("lr_mult: 4", "lr_mult: 5"))
    with pytest.raises(caffe.LayerError, match=r"'w' has decay_mult 0 here and 2 in 'a'"):
        build(tmp_path, shared("decay_mult: 2", "decay_mult: 0"))


def test_shared_parameters_of_other_shapes_need_permission(tmp_path, pair):
    text = input_layer(2, 4) + ip("a", "data", 'param { name: "w" } param { }', 6) + \
        ip("y", "a", 'param { name: "w" SHARE } param { }', 4)
    message = r"'w' is \({}, 6\) here but \(6, 4\) in its owner 'a'; make the shapes equal{}$"
    with pytest.raises(caffe.LayerError, match=message.format(4, " or set share_mode: PERMISSIVE")):
        build(tmp_path, text.replace("SHARE", ""))
    with pytest.raises(caffe.LayerError, match=message.format(5, "")):
        build(tmp_path, text.replace("SHARE", "share_mode: PERMISSIVE").replace("num_output: 4", "num_output: 5"))
    net = build(tmp_path, "force_backward: true\n" + text.replace("SHARE", "share_mode: PERMISSIVE"))
    net.params["a"][0].data[...] = np.arange(24).reshape(6, 4)
    assert np.array_equal(net.params["y"][0].data, np.arange(24).reshape(4, 6))
    net.blobs["data"].data[...] = 1
    out = net.forward()
    assert np.allclose(out["y"], net.blobs["a"].data @ np.arange(24).reshape(4, 6).T)
    net.backward(y=np.ones((2, 4)))
    assert np.array_equal(net.params["a"][0].diff.ravel(), net.params["y"][0].diff.ravel())


def test_a_shared_parameter_is_stored_once_in_hdf5_and_read_back(tmp_path):
    net = build(tmp_path, shared())
    net.save_hdf5(str(tmp_path / "a.h5"))
    other = build(tmp_path, shared())
    other.load_hdf5(str(tmp_path / "a.h5"))
    assert np.array_equal(other.params["y"][0].data, net.params["a"][0].data)
    apart = build(tmp_path, inputs() + ip("a", "data") + ip("y", "a") + LOSS)
    with pytest.raises(caffe.LayerError, match=r"layer 'y' \(InnerProduct\) has 2 parameter blob\(s\), '.*a.h5' has 0"):
        apart.load_hdf5(str(tmp_path / "a.h5"))


# -- looking changes nothing ----------------------------------------------------------------------------------


IN_PLACE = {
    "ReLU": "relu_param { negative_slope: 0.1 }", "PReLU": "", "ELU": "", "Sigmoid": "", "TanH": "", "BNLL": "",
    "Power": "power_param { power: 2 shift: 1 }", "Exp": "", "Scale": "scale_param { bias_term: true }", "Bias": "",
    "Clip": "clip_param { min: -0.5 max: 0.5 }", "Swish": "",
    "BatchNorm": "batch_norm_param { use_global_stats: false }", "MVN": "", "Threshold": "", "Dropout": "",
    "Log": "log_param { shift: 9 }", "Softmax": "",
}


@pytest.mark.parametrize("kind", [k for k in IN_PLACE if caffe.layer.REGISTRY[k].inplace])
def test_an_in_place_layer_has_the_same_gradients_when_its_blob_was_looked_at(tmp_path, rng, kind):
    text = "force_backward: true\n" + input_layer(2, 3, 4, 4) + f"""
        layer {{ name: "one" type: "Power" bottom: "data" top: "x" power_param {{ scale: 0.5 }} }}
        layer {{ name: "two" type: "{kind}" bottom: "x" top: "x" {IN_PLACE[kind]} }}
        layer {{ name: "three" type: "Power" bottom: "x" top: "y" power_param {{ power: 2 }} loss_weight: 1 }}"""
    values, diffs = rng.standard_normal((2, 3, 4, 4)), []
    for look in (False, True):
        caffe.set_random_seed(1)
        net = build(tmp_path, text, caffe.TRAIN)
        if look:
            assert net.blobs["x"].data.shape == (2, 3, 4, 4)
            assert not net.blobs["x"].diff.any()
        run(net, {"data": values})
        diffs.append(net.blobs["data"].diff.copy())
    assert (diffs[0].any() or kind == "Threshold") and np.allclose(*diffs, rtol=1e-6, atol=1e-7)


def test_sums_of_gradients_do_not_follow_a_blob_that_was_looked_at(tmp_path):
    """The gradient of a bias of the whole shape is the top's diff itself, which the next backward overwrites."""
    net = build(tmp_path, input_layer(1, 3) + """layer { name: "y" type: "Bias" bottom: "data" top: "y"
                                               bias_param { axis: 0 num_axes: -1 } }\nforce_backward: true""")
    net.forward()
    for value in (1, 10):
        net.blobs["y"].diff[...] = value
        net.backward()
    assert (net.params["y"][0].diff == 11).all()


def test_forward_and_backward_twice_and_changes_between_them(tmp_path, pair):
    net = build(tmp_path, "force_backward: true\n" + inputs() + ip("y", "data") + LOSS)
    assert net.params["y"][0].data.shape == (3, 3)
    run(net, pair)
    first = net.blobs["data"].diff.copy()
    net.backward()
    assert np.array_equal(net.blobs["data"].diff, first)
    net.params["y"][0].data[...] *= 2  # backward uses weights that are in sight as they are now
    net.backward()
    assert np.allclose(net.blobs["data"].diff, 2 * first, rtol=1e-5)


# -- debug_info -----------------------------------------------------------------------------------------------


def test_debug_info_logs_mean_absolute_values(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("GLOG_minloglevel", raising=False)
    text = "debug_info: true\n" + input_layer(1, 2) + ip("y", "data", "loss_weight: 1", n=1)
    net = build(tmp_path, text)
    net.params["y"][0].data[...] = [[3, -1]]
    run(net, {"data": [[1, 2]]})
    net.run_backward()  # what a solver calls; pycaffe has no name for it
    lines = [line.split("] ", 1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [
        "    [Forward] Layer data, top blob data data: 1.5",
        "    [Forward] Layer y, top blob y data: 1",
        "    [Forward] Layer y, param blob 0 data: 2",
        "    [Forward] Layer y, param blob 1 data: 0",
        "    [Backward] Layer y, param blob 0 diff: 1.5",
        "    [Backward] Layer y, param blob 1 diff: 1",
        "    [Backward] Layer y, param blob 0 diff: 3",
        "    [Backward] Layer y, param blob 1 diff: 2",
        "    [Backward] All net params (data, diff): L1 norm = (4, 8); L2 norm = (3.16228, 4.89898)",
    ]


# -- a whole network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_the_deploy_net_of_dsrg_at_two_sizes(tmp_path, shared, suffix):
    """Every blob and gradient that real Caffe measured; values are large, so errors are relative to the largest."""
    folder = shared / "goldens" / "caffe" / "network"
    with np.load(folder / "dsrg16.npz") as z:
        arrays = {k: z[k] for k in z.files}
    mean = np.float32([104, 117, 123]).reshape(1, 3, 1, 1)
    net = build(tmp_path, "force_backward: true\n" + str(arrays["prototxt"]),
                weights=str(folder / f"dsrg16.caffemodel{suffix}"))

    def close(ours, name):
        theirs = arrays[name]
        assert np.abs(ours - theirs).max() < 1e-5 * np.abs(theirs).max(), name

    for size in (65, 321):
        image = arrays[f"img{size}"] - mean
        net.blobs["images"].reshape(*image.shape)
        close(net.forward(images=image)["fc8-SEC"], f"out{size}")
        for name in arrays:
            if name.startswith(f"blob{size}/"):
                close(net.blobs[name.split("/")[1]].data, name)
        if size == 65:
            net.backward(**{"fc8-SEC": arrays["topdiff65"]})
            close(net.blobs["images"].diff, "botdiff65")
            for name in arrays:
                if name.startswith("pdiff65/"):
                    _, layer, k = name.split("/")
                    close(net.params[layer][int(k)].diff, name)


def test_two_nets_of_one_text_are_independent(tmp_path):
    a, b = (build(tmp_path, TWO_HEADS) for _ in range(2))
    a.params["conv"][0].data[...] = 1
    assert not (b.params["conv"][0].data == 1).all()
    assert build(tmp_path, CLASSIFIER, caffe.TRAIN)._forward() > 0
