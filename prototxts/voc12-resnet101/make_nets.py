"""Writes the prototxts of this folder: python prototxts/voc12-resnet101/make_nets.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import caffe
from caffe import layers as L

from prototxts import resnet, vgg16

CLASSES = 21
SIZE = 321           # 8 n + 1, so that cells, labels and pixels line up: 41x41 maps
STRIDE = 8
STRIDE_IN_3X3 = False  # True for weights made from torchvision's ResNet-101 (tools.make_init)


def train_s():
    """Stage s: DSRG."""
    n = caffe.NetSpec()
    images, _, _ = vgg16.annotated(n, "cues/localization_cues.pickle", SIZE, 10, CLASSES,
                                   vgg16.map_size(SIZE, STRIDE))
    scores = resnet.head(n, resnet.trunk(n, images, STRIDE_IN_3X3), CLASSES)
    vgg16.dsrg_supervision(n, scores)
    return n.to_proto()


def train_f(source):
    """Stage f: cross-entropy on label maps; `source` lists photos and masks."""
    n = caffe.NetSpec()
    images, label = vgg16.retraining_data(n, source, SIZE, 10, CLASSES)
    scores = resnet.head(n, resnet.trunk(n, images, STRIDE_IN_3X3), CLASSES)
    vgg16.retraining_loss(n, scores, label)
    return n.to_proto()


def deploy():
    """Scores fc8-SEC of photos of any size."""
    n = caffe.NetSpec()
    n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    resnet.head(n, resnet.trunk(n, n.images, STRIDE_IN_3X3), CLASSES)
    return vgg16.deploy_net(n)


def files():
    """{file name: message} of the experiment; voc12-vgg16's rates; stage s: half batch, twice as long."""
    f = dict(lr_policy="poly", base_lr=1e-3, power=0.9, max_iter=20000)
    return {
        "cam-train.prototxt": vgg16.cam_net(CLASSES, SIZE, batch=15),
        "cam-deploy.prototxt": vgg16.cam_net(CLASSES, SIZE),
        "solver-cam.prototxt": vgg16.solver("cam-train.prototxt", "models/cam", 2000, lr_policy="step", base_lr=1e-3,
                                            gamma=0.1, stepsize=4000, max_iter=8000),
        "train-s.prototxt": train_s(),
        "solver-s.prototxt": vgg16.solver("train-s.prototxt", "models/s", 1000, lr_policy="step", base_lr=5e-4,
                                          gamma=0.33, stepsize=2000, max_iter=16000),
        "train-f.prototxt": train_f("lists/train_f.txt"),
        "solver-f.prototxt": vgg16.solver("train-f.prototxt", "models/f", 2000, **f),
        "train-full.prototxt": train_f("lists/train_full.txt"),
        "solver-full.prototxt": vgg16.solver("train-full.prototxt", "models/full", 2000, **f),
        "deploy.prototxt": deploy(),
    }


if __name__ == "__main__":
    vgg16.write(Path(__file__).parent, files(), Path(__file__).name)
