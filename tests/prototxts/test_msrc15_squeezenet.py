"""The experiment msrc15-squeezenet: files as their script writes them, nets that fit each other and the weights."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "prototxts" / "msrc15-squeezenet"
MAP = (31, 31)


@pytest.fixture(scope="module")
def caffe():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        from training.findcaffe import caffe
    return caffe


@pytest.fixture(scope="module")
def make_nets(caffe):
    spec = importlib.util.spec_from_file_location("make_nets_msrc15", FOLDER / "make_nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def deploy(caffe):
    return caffe.Net(str(FOLDER / "deploy.prototxt"), caffe.TEST)


def read(caffe, name):
    from google.protobuf import text_format

    pb = caffe.proto.caffe_pb2
    message = pb.SolverParameter() if name.startswith("solver") else pb.NetParameter()
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_the_files_are_what_the_script_writes(caffe, make_nets):
    written = make_nets.files()
    assert sorted(written) == sorted(path.name for path in FOLDER.glob("*.prototxt"))
    for name, message in written.items():
        assert read(caffe, name) == message, f"{name} differs: run make_nets.py, or put the change into it"


def test_maps_and_scores_have_the_size_of_the_cues(caffe, make_nets, deploy):
    assert deploy.blobs["fc8-SEC"].data.shape == (1, 16, *MAP)
    cam = caffe.Net(str(FOLDER / "cam-deploy.prototxt"), caffe.TEST)
    assert cam.outputs == ["CAM"] and cam.blobs["CAM"].data.shape == (1, 15, *MAP)
    assert tuple(make_nets.CUE_SIZE) == MAP


@pytest.mark.parametrize("size", [321, 401])
def test_larger_inputs_keep_corners_on_corners(deploy, size):
    blob = deploy.blobs["images"]
    blob.reshape(1, 3, size, size)
    deploy.reshape()
    cells = (size - 1) // 8 + 1
    assert deploy.blobs["fc8-SEC"].data.shape == (1, 16, cells, cells)


def layers(message):
    return {layer.name: layer for layer in message.layer}


@pytest.mark.parametrize("name", ["train-s.prototxt", "train-f.prototxt", "train-full.prototxt"])
def test_training_and_deploy_net_share_every_weight(caffe, name):
    train, test = layers(read(caffe, name)), layers(read(caffe, "deploy.prototxt"))
    weighted = {key for key, layer in train.items() if layer.type == "Convolution"}
    assert weighted == {key for key, layer in test.items() if layer.type == "Convolution"}
    for key in weighted:
        assert train[key].convolution_param == test[key].convolution_param


def test_the_reference_differs_from_the_retraining_in_its_list_alone(caffe):
    retrain, full = read(caffe, "train-f.prototxt"), read(caffe, "train-full.prototxt")
    for layer in retrain.layer:
        if layer.type == "Python":
            layer.python_param.param_str = layer.python_param.param_str.replace("train_f.txt", "train_full.txt")
    assert retrain == full


def test_the_weights_of_imagenet_fit(caffe, shared):
    weights = str(shared / "models" / "squeezenet_v1.0.caffemodel")
    net = caffe.Net(str(FOLDER / "deploy.prototxt"), weights, caffe.TEST)
    taken = [name for name in net.params if np.abs(net.params[name][0].data).max() > 0]
    assert len([name for name in taken if name == "conv1" or name.startswith("fire")]) == 25
    net.blobs["images"].data[...] = np.random.default_rng(0).normal(0, 60, net.blobs["images"].data.shape)
    net.forward()
    assert np.isfinite(net.blobs["fc8-SEC"].data).all()
