"""What settings.yaml says of nets: read strictly, refused by key."""

import math
from pathlib import Path

import pytest
import yaml

from dsrg.experiments import description
from dsrg.experiments.description import read_nets
from dsrg.io.errors import UserError
from dsrg.pipeline.settings import read_experiment
from tests.conftest import ROOT

TEXT = """
classes: 21
size: 321
backbone: vgg16
head: aspp
classifier: vgg16-sec
batch: {cam: 15, s: 20, f: 10}
solvers:
  cam: {base_lr: 0.001, max_iter: 80}
  s: {base_lr: 5e-4, max_iter: 80, lr_policy: step, stepsize: 10, gamma: 0.33}
  f: {base_lr: 1e-3, max_iter: 200, type: Adam, iter_size: 2}
"""


def test_numbers_are_read_and_maps_follow():
    nets = read_nets(yaml.safe_load(TEXT), "x")
    assert (nets.classes, nets.size, nets.stride, nets.cells) == (21, 321, 8, 41)
    assert (nets.supervision, nets.mirror, nets.background_grows, nets.crf_scale) == ("dsrg", True, True, None)
    assert nets.solvers["s"]["base_lr"] == 5e-4, "YAML takes 5e-4 for text"
    assert nets.solvers["f"] == {"base_lr": 1e-3, "max_iter": 200, "type": "Adam", "iter_size": 2}


@pytest.mark.parametrize(("old", "new", "message"), [
    ("classes: 21\n", "", "x: 'classes' is missing"),
    ("classes: 21", "classes: 1", "x: classes: expected a whole number, 2 to 255, got 1"),
    ("classes: 21", "classes: true", "x: classes: expected a whole number, 2 to 255, got True"),
    ("size: 321", "size: 320", r"x: size 320: expected 8 n \+ 1, .* nearest is 321"),
    ("backbone: vgg16", "backbone: vgg19", "x: backbone: expected one of vgg16, .*, got 'vgg19'"),
    ("head: aspp", "head: aspp\nmirrors: true", "x: unknown key 'mirrors'; expected some of .*mirror"),
    ("head: aspp", "head: aspp\nmirror: 1", "x: mirror: expected true or false, got 1"),
    ("f: 10}", "f: 0}", "x: batch: f: expected a whole number, 1 or more, got 0"),
    (", f: 10}", "}", "x: batch and solvers are of other trainings: cam, s against cam, f, s"),
    ("cam: 15", "camm: 15", "x: batch: expected values for cam, s and"),
    ("gamma: 0.33", "gama: 0.33", "x: solvers: s: 'gama' is no field of a solver"),
    ("gamma: 0.33", "snapshot_prefix: a", "x: solvers: s: 'snapshot_prefix' is no field of a solver to set here"),
    ("base_lr: 0.001", "base_lr: .nan", "x: solvers: cam: base_lr: nan is no value"),
    ("gamma: 0.33", "gamma: inf", "x: solvers: s: gamma: inf is no value"),
    ("size: 321", "size: 1801", "x: 15 inputs of 1801x1801 make a blob of 3.11e.09 numbers in vgg16, the trunk"),
    ("gamma: 0.33", "gamma: slow", "x: solvers: s: gamma: 'slow' is no value"),
    ("stepsize: 10", "stepsize: 1.5", "x: solvers: s: stepsize: 1.5 is no value"),
    ("cam: {base_lr: 0.001, max_iter: 80}", "cam: {base_lr: 0.001}", "x: solvers: cam: expected fields of a solver"),
    ("cam: {base_lr: 0.001, max_iter: 80}", "cam: {base_lr: 0.001, max_iter: 0}",
     "x: solvers: cam: max_iter: expected a whole number, 1 or more, got 0"),
])
def test_what_does_not_fit_is_refused_by_key(old, new, message):
    assert TEXT.count(old) == 1
    with pytest.raises(UserError, match=message):
        read_nets(yaml.safe_load(TEXT.replace(old, new)), "x")


@pytest.mark.parametrize(("backbone", "experiment"), [
    ("vgg16", "voc12-vgg16"), ("resnet101", "voc12-resnet101"), ("squeezenet", "msrc15-squeezenet"), ("small", "demo")])
def test_the_widest_blob_of_a_trunk_is_that_of_its_net(backbone, experiment):
    """What sizes and batches are bounded by, against the shapes of the net itself; 5 % for rims."""
    from dsrg.netinspect.checks import State
    from dsrg.netinspect.prototxt_source import Source

    folder = ROOT / "prototxts" / experiment
    nets = read_experiment(folder).nets
    assert nets.backbone == backbone
    net = State(Source(folder / "deploy.prototxt"), "test").shapes
    widest = max(math.prod(blob.shape) for blob in net.blobs.values())
    assert widest == pytest.approx(description.WIDEST[backbone] * nets.size ** 2, rel=0.05)


def test_the_run_refuses_numbers_that_do_not_fit(tmp_path: Path):
    (tmp_path / "settings.yaml").write_text("nets: {classes: 3}\n")
    with pytest.raises(UserError, match="settings.yaml: nets: 'size' is missing"):
        read_experiment(tmp_path)
    (tmp_path / "settings.yaml").write_text("nets: 3\n")
    with pytest.raises(UserError, match="settings.yaml: nets: expected keys and values, got int"):
        read_experiment(tmp_path)


def test_every_name_has_its_network():
    from dsrg.experiments import prototxt_files

    assert tuple(prototxt_files.TRUNKS) == tuple(description.STRIDES)
    assert tuple(prototxt_files.HEADS) == description.HEADS
    assert tuple(prototxt_files.CLASSIFIERS) == description.CLASSIFIERS
    assert tuple(prototxt_files.SUPERVISIONS) == description.SUPERVISIONS


@pytest.mark.parametrize(("backbone", "head"), dict.fromkeys(
    [*((backbone, "small") for backbone in description.STRIDES), *(("small", head) for head in description.HEADS)]))
def test_any_head_fits_any_backbone_and_the_maps_have_the_cells(backbone, head, tmp_path):
    """By the engine's own shapes, at the smallest input that lines up."""
    import caffe

    from dsrg.experiments.prototxt_files import deploy

    size = 4 * description.STRIDES[backbone] + 1
    text = TEXT.replace("321", str(size)).replace("vgg16\n", f"{backbone}\n").replace("aspp", head)
    nets = read_nets(yaml.safe_load(text), "x")
    message = str(deploy(nets)).replace('type: "gaussian"', 'type: "constant"').replace("std: 0.01", "value: 0")
    (tmp_path / "net.prototxt").write_text(message)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert nets.cells == 5 and tuple(net.blobs["fc8-SEC"].shape) == (1, 21, 5, 5)


def test_torchvisions_resnet_has_its_strides_in_the_3x3():
    from dsrg.experiments.prototxt_files import deploy

    original = read_experiment(ROOT / "prototxts/voc12-resnet101").nets
    for backbone, place in (("resnet101", "res3a_branch2a"), ("resnet101-torchvision", "res3a_branch2b")):
        nets = deploy(description.Nets(**{**vars(original), "backbone": backbone}))
        strided = [layer.name for layer in nets.layer if list(layer.convolution_param.stride) == [2]]
        assert strided == ["conv1", "res3a_branch1", place]


@pytest.mark.parametrize(("classifier", "cells"), [("vgg16-sec", 5), ("vgg16-gap", 3), ("squeezenet", 5), ("small", 9)])
def test_any_classifier_is_made_and_its_maps_have_their_size(classifier, cells, tmp_path):
    """Inputs of 33 at the strides 8, 16, 8 and 4; features before the global average, or the class maps themselves."""
    import caffe

    from dsrg.experiments.prototxt_files import cam_net

    nets = read_nets(yaml.safe_load(TEXT.replace("321", "33").replace("vgg16-sec", classifier)), "x")
    (tmp_path / "net.prototxt").write_text(str(cam_net(nets, train=False)))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    maps = {"vgg16-sec": "fc7_CAM", "vgg16-gap": "CAM_conv"}.get(classifier, "CAM")
    assert tuple(net.blobs[maps].shape)[2:] == (cells, cells)
    assert net.blobs[net.outputs[0]].shape[1] == 20
    losses = [layer.type for layer in cam_net(nets).layer if "Loss" in layer.type]
    assert losses == ["SigmoidCrossEntropyLoss"]
