"""Pictures of nets: caffe.draw.draw_net_to_file(net_param, "net.png"), as pycaffe's.

Needs the package pydot, and graphviz's program dot for anything but .dot text.
"""

import os

from .modelfile import write_atomic
from .proto import caffe_pb2
from .prototxt import layer_included

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}
COLORS = {
    "Convolution": "#FF5050",
    "Deconvolution": "#FF5050",
    "Pooling": "#FF9900",
    "InnerProduct": "#CC33FF",
}
LEARNING = ("Convolution", "Deconvolution", "InnerProduct")


def _pydot():
    try:
        import pydot
    except ImportError:
        raise ImportError("drawing nets needs the Python package pydot: pip install pydot") from None
    return pydot


def get_pooling_types_dict():
    """Pooling method number -> name."""
    return {number: name for name, number in caffe_pb2.PoolingParameter.PoolMethod.items()}


def get_edge_label(layer):
    """Label of the edges that leave a layer: batch size or number of outputs, quoted empty text otherwise.

    Parameters
    ----------
    layer : LayerParameter

    Returns
    -------
    str
    """
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return '""'


def get_layer_lr_mult(layer):
    """lr_mult of weights and bias of a layer that learns (1 where the prototxt gives none).

    Parameters
    ----------
    layer : LayerParameter

    Returns
    -------
    str
        "[weights, bias]", or "" for other layers.
    """
    if layer.type not in LEARNING:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise ValueError(
            f"layer '{layer.name}': {len(layer.param)} param, expected at most two (weights, bias)"
        )
    mults = [spec.lr_mult for spec in layer.param]
    return tuple(mults + [1.0] * (2 - len(mults)))


def get_layer_label(layer, rankdir, display_lrm=False):
    """Text of a layer's node: name, type and the kernel of convolutions and poolings.

    Parameters
    ----------
    layer : LayerParameter
    rankdir : {'LR', 'TB', 'BT'}
        Parts are set on lines of their own when the graph runs from left to right, else side by side.
    display_lrm : bool
        Add the learning rate multipliers of layers that learn.

    Returns
    -------
    str
    """
    separator = " " if rankdir in ("TB", "BT") else "\\n"
    kind = layer.type
    parts = []
    if layer.type in ("Convolution", "Deconvolution"):
        param = layer.convolution_param
        parts = [
            f"kernel size: {param.kernel_size[0] if len(param.kernel_size) else 1}",
            f"stride: {param.stride[0] if len(param.stride) else 1}",
            f"pad: {param.pad[0] if len(param.pad) else 0}",
        ]
    elif layer.type == "Pooling":
        param = layer.pooling_param
        kind = f"{get_pooling_types_dict()[param.pool]} {layer.type}"
        parts = [f"kernel size: {param.kernel_size}", f"stride: {param.stride}", f"pad: {param.pad}"]
    if display_lrm and layer.type in LEARNING:
        parts.append("lr mult: " + ", ".join(f"{mult:g}" for mult in get_layer_lr_mult(layer)))
    return '"' + separator.join([layer.name, f"({kind})", *parts]) + '"'


def choose_color_by_layertype(layertype):
    """Fill colour of a layer's node, '#RRGGBB'.

    Parameters
    ----------
    layertype : str
        Type of a layer, as in a prototxt.

    Returns
    -------
    str
    """
    return COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def _style(layer):
    if len(layer.bottom) == 1 and list(layer.bottom) == list(layer.top):
        return NEURON_LAYER_STYLE  # in place
    return {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}


def get_pydot_graph(caffe_net, rankdir, label_edges=True, phase=None, display_lrm=False):
    """pydot graph of a net: layers and blobs as nodes.

    Parameters
    ----------
    caffe_net : NetParameter
    rankdir : {'LR', 'TB', 'BT', 'RL'}
        Direction of the graph.
    label_edges : bool
        Write the number of outputs at the edges.
    phase : int, optional
        caffe.TRAIN or caffe.TEST: draw only the layers of this phase.
    display_lrm : bool
        As in get_layer_label.

    Returns
    -------
    pydot.Dot
    """
    pydot = _pydot()
    graph = pydot.Dot(caffe_net.name or "Net", graph_type="digraph", rankdir=rankdir)
    nodes, edges = {}, []
    for layer in caffe_net.layer:
        if phase is not None and not layer_included(layer, caffe_pb2.NetState(phase=phase)):
            continue
        node = pydot.Node(get_layer_label(layer, rankdir, display_lrm), **_style(layer))
        nodes["layer", layer.name, layer.type] = node
        for bottom in layer.bottom:
            nodes["blob", bottom] = pydot.Node(bottom, **BLOB_STYLE)
            edges.append((("blob", bottom), ("layer", layer.name, layer.type), '""'))
        for top in layer.top:
            nodes.setdefault(("blob", top), pydot.Node(top))
            label = get_edge_label(layer) if label_edges else '""'
            edges.append((("layer", layer.name, layer.type), ("blob", top), label))
    for node in nodes.values():
        graph.add_node(node)
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(nodes[source], nodes[target], label=label))
    return graph


def draw_net(caffe_net, rankdir, ext="png", phase=None, display_lrm=False):
    """Draw a net.

    Parameters
    ----------
    caffe_net, rankdir, phase, display_lrm
        As in get_pydot_graph.
    ext : str
        A format of graphviz (png, pdf, svg, ...), or raw (dot text).

    Returns
    -------
    bytes

    Raises
    ------
    RuntimeError
        graphviz's program 'dot' is not installed.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
    if ext in ("raw", "dot"):
        return graph.to_string().encode()
    try:
        return graph.create(format=ext)
    except FileNotFoundError:
        raise RuntimeError(
            "drawing nets as pictures needs graphviz's program 'dot': install graphviz, or write a .dot file"
        ) from None


def draw_net_to_file(caffe_net, filename, rankdir="LR", phase=None, display_lrm=False):
    """Draw a net into a file.

    Parameters
    ----------
    caffe_net, rankdir, phase, display_lrm
        As in get_pydot_graph.
    filename : str
        Its suffix is the format (.png, .pdf, .svg, .dot, ...).

    Raises
    ------
    ValueError
        A file name without a suffix.
    RuntimeError
        graphviz's program 'dot' is not installed.
    """
    ext = os.path.splitext(filename)[1].lstrip(".")
    if not ext:
        raise ValueError(f"{filename}: no suffix that names the picture's format, such as .png")
    write_atomic(filename, draw_net(caffe_net, rankdir, ext, phase, display_lrm))
