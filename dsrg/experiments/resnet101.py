"""NetSpec pieces of DeepLab-v2's ResNet-101: the trunk with frozen BatchNorm and the four summed branches fc1.

Names of layers and blobs are Kaiming He's and DeepLab-v2's (res2a_branch2a, bn2a_branch2a, scale2a_branch2a), so that
their caffemodels load.
"""

from caffe import layers as L
from caffe import params as P

from dsrg.experiments.netspec_pieces import GAUSSIAN, NEW, conv, summed

WEIGHT = [dict(lr_mult=1, decay_mult=1)]
FROZEN = dict(lr_mult=0, decay_mult=0)
#: blocks of stages 2 to 5 (named a, b, c or a, b1, b2, ..), outputs of the last convolution, stride, dilation
STAGES = ((2, 3, 256, 1, 1), (3, 4, 512, 2, 1), (4, 23, 1024, 1, 2), (5, 3, 2048, 1, 4))
BRANCHES = (6, 12, 18, 24)


def _conv(n, suffix, bottom, outputs, kernel, stride=1, dilation=1, relu=True):
    """Convolution without bias, BatchNorm with stored statistics and Scale, both frozen; perhaps ReLU."""
    name = f"res{suffix}"
    options = dict(dilation=dilation) if dilation > 1 else {}
    n[name] = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, stride=stride,
                            pad=dilation * (kernel // 2), bias_term=False, param=WEIGHT,
                            weight_filler=dict(type="msra"), **options)
    n[f"bn{suffix}"] = L.BatchNorm(n[name], use_global_stats=True, in_place=True, param=[FROZEN] * 3)
    n[f"scale{suffix}"] = L.Scale(n[name], bias_term=True, in_place=True, param=[FROZEN] * 2)
    if relu:
        n[f"{name}_relu"] = L.ReLU(n[name], in_place=True)
    return n[name]


def _block_names(stage, blocks):
    """a, b, c; in the long stages a, b1, b2, .."""
    if stage in (2, 5):
        return "abc"[:blocks]
    return ["a", *(f"b{k}" for k in range(1, blocks))]


def trunk(n, images, stride_in_3x3=False):
    """conv1 .. res5c: 2048 features at stride 8 (res4 dilated by 2, res5 by 4); 321x321 gives 41x41.

    `stride_in_3x3`: the first block of a stage halves the map in its 3x3 convolution, as torchvision's weights want it,
    instead of its first 1x1. Where the stride became dilation, that convolution is still dilated as the stage before.

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).
    stride_in_3x3 : bool

    Returns
    -------
    caffe.net_spec.Top
        (N, 2048, h, w).
    """
    n.conv1 = L.Convolution(images, num_output=64, kernel_size=7, stride=2, pad=3, bias_term=False, param=WEIGHT,
                            weight_filler=dict(type="msra"))
    n.bn_conv1 = L.BatchNorm(n.conv1, use_global_stats=True, in_place=True, param=[FROZEN] * 3)
    n.scale_conv1 = L.Scale(n.conv1, bias_term=True, in_place=True, param=[FROZEN] * 2)
    n.conv1_relu = L.ReLU(n.conv1, in_place=True)
    n.pool1 = x = L.Pooling(n.conv1, pool=P.Pooling.MAX, kernel_size=3, stride=2, pad=1)
    before = 1
    for stage, blocks, outputs, stride, dilation in STAGES:
        for name in _block_names(stage, blocks):
            block, first = f"{stage}{name}", name == "a"
            step = stride if first else 1
            short = _conv(n, f"{block}_branch1", x, outputs, 1, step, relu=False) if first else x
            in_1x1, in_3x3 = (1, step) if stride_in_3x3 else (step, 1)
            y = _conv(n, f"{block}_branch2a", x, outputs // 4, 1, in_1x1)
            wide = before if first and stride_in_3x3 else dilation
            y = _conv(n, f"{block}_branch2b", y, outputs // 4, 3, in_3x3, wide)
            y = _conv(n, f"{block}_branch2c", y, outputs, 1, relu=False)
            n[f"res{block}"] = L.Eltwise(short, y, operation=P.Eltwise.SUM)
            n[f"res{block}_relu"] = L.ReLU(n[f"res{block}"], in_place=True)
            x = n[f"res{block}"]
        before = dilation
    return x


def head(n, features, classes, train, name="fc1_voc12"):
    """Four 3x3 convolutions <name>_c0 .. c3 (dilation 6, 12, 18, 24), summed as the blob fc8-SEC.

    Parameters
    ----------
    n : caffe.NetSpec
    features : caffe.net_spec.Top
    classes : int
        With background.
    train : bool
        Unused: the head has no dropout.
    name : str
        Beginning of the layers' names.

    Returns
    -------
    caffe.net_spec.Top
        (N, classes, h, w).
    """
    return summed(n, [conv(n, f"{name}_c{k}", features, classes, dilation=dilation, relu=False, param=NEW, **GAUSSIAN)
                      for k, dilation in enumerate(BRANCHES)])
