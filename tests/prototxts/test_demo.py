"""The experiment demo: nets that fit each other, and a reference that starts as the retraining does."""

import pytest
from google.protobuf import text_format

from dsrg.datasets.demo_scenes import CLASSES
from dsrg.pipeline.settings import read_experiment
from tests.conftest import ROOT

FOLDER = ROOT / "prototxts" / "demo"
MAP = (33, 33)


def read(caffe, name):
    pb = caffe.proto.caffe_pb2
    message = pb.SolverParameter() if name.startswith("solver") else pb.NetParameter()
    return text_format.Parse((FOLDER / name).read_text(), message)


def test_maps_and_scores_have_the_size_of_the_cues(caffe):
    deploy = caffe.Net(str(FOLDER / "deploy.prototxt"), caffe.TEST)
    assert deploy.blobs["fc8-SEC"].data.shape == (1, len(CLASSES), *MAP)
    cam = caffe.Net(str(FOLDER / "cam-deploy.prototxt"), caffe.TEST)
    assert cam.outputs == ["CAM"] and cam.blobs["CAM"].data.shape == (1, len(CLASSES) - 1, *MAP)
    nets = read_experiment(FOLDER).nets
    assert ((nets.cells, nets.cells), nets.classes) == (MAP, len(CLASSES))


@pytest.mark.parametrize("name", ["cam-train", "train-s", "train-f"])
def test_every_net_shares_the_layers_of_the_trunk(caffe, name):
    kinds = ("Convolution", "BatchNorm", "Scale")
    def learnt(name):
        return {layer.name for layer in read(caffe, f"{name}.prototxt").layer if layer.type in kinds}

    expected = learnt("cam-deploy" if name == "cam-train" else "deploy")
    assert learnt(name) == expected and {"conv1_1", "bn1_1", "scale1_1"} <= expected


def test_the_reference_starts_where_the_retraining_starts():
    """And is trained by the same net and solver, on the true masks (dsrg/pipeline/run.py)."""
    settings = read_experiment(FOLDER)
    assert settings.start_of("f") == settings.start_of("full") == "s"
    assert settings.full == "data.source=lists/train_full.txt"
    assert (FOLDER / "train-f.prototxt").read_text().count("'source': 'lists/train_f.txt'") == 1
