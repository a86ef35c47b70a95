"""Writes the prototxts of this folder: PYTHONPATH=engine:. python prototxts/voc12-sec/make_nets.py"""

from pathlib import Path

import caffe
from caffe import layers as L
from caffe import params as P

from prototxts import vgg16

CLASSES = 21
SIZE = 321
BATCH = 15
CUES = "cues/localization_cues.pickle"


def large_fov(n, images):
    """DeepLab-LargeFOV: one branch fc6 (3x3, dilation 12), fc7, fc8-SEC."""
    x = vgg16.conv(n, "fc6", vgg16.trunk(n, images), 1024, dilation=12)
    n.drop6 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    x = vgg16.conv(n, "fc7", x, 1024, kernel=1)
    n.drop7 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    return vgg16.conv(n, "fc8-SEC", x, CLASSES, kernel=1, relu=False, param=vgg16.NEW, **vgg16.GAUSSIAN)


def cam_net(train):
    """SEC's foreground localiser: VGG16 without pool4 and pool5 (41x41 maps), fc6_CAM, fc7_CAM, global average."""
    n = caffe.NetSpec()
    if train:
        vgg16.photos(n, "images", "image_ids", SIZE, BATCH, mirror=True)
        n.targets = vgg16.python([n.image_ids], "ImageLabelLayer", param_str={"classes": CLASSES}, name="Targets",
                                 propagate_down=[0])
    else:
        n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    x = vgg16.trunk(n, n.images, stage4_pool=False, conv5_dilation=1)
    for name, relu in (("fc6_CAM", True), ("fc7_CAM", False)):
        x = vgg16.conv(n, name, x, 1024, relu=relu, **vgg16.GAUSSIAN)
        if train:
            n["drop" + name.removeprefix("fc")] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    n.pool_CAM = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    n.scores = L.InnerProduct(n.pool_CAM, num_output=CLASSES - 1, bias_term=False,
                              param=[dict(lr_mult=10, decay_mult=1)], weight_filler=dict(type="gaussian", std=0.01))
    if train:
        n.loss = L.SigmoidCrossEntropyLoss(n.scores, n.targets)
    return n.to_proto()


def train_s():
    """Seed, expand and constrain; no mirroring."""
    n = caffe.NetSpec()
    vgg16.photos(n, "images_origin", "image_ids", SIZE, BATCH, mirror=False)
    n.labels, n.cues, n.images = vgg16.python([n.image_ids, n.images_origin], "AnnotationLayer", ntop=3,
                                              param_str={"cues": CUES, "mirror": False}, name="Annotation",
                                              propagate_down=[0, 0])
    scores = large_fov(n, n.images)
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
    return n.to_proto()


def files():
    """{file name: message} of the experiment; the numbers of the solver are SEC's."""
    step = dict(lr_policy="step", base_lr=1e-3, gamma=0.1, max_iter=8000)
    return {
        "cam-train.prototxt": cam_net(train=True),
        "cam-deploy.prototxt": cam_net(train=False),
        "solver-cam.prototxt": vgg16.solver("cam-train.prototxt", "models/cam", 2000, stepsize=4000, **step),
        "train-s.prototxt": train_s(),
        "solver-s.prototxt": vgg16.solver("train-s.prototxt", "models/s", 1000, stepsize=2000, **step),
        "deploy.prototxt": deploy(),
    }


if __name__ == "__main__":
    vgg16.write(Path(__file__).parent, files(), Path(__file__).name)
