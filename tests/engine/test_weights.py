"""Weights of nets: shared, saved and copied, as pycaffe does it."""

import h5py
import numpy as np
import pytest
from caffe.proto import caffe_pb2

from tests.engine.nets import TWO_HEADS, build, input_layer


@pytest.fixture
def net(tmp_path):
    return build(tmp_path, TWO_HEADS)


def test_share_with_shares_data_and_not_diffs(tmp_path, net):
    other = build(tmp_path, TWO_HEADS)
    assert not np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    assert other.share_with(net) is None
    net.params["conv"][0].data[0, 0, 0, 0] = 7
    net.params["conv"][0].diff[...] = 1
    assert other.params["conv"][0].data[0, 0, 0, 0] == 7 and not other.params["conv"][0].diff.any()


def test_save_writes_layers_as_wired_with_shapes_and_phase(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "a.caffemodel").read_bytes())
    content = [(la.name, la.type, list(la.bottom), list(la.top), la.phase, [list(b.shape.dim) for b in la.blobs])
               for la in saved.layer]
    split = ["conv_relu_0_split_0", "conv_relu_0_split_1"]
    assert saved.name == "a" and content == [
        ("in", "Input", [], ["data"], 1, []),
        ("conv", "Convolution", ["data"], ["conv"], 1, [[4, 3, 3, 3], [4]]),
        ("relu", "ReLU", ["conv"], ["conv"], 1, []),
        ("conv_relu_0_split", "Split", ["conv"], split, 1, []),
        ("ip", "InnerProduct", split[:1], ["ip"], 1, [[5, 48], [5]]),
        ("sig", "Sigmoid", split[1:], ["sig"], 1, [])]
    assert not any(len(b.diff) for la in saved.layer for b in la.blobs)


def test_a_saved_model_of_caffe_is_written_back_byte_for_byte(tmp_path, data_files, net):
    net.copy_from(str(data_files / "a.caffemodel"))
    net.save(str(tmp_path / "b.caffemodel"))
    assert (tmp_path / "b.caffemodel").read_bytes() == (data_files / "a.caffemodel").read_bytes()


def test_save_hdf5_has_a_group_for_every_layer(tmp_path, data_files, net):
    path = str(tmp_path / "a.h5")
    net.save_hdf5(path)
    with h5py.File(path) as ours, h5py.File(data_files / "a.h5") as caffes:
        names, expected = [], []
        ours.visititems(lambda name, item: names.append((name, getattr(item, "shape", None))))
        caffes.visititems(lambda name, item: expected.append((name, getattr(item, "shape", None))))
    assert names == expected
    other = build(tmp_path, TWO_HEADS)
    other.load_hdf5(path)
    assert np.array_equal(other.params["ip"][0].data, net.params["ip"][0].data)
    third = build(tmp_path, TWO_HEADS, weights=path)
    assert np.array_equal(third.params["ip"][0].data, net.params["ip"][0].data)


def test_copy_from_leaves_layers_alone_that_only_one_side_has(tmp_path, net):
    net.save(str(tmp_path / "a.caffemodel"))
    other = build(tmp_path, TWO_HEADS.replace('name: "ip"', 'name: "ip2"'))
    kept = other.params["ip2"][0].data.copy()
    other.copy_from(str(tmp_path / "a.caffemodel"))
    assert np.array_equal(other.params["conv"][0].data, net.params["conv"][0].data)
    assert np.array_equal(other.params["ip2"][0].data, kept)


def test_copy_from_reads_a_v1_model(tmp_path, data_files):
    with np.load(data_files / "v1_net.npz") as z:
        weights, bias = z["param/conv1/0"], z["param/conv1/1"]
    outputs, channels, kernel, _ = weights.shape
    net = build(tmp_path, input_layer(1, channels, 8, 8) + f"""
        layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
                convolution_param {{ num_output: {outputs} kernel_size: {kernel} }} }}""")
    net.copy_from(str(data_files / "v1_net.caffemodel"))
    assert np.array_equal(net.params["conv1"][0].data, weights)
    assert np.array_equal(net.params["conv1"][1].data, bias)
