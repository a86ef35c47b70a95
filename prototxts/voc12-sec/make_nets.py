"""Writes the prototxts of this folder: python prototxts/voc12-sec/make_nets.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import caffe
from caffe import layers as L

from prototxts import vgg16

CLASSES = 21
SIZE = 321           # 8 n + 1, so that cells, labels and pixels line up: 41x41 maps
STRIDE = 8
BATCH = 15
CUES = "cues/localization_cues.pickle"


def large_fov(n, images):
    """DeepLab-LargeFOV: one branch fc6 (3x3, dilation 12), fc7, fc8-SEC."""
    x = vgg16.conv(n, "fc6", vgg16.trunk(n, images), 1024, dilation=12)
    n.drop6 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    x = vgg16.conv(n, "fc7", x, 1024, kernel=1)
    n.drop7 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    return vgg16.conv(n, "fc8-SEC", x, CLASSES, kernel=1, relu=False, param=vgg16.NEW, **vgg16.GAUSSIAN)


def train_s():
    """Seed, expand and constrain; no mirroring."""
    n = caffe.NetSpec()
    images, _, _ = vgg16.annotated(n, CUES, SIZE, BATCH, CLASSES, vgg16.map_size(SIZE, STRIDE), mirror=False)
    scores = large_fov(n, images)
    n["fc8-SEC-Softmax"] = probs = vgg16.python([scores], "SoftmaxLayer", name="Softmax", propagate_down=[1])
    # -log p is the scores up to a constant of each pixel; no gradient comes back through the CRF
    n["fc8-SEC-CRF-log"] = crf = vgg16.python([probs, n.images], "CRFLayer", name="CRF", propagate_down=[0, 0],
                                              param_str={"textbook": True})
    n["loss-Seed"] = vgg16.python([probs, n.cues], "SeedLossLayer", loss_weight=1)
    n["loss-Expand"] = vgg16.python([probs, n.labels], "ExpandLossLayer", loss_weight=1)
    n["loss-Constrain"] = vgg16.python([probs, crf], "ConstrainLossLayer", loss_weight=1)
    return n.to_proto()


def deploy():
    """Scores fc8-SEC of photos of any size."""
    n = caffe.NetSpec()
    n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    large_fov(n, n.images)
    return vgg16.deploy_net(n)


def files():
    """{file name: message} of the experiment; the numbers of the solver are SEC's."""
    step = dict(lr_policy="step", base_lr=1e-3, gamma=0.1, max_iter=8000)
    return {
        "cam-train.prototxt": vgg16.cam_net(CLASSES, SIZE, batch=BATCH),
        "cam-deploy.prototxt": vgg16.cam_net(CLASSES, SIZE),
        "solver-cam.prototxt": vgg16.solver("cam-train.prototxt", "models/cam", 2000, stepsize=4000, **step),
        "train-s.prototxt": train_s(),
        "solver-s.prototxt": vgg16.solver("train-s.prototxt", "models/s", 1000, stepsize=2000, **step),
        "deploy.prototxt": deploy(),
    }


if __name__ == "__main__":
    vgg16.write(Path(__file__).parent, files(), Path(__file__).name)
