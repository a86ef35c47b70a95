"""find_cam on the kinds of classifiers there are, and its refusal of those without maps."""

import numpy as np
import pytest

from dsrg.io.errors import UserError
from localization_cues.cam import CamNet
from localization_cues.class_scores import CamSource, find_cam, score_layer
from tests.conftest import ROOT

INPUT = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 6 input_dim: 6\n'   # the old way, as in SEC's files
FEATURES = """
layer { name: "fc6" type: "Convolution" bottom: "data" top: "fc6"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: "gaussian" std: 0.3 } } }
layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }
layer { name: "fc7" type: "Convolution" bottom: "fc6" top: "fc7"
        convolution_param { num_output: 5 kernel_size: 1 weight_filler { type: "gaussian" std: 0.3 } } }
"""
DROP = 'layer { name: "drop7" type: "Dropout" bottom: "fc7" top: "fc7" }\n'
GLOBAL = """layer { name: "pool" type: "Pooling" bottom: "%s" top: "pool"
                    pooling_param { pool: AVE global_pooling: true } }\n"""
KERNEL = """layer { name: "pool" type: "Pooling" bottom: "fc7" top: "pool"
                    pooling_param { pool: AVE kernel_size: 6 } }\n"""
SCORES = """layer { name: "scores" type: "InnerProduct" bottom: "pool" top: "scores"
            inner_product_param { num_output: 2 bias_term: false weight_filler { type: "gaussian" std: 0.3 } } }\n"""
CAM = """layer { name: "CAM" type: "Convolution" bottom: "%s" top: "CAM"
         convolution_param { num_output: 2 kernel_size: 1 weight_filler { type: "gaussian" std: 0.3 } } }\n"""
SIGMOID = 'layer { name: "probability" type: "Sigmoid" bottom: "%s" top: "%s" }\n'
FLATTEN = 'layer { name: "flat" type: "Flatten" bottom: "%s" top: "flat" }\n'
RELU_POOL = 'layer { name: "relu_pool" type: "ReLU" bottom: "pool" top: "pool" }\n'
LATE = CamSource(features_blob="fc7", classifier="scores")
SEC = INPUT + FEATURES + DROP + KERNEL + SCORES


def net_of(caffe, tmp_path, text):
    (tmp_path / "net.prototxt").write_text(text)
    return caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)


@pytest.mark.parametrize(("text", "expected"), [
    (FEATURES + CAM % "fc7", CamSource(maps_blob="CAM")),
    (FEATURES + CAM % "fc7" + GLOBAL % "CAM", CamSource(maps_blob="CAM")),
    (FEATURES + CAM % "fc7" + GLOBAL % "CAM" + FLATTEN % "pool" + SIGMOID % ("flat", "p"), CamSource(maps_blob="CAM")),
    (FEATURES + CAM % "fc7" + SIGMOID % ("CAM", "p"), CamSource(maps_blob="CAM")),
    (FEATURES + DROP + KERNEL + SCORES, LATE),
    (FEATURES + GLOBAL % "fc7" + SCORES + SIGMOID % ("scores", "scores"), LATE),
    (FEATURES + GLOBAL % "fc7" + CAM % "pool", CamSource(features_blob="fc7", classifier="CAM")),
])
def test_kinds_of_classifiers(caffe, tmp_path, text, expected):
    assert find_cam(net_of(caffe, tmp_path, INPUT + text)) == expected


def test_secs_foreground_net_gives_the_weighted_sum_of_its_features(caffe, tmp_path, rng):
    net = net_of(caffe, tmp_path, SEC)
    image = rng.normal(size=(3, 6, 6)).astype(np.float32)
    maps = CamNet(net).maps(image)
    features, weights = net.blobs["fc7"].data[0], net.params["scores"][0].data
    expected = sum(weights[:, k, None, None] * features[k] for k in range(5))
    np.testing.assert_allclose(maps, expected, atol=1e-6)
    # what the maps add up to is the score itself
    np.testing.assert_allclose(maps.mean(axis=(1, 2)), net.blobs["scores"].data[0], atol=1e-6)


def test_a_fixed_kernel_and_another_size(caffe, tmp_path, rng):
    net = CamNet(net_of(caffe, tmp_path, SEC))
    with pytest.raises(UserError, match="does not take an input of 9x9.*write global_pooling: true instead"):
        net.maps(np.zeros((3, 9, 9), np.float32))
    net = CamNet(net_of(caffe, tmp_path, SEC.replace("kernel_size: 6", "global_pooling: true")))
    assert net.maps(np.zeros((3, 9, 9), np.float32), flip=True).shape == (2, 9, 9)


@pytest.mark.parametrize(("text", "message"), [
    (FEATURES + GLOBAL % "fc7" + RELU_POOL + SCORES,
     r"layer 'scores' \(InnerProduct\) scores the classes, but gets its input from layer 'relu_pool' \(ReLU\)"),
    (FEATURES + GLOBAL % "fc7" + RELU_POOL, r"come from layer 'relu_pool' \(ReLU\) and are not a map"),
    (CAM % "data" + FEATURES, "the net has 2 outputs"),
    (SCORES.replace('"pool"', '"data"'), "gets its input from layer 'input' .Input.|'data' is an input of the net"),
])
def test_nets_without_maps_are_refused(caffe, tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        find_cam(net_of(caffe, tmp_path, INPUT + text))


def test_score_layer_looks_through_what_keeps_the_classes(caffe, tmp_path):
    text = INPUT + FEATURES + GLOBAL % "fc7" + SCORES + SIGMOID % ("scores", "scores")
    found = score_layer(net_of(caffe, tmp_path, text))
    assert (found.name, found.blob) == ("scores", "scores")


@pytest.mark.parametrize(("name", "classes"), [
    ("demo", 6), ("msrc15-squeezenet", 15), ("voc12-vgg16", 20), ("voc12-sec", 20), ("voc12-resnet101", 20),
    ("coco-vgg16", 80),
])
def test_every_experiments_classifier_gives_maps(caffe, tmp_path, name, classes):
    text = (ROOT / "prototxts" / name / "cam-deploy.prototxt").read_text()
    for size in (321, 241, 129):
        text = text.replace(f"dim: {size}", "dim: 33")
    text = text.replace('type: "gaussian"', 'type: "constant"').replace("std: 0.01", "value: 0")  # quick to make
    net = CamNet(net_of(caffe, tmp_path, text))
    assert net.maps(np.zeros((3, 33, 33), np.float32)).shape[0] == classes
