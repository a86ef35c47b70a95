"""Checks that a training net has as many classes as its data, before an iteration is spent on it."""

from pathlib import Path, PurePosixPath

from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.param_str import parse_param_str

#: loss or softmax -> how many classes of the data its scores leave out (a classifier scores no background)
SCORED = {"SoftmaxWithLoss": 0, "Softmax": 0, "SoftmaxLayer": 0, "SigmoidCrossEntropyLoss": 1}
LISTS = ("source", "list", "labels")  # param_str fields of our layers that name a list


def refuse_other_classes(net, net_path):
    """UserError where a net has another number of classes than its data.

    The data's number is that of the classes.txt beside the lists that the net's data layers read; without one nothing
    is compared. The net's are `classes` of the Python layers, and the outputs of the layer that makes the scores of a
    softmax or a loss.

    Parameters
    ----------
    net : caffe_pb2.NetParameter
    net_path : path
        What messages call it.
    """
    files = {PurePosixPath(path).parent / "classes.txt" for layer in net.layer for path in _lists(layer)}
    known = sorted(str(path) for path in files if Path(path).is_file())
    if not known:
        return
    count = len(read_classes(known[0]))
    for name, what, classes in _counts(net):
        if classes != count:
            raise UserError(
                f"{net_path}: layer '{name}' {what} {classes} classes with background, but the data has {count} "
                f"({known[0]}); write nets for this data: python -m tools.new_experiment NAME --from EXPERIMENT "
                "--data DATA_ROOT, then bash run.sh NAME")


def _params(layer):
    """The param_str of a Python layer as a dict; one that cannot be read is the layer's to complain about."""
    try:
        params = parse_param_str(layer.python_param.param_str) if layer.type == "Python" else {}
    except (ValueError, TypeError):
        return {}
    return params if isinstance(params, dict) else {}


def _lists(layer):
    found = [layer.image_data_param.source] if layer.type == "ImageData" else []
    found += [value for key, value in _params(layer).items() if key in LISTS and isinstance(value, str)]
    return [path for path in found if path]


def _counts(net):
    """(layer, verb, number of classes with background) for every layer that has an opinion."""
    sources = {}  # blob -> name and outputs of the layer that its channels come from, None where there is none such
    for layer in net.layer:
        classes = _params(layer).get("classes")
        if isinstance(classes, int):
            yield layer.name, "is set to", classes
        kind = layer.python_param.layer if layer.type == "Python" else layer.type
        if kind in SCORED and layer.bottom and sources.get(layer.bottom[0]) is not None:
            name, outputs = sources[layer.bottom[0]]
            yield name, "scores", outputs + SCORED[kind]
        sources.update(dict.fromkeys(layer.top, _source(layer, sources)))


def _source(layer, sources):
    """Name and outputs of the convolution or inner product that the channels of a layer's tops come from, or None."""
    outputs = {"Convolution": layer.convolution_param, "InnerProduct": layer.inner_product_param}.get(layer.type)
    if outputs is not None:
        return layer.name, outputs.num_output
    if layer.type in ("Concat", "Python", "Slice", "Reshape") or not layer.bottom:
        return None                                    # channels that are put together otherwise
    return sources.get(layer.bottom[0])
