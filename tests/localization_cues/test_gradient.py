"""SEC's gradient saliency against gradients derived by hand and by differences, and as a background rule."""

import json

import cv2
import numpy as np
import pytest
from scipy import ndimage

from dsrg.cuefile.format import load_cues
from dsrg.io.errors import UserError
from dsrg.scoring.score_net import forced_backward
from localization_cues import make_cues
from localization_cues.gradient import GradientNet

HEAD = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv4_1" type: "Convolution" bottom: "data" top: "conv4_1"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "relu4_1" type: "ReLU" bottom: "conv4_1" top: "conv4_1" }
"""
CONV5 = """
layer { name: "conv5" type: "Convolution" bottom: "conv4_1" top: "conv5"
        convolution_param { num_output: 2 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "relu5" type: "ReLU" bottom: "conv5" top: "conv5" }
"""
POOL = """
layer { name: "pool" type: "Pooling" bottom: "%s" top: "pool" pooling_param { pool: AVE global_pooling: true } }
layer { name: "scores" type: "InnerProduct" bottom: "pool" top: "scores"
        inner_product_param { num_output: 3 bias_term: false } }
"""
SIGMOID = 'layer { name: "p" type: "Sigmoid" bottom: "scores" top: "scores" }\n'
COLOURS = np.array([[1, 0, 0], [-0.5, 1, 0.5]], np.float32)                  # conv4_1: 2 channels of B, G, R
WEIGHTS = np.array([[1, 2], [0, -1], [3, 0.5]], np.float32)                  # scores: 3 classes of 2 channels


def net_of(caffe, folder, text, conv5=None, name="net", forced=True):
    """The net with known weights, written to `folder` as prototxt and caffemodel."""
    (folder / f"{name}.prototxt").write_text("force_backward: true\n" * forced + text)
    net = caffe.Net(str(folder / f"{name}.prototxt"), caffe.TEST)
    net.params["conv4_1"][0].data[..., 0, 0] = COLOURS
    net.params["scores"][0].data[...] = WEIGHTS
    if conv5 is not None:
        net.params["conv5"][0].data[...] = conv5
    net.save(str(folder / f"{name}.caffemodel"))
    return net


def test_pooled_linear_scores_by_hand(caffe, tmp_path, rng):
    """d sum(scores) / d conv4_1 = (sum of the column of weights) / 36 where the ReLU is open, else 0."""
    image = rng.normal(size=(3, 6, 6)).astype(np.float32)
    gradient = GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1")).gradient(image)
    before = np.einsum("kc,chw->khw", COLOURS, image)
    expected = (before > 0) * np.array([4, 1.5])[:, None, None] / 36
    np.testing.assert_allclose(gradient, expected, atol=1e-7)


def test_a_sigmoid_on_top_is_left_out(caffe, tmp_path, rng):
    image = rng.normal(size=(3, 6, 6)).astype(np.float32)
    plain = GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1")).gradient(image)
    topped = GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1" + SIGMOID)).gradient(image)
    np.testing.assert_array_equal(topped, plain)


def sum_of_scores(before, conv5):
    """Plain loops: ReLU, 3x3 convolution with a border of zeros, ReLU, mean, weighted sum."""
    features = np.pad(np.maximum(before, 0), ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((2, 6, 6))
    for k in range(2):
        for row in range(6):
            for column in range(6):
                out[k, row, column] = (features[:, row:row + 3, column:column + 3] * conv5[k]).sum()
    return (WEIGHTS.astype(float) @ np.maximum(out, 0).mean(axis=(1, 2))).sum()


def test_through_a_convolution_by_differences(caffe, tmp_path, rng):
    conv5 = rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    image = rng.normal(size=(3, 6, 6)).astype(np.float32)
    gradient = GradientNet(net_of(caffe, tmp_path, HEAD + CONV5 + POOL % "conv5", conv5)).gradient(image)
    before = np.einsum("kc,chw->khw", COLOURS.astype(float), image)
    for place in np.ndindex(2, 6, 6):
        step = np.zeros_like(before)
        step[place] = 1e-6
        slope = (sum_of_scores(before + step, conv5) - sum_of_scores(before - step, conv5)) / 2e-6
        assert abs(gradient[place] - slope) < 1e-5, place      # single precision against double


def test_saliency_is_the_median_of_the_largest_channel(caffe, tmp_path, rng):
    net = GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1"))
    image = rng.integers(0, 256, (6, 6, 3), np.uint8)
    inputs = image.transpose(2, 0, 1).astype(np.float32) - 100
    largest = np.abs(net.gradient(inputs)).max(axis=0)
    saliency = net.saliency(image, (6, 6), (100, 100, 100))
    padded = np.pad(largest, 1, mode="symmetric")                           # edge cells see themselves mirrored
    expected = [[np.median(padded[r:r + 3, c:c + 3]) for c in range(6)] for r in range(6)]
    np.testing.assert_allclose(saliency, expected, atol=1e-7)
    assert net.saliency(image, (11, 3), (100, 100, 100)).shape == (11, 3)


def test_without_force_backward_nothing_is_sent_back(caffe, tmp_path):
    """A net without a loss has no need of gradients, in Caffe as in the engine; make_cues opens it otherwise."""
    image = np.full((6, 6, 3), 200, np.uint8)
    with pytest.raises(UserError, match="no gradient of the scores 'scores' reaches blob 'conv4_1'.*force_backward"):
        GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1", forced=False)).saliency(image, (6, 6), (0, 0, 0))


def test_forced_backward_replaces_what_the_prototxt_says():
    assert forced_backward('name: "n"\nforce_backward: false\nlayer { }') == (
        'force_backward: true name: "n"\n\nlayer { }')


@pytest.mark.parametrize(("blob", "message"), [
    ("conv9", "no blob 'conv9'; choose with --background-blob one of data, conv4_1"),
    ("data", "must be made by a layer"),
    ("scores", r"blob 'scores' is \(1, 3\)"),
])
def test_blobs_that_do_not_serve(caffe, tmp_path, blob, message):
    with pytest.raises(UserError, match=message):
        GradientNet(net_of(caffe, tmp_path, HEAD + POOL % "conv4_1"), blob)


def command(*extra):
    make_cues.main(["--net", "net.prototxt", "--weights", "net.caffemodel", "--list", "list.txt", "--images", "photos",
                    "--labels", "labels.txt", "--out", "cues.npz", "--mean", "100", "100", "100", *extra])


def test_as_background_rule_of_make_cues(caffe, tmp_path, monkeypatch, rng):
    """The cells of make_cues are those below the value of rank int(0.3 * 36) = 10 of the saliency made by hand."""
    monkeypatch.chdir(tmp_path)
    conv5 = rng.normal(size=(2, 2, 3, 3)).astype(np.float32)
    net_of(caffe, tmp_path, HEAD + CONV5 + POOL % "conv5", conv5, forced=False)
    photo = rng.integers(0, 256, (6, 6, 3), np.uint8)
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/a.png", photo)
    (tmp_path / "list.txt").write_text("a.png 0\n")
    (tmp_path / "labels.txt").write_text("a 1\n")
    command("--background", "sec-gradient:0.3", "--threshold", "0.99")
    net = net_of(caffe, tmp_path, HEAD + CONV5 + POOL % "conv5", conv5)
    gradient = GradientNet(net).gradient(photo.transpose(2, 0, 1).astype(np.float32) - 100)
    saliency = ndimage.median_filter(np.abs(gradient).max(axis=0), 3)
    expected = saliency < sorted(saliency.ravel())[10]
    classes, row, column = load_cues("cues.npz")[0][1]
    found = np.zeros((6, 6), int)
    found[row, column] = classes + 1                                         # background 1, class 2
    np.testing.assert_array_equal(found == 1, expected & (found != 2))
    assert expected.sum() >= 5 and (found == 2).sum() == 1


def test_a_second_classifier_for_the_background(caffe, tmp_path, monkeypatch, rng):
    monkeypatch.chdir(tmp_path)
    net_of(caffe, tmp_path, HEAD + CONV5 + POOL % "conv5", np.ones((2, 2, 3, 3)), forced=False)
    net_of(caffe, tmp_path, HEAD.replace("conv4_1", "conv3_1").replace("relu4_1", "relu3_1").replace(
        'name: "conv3_1"', 'name: "conv4_1"') + POOL % "conv3_1", name="other", forced=False)
    (tmp_path / "photos").mkdir()
    cv2.imwrite("photos/a.png", rng.integers(0, 256, (6, 6, 3), np.uint8))
    (tmp_path / "list.txt").write_text("a.png 0\n")
    (tmp_path / "labels.txt").write_text("a 1\n")
    other = ["--background-net", "other.prototxt", "--background-weights", "other.caffemodel"]
    with pytest.raises(UserError, match="the background net has no blob 'conv4_1'"):
        command("--background", "sec-gradient:0.3", *other)
    command("--background", "sec-gradient:0.5", *other, "--background-blob", "conv3_1")
    settings = json.loads((tmp_path / "cues.json").read_text())["settings"]
    assert settings["background_net"] == "other.prototxt" and settings["background"] == ["sec-gradient:0.5"]
