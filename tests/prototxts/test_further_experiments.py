"""voc12-sec, voc12-resnet101 and coco-vgg16: wiring, what is frozen, shapes, and a step forward and back."""


import caffe
import numpy as np
import pytest
from google.protobuf import text_format

from dsrg.io.param_str import parse_param_str
from dsrg.pipeline.settings import read_experiment
from localization_cues import make_cues
from localization_cues.cam import CamNet
from tests.conftest import EXPERIMENTS, ROOT

FOLDER = ROOT / "prototxts"


def layers(name):
    message = text_format.Parse((FOLDER / name).read_text(), caffe.proto.caffe_pb2.NetParameter())
    return {layer.name: layer for layer in message.layer}


def small(name, size, tmp_path):
    """The deploy net at another input, so that its gradient reaches the first layer."""
    text = (FOLDER / name / "deploy.prototxt").read_text()
    assert text.count("dim: 321") == 2
    path = tmp_path / "net.prototxt"
    path.write_text("force_backward: true\n" + text.replace("dim: 321", f"dim: {size}"))
    return caffe.Net(str(path), caffe.TEST)


# cells of `size` pixels at stride 8: (size - 1) / 8 + 1
@pytest.mark.parametrize(("name", "classes", "size", "cells"), [
    ("voc12-sec", 21, 65, 9), ("voc12-resnet101", 21, 65, 9), ("coco-vgg16", 81, 65, 9),
])
def test_forward_and_backward_at_a_small_input(name, classes, size, cells, tmp_path, rng):
    net = small(name, size, tmp_path)
    for blobs in net.params.values():
        if blobs[0].data.ndim == 4:  # convolutions: keep the size of the signal
            shape = blobs[0].data.shape
            blobs[0].data[...] = rng.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]))
        elif len(blobs) == 3:        # BatchNorm: mean 0, variance 1, counted once
            blobs[0].data[...], blobs[1].data[...], blobs[2].data[...] = 0, 1, 1
    net.blobs["images"].data[...] = rng.normal(0, 40, (1, 3, size, size))
    out = net.forward()["fc8-SEC"]
    assert out.shape == (1, classes, cells, cells) and np.isfinite(out).all()
    net.blobs["fc8-SEC"].diff[...] = 1
    net.backward()
    gradient = net.params["conv1" if "resnet" in name else "conv1_1"][0].diff
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def resnet101():
    """(name, outputs, kernel, stride, dilation, bottom) of every convolution up to res5c, as DeepLab-v2 has them: the
    stride of a stage in its first block's branch1 and branch2a, the dilation in branch2b."""
    yield "conv1", 64, 7, 2, 1, "images"
    below = "pool1"
    for stage, width, stride, dilation, blocks in (
            (2, 64, 1, 1, ["a", "b", "c"]), (3, 128, 2, 1, ["a", "b1", "b2", "b3"]),
            (4, 256, 1, 2, ["a", *(f"b{k}" for k in range(1, 23))]), (5, 512, 1, 4, ["a", "b", "c"])):
        for block in blocks:
            name = f"res{stage}{block}"
            step = stride if block == "a" else 1
            if block == "a":
                yield f"{name}_branch1", 4 * width, 1, step, 1, below
            yield f"{name}_branch2a", width, 1, step, 1, below
            yield f"{name}_branch2b", width, 3, 1, dilation, f"{name}_branch2a"
            yield f"{name}_branch2c", 4 * width, 1, 1, 1, f"{name}_branch2b"
            below = name


@pytest.mark.parametrize("prototxt", ["train-s", "train-f", "deploy"])
def test_resnet101_is_deeplabs_layer_by_layer(prototxt):
    net = layers(f"voc12-resnet101/{prototxt}.prototxt")
    expected = list(resnet101())
    trunk = [n for n, layer in net.items() if layer.type == "Convolution" and not n.startswith("fc1")]
    assert sorted(trunk) == sorted(name for name, *_ in expected)
    previous = "pool1"
    for name, outputs, kernel, stride, dilation, bottom in expected:
        param = net[name].convolution_param
        assert (param.num_output, list(param.kernel_size), param.bias_term) == (outputs, [kernel], False), name
        assert (list(param.stride) or [1], list(param.dilation) or [1]) == ([stride], [dilation]), name
        assert list(param.pad) == [dilation * (kernel // 2)], name
        assert list(net[name].bottom) == [bottom] and [p.lr_mult for p in net[name].param] == [1], name
        suffix = "_conv1" if name == "conv1" else name.removeprefix("res")
        for kind, layer in (("BatchNorm", f"bn{suffix}"), ("Scale", f"scale{suffix}")):
            assert net[layer].type == kind and list(net[layer].bottom) == list(net[layer].top) == [name]
        relu = f"{name}_relu"  # none before a sum
        assert (relu in net) == (not name.endswith(("branch1", "branch2c"))), name
        if name.endswith("2c"):
            block, short = name.removesuffix("_branch2c"), f"{name.removesuffix('2c')}1"
            first = short if short in net else previous
            assert list(net[block].bottom) == [first, name] and net[block].type == "Eltwise"
            assert list(net[f"{block}_relu"].bottom) == [block]
            previous = block
    pool = net["pool1"].pooling_param
    assert (pool.kernel_size, pool.stride, pool.pad) == (3, 2, 1)
    for k, dilation in enumerate((6, 12, 18, 24)):
        head = net[f"fc1_voc12_c{k}"]
        assert (list(head.bottom), head.convolution_param.num_output) == (["res5c"], 21)
        assert list(head.convolution_param.pad) == list(head.convolution_param.dilation) == [dilation]
        assert [p.lr_mult for p in head.param] == [10, 20]


def test_resnet101_normalisation_is_frozen():
    for name in ("train-s", "train-f"):
        net = layers(f"voc12-resnet101/{name}.prototxt")
        norms = [layer for layer in net.values() if layer.type in ("BatchNorm", "Scale")]
        assert len(norms) == 2 * (1 + 3 * 33 + 4)
        for layer in norms:
            assert [p.lr_mult for p in layer.param] == [0] * (3 if layer.type == "BatchNorm" else 2)
            assert layer.type == "Scale" or layer.batch_norm_param.use_global_stats


def test_sec_trains_on_fixed_seeds_with_three_losses():
    net = layers("voc12-sec/train-s.prototxt")
    losses = {n: list(layer.bottom) for n, layer in net.items() if layer.loss_weight}
    assert losses == {"loss-Seed": ["fc8-SEC-Softmax", "cues"], "loss-Expand": ["fc8-SEC-Softmax", "labels"],
                      "loss-Constrain": ["fc8-SEC-Softmax", "fc8-SEC-CRF-log"]}
    assert "update-seed" not in net and list(net["CRF"].propagate_down) == [False, False]
    assert list(net["fc6"].convolution_param.dilation) == [12]


def test_sec_solver_has_the_papers_numbers():
    text = (FOLDER / "voc12-sec/solver-s.prototxt").read_text()
    solver = text_format.Parse(text, caffe.proto.caffe_pb2.SolverParameter())
    assert (solver.lr_policy, solver.stepsize, solver.max_iter) == ("step", 2000, 8000)
    assert solver.base_lr == pytest.approx(1e-3) and solver.gamma == pytest.approx(0.1)


def test_coco_has_81_classes_everywhere():
    for name in ("train-s", "train-f", "deploy"):
        net = layers(f"coco-vgg16/{name}.prototxt")
        assert {net[f"fc8-SEC_{k}"].convolution_param.num_output for k in range(1, 5)} == {81}
    assert layers("coco-vgg16/cam-train.prototxt")["scores"].inner_product_param.num_output == 80
    assert layers("coco-vgg16/train-s.prototxt")["Annotation"].python_param.layer == "AnnotationLayerCOCO"


@pytest.mark.parametrize("name", [folder.name for folder in EXPERIMENTS if (folder / "cam-deploy.prototxt").is_file()])
def test_class_maps_are_found_in_the_classifier_as_the_settings_say(name):
    """And have a channel for every class and the size of the cues that train-s wants."""
    words = read_experiment(FOLDER / name).arguments["cues"]
    files = ("--net", "--weights", "--list", "--images", "--labels", "--out")
    args = make_cues.parse_args([*words, *(word for flag in files for word in (flag, "x.npz"))])
    net = caffe.Net(str(FOLDER / name / "cam-deploy.prototxt"), caffe.TEST)
    CamNet(net, args.maps_blob, args.classifier, args.features_blob)
    maps = net.blobs[args.features_blob or args.maps_blob or net.outputs[0]]
    annotation = layers(f"{name}/train-s.prototxt")["Annotation"].python_param
    classes = 81 if annotation.layer == "AnnotationLayerCOCO" else 21
    keys = {"classes": classes, "size": [41, 41], **parse_param_str(annotation.param_str)}
    assert tuple(maps.shape[2:]) == tuple(np.broadcast_to(keys["size"], 2))
    channels = net.params[args.classifier][0].shape[0] if args.classifier else maps.shape[1]
    assert channels == keys["classes"] - 1
