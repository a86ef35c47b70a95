"""NetSpec pieces that the networks share: layers with their learning rates, data layers, what is fed from outside.

Names of layers and blobs are the original's, so that its caffemodels load.
"""

from caffe import layers as L
from caffe import params as P

from dsrg.io import voc

MEAN_BGR = tuple(int(value) for value in voc.MEAN_BGR)
#: learning rates of pretrained layers (weights, bias) and of the new classifiers, ten times higher
PRETRAINED = [dict(lr_mult=1, decay_mult=1), dict(lr_mult=2, decay_mult=0)]
NEW = [dict(lr_mult=10, decay_mult=1), dict(lr_mult=20, decay_mult=0)]
GAUSSIAN = dict(weight_filler=dict(type="gaussian", std=0.01), bias_filler=dict(type="constant", value=0))
#: what AnnotationLayer takes when its param_str says nothing, as in the original's files
CLASSES, CUE_CELLS = 21, 41


def conv(n, name, bottom, outputs, kernel=3, pad=None, dilation=1, relu=True, param=PRETRAINED, **options):
    """Convolution `name` with in-place ReLU relu<suffix>; the blob is n[name].

    Parameters
    ----------
    n : caffe.NetSpec
    name : str
    bottom : caffe.net_spec.Top
    outputs : int
    kernel : int
        Side of the kernel in taps.
    pad : int, optional
        By default what keeps the size at stride 1.
    dilation : int
    relu : bool
    param : list of dict
        ParamSpec of weight and bias: learning rates and decay.
    **options
        Further fields of ConvolutionParameter and LayerParameter.

    Returns
    -------
    caffe.net_spec.Top
    """
    pad = dilation * (kernel // 2) if pad is None else pad
    if pad:
        options["pad"] = pad
    if dilation > 1:
        options["dilation"] = dilation
    n[name] = L.Convolution(bottom, num_output=outputs, kernel_size=kernel, param=param, **options)
    if relu:
        n["relu" + name.removeprefix("conv").removeprefix("fc")] = L.ReLU(n[name], in_place=True)
    return n[name]


def pool(n, name, bottom, stride, kind=P.Pooling.MAX):
    """3x3 pooling with pad 1: at stride 2, 2 k + 1 pixels become k + 1, corners on corners.

    Parameters
    ----------
    n : caffe.NetSpec
    name : str
    bottom : caffe.net_spec.Top
    stride : int
    kind : int
        PoolingParameter.PoolMethod.

    Returns
    -------
    caffe.net_spec.Top
    """
    n[name] = L.Pooling(bottom, pool=kind, kernel_size=3, stride=stride, pad=1)
    return n[name]


def dropout(n, name, bottom, ratio=0.5):
    """Dropout `name`, in place.

    Parameters
    ----------
    n : caffe.NetSpec
    name : str
    bottom : caffe.net_spec.Top
    ratio : float
        Share of the values that are set to 0, 0 to 1.

    Returns
    -------
    caffe.net_spec.Top
    """
    n[name] = L.Dropout(bottom, dropout_ratio=ratio, in_place=True)
    return n[name]


def summed(n, branches):
    """The sum of the branches, the blob fc8-SEC.

    Parameters
    ----------
    n : caffe.NetSpec
    branches : list of caffe.net_spec.Top
        Of one shape.

    Returns
    -------
    caffe.net_spec.Top
    """
    n["fc8-SEC"] = L.Eltwise(*branches, operation=P.Eltwise.SUM)
    return n["fc8-SEC"]


def class_maps_to_scores(n, maps):
    """Global average of the class maps, a score a class.

    Parameters
    ----------
    n : caffe.NetSpec
    maps : caffe.net_spec.Top
        (N, C - 1, h, w), without background.

    Returns
    -------
    caffe.net_spec.Top
        (N, C - 1), the blob scores_flat.
    """
    n.scores = L.Pooling(maps, pool=P.Pooling.AVE, global_pooling=True)
    n.scores_flat = L.Flatten(n.scores)
    return n.scores_flat


def python(bottoms, layer, ntop=1, module="pylayers", param_str=None, **options):
    """A Python layer; `param_str` is a dict.

    Parameters
    ----------
    bottoms : sequence of caffe.net_spec.Top
    layer : str
        Name of the class.
    ntop : int
    module : str
        That the class is imported from.
    param_str : dict, optional
        Written as its literal; {} and None write none.
    **options
        Further fields of LayerParameter.

    Returns
    -------
    caffe.net_spec.Top or tuple of caffe.net_spec.Top
        A tuple for more than one top.
    """
    spec = dict(module=module, layer=layer)
    if param_str:
        spec["param_str"] = repr(param_str)
    return L.Python(*bottoms, ntop=ntop, python_param=spec, **options)


def photos(n, name, ids, size, batch, mirror, source="lists/input_list.txt"):
    """ImageData: photos resized to size x size whatever their aspect, BGR minus the mean; ids are list numbers.

    Parameters
    ----------
    n : caffe.NetSpec
    name, ids : str
        Names of the two blobs.
    size : int
        Pixels.
    batch : int
    mirror : bool
    source : str
        List of "<photo> <number>" lines, relative to the run.

    Returns
    -------
    images : caffe.net_spec.Top
        (batch, 3, size, size).
    ids : caffe.net_spec.Top
        (batch,).
    """
    n[name], n[ids] = L.ImageData(
        ntop=2, name="Input",
        transform_param=dict(mirror=mirror, mean_value=list(MEAN_BGR)),
        image_data_param=dict(root_folder="data/JPEGImages/", source=source, batch_size=batch,
                              new_height=size, new_width=size, shuffle=True))
    return n[name], n[ids]


def annotated(n, nets, cues):
    """Photos with labels and cues, mirrored together or not at all; returns images, labels, cues.

    Parameters
    ----------
    n : caffe.NetSpec
    nets : description.Nets
    cues : str
        The cue file, relative to the run.

    Returns
    -------
    tuple of caffe.net_spec.Top
        Images (N, 3, size, size), labels (N, 1, 1, C), cues (N, C, cells, cells).
    """
    photos(n, "images_origin", "image_ids", nets.size, nets.batch["s"], mirror=False)
    keys = {"cues": cues, "mirror": nets.mirror}
    if nets.classes != CLASSES:
        keys["classes"] = nets.classes
    if nets.cells != CUE_CELLS:
        keys["size"] = [nets.cells, nets.cells]
    n.labels, n.cues, n.images = python([n.image_ids, n.images_origin], nets.annotation, ntop=3, param_str=keys,
                                        name="Annotation", propagate_down=[0, 0])
    return n.images, n.labels, n.cues


def photos_with_masks(n, nets, source):
    """Random crops and mirrors of whole photos with their label maps, layer `data`; returns images, label.

    Parameters
    ----------
    n : caffe.NetSpec
    nets : description.Nets
    source : str
        List of "<photo> <label map>" lines, relative to the run.

    Returns
    -------
    tuple of caffe.net_spec.Top
        Images (N, 3, size, size), label (N, 1, size, size).
    """
    n.images, n.label = python([], "ImageSegDataLayer", ntop=2, module="pylayers.layer", name="data",
                               param_str={"source": source, "root_folder": ".", "batch_size": nets.batch["f"],
                                          "mirror": True, "crop_size": (nets.size, nets.size), "mean": MEAN_BGR,
                                          "phase": "Train", "classes": nets.classes})
    return n.images, n.label


def fed_images(n, size):
    """The blob `images` of a net that is fed from outside; fed_net takes it out again.

    Parameters
    ----------
    n : caffe.NetSpec
    size : int
        Pixels.

    Returns
    -------
    caffe.net_spec.Top
        (1, 3, size, size).
    """
    n.images = L.Input(shape=dict(dim=[1, 3, size, size]))
    return n.images


def fed_net(n):
    """NetParameter of a net that is fed from outside: `input` and `input_shape` of the net in place of Input layers.

    Every Caffe reads these two fields; DeepLab-v2's has no layer type Input.

    Parameters
    ----------
    n : caffe.NetSpec

    Returns
    -------
    NetParameter
    """
    net = n.to_proto()
    for layer in [layer for layer in net.layer if layer.type == "Input"]:
        net.input.append(layer.top[0])
        net.input_shape.add().CopyFrom(layer.input_param.shape[0])
        net.layer.remove(layer)
    return net
