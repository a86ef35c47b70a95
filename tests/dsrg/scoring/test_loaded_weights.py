"""Weights that leave a layer random, or do not fit, are refused by name wherever a net is opened for use."""

import h5py
import numpy as np
import pytest

from dsrg.find_caffe import the_caffe
from dsrg.initweights.parameter_shapes import fits, parameter_shapes
from dsrg.io.errors import UserError
from dsrg.scoring.score_net import open_net

TRUNK = """
layer { name: "in" type: "Input" top: "photo" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv1" type: "Convolution" bottom: "photo" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
"""
HEAD = """
layer { name: "%s" type: "Convolution" bottom: "conv" top: "scores"
        convolution_param { num_output: %d kernel_size: 1 } }
"""


@pytest.fixture
def caffe(monkeypatch):
    monkeypatch.setenv("ENGINE", "embedded")
    return the_caffe()


@pytest.fixture
def nets(tmp_path, caffe, monkeypatch):
    """deploy.prototxt with its own weights, and those of a classifier that shares the trunk; chdir there."""
    monkeypatch.chdir(tmp_path)
    for name, head, outputs in (("deploy", "fc8", 5), ("cam", "CAM", 4), ("other", "fc8", 3)):
        (tmp_path / f"{name}.prototxt").write_text(TRUNK + HEAD % (head, outputs))
        net = caffe.Net(f"{name}.prototxt", caffe.TEST)
        net.save(f"{name}.caffemodel")
        net.save_hdf5(f"{name}.caffemodel.h5")
    return tmp_path


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_the_classifiers_weights_are_refused_for_the_segmentation_net(nets, caffe, suffix):
    """They fit the trunk, so Caffe loads them without a word and scores garbage."""
    message = (r"cam\.caffemodel\S* has no weights for 1 of the 3 layers with parameters of deploy\.prototxt: fc8; .*"
               r"file holds .*CAM.*--allow-random LAYER")
    with pytest.raises(UserError, match=message):
        open_net(caffe, "deploy.prototxt", f"cam{suffix}")


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_a_layer_that_is_meant_to_be_random_is_allowed_by_name(nets, caffe, suffix):
    weights = caffe.Net("cam.prototxt", f"cam{suffix}", caffe.TEST).params["conv1"][0].data.copy()
    net = open_net(caffe, "deploy.prototxt", f"cam{suffix}", allow_random=["fc8"])
    np.testing.assert_array_equal(net.params["conv1"][0].data, weights)
    with pytest.raises(UserError, match=r"--allow-random fc9: deploy\.prototxt has no layer .*; it has conv1, bn, fc8"):
        open_net(caffe, "deploy.prototxt", "cam.caffemodel", allow_random=["fc9"])


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5"])
def test_shapes_are_compared_before_caffe_would_end_the_process(nets, caffe, suffix):
    message = r"layer 'fc8': parameter 0 is \(5, 4, 1, 1\) here but \(3, 4, 1, 1\) in 'other\.caffemodel"
    with pytest.raises(UserError, match=message):
        open_net(caffe, "deploy.prototxt", f"other{suffix}")
    text = (nets / "deploy.prototxt").read_text().replace("kernel_size: 1", "kernel_size: 1 bias_term: false")
    (nets / "deploy.prototxt").write_text(text)
    with pytest.raises(UserError, match=r"layer 'fc8': it has 1 parameters here but 2 in 'deploy\.caffemodel"):
        open_net(caffe, "deploy.prototxt", f"deploy{suffix}")


def test_whole_weights_open_for_backward_too(nets, caffe):
    for suffix in (".caffemodel", ".caffemodel.h5"):
        net = open_net(caffe, "deploy.prototxt", f"deploy{suffix}", backward=True)
        assert list(net.params) == ["conv1", "bn", "fc8"]


def test_a_file_that_is_no_weights_is_named(nets, caffe):
    (nets / "page.caffemodel").write_text("<html>not found</html>")
    with pytest.raises(UserError, match=r"weights page\.caffemodel are a web page; give a \.caffemodel"):
        open_net(caffe, "deploy.prototxt", "page.caffemodel")


def test_files_of_2013_give_four_axes_that_fit_fewer(caffe, tmp_path):
    pb = caffe.proto.caffe_pb2
    message = pb.NetParameter()
    layer = message.layers.add(name="ip")
    layer.blobs.add(num=1, channels=1, height=2, width=3, data=[0] * 6)
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=[0] * 2)
    (tmp_path / "old.caffemodel").write_bytes(message.SerializeToString())
    shapes = parameter_shapes(tmp_path / "old.caffemodel", pb)
    assert shapes == {"ip": [(1, 1, 2, 3), (1, 1, 1, 2)]}
    assert fits(shapes["ip"][0], (2, 3)) and fits(shapes["ip"][1], (2,))
    assert not fits((1, 1, 2, 3), (3, 2)) and not fits((2, 3), (1, 1, 2, 3))


def test_hdf5_layers_with_slashes_and_shared_parameters(caffe, tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/inception_3a/1x1/0"] = np.zeros((4, 3, 1, 1), np.float32)
        file["data/inception_3a/1x1/1"] = np.zeros(4, np.float32)
        file["data/twin/1"] = np.zeros(4, np.float32)      # its weight is shared with an earlier layer's
        file.create_group("data/pool")
    shapes = parameter_shapes(tmp_path / "a.h5", caffe.proto.caffe_pb2)
    assert shapes == {"inception_3a/1x1": [(4, 3, 1, 1), (4,)], "twin": [None, (4,)]}
    assert fits(None, (4, 3, 1, 1))
