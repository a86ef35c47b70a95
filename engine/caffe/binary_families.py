"""Binary nets of three families of Caffe, whose field numbers of LayerParameter clash.

    layer type, its parameter             authors' DeepLab-v2    forks merged with BVLC    BVLC 1.0 has there
    Interp, interp_param                  143                    153                       143 input_param
    SegAccuracy, seg_accuracy_param       144                    154                       144 crop_param
    MatWrite, mat_write_param             145                    155                       145 parameter_param
    DenseCRF, dense_crf_param             146                    152                       146 recurrent_param
    DomainTransform, its parameter        147                    147                       147 swish_param
    AdaptiveBiasChannel, its parameter    148                    148                       148 clip_param

A field is told by its layer's `type`: 143 of an Interp layer is an InterpParameter and of an Input layer an
InputParameter, so that one reader takes the files of all three. In the engine's messages Interp and SegAccuracy have
the numbers of the merged forks; parameters of types that the engine does not run are kept, unread, and written again.

Only nets are concerned. Weights are copied by layer name, and every Caffe takes them from files of every family.
"""

from . import protobuf_wire as wire
from .proto import caffe_pb2

MERGED, DEEPLAB_V2 = FAMILIES = ("merged", "deeplab-v2")
LAYER, TYPE = 100, 2  # of NetParameter, of LayerParameter
#: layer types of DeepLab-v2 that the engine does not run, and what to use
REFUSED = {
    "MatRead": "MATLAB files are not read; convert them to HDF5 and use HDF5Data",
    "MatWrite": "MATLAB files are not written; use HDF5Output",
    "DenseCRF": "use the Python layer CRFLayer of module pylayers",
}
DEEPLAB_TYPES = {"ImageSegData", "Interp", "SegAccuracy"}
PARKED = 10000  # added to the numbers of parameters that would be read as BVLC's

#: layer type -> number in DeepLab-v2 of its authors, in the merged forks, in the engine's messages
NUMBERS = {
    "Interp": (143, 153, 153),
    "SegAccuracy": (144, 154, 154),
    "MatWrite": (145, 155, 155),
    "DenseCRF": (146, 152, 152),
    "DomainTransform": (147, 147, PARKED + 147),
    "AdaptiveBiasChannel": (148, 148, PARKED + 148),
}


def ambiguous_statistics(layers):
    """BatchNorm layers of a net with layers of DeepLab-v2 that do not say whether they learn their statistics.

    update_global_stats is false there unless given, and BVLC Caffe, which has no such field, always learns.

    Parameters
    ----------
    layers : sequence of LayerParameter

    Returns
    -------
    list of LayerParameter
    """
    if not any(layer.type in DEEPLAB_TYPES for layer in layers):
        return []
    return [layer for layer in layers if layer.type == "BatchNorm"
            and not layer.batch_norm_param.HasField("update_global_stats") and not _uses_global_statistics(layer)]


def _uses_global_statistics(layer):
    p = layer.batch_norm_param
    return p.use_global_stats if p.HasField("use_global_stats") else layer.phase == caffe_pb2.TEST


def check(family):
    """Refuse a name that is not a family.

    Parameters
    ----------
    family : str
        "merged" or "deeplab-v2".

    Raises
    ------
    ValueError
    """
    if family not in FAMILIES:
        raise ValueError(f"family {family!r}: expected one of {', '.join(FAMILIES)}")


def to_engine(net):
    """A serialized NetParameter of any family with the engine's numbers.

    Parameters
    ----------
    net : bytes or memoryview

    Returns
    -------
    bytes or memoryview
        `net` itself where nothing is to be changed.

    Raises
    ------
    wire.WireError
        Bytes that are not a message.
    """
    return _renumbered_net(net, lambda authors, merged, engine: ({authors, merged}, engine))


def from_engine(net, family):
    """A serialized NetParameter of the engine with the numbers of a family.

    Parameters
    ----------
    net : bytes or memoryview
        A serialized NetParameter.
    family : str
        "merged" or "deeplab-v2".

    Returns
    -------
    bytes or memoryview

    Raises
    ------
    ValueError
        Another family.
    """
    return _renumbered_net(net, _numbers_to(family))


def layer_from_engine(layer, family):
    """As from_engine, for one serialized LayerParameter.

    Parameters
    ----------
    layer : bytes or memoryview
    family : str

    Returns
    -------
    bytes
    """
    view = memoryview(layer)
    return b"".join(_renumbered_layer(view, 0, len(view), _numbers_to(family)) or [layer])


def _numbers_to(family):
    check(family)
    return lambda authors, merged, engine: ({engine}, authors if family == DEEPLAB_V2 else merged)


def _renumbered_net(net, numbers):
    view = memoryview(net)
    chunks, at = [], 0  # all before `at` is in chunks
    for number, wire_type, begin, start, stop in wire.fields(view, 0, len(view)):
        layer = None
        if number == LAYER and wire_type == wire.BYTES:
            layer = _renumbered_layer(view, start, stop, numbers)
        if layer:
            size = sum(map(len, layer))
            chunks += [view[at:begin], wire.tag(LAYER, wire.BYTES) + wire.varint(size), *layer]
            at = stop
    return b"".join([*chunks, view[at:]]) if chunks else net


def _renumbered_layer(view, start, stop, numbers):
    """The layer in chunks with other numbers, None where nothing changes."""
    fields = list(wire.fields(view, start, stop))
    types = [bytes(view[at:end]).decode(errors="replace") for number, _, _, at, end in fields if number == TYPE]
    if not types or types[-1] not in NUMBERS:
        return None
    old, new = numbers(*NUMBERS[types[-1]])
    if not any(number in old - {new} for number, *_ in fields):
        return None
    chunks = []
    for number, wire_type, begin, at, end in fields:
        if number in old:
            size = wire.varint(end - at) if wire_type == wire.BYTES else b""
            chunks += [wire.tag(new, wire_type) + size, view[at:end]]
        else:
            chunks.append(view[begin:end])
    return chunks
