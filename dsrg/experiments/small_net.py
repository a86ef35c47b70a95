"""The demo's net, which learns from nothing: seven convolutions at output stride 4, its head, its classifier."""

from caffe import layers as L

from dsrg.experiments import netspec_pieces
from dsrg.experiments.netspec_pieces import GAUSSIAN, NEW, class_maps_to_scores, dropout, pool, summed

#: outputs of the 3x3 convolutions; "pool" halves the map
TRUNK = (16, "pool", 32, 32, "pool", 48, 48, 64, 64)
BRANCHES = (1, 4, 8)  # dilations of the head
STATISTICS = [dict(lr_mult=0, decay_mult=0)] * 3
MSRA = dict(type="msra")


def conv(n, name, bottom, outputs):
    """3x3 convolution without bias, then BatchNorm, Scale and ReLU in place: trained from nothing, it needs them.

    Parameters
    ----------
    n : caffe.NetSpec
    name : str
        Begins with conv.
    bottom : caffe.net_spec.Top
    outputs : int

    Returns
    -------
    caffe.net_spec.Top
    """
    n[name] = x = L.Convolution(bottom, num_output=outputs, kernel_size=3, pad=1, bias_term=False, weight_filler=MSRA,
                                param=[dict(lr_mult=1, decay_mult=1)])
    suffix = name.removeprefix("conv")
    n[f"bn{suffix}"] = x = L.BatchNorm(x, in_place=True, param=STATISTICS, moving_average_fraction=0.95)
    n[f"scale{suffix}"] = x = L.Scale(x, in_place=True, bias_term=True, param=[dict(lr_mult=1, decay_mult=0)] * 2)
    n[f"relu{suffix}"] = L.ReLU(x, in_place=True)
    return n[name]


def trunk(n, images):
    """Seven convolutions and two poolings: 64 features at stride 4.

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).

    Returns
    -------
    caffe.net_spec.Top
        (N, 64, h, w).
    """
    x, stage, k = images, 1, 0
    for outputs in TRUNK:
        if outputs == "pool":
            x = pool(n, f"pool{stage}", x, stride=2)
            stage, k = stage + 1, 0
        else:
            k += 1
            x = conv(n, f"conv{stage}_{k}", x, outputs)
    return x


def head(n, features, classes, train):
    """Summed branches fc6_k (3x3, dilated), fc8-SEC_k (1x1); the blob n['fc8-SEC'].

    Parameters
    ----------
    n : caffe.NetSpec
    features : caffe.net_spec.Top
    classes : int
        With background.
    train : bool
        With dropout.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes, h, w).
    """
    branches = []
    for k, dilation in enumerate(BRANCHES, start=1):
        x = netspec_pieces.conv(n, f"fc6_{k}", features, 48, dilation=dilation, weight_filler=MSRA)
        if train:
            x = dropout(n, f"drop6_{k}", x, ratio=0.2)
        branches.append(netspec_pieces.conv(n, f"fc8-SEC_{k}", x, classes, kernel=1, relu=False, param=NEW, **GAUSSIAN))
    return summed(n, branches)


def classifier(n, images, classes, train):
    """1x1 convolution `CAM`, global average; the class maps where it is deployed.

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).
    classes : int
        With background, which has no score.
    train : bool

    Returns
    -------
    caffe.net_spec.Top
        Scores (N, classes - 1) to train, class maps (N, classes - 1, h, w) to deploy.
    """
    # Few cells of a photo hold evidence, and the average dilutes it: larger first weights than elsewhere make up.
    n.CAM = L.Convolution(trunk(n, images), num_output=classes - 1, kernel_size=1, bias_term=False,
                          param=[dict(lr_mult=10, decay_mult=1)], weight_filler=dict(type="gaussian", std=0.1))
    return class_maps_to_scores(n, n.CAM) if train else n.CAM
