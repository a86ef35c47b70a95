"""VGG16 as DeepLab has it: the trunk, the heads ASPP and LargeFOV, two classifiers of the cues."""

from caffe import layers as L
from caffe import params as P

from dsrg.experiments.netspec_pieces import GAUSSIAN, NEW, PRETRAINED, conv, dropout, pool, summed

#: (convolutions, outputs) of stages 1 to 5
STAGES = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def trunk(n, images, stage4_pool=True, conv5_dilation=2):
    """conv1_1 .. conv5_3; 321x321 gives 41x41. With the pooling layers of DeepLab (pool5a: average).

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).
    stage4_pool : bool
        With pool4 at stride 1 and pool5, pool5a.
    conv5_dilation : int

    Returns
    -------
    caffe.net_spec.Top
        (N, 512, h, w) at stride 8.
    """
    x = images
    for stage, (count, outputs) in enumerate(STAGES, start=1):
        for k in range(1, count + 1):
            x = conv(n, f"conv{stage}_{k}", x, outputs, dilation=conv5_dilation if stage == 5 else 1)
        if stage < 4:
            x = pool(n, f"pool{stage}", x, stride=2)
        elif stage4_pool:
            x = pool(n, f"pool{stage}", x, stride=1)
    if stage4_pool:
        x = pool(n, "pool5a", x, stride=1, kind=P.Pooling.AVE)
    return x


def aspp(n, features, classes, train):
    """Four summed branches fc6_k (dilation 6, 12, 18, 24), fc7_k, fc8-SEC_k; the blob n['fc8-SEC'].

    Dropout stands in the deploy net too, as in the original's.

    Parameters
    ----------
    n : caffe.NetSpec
    features : caffe.net_spec.Top
    classes : int
        With background.
    train : bool
        Unused: both nets have the dropout.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes, h, w).
    """
    branches = [_branch(n, f"_{k}", features, classes, dilation) for k, dilation in enumerate((6, 12, 18, 24), start=1)]
    return summed(n, branches)


def large_fov(n, features, classes, train):
    """DeepLab-LargeFOV: one branch fc6 (3x3, dilation 12), fc7, fc8-SEC.

    Parameters
    ----------
    n : caffe.NetSpec
    features : caffe.net_spec.Top
    classes : int
        With background.
    train : bool
        Unused: both nets have the dropout.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes, h, w).
    """
    return _branch(n, "", features, classes, 12)


def _branch(n, suffix, features, classes, dilation):
    x = conv(n, f"fc6{suffix}", features, 1024, dilation=dilation)
    x = conv(n, f"fc7{suffix}", dropout(n, f"drop6{suffix}", x), 1024, kernel=1)
    x = dropout(n, f"drop7{suffix}", x)
    return conv(n, f"fc8-SEC{suffix}", x, classes, kernel=1, relu=False, param=NEW, **GAUSSIAN)


def sec_classifier(n, images, classes, train):
    """SEC's foreground localiser: VGG16 without pool4 and pool5 (41x41 maps), fc6_CAM, fc7_CAM, mean, scores.

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).
    classes : int
        With background, which has no score.
    train : bool
        With dropout.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes - 1).
    """
    x = trunk(n, images, stage4_pool=False, conv5_dilation=1)
    for name, relu in (("fc6_CAM", True), ("fc7_CAM", False)):
        x = conv(n, name, x, 1024, relu=relu, **GAUSSIAN)
        if train:
            x = dropout(n, "drop" + name.removeprefix("fc"), x)
    n.pool_CAM = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    return _scores(n, n.pool_CAM, classes)


def gap_classifier(n, images, classes, train):
    """VGG16-GAP (Zhou et al., CVPR 2016): conv5_3 at stride 16, CAM_conv of 3x3 and 1024 in two groups, mean, scores.

    The weights vgg16CAM_train_iter_90000.caffemodel fit all but the scores. Inputs of 321 have maps of 21x21.

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).
    classes : int
        With background, which has no score.
    train : bool
        With dropout.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes - 1).
    """
    x = images
    for stage, (count, outputs) in enumerate(STAGES, start=1):
        for k in range(1, count + 1):
            x = conv(n, f"conv{stage}_{k}", x, outputs)
        if stage < 5:
            n[f"pool{stage}"] = x = L.Pooling(x, pool=P.Pooling.MAX, kernel_size=2, stride=2)
    n.CAM_conv = x = L.Convolution(x, num_output=1024, kernel_size=3, pad=1, group=2, param=PRETRAINED, **GAUSSIAN)
    n.CAM_relu = L.ReLU(x, in_place=True)
    n.CAM_pool = x = L.Pooling(x, pool=P.Pooling.AVE, global_pooling=True)
    if train:
        x = dropout(n, "CAM_drop", x)
    return _scores(n, x, classes)


def _scores(n, pooled, classes):
    """Scores of the classes without background, one linear layer on pooled features."""
    n.scores = L.InnerProduct(pooled, num_output=classes - 1, bias_term=False,
                              param=[dict(lr_mult=10, decay_mult=1)], weight_filler=dict(type="gaussian", std=0.01))
    return n.scores
