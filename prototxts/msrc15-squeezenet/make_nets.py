"""Writes the prototxts of this folder: python prototxts/msrc15-squeezenet/make_nets.py"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "engine"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import caffe
from caffe import layers as L
from caffe import params as P

from prototxts import vgg16

CLASSES = 16
SIZE = 241           # 8 n + 1, so that cells, labels and pixels line up: 31x31 maps
STRIDE = 8
CUE_SIZE = vgg16.map_size(SIZE, STRIDE)
BATCH = 16
#: squeeze and expand widths of fire2 .. fire9 (SqueezeNet v1.0)
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
#: fire9 at stride 8 has a standard deviation near 40: unscaled, new layers on top of it collapse to background
FEATURE_SCALE = 0.05
XAVIER = dict(weight_filler=dict(type="xavier"), bias_filler=dict(type="constant", value=0))


def conv(n, name, bottom, outputs, kernel, param=vgg16.PRETRAINED, relu=None, **options):
    """Convolution `name`, with ReLU `relu` in place when a name is given; keeps the size at stride 1."""
    pad = options.get("dilation", 1) * (kernel // 2)
    if pad:
        options["pad"] = pad
    n[name] = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, param=param, **options)
    if relu:
        n[relu] = L.ReLU(n[name], in_place=True)
    return n[name]


def pool(n, name, bottom, stride):
    """3x3 maximum with pad 1 (the original has no pad; with it 241 becomes 31, corners on corners)."""
    n[name] = L.Pooling(bottom, pool=P.Pooling.MAX, kernel_size=3, stride=stride, pad=1)
    return n[name]


def trunk(n, images):
    """SqueezeNet v1.0 at output stride 8: no stride in pool8, dilation 2 in fire9; its scaled features."""
    x = conv(n, "conv1", images, 96, kernel=7, stride=2, relu="relu_conv1")
    x = pool(n, "pool1", x, stride=2)
    for number, (squeeze, expand) in FIRES.items():
        fire = f"fire{number}"
        s = conv(n, f"{fire}/conv1x1_1", x, squeeze, kernel=1, relu=f"{fire}/relu_conv1x1_1")
        a = conv(n, f"{fire}/conv1x1_2", s, expand, kernel=1, relu=f"{fire}/relu_conv1x1_2")
        wide = dict(dilation=2) if number == 9 else {}
        b = conv(n, f"{fire}/conv3x3_2", s, expand, kernel=3, relu=f"{fire}/relu_conv3x3_2", **wide)
        n[f"{fire}/concat"] = x = L.Concat(a, b)
        if number in (4, 8):
            x = pool(n, f"pool{number}", x, stride=2 if number == 4 else 1)
    n["fire9/scaled"] = L.Power(x, scale=FEATURE_SCALE)
    return n["fire9/scaled"]


def head(n, features, dropout):
    """Four summed branches fc6_k (3x3, dilation 1, 4, 8, 12), fc7_k (1x1), fc8-SEC_k; the blob n['fc8-SEC']."""
    scores = []
    for k, dilation in enumerate((1, 4, 8, 12), start=1):
        wide = dict(dilation=dilation) if dilation > 1 else {}
        x = conv(n, f"fc6_{k}", features, 256, kernel=3, param=vgg16.NEW, relu=f"relu6_{k}", **wide, **XAVIER)
        if dropout:
            n[f"drop6_{k}"] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
        x = conv(n, f"fc7_{k}", x, 256, kernel=1, param=vgg16.NEW, relu=f"relu7_{k}", **XAVIER)
        if dropout:
            n[f"drop7_{k}"] = L.Dropout(x, dropout_ratio=0.5, in_place=True)
        scores.append(conv(n, f"fc8-SEC_{k}", x, CLASSES, kernel=1, param=vgg16.NEW, **vgg16.GAUSSIAN))
    n["fc8-SEC"] = L.Eltwise(*scores, operation=P.Eltwise.SUM)
    return n["fc8-SEC"]


def cam_net(train):
    """Classifier of the cues: 1x1 convolution `CAM` on the scaled features, global average, sigmoid."""
    n = caffe.NetSpec()
    if train:
        vgg16.photos(n, "images", "image_ids", SIZE, BATCH, mirror=True, source=vgg16.CAM_LIST)
        n.targets = vgg16.python([n.image_ids], "ImageLabelLayer", param_str={"classes": CLASSES}, name="Targets",
                                 propagate_down=[0])
    else:
        n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    x = trunk(n, n.images)
    if train:
        n.drop9 = L.Dropout(x, dropout_ratio=0.5, in_place=True)
    n.CAM = conv(n, "CAM", x, CLASSES - 1, kernel=1, param=vgg16.NEW, **vgg16.GAUSSIAN)
    if train:
        n.scores = L.Pooling(n.CAM, pool=P.Pooling.AVE, global_pooling=True)
        n.scores_flat = L.Flatten(n.scores)
        n.loss = L.SigmoidCrossEntropyLoss(n.scores_flat, n.targets)
    return n.to_proto() if train else vgg16.deploy_net(n)


def train_s():
    """Stage s: DSRG."""
    n = caffe.NetSpec()
    images, _, _ = vgg16.annotated(n, "cues/localization_cues.pickle", SIZE, BATCH, CLASSES, CUE_SIZE)
    scores = head(n, trunk(n, images), dropout=True)
    # above what the softmax floor leaves to the largest probability, so that background never grows
    vgg16.dsrg_supervision(n, scores, th1=0.999 if CLASSES >= 16 else 1)
    return n.to_proto()


def train_f(source):
    """Stage f: cross-entropy on label maps; `source` lists photos and masks."""
    n = caffe.NetSpec()
    images, label = vgg16.retraining_data(n, source, SIZE, BATCH, CLASSES)
    scores = head(n, trunk(n, images), dropout=True)
    vgg16.retraining_loss(n, scores, label)
    return n.to_proto()


def deploy():
    """Scores fc8-SEC of photos of any size."""
    n = caffe.NetSpec()
    n.images = L.Input(shape=dict(dim=[1, 3, SIZE, SIZE]))
    head(n, trunk(n, n.images), dropout=False)
    return vgg16.deploy_net(n)


def solver(net, prefix, max_iter, base_lr=6e-4, clip=2):
    """Poly 0.9, gradients clipped; a snapshot each quarter, so that a killed run goes on.

    At 1e-3 with norm 10 the fresh branches may die in the first steps and leave nothing but background.
    """
    return vgg16.solver(net, prefix, max_iter // 4, lr_policy="poly", base_lr=base_lr, power=0.9, max_iter=max_iter,
                        clip_gradients=clip)


def files():
    """{file name: message} of the experiment."""
    return {
        "cam-train.prototxt": cam_net(train=True),
        "cam-deploy.prototxt": cam_net(train=False),
        "solver-cam.prototxt": solver("cam-train.prototxt", "models/cam", 160, base_lr=1e-3, clip=10),
        "train-s.prototxt": train_s(),
        "solver-s.prototxt": solver("train-s.prototxt", "models/s", 500),
        "train-f.prototxt": train_f("lists/train_f.txt"),
        "solver-f.prototxt": solver("train-f.prototxt", "models/f", 500),
        "train-full.prototxt": train_f("lists/train_full.txt"),
        "solver-full.prototxt": solver("train-full.prototxt", "models/full", 500),
        "deploy.prototxt": deploy(),
    }


if __name__ == "__main__":
    vgg16.write(Path(__file__).parent, files(), Path(__file__).name)
