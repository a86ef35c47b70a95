"""The experiment msrc15-squeezenet: nets that fit each other and the weights."""

from pathlib import Path

import numpy as np
import pytest

from dsrg.pipeline.settings import read_experiment

FOLDER = Path(__file__).resolve().parents[2] / "prototxts" / "msrc15-squeezenet"
MAP = (31, 31)


@pytest.fixture(scope="module")
def deploy(caffe):
    return caffe.Net(str(FOLDER / "deploy.prototxt"), caffe.TEST)


def read(caffe, name):
    from google.protobuf import text_format

    pb = caffe.proto.caffe_pb2
    message = pb.SolverParameter() if name.startswith("solver") else pb.NetParameter()
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_maps_and_scores_have_the_size_of_the_cues(caffe, deploy):
    assert deploy.blobs["fc8-SEC"].data.shape == (1, 16, *MAP)
    cam = caffe.Net(str(FOLDER / "cam-deploy.prototxt"), caffe.TEST)
    assert cam.outputs == ["CAM"] and cam.blobs["CAM"].data.shape == (1, 15, *MAP)
    assert read_experiment(FOLDER).nets.cells == MAP[0]


@pytest.mark.parametrize("size", [321, 401])
def test_larger_inputs_keep_corners_on_corners(deploy, size):
    blob = deploy.blobs["images"]
    blob.reshape(1, 3, size, size)
    deploy.reshape()
    cells = (size - 1) // 8 + 1
    assert deploy.blobs["fc8-SEC"].data.shape == (1, 16, cells, cells)


def layers(message):
    return {layer.name: layer for layer in message.layer}


@pytest.mark.parametrize("name", ["train-s.prototxt", "train-f.prototxt"])
def test_training_and_deploy_net_share_every_weight(caffe, name):
    train, test = layers(read(caffe, name)), layers(read(caffe, "deploy.prototxt"))
    weighted = {key for key, layer in train.items() if layer.type == "Convolution"}
    assert weighted == {key for key, layer in test.items() if layer.type == "Convolution"}
    for key in weighted:
        assert train[key].convolution_param == test[key].convolution_param


def test_the_weights_of_imagenet_fit(caffe, shared):
    weights = str(shared / "models" / "squeezenet_v1.0.caffemodel")
    net = caffe.Net(str(FOLDER / "deploy.prototxt"), weights, caffe.TEST)
    taken = [name for name in net.params if np.abs(net.params[name][0].data).max() > 0]
    assert len([name for name in taken if name == "conv1" or name.startswith("fire")]) == 25
    net.blobs["images"].data[...] = np.random.default_rng(0).normal(0, 60, net.blobs["images"].data.shape)
    net.forward()
    assert np.isfinite(net.blobs["fc8-SEC"].data).all()
