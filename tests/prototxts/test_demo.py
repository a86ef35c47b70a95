"""The experiment demo: nets that fit each other, and a reference that differs in its masks alone."""

import importlib.util

import pytest
from google.protobuf import text_format

from dsrg.datasets.demo_scenes import CLASSES
from dsrg.pipeline.settings import read_experiment
from tests.conftest import ROOT

FOLDER = ROOT / "prototxts" / "demo"
MAP = (33, 33)


@pytest.fixture(scope="module")
def caffe():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ENGINE", "embedded")
        from training.findcaffe import caffe
    return caffe


@pytest.fixture(scope="module")
def make_nets(caffe):
    spec = importlib.util.spec_from_file_location("make_nets_demo_sizes", FOLDER / "make_nets.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(caffe, name):
    pb = caffe.proto.caffe_pb2
    message = pb.SolverParameter() if name.startswith("solver") else pb.NetParameter()
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_maps_and_scores_have_the_size_of_the_cues(caffe, make_nets):
    deploy = caffe.Net(str(FOLDER / "deploy.prototxt"), caffe.TEST)
    assert deploy.blobs["fc8-SEC"].data.shape == (1, len(CLASSES), *MAP)
    cam = caffe.Net(str(FOLDER / "cam-deploy.prototxt"), caffe.TEST)
    assert cam.outputs == ["CAM"] and cam.blobs["CAM"].data.shape == (1, len(CLASSES) - 1, *MAP)
    assert (tuple(make_nets.CUE_SIZE), make_nets.CLASSES) == (MAP, len(CLASSES))


@pytest.mark.parametrize("name", ["cam-train", "train-s", "train-f", "train-full"])
def test_every_net_shares_the_layers_of_the_trunk(caffe, name):
    kinds = ("Convolution", "BatchNorm", "Scale")
    def learnt(name):
        return {layer.name for layer in read(caffe, f"{name}.prototxt").layer if layer.type in kinds}

    expected = learnt("cam-deploy" if name == "cam-train" else "deploy")
    assert learnt(name) == expected and {"conv1_1", "bn1_1", "scale1_1"} <= expected


def test_the_reference_differs_from_the_retraining_in_its_masks_alone(caffe):
    nets = [(FOLDER / f"train-{name}.prototxt").read_text() for name in ("f", "full")]
    assert nets[0].replace("lists/train_f.txt", "lists/train_full.txt") == nets[1] != nets[0]
    f, full = (read(caffe, f"solver-{name}.prototxt") for name in ("f", "full"))
    for solver in (f, full):
        solver.ClearField("train_net")
        solver.ClearField("snapshot_prefix")
    assert f == full
    settings = read_experiment(FOLDER)
    assert settings.start_of("f") == settings.start_of("full") == "s"
