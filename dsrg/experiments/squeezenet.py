"""SqueezeNet v1.0 at output stride 8: the trunk, its head, its classifier of the cues."""

from caffe import layers as L

from dsrg.experiments.netspec_pieces import GAUSSIAN, NEW, PRETRAINED, class_maps_to_scores, dropout, pool, summed

#: squeeze and expand widths of fire2 .. fire9
FIRES = {2: (16, 64), 3: (16, 64), 4: (32, 128), 5: (32, 128), 6: (48, 192), 7: (48, 192), 8: (64, 256), 9: (64, 256)}
#: fire9 at stride 8 has a standard deviation near 40: unscaled, new layers on top of it collapse to background
FEATURE_SCALE = 0.05
BRANCHES = (1, 4, 8, 12)  # dilations of the head
XAVIER = dict(weight_filler=dict(type="xavier"), bias_filler=dict(type="constant", value=0))


def conv(n, name, bottom, outputs, kernel, param=PRETRAINED, relu=None, dilation=1, **options):
    """Convolution `name`, with ReLU `relu` in place when a name is given; keeps the size at stride 1.

    Parameters
    ----------
    n : caffe.NetSpec
    name : str
    bottom : caffe.net_spec.Top
    outputs : int
    kernel : int
        Side of the kernel in taps.
    param : list of dict
        ParamSpec of weight and bias: learning rates and decay.
    relu : str, optional
    dilation : int
    **options
        Further fields of ConvolutionParameter and LayerParameter.

    Returns
    -------
    caffe.net_spec.Top
    """
    if dilation > 1:
        options["dilation"] = dilation
    if kernel > 1:
        options["pad"] = dilation * (kernel // 2)
    n[name] = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, param=param, **options)
    if relu:
        n[relu] = L.ReLU(n[name], in_place=True)
    return n[name]


def trunk(n, images):
    """No stride in pool8, dilation 2 in fire9; the scaled features. Poolings have pad 1 (the original: none).

    Parameters
    ----------
    n : caffe.NetSpec
    images : caffe.net_spec.Top
        (N, 3, H, W).

    Returns
    -------
    caffe.net_spec.Top
        (N, 512, h, w) at stride 8.
    """
    x = conv(n, "conv1", images, 96, kernel=7, stride=2, relu="relu_conv1")
    x = pool(n, "pool1", x, stride=2)
    for number, (squeeze, expand) in FIRES.items():
        fire = f"fire{number}"
        s = conv(n, f"{fire}/conv1x1_1", x, squeeze, kernel=1, relu=f"{fire}/relu_conv1x1_1")
        a = conv(n, f"{fire}/conv1x1_2", s, expand, kernel=1, relu=f"{fire}/relu_conv1x1_2")
        b = conv(n, f"{fire}/conv3x3_2", s, expand, kernel=3, relu=f"{fire}/relu_conv3x3_2",
                 dilation=2 if number == 9 else 1)
        n[f"{fire}/concat"] = x = L.Concat(a, b)
        if number in (4, 8):
            x = pool(n, f"pool{number}", x, stride=2 if number == 4 else 1)
    n["fire9/scaled"] = L.Power(x, scale=FEATURE_SCALE)
    return n["fire9/scaled"]


def head(n, features, classes, train):
    """Four summed branches fc6_k (3x3, dilated), fc7_k (1x1), fc8-SEC_k; the blob n['fc8-SEC'].

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
        x = conv(n, f"fc6_{k}", features, 256, kernel=3, param=NEW, relu=f"relu6_{k}", dilation=dilation, **XAVIER)
        if train:
            x = dropout(n, f"drop6_{k}", x)
        x = conv(n, f"fc7_{k}", x, 256, kernel=1, param=NEW, relu=f"relu7_{k}", **XAVIER)
        if train:
            x = dropout(n, f"drop7_{k}", x)
        branches.append(conv(n, f"fc8-SEC_{k}", x, classes, kernel=1, param=NEW, **GAUSSIAN))
    return summed(n, branches)


def classifier(n, images, classes, train):
    """1x1 convolution `CAM` on the scaled features, global average; the class maps where it is deployed.

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
    x = trunk(n, images)
    if train:
        x = dropout(n, "drop9", x)
    maps = conv(n, "CAM", x, classes - 1, kernel=1, param=NEW, **GAUSSIAN)
    return class_maps_to_scores(n, maps) if train else maps
