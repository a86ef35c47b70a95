"""Binary .caffemodel files: structure and parameters of a net, read and written without copies of large arrays."""

import os
from collections import OrderedDict

from . import binary_families, upgrade
from . import protobuf_wire as wire
from .blob_messages import in_shape_of
from .modelfile import ModelFileError, decode_net, looks_like, mapped, strip, write_atomic
from .proto import caffe_pb2


class Weights(OrderedDict):
    """Layer name -> list of float32 arrays. `repeated`: names that several layers with parameters share."""

    def __init__(self, *args):
        super().__init__(*args)
        self.repeated = set()


def load_caffemodel(path):
    """Structure and parameters of a binary .caffemodel.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    net : NetParameter
        Upgraded; its blobs keep their shapes but not their numbers.
    weights : OrderedDict
        As load_weights.

    Raises
    ------
    OpenError, ModelFileError
        As load_weights.
    """
    name = os.fspath(path)
    with mapped(path) as view:
        skeleton, arrays = strip(view, "NetParameter", name, "a caffemodel")
        net = decode_net(skeleton, view, name)
        if not len(net.layer) and not len(net.layers):
            raise ModelFileError(f"{name}: holds no layers; {looks_like(view)}")
        try:
            upgrade.upgrade_net(net, weights_only=True)
        except upgrade.UpgradeError as error:
            raise ModelFileError(f"{name}: {error}") from None
        weights = Weights()
        for layer in net.layer:
            blobs = [
                in_shape_of(blob, arrays[int(blob.data[0])], f"{name}: layer '{layer.name}', blob {k}")
                for k, blob in enumerate(layer.blobs)
            ]
            if blobs and weights.get(layer.name):
                weights.repeated.add(layer.name)
            if blobs or layer.name not in weights:
                weights[layer.name] = blobs
            for blob in layer.blobs:
                blob.ClearField("data")
        del arrays
    return net, weights


def save_caffemodel(path, net_param, blobs=None, family=binary_families.MERGED):
    """Write a binary .caffemodel.

    Parameters
    ----------
    path : str or os.PathLike
    net_param : NetParameter
        Written as it is, with the blobs its layers hold, unless `blobs` is given.
    blobs : sequence of sequences of numpy.ndarray, optional
        The parameters of each of net_param.layer, which hold none themselves then. Large weights are written
        straight from these arrays; inside messages they cost a few copies and seconds.
    family : str
        Field numbers of DeepLab-v2's parameters: "merged", which the forks merged with BVLC Caffe read and BVLC Caffe
        passes over, or "deeplab-v2", which the DeepLab-v2 of its authors reads. For weights it makes no difference.
    """
    binary_families.check(family)
    if blobs is None:
        write_atomic(path, binary_families.from_engine(net_param.SerializeToString(), family))
        return
    head = caffe_pb2.NetParameter()
    head.CopyFrom(net_param)
    del head.layer[:]
    chunks = [head.SerializeToString()]
    for layer, arrays in zip(net_param.layer, blobs, strict=True):
        if len(layer.blobs):
            raise ValueError(f"layer '{layer.name}' holds blobs itself; give them in one place")
        chunks += wire.layer_chunks(binary_families.layer_from_engine(layer.SerializeToString(), family), arrays)
    write_atomic(path, chunks)


def read_net_binary(path):
    """A binary NetParameter whole, numbers included, upgraded: for the upgrade tools.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    NetParameter

    Raises
    ------
    OpenError, ModelFileError
        As load_weights.
    """
    name = os.fspath(path)
    with mapped(path) as view:
        net = decode_net(view, view, name)
        if not len(net.layer) and not len(net.layers) and not len(net.input):
            raise ModelFileError(f"{name}: holds no layers; {looks_like(view)}")
    try:
        return upgrade.upgrade_net(net)
    except upgrade.UpgradeError as error:
        raise ModelFileError(f"{name}: {error}") from None
