"""Writes the prototxts of this folder: python prototxts/demo/make_nets.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import caffe
from caffe import layers as L
from caffe import params as P

from prototxts import vgg16

CLASSES = 7
SIZE = 129           # 4 n + 1, so that cells, labels and pixels line up: 33x33 maps
STRIDE = 4
CUE_SIZE = vgg16.map_size(SIZE, STRIDE)
BATCH = 16
#: 321 pixels and 41 cells of the original have CRF scale 12; a kernel of the same share of 33 cells has 12 * 41 / 33
CRF_SCALE = round(12 * 41 / CUE_SIZE[0])
#: outputs of the 3x3 convolutions; "pool" halves the map
TRUNK = (16, "pool", 32, 32, "pool", 48, 48, 64, 64)
BRANCHES = (1, 4, 8)  # dilations of the head
STATISTICS = [dict(lr_mult=0, decay_mult=0)] * 3
MSRA = dict(type="msra")


def conv(n, name, bottom, outputs):
    """3x3 convolution without bias, then BatchNorm, Scale and ReLU in place: trained from nothing, it needs them."""
    n[name] = x = L.Convolution(bottom, num_output=outputs, kernel_size=3, pad=1, bias_term=False, weight_filler=MSRA,
                                param=[dict(lr_mult=1, decay_mult=1)])
    suffix = name.removeprefix("conv")
    n[f"bn{suffix}"] = x = L.BatchNorm(x, in_place=True, param=STATISTICS, moving_average_fraction=0.95)
    n[f"scale{suffix}"] = x = L.Scale(x, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2)
    n[f"relu{suffix}"] = L.ReLU(x, in_place=True)
    return n[name]


def trunk(n, images):
    """Seven convolutions and two poolings: 64 features at stride 4."""
    x, stage, k = images, 1, 0
    for outputs in TRUNK:
        if outputs == "pool":
            n[f"pool{stage}"] = x = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=3, stride=2, pad=1)
            stage, k = stage + 1, 0
        else:
            k += 1
            x = conv(n, f"conv{stage}_{k}", x, outputs)
    return x


def head(n, features, dropout):
    """Summed branches fc6_k (3x3, dilated), fc8-SEC_k (1x1); the blob n['fc8-SEC']."""
    scores = []
    for k, dilation in enumerate(BRANCHES, start=1):
        x = vgg16.conv(n, f"fc6_{k}", features, 48, dilation=dilation, weight_filler=MSRA)
        if dropout:
            n[f"drop6_{k}"] = L.Dropout(x, dropout_ratio=0.2, in_place=True)
        scores.append(vgg16.conv(n, f"fc8-SEC_{k}", x, CLASSES, kernel=1, relu=False, param=vgg16.NEW,
                                 **vgg16.GAUSSIAN))
    n["fc8-SEC"] = L.Eltwise(*scores, operation=P.Eltwise.SUM)
    return n["fc8-SEC"]


def cam_net(train):
    """Classifier of the cues: 1x1 convolution `CAM`, global average, sigmoid."""
    n = caffe.NetSpec()
    if train:
        vgg16.photos(n, "images", "image_ids", SIZE, BATCH, mirror=True, source=vgg16.CAM_LIST)
        n.targets = vgg16.python([n.image_ids], "ImageLabelLayer", param_str={"classes": CLASSES}, name="Targets",
                                 propagate_down=[0])
    else:
        n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    # Few cells of a photo hold evidence, and the average dilutes it: larger first weights than elsewhere make up.
    n.CAM = L.Convolution(trunk(n, n.images), num_output=CLASSES - 1, kernel_size=1, bias_term=False,
                          param=[dict(lr_mult=10, decay_mult=1)], weight_filler=dict(type="gaussian", std=0.1))
    if train:
        n.scores = L.Pooling(n.CAM, pool=P.Pooling.AVE, global_pooling=True)
        n.scores_flat = L.Flatten(n.scores)
        n.loss = L.SigmoidCrossEntropyLoss(n.scores_flat, n.targets)
    return n.to_proto() if train else vgg16.deploy_net(n)


def train_s():
    """Stage s: DSRG."""
    n = caffe.NetSpec()
    images, _, _ = vgg16.annotated(n, "cues/localization_cues.pickle", SIZE, BATCH, CLASSES, CUE_SIZE)
    vgg16.dsrg_supervision(n, head(n, trunk(n, images), dropout=True), crf_scale=CRF_SCALE)
    return n.to_proto()


def train_f(source):
    """Stage f: cross-entropy on label maps; `source` lists photos and masks."""
    n = caffe.NetSpec()
    images, label = vgg16.retraining_data(n, source, SIZE, BATCH, CLASSES)
    vgg16.retraining_loss(n, head(n, trunk(n, images), dropout=True), label, STRIDE)
    return n.to_proto()


def deploy():
    """Scores fc8-SEC of photos of any size."""
    n = caffe.NetSpec()
    n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    head(n, trunk(n, n.images), dropout=False)
    return vgg16.deploy_net(n)


def solver(net, prefix, max_iter, base_lr):
    """Poly 0.9 and gradients clipped at norm 5; a snapshot each quarter, so that a killed run goes on."""
    return vgg16.solver(net, prefix, max_iter // 4, lr_policy="poly", base_lr=base_lr, power=0.9, max_iter=max_iter,
                        clip_gradients=5)


def files():
    """{file name: message} of the experiment."""
    return {
        "cam-train.prototxt": cam_net(train=True),
        "cam-deploy.prototxt": cam_net(train=False),
        "solver-cam.prototxt": solver("cam-train.prototxt", "models/cam", 480, base_lr=0.02),
        "train-s.prototxt": train_s(),
        "solver-s.prototxt": solver("train-s.prototxt", "models/s", 400, base_lr=0.01),
        "train-f.prototxt": train_f("lists/train_f.txt"),
        "solver-f.prototxt": solver("train-f.prototxt", "models/f", 300, base_lr=0.03),
        "train-full.prototxt": train_f("lists/train_full.txt"),
        "solver-full.prototxt": solver("train-full.prototxt", "models/full", 300, base_lr=0.03),
        "deploy.prototxt": deploy(),
    }


if __name__ == "__main__":
    vgg16.write(Path(__file__).parent, files(), Path(__file__).name)
