"""pycaffe's behaviour, call by call: each test is one measured statement about Caffe 1.0."""

from collections import OrderedDict

import caffe
import numpy as np
import pytest

from tests.engine.nets import CLASSIFIER, TWO_HEADS, build, input_layer, write

FORCED = "force_backward: true\n" + TWO_HEADS
MEMORY = """layer { name: "d" type: "MemoryData" top: "data" top: "label"
                    memory_data_param { batch_size: 2 channels: 1 height: 2 width: 3 } }"""


@pytest.fixture
def net(tmp_path):
    return build(tmp_path, TWO_HEADS)


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 3, 6, 5)).astype(np.float32)


# -- construction ---------------------------------------------------------------------------------------------


def test_a_net_needs_a_phase(tmp_path):
    with pytest.raises(TypeError, match="give phase=caffe.TRAIN or phase=caffe.TEST, got None"):
        caffe.Net(write(tmp_path, TWO_HEADS))


def test_weights_as_keyword_in_place_and_in_the_legacy_order(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    path, model = write(tmp_path, TWO_HEADS), str(tmp_path / "a.caffemodel")
    for other in (caffe.Net(path, caffe.TEST, weights=model), caffe.Net(path, model, caffe.TEST),
                  caffe.Net(network_file=path, phase=caffe.TEST, level=0, stages=None, weights=model),
                  caffe.Net(path, caffe.TEST, 0, None, model)):
        assert np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)


def test_missing_files(tmp_path):
    with pytest.raises(RuntimeError, match="^Could not open file nope.prototxt$"):
        caffe.Net("nope.prototxt", caffe.TEST)
    with pytest.raises(RuntimeError, match="^Could not open file nope.caffemodel$"):
        caffe.Net(write(tmp_path, TWO_HEADS), caffe.TEST, weights="nope.caffemodel")


def test_levels_and_stages_choose_layers(tmp_path):
    text = input_layer(1, 2) + """
        layer { name: "deep" type: "ReLU" bottom: "data" top: "deep" include { min_level: 1 } }
        layer { name: "staged" type: "TanH" bottom: "data" top: "staged" include { stage: "s" not_stage: "t" } }"""
    assert build(tmp_path, text).outputs == ["data"]
    assert build(tmp_path, text, level=1).outputs == ["deep"]
    assert build(tmp_path, text, stages=["s"]).outputs == ["staged"]
    assert build(tmp_path, text, stages=["s", "t"]).outputs == ["data"]


# -- what a net shows -----------------------------------------------------------------------------------------


def test_blobs_are_listed_in_order_with_those_of_splits(net):
    assert type(net.blobs) is OrderedDict and net.blobs is net.blobs
    assert list(net.blobs) == ["data", "conv", "conv_relu_0_split_0", "conv_relu_0_split_1", "ip", "sig"]


def test_layers_and_their_names(net):
    assert net._layer_names == ["in", "conv", "relu", "conv_relu_0_split", "ip", "sig"]
    assert net._blob_names == list(net.blobs)
    assert [net._blob_names[k] for k in net._bottom_ids(2) + net._top_ids(2)] == ["conv", "conv"]  # in place
    assert net._top_ids(3) == [2, 3]
    assert type(net.layers).__name__ == "LayerVec" and len(net.layers) == 6
    types = ["Input", "Convolution", "ReLU", "Split", "InnerProduct", "Sigmoid"]
    assert [layer.type for layer in net.layers] == types
    assert list(net.layer_dict) == net._layer_names and net.layer_dict is net.layer_dict
    assert net.layer_dict["ip"] is net.layers[4] and len(net.layers[1].blobs) == 2


def test_params_of_layers_that_have_some(net):
    assert type(net.params) is OrderedDict and list(net.params) == ["conv", "ip"] and net.params is net.params
    blobs = net.params["conv"]
    assert type(blobs).__name__ == "BlobVec" and len(blobs) == 2
    assert tuple(blobs[-1].shape) == (4,) and type(blobs[:]).__name__ == "BlobVec"
    assert [tuple(b.shape) for b in blobs] == [(4, 3, 3, 3), (4,)]


def test_shared_parameters_share_data_and_diff(tmp_path):
    text = input_layer(2, 3) + "".join(
        f'layer {{ name: "{n}" type: "InnerProduct" bottom: "{b}" top: "{n}" param {{ name: "w" }} '
        'param { name: "b" } '"inner_product_param { num_output: 3 } }" for n, b in (("one", "data"), ("two", "one")))
    net = build(tmp_path, text)
    net.params["one"][0].data[...] = 5
    net.params["two"][1].diff[...] = 6
    assert (net.params["two"][0].data == 5).all() and (net.params["one"][1].diff == 6).all()


def test_inputs_are_tops_of_input_layers_and_outputs_are_sorted(tmp_path, net):
    assert net.inputs == ["data"] and net.outputs == ["ip", "sig"]
    train = build(tmp_path, CLASSIFIER, caffe.TRAIN)
    assert train.inputs == [] and train.outputs == ["loss"]
    assert build(tmp_path, CLASSIFIER).outputs == ["acc", "loss"]


def test_a_label_nobody_reads_is_an_output(tmp_path):
    text = input_layer(2, 3, name="z") + input_layer(2, name="label") + \
        'layer { name: "relu" type: "ReLU" bottom: "z" top: "y" }'
    assert build(tmp_path, text).outputs == ["label", "y"]


def test_names_of_bottoms_and_tops(net):
    assert net.top_names == OrderedDict([
        ("in", ["data"]), ("conv", ["conv"]), ("relu", ["conv"]),
        ("conv_relu_0_split", ["conv_relu_0_split_0", "conv_relu_0_split_1"]), ("ip", ["ip"]), ("sig", ["sig"])])
    assert net.bottom_names == OrderedDict([
        ("in", []), ("conv", ["data"]), ("relu", ["conv"]), ("conv_relu_0_split", ["conv"]),
        ("ip", ["conv_relu_0_split_0"]), ("sig", ["conv_relu_0_split_1"])])


def test_blobs_inputs_and_outputs_by_place(tmp_path, net):
    """Programs that count or draw nets go by places: net._blobs[net._top_ids(i)[0]]."""
    assert [net._blob_names[i] for i in net._inputs] == ["data"]
    assert [net._blob_names[i] for i in net._outputs] == ["ip", "sig"]
    assert list(net._blobs) == list(net.blobs.values()) and len(net._blobs) == len(net._blob_names)
    for k, name in enumerate(net._layer_names):
        assert [net._blobs[i] for i in net._top_ids(k)] == [net.blobs[top] for top in net.top_names[name]]
        assert [net._blobs[i] for i in net._bottom_ids(k)] == [net.blobs[b] for b in net.bottom_names[name]]
    assert net._blob_loss_weights == [0.0] * len(net._blobs)
    train = build(tmp_path, CLASSIFIER, caffe.TRAIN)
    assert train._inputs == [] and train._blob_loss_weights[train._outputs[0]] == 1.0


def test_batches_are_padded_with_zeros(net, rng):
    items = rng.standard_normal((5, 3, 6, 5)).astype(np.float32)
    batches = list(net._batch({"data": items}))
    assert [list(batch) for batch in batches] == [["data"]] * 3
    joined = np.concatenate([batch["data"] for batch in batches])
    assert np.array_equal(joined[:5], items) and not joined[5:].any() and len(joined) == 6


def test_loss_weights_by_blob(tmp_path, net):
    assert net.blob_loss_weights == OrderedDict.fromkeys(net.blobs, 0.0)
    assert build(tmp_path, CLASSIFIER, caffe.TRAIN).blob_loss_weights["loss"] == 1.0


# -- forward --------------------------------------------------------------------------------------------------


def test_forward_returns_views_of_the_outputs(net, x):
    out = net.forward(data=x)
    assert {k: v.shape for k, v in out.items()} == {"ip": (2, 5), "sig": (2, 4, 4, 3)}
    assert np.shares_memory(out["ip"], net.blobs["ip"].data)
    before = out["sig"].copy()
    net.forward(data=2 * x)
    assert not np.array_equal(out["sig"], before)  # a view, so it shows the second result


def test_forward_from_to_and_more_blobs(net):
    assert sorted(net.forward(blobs=["conv"])) == ["conv", "ip", "sig"]
    assert list(net.forward(end="conv")) == ["conv"]
    assert list(net.forward(start="ip", end="ip")) == ["ip"]


def test_forward_runs_only_the_layers_asked_for(net, x):
    net.forward(data=x)
    old = net.blobs["ip"].data.copy()
    net.blobs["data"].data[...] = 0
    net.forward(end="relu")
    assert np.array_equal(net.blobs["ip"].data, old)
    net.blobs["conv"].data[...] = 0  # any blob may be changed between two layers
    net.forward(start="conv_relu_0_split")
    assert np.allclose(net.blobs["sig"].data, 0.5)


def test_forward_of_unknown_names(net, x):
    with pytest.raises(ValueError, match="'nosuch' is not in list of layers: in, conv, relu"):
        net.forward(start="nosuch")
    with pytest.raises(KeyError, match="nosuch"):
        net.forward(blobs=["nosuch"])
    with pytest.raises(Exception, match="^Input blob arguments do not match net inputs.$"):
        net.forward(bogus=x)


def test_forward_of_wrong_shapes(net, x):
    with pytest.raises(Exception, match="^Input is not batch sized$"):
        net.forward(data=x[:1])
    with pytest.raises(ValueError, match=r"could not broadcast input array from shape \(2,3,4,5\)"):
        net.forward(data=np.zeros((2, 3, 4, 5)))


def test_forward_casts_to_float32(net, x):
    assert net.forward(data=x.astype(np.float64))["ip"].dtype == np.float32


def test_underscore_forward_returns_the_loss(tmp_path, net):
    assert net._forward(0, 1) == 0.0
    train = build(tmp_path, CLASSIFIER, caffe.TRAIN)
    assert train._forward(0, 2) == pytest.approx(float(train.blobs["loss"].data)) and train._forward(0, 1) == 0.0
    with pytest.raises(IndexError, match=r"layers 0\.\.99: this net has layers 0\.\.5"):
        net._forward(0, 99)
    with pytest.raises(IndexError, match=r"layers 99\.\.0: this net has layers 5\.\.0"):
        net._backward(99)


# -- backward -------------------------------------------------------------------------------------------------


def test_backward_returns_diffs_of_the_inputs(tmp_path, x):
    net = build(tmp_path, FORCED)
    out = net.forward(data=x)
    diffs = {name: np.ones_like(v) for name, v in out.items()}
    assert {k: v.shape for k, v in net.backward(**diffs).items()} == {"data": (2, 3, 6, 5)}
    assert sorted(net.backward(diffs=["conv"], **diffs)) == ["conv", "data"]
    assert list(net.backward(end="conv")) == ["data"]
    assert list(net.backward(start="sig", end="sig")) == ["conv_relu_0_split_1"]
    with pytest.raises(Exception, match="^Top diff arguments do not match net outputs.$"):
        net.backward(bogus=1)
    with pytest.raises(Exception, match="^Diff is not batch sized$"):
        net.backward(**{name: d[:1] for name, d in diffs.items()})


def test_backward_starts_at_the_later_layer(tmp_path, x):
    net = build(tmp_path, FORCED)
    net.forward(data=x)
    net.blobs["conv"].diff[...] = 1
    net.backward(start="relu")  # what stands above takes no part
    assert net.blobs["data"].diff.any()
    assert not net.params["ip"][0].diff.any()


def test_without_a_loss_and_without_force_backward_nothing_happens(net, x):
    out = net.forward(data=x)
    net.backward(**{name: np.ones_like(v) for name, v in out.items()})
    assert not net.blobs["data"].diff.any() and not net.params["conv"][0].diff.any()


def test_gradients_of_parameters_add_up_and_those_of_blobs_do_not(tmp_path, x):
    net = build(tmp_path, FORCED)
    out = net.forward(data=x)
    diffs = {name: np.ones_like(v) for name, v in out.items()}
    net.backward(**diffs)
    weights, data = net.params["conv"][0].diff.copy(), net.blobs["data"].diff.copy()
    net.backward(**diffs)
    assert np.allclose(net.params["conv"][0].diff, 2 * weights, rtol=1e-5)
    assert np.array_equal(net.blobs["data"].diff, data)
    net.clear_param_diffs()
    assert not net.params["conv"][0].diff.any()


# -- many items -----------------------------------------------------------------------------------------------


def test_forward_all_splits_pads_and_joins(net, rng):
    items = rng.standard_normal((5, 3, 6, 5)).astype(np.float32)
    out = net.forward_all(data=items)
    assert {k: (v.shape, v.dtype) for k, v in out.items()} == {
        "ip": ((5, 5), np.float32), "sig": ((5, 4, 4, 3), np.float32)}
    assert np.array_equal(out["ip"][2:4], net.forward(data=items[2:4])["ip"])
    last = net.forward(data=np.concatenate([items[4:], np.zeros_like(items[:1])]))["ip"]
    assert np.array_equal(out["ip"][4], last[0])
    assert sorted(net.forward_all(blobs=["conv"], data=items)) == ["conv", "ip", "sig"]


def test_forward_all_needs_inputs(net):
    with pytest.raises(RuntimeError, match="needs a value for every input: data"):
        net.forward_all()


def test_forward_backward_all(tmp_path, rng):
    net = build(tmp_path, FORCED)
    items = rng.standard_normal((3, 3, 6, 5)).astype(np.float32)
    tops = {"ip": np.ones((3, 5), np.float32), "sig": np.ones((3, 4, 4, 3), np.float32)}
    outs, diffs = net.forward_backward_all(data=items, **tops)
    assert outs["ip"].shape == (3, 5) and diffs["data"].shape == items.shape
    net.forward(data=items[:2])
    net.backward(**{k: v[:2] for k, v in tops.items()})
    assert np.array_equal(diffs["data"][:2], net.blobs["data"].diff)
    with pytest.raises(RuntimeError, match="needs a value for every input: data"):
        net.forward_backward_all(**tops)


# -- reshape --------------------------------------------------------------------------------------------------


def test_reshape_of_a_blob_reaches_the_others_with_net_reshape(net):
    net.blobs["data"].reshape(4, 3, 6, 5)
    assert tuple(net.blobs["conv"].shape) == (2, 4, 4, 3)
    assert net.reshape() is None
    assert {k: tuple(b.shape) for k, b in net.blobs.items()} == {
        "data": (4, 3, 6, 5), "conv": (4, 4, 4, 3), "conv_relu_0_split_0": (4, 4, 4, 3),
        "conv_relu_0_split_1": (4, 4, 4, 3), "ip": (4, 5), "sig": (4, 4, 4, 3)}


def test_forward_reshapes_by_itself(net):
    net.blobs["data"].reshape(1, 3, 6, 5)
    assert net.forward()["sig"].shape == (1, 4, 4, 3)


# -- MemoryData -----------------------------------------------------------------------------------------------


def test_set_input_arrays_cycles_through_the_items(tmp_path):
    net = build(tmp_path, MEMORY)
    data = np.arange(24, dtype=np.float32).reshape(4, 1, 2, 3)
    net.set_input_arrays(data, np.arange(4, dtype=np.float32))
    seen = []
    for _ in range(3):
        net.forward()
        seen.append((float(net.blobs["data"].data.flat[0]), net.blobs["label"].data.ravel().tolist()))
    assert seen == [(0.0, [0.0, 1.0]), (12.0, [2.0, 3.0]), (0.0, [0.0, 1.0])]
    assert net.inputs == [] and tuple(net.blobs["label"].shape) == (2, 1, 1, 1)


@pytest.mark.parametrize(("data", "labels", "message"), [
    (np.zeros((4, 1, 2, 3)), np.zeros(4, np.float32), "data must be a C-contiguous float32"),
    (np.zeros((3, 1, 2, 3), np.float32), np.zeros(3, np.float32), "multiple of batch_size, 2"),
    (np.zeros((4, 1, 3, 2), np.float32), np.zeros(4, np.float32), r"data is \(4, 1, 3, 2\)"),
    (np.zeros((4, 1, 2, 3), np.float32), np.zeros(3, np.float32), "4 items of data, but 3 labels"),
])
def test_set_input_arrays_refuses(tmp_path, data, labels, message):
    with pytest.raises(RuntimeError, match=message):
        build(tmp_path, MEMORY).set_input_arrays(data, labels)


def test_set_input_arrays_needs_a_memory_data_layer(net):
    with pytest.raises(RuntimeError, match="^set_input_arrays may only be called if the first layer is a MemoryData"):
        net.set_input_arrays(np.zeros((2, 1, 1, 1), np.float32), np.zeros(2, np.float32))


def test_memory_data_without_arrays_is_an_error(tmp_path):
    with pytest.raises(caffe.LayerError, match=r"net.prototxt:1: layer 'd' \(MemoryData\).*set_input_arrays"):
        build(tmp_path, MEMORY).forward()


# -- callbacks ------------------------------------------------------------------------------------------------


def test_callbacks_get_the_index_of_the_layer(tmp_path, x):
    net, seen = build(tmp_path, FORCED), {}
    for name in ("before_forward", "after_forward", "before_backward", "after_backward"):
        getattr(net, name)(seen.setdefault(name, []).append)
    net.forward(data=x)
    net.backward()
    assert seen == {"before_forward": [0, 1, 2, 3, 4, 5], "after_forward": [0, 1, 2, 3, 4, 5],
                    "before_backward": [5, 4, 3, 2, 1, 0], "after_backward": [5, 4, 3, 2, 1, 0]}
