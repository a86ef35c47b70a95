"""The net to be initialised, read from its prototxt alone: layers with their shapes, strides, and what it is fed."""

from dataclasses import dataclass

from dsrg.initweights.weight_arithmetic import NetInput
from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str


@dataclass(frozen=True)
class TargetLayer:
    """A layer with parameters.

    name, type; shapes: of its parameters; param: its LayerParameter. For a convolution: stride, pad, dilation, and
    step, how many pixels of the photo its taps are apart.
    """

    name: str
    type: str
    shapes: tuple
    param: object
    stride: int = 1
    pad: int = 0
    dilation: int = 1
    step: int = 1


def read_target(path):
    """Layers with parameters of a net (dict by name, in order), and its NetInput.

    Parameters
    ----------
    path : str or Path
        Prototxt of the net.

    Returns
    -------
    layers : dict of str to TargetLayer
    input : NetInput

    Raises
    ------
    UserError
        The net is wrong, with the line; or a layer's shape is not known.
    """
    from dsrg.netinspect.checks import State, default_phase
    from dsrg.netinspect.prototxt_source import Source

    source = Source(path)
    if source.net is None:
        raise UserError(f"{path}:{source.findings[0].line}: {source.findings[0].text}")
    state = State(source, default_phase(source.net))
    errors = sorted(f for f in (*source.findings, *state.findings) if f.severity == "error")
    if errors:
        raise UserError(f"{path}:{errors[0].line}: {errors[0].text}")
    if state.shapes.unknown:
        name, why = next(iter(state.shapes.unknown.items()))
        raise UserError(f"{path}: the shape of '{name}' is not known: {why}; give the deploy net, or a net "
                        "with a crop size")
    strides, layers = {}, {}
    for node in state.shapes.nodes:
        stride, pad, dilation = _geometry(node.param)
        below = max((strides.get(name, 1) for name in node.bottom_names), default=1)
        for name in node.top_names:
            strides[name] = below * stride
        if node.layer.blobs:
            shapes = tuple(blob.dims for blob in node.layer.blobs)
            layers[node.param.name] = TargetLayer(node.param.name, node.param.type, shapes, node.param, stride, pad,
                                                  dilation, below * dilation)
    return layers, _net_input(source.net, path)


def _geometry(param):
    """Stride, pad and dilation of a layer; 1, 0, 1 where it has none."""
    if param.type == "Convolution":
        p = param.convolution_param
        if any(p.HasField(field) for field in ("kernel_h", "stride_h", "pad_h")) or max(
                len(p.stride), len(p.pad), len(p.dilation), len(p.kernel_size)) > 1:
            raise UserError(f"layer '{param.name}': kernels, strides or pads of two numbers are not handled")
        return tuple((list(values) or [default])[0] for values, default in ((p.stride, 1), (p.pad, 0), (p.dilation, 1)))
    if param.type == "Pooling" and not param.pooling_param.global_pooling:
        return param.pooling_param.stride, 0, 1
    return 1, 0, 1


def _net_input(net, path):
    """Mean and scale of the data layer; the usual mean of VGG16 where the net names none (a deploy net)."""
    for layer in net.layer:
        t = layer.transform_param
        if len(t.mean_value) == 3:
            return NetInput(tuple(t.mean_value), t.scale)
        if layer.type == "Python" and layer.python_param.param_str:
            keys = _keys(layer.python_param.param_str)
            if isinstance(keys, dict) and len(keys.get("mean") or ()) == 3:
                return NetInput(tuple(float(m) for m in keys["mean"]))
        if layer.HasField("transform_param") and t.mean_file:
            raise UserError(f"{path}: layer '{layer.name}' subtracts {t.mean_file}; give the mean pixel with --mean")
    return NetInput(voc.MEAN_BGR)


def _keys(param_str):
    """Content of a param_str; None where it is in a form of the layer's own."""
    try:
        return parse_param_str(param_str)
    except ValueError:
        return None
