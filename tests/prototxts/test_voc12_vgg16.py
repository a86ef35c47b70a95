"""voc12-vgg16 is the original's network: its names, shapes and hyper-parameters, and it trains at full size."""

import subprocess
import sys

import caffe
import numpy as np
import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "prototxts" / "voc12-vgg16"


def proto(name, message):
    from google.protobuf import text_format

    return text_format.Parse((FOLDER / name).read_text(), message)


def net_param(name):
    return proto(name, caffe.proto.caffe_pb2.NetParameter())


def test_names_and_shapes_of_the_original():
    """FACTS of the released caffemodel: VGG16's convolutions, then fc6_k, fc7_k, fc8-SEC_k for k = 1..4."""
    net = caffe.Net(str(FOLDER / "deploy.prototxt"), caffe.TEST)
    convolutions = [f"conv{s}_{k}" for s, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for k in range(1, n + 1)]
    branches = [f"{fc}_{k}" for k in range(1, 5) for fc in ("fc6", "fc7", "fc8-SEC")]
    assert list(net.params) == convolutions + branches
    assert tuple(net.params["fc6_3"][0].shape) == (1024, 512, 3, 3)
    assert tuple(net.params["fc8-SEC_1"][0].shape) == (21, 1024, 1, 1)
    assert tuple(net.blobs["fc8-SEC"].shape) == (1, 21, 41, 41)


def test_same_wiring_as_the_original_at_a_sixteenth_of_the_width(shared):
    """Layer by layer the measured deploy net (channels / 16) has our types, connections and windows."""
    theirs = proto(shared / "goldens/caffe/network/dsrg16_deploy.prototxt", caffe.proto.caffe_pb2.NetParameter())
    ours = {layer.name: layer for layer in net_param("deploy.prototxt").layer}
    for layer in theirs.layer:
        mine = ours[layer.name]
        assert (mine.type, mine.bottom, mine.top) == (layer.type, layer.bottom, layer.top), layer.name
        for field in ("pad", "kernel_size", "stride", "dilation"):
            a, b = (list(getattr(m.convolution_param, field)) for m in (mine, layer))
            assert a == b, f"{layer.name} {field}"
        assert mine.pooling_param == layer.pooling_param, layer.name


@pytest.mark.parametrize(("solver", "settings"), [
    ("solver-s.prototxt", dict(lr_policy="step", base_lr=5e-4, gamma=0.33, stepsize=1000, max_iter=8000)),
    ("solver-f.prototxt", dict(lr_policy="poly", base_lr=1e-3, power=0.9, max_iter=20000)),
])
def test_solvers_hold_the_originals_numbers(solver, settings):
    param = proto(solver, caffe.proto.caffe_pb2.SolverParameter())
    for key, value in {**settings, "momentum": 0.9, "weight_decay": 5e-4, "random_seed": 0}.items():
        assert getattr(param, key) == (pytest.approx(value) if isinstance(value, float) else value), key


def test_learning_rates_of_pretrained_and_new_layers():
    layers = {layer.name: layer for layer in net_param("train-s.prototxt").layer}
    rates = {n: [(p.lr_mult, p.decay_mult) for p in layers[n].param] for n in ("conv1_1", "fc7_4", "fc8-SEC_2")}
    assert rates["conv1_1"] == rates["fc7_4"] == [(1, 1), (2, 0)]
    assert rates["fc8-SEC_2"] == [(10, 1), (20, 0)]


@pytest.mark.slow
def test_full_size_stage_s_trains(tmp_path):
    """Three iterations at batch 2, 321x321, on generated photos of 20 classes; cues drawn around their boxes."""
    arguments = ["--iterations", "3", "--precision", "fp32", "--work", tmp_path]
    run = [sys.executable, "-m", "benchmarks.vgg16_step", *arguments]
    result = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert result.returncode == 0, result.stderr
    losses = np.loadtxt(tmp_path / "losses.txt")
    assert losses.shape == (3, 2) and np.isfinite(losses).all() and (losses > 0).all()
