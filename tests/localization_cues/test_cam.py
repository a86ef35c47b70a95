"""Class maps of several sizes and mirrored, against the averages written out; VGG16-GAP."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy import ndimage

from dsrg.pipeline.settings import read_experiment
from localization_cues.cam import CamNet
from localization_cues.class_scores import CamSource, find_cam
from tests.conftest import ROOT

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 5 } } }
layer { name: "CAM" type: "Convolution" bottom: "data" top: "CAM"
        convolution_param { num_output: 3 kernel_size: 3 pad: 1 bias_term: false } }
"""
MEAN = (10, 20, 30)


@pytest.fixture
def weights(rng):
    """Not symmetrical, so that a mirrored photo has other maps than the mirrored maps."""
    return rng.normal(size=(3, 3, 3, 3))


@pytest.fixture
def kernels(caffe, tmp_path, weights):
    """The weights in the net, to be changed, and the net."""
    (tmp_path / "net.prototxt").write_text(NET)
    loaded = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    loaded.params["CAM"][0].data[...] = weights
    return loaded.params["CAM"][0].data, loaded


@pytest.fixture
def net(kernels):
    return CamNet(kernels[1])


def maps_by_hand(image_bgr, weights, side, flip, labels):
    """Zoom, mean, correlation with a border of zeros, mean with the mirrored, zoom to 4x6, relative."""
    zoom = (side / image_bgr.shape[0], side / image_bgr.shape[1], 1)
    x = ndimage.zoom(image_bgr.astype(float), zoom, order=1).transpose(2, 0, 1) - np.array(MEAN)[:, None, None]

    def forward(x):
        return np.array([sum(ndimage.correlate(plane, kernel, mode="constant") for plane, kernel in
                             zip(x, kernels, strict=True)) for kernels in weights])

    maps = forward(x)
    if flip:
        maps = (maps + forward(x[:, :, ::-1])[:, :, ::-1]) / 2
    maps = maps[[label - 1 for label in labels]]
    maps = np.maximum(ndimage.zoom(maps, (1, 4 / side, 6 / side), order=1), 0)
    return maps / maps.max(axis=(1, 2), keepdims=True)


@pytest.mark.parametrize("flip", [False, True])
def test_the_mean_of_relative_maps_over_sizes(net, weights, rng, flip):
    image = rng.integers(0, 256, (8, 11, 3), np.uint8)
    labels = [3, 1]
    found = net.image_maps(image, labels, [(5, 5), (9, 9)], (4, 6), flip, MEAN)
    expected = np.mean([maps_by_hand(image, weights, side, flip, labels) for side in (5, 9)], axis=0)
    np.testing.assert_allclose(found, expected, atol=2e-3)  # scipy's zoom rounds positions otherwise
    other = net.image_maps(image, labels, [(5, 5), (9, 9)], (4, 6), not flip, MEAN)
    assert np.abs(other - expected).max() > 0.05


def test_a_single_size_without_positive_values_keeps_the_raw_map(net, kernels, weights):
    kernels[0][...] = -np.abs(weights)
    image = np.full((5, 5, 3), 200, np.uint8)
    maps = net.image_maps(image, [2], [(5, 5)], (5, 5), False, MEAN)
    assert maps.max() < 0 and maps.shape == (1, 5, 5)


@pytest.fixture
def gap_files(caffe):
    """Classifiers with VGG16-GAP, for the classes and inputs of voc12-vgg16."""
    from dsrg.experiments.prototxt_files import cam_net

    nets = replace(read_experiment(ROOT / "prototxts/voc12-vgg16").nets, classifier="vgg16-gap")
    return {"train": cam_net(nets), "deploy": cam_net(nets, train=False)}


def test_vgg16_gap_has_zhous_layers_and_maps(caffe, gap_files, tmp_path):
    layers = {layer.name: layer for layer in gap_files["train"].layer}
    cam = layers["CAM_conv"].convolution_param
    assert (cam.num_output, list(cam.kernel_size), list(cam.pad), cam.group) == (1024, [3], [1], 2)
    assert layers["CAM_pool"].pooling_param.global_pooling and layers["CAM_drop"].dropout_param.dropout_ratio == 0.5
    assert layers["loss"].type == "SigmoidCrossEntropyLoss" and list(layers["loss"].bottom) == ["scores", "targets"]
    assert "pool5" not in layers and "pool4" in layers
    text = str(gap_files["deploy"]).replace("dim: 321", "dim: 33").replace('type: "gaussian"', 'type: "constant"')
    (tmp_path / "net.prototxt").write_text(text.replace("std: 0.01", "value: 0"))
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    assert find_cam(net) == CamSource(features_blob="CAM_conv", classifier="scores")
    assert CamNet(net).maps(np.zeros((3, 33, 33), np.float32)).shape == (20, 3, 3)   # 33 -> 17 -> 9 -> 5 -> 3


def test_cues_have_the_photos_orientation(net, kernels, tmp_path):
    """A photo is read as BGR and row by row: the brightest corner of a blue photo is that of class 1 on blue."""
    kernels[0][...] = 0
    kernels[0][0, 0, 1, 1] = 1
    image = np.zeros((5, 5, 3), np.uint8)
    image[4, 0, 0] = 255
    cv2.imwrite(str(tmp_path / "p.png"), image)
    from dsrg.io.photos import load_image_bgr

    maps = net.image_maps(load_image_bgr(tmp_path / "p.png"), [1], [(5, 5)], (5, 5), False, (0, 0, 0))
    assert np.unravel_index(maps[0].argmax(), (5, 5)) == (4, 0)
