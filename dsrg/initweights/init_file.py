"""The file of initial weights, and the table of where they come from."""

from pathlib import Path

from dsrg.io.errors import UserError


def save(path, net_path, layers, arrays):
    """Write a caffemodel of the initialised layers alone; the others keep their fillers when it is loaded.

    Parameters
    ----------
    path : Path
        .caffemodel to write, whole or not at all; its folder is made.
    net_path : path
        Prototxt of the net, for the name that the file gives it.
    layers : dict of str to TargetLayer
        Of the net.
    arrays : dict of str to list of ndarray of float32
        Parameters of each initialised layer, as of dsrg.initweights.fit.Fit.

    Raises
    ------
    UserError
        A file that cannot be written.
    """
    from caffe import serialization
    from caffe.proto import caffe_pb2

    message = caffe_pb2.NetParameter(name=Path(net_path).stem)
    for name in arrays:
        message.layer.add().CopyFrom(layers[name].param)
        del message.layer[-1].blobs[:]
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        serialization.save_caffemodel(str(path), message, list(arrays.values()))
    except RuntimeError as error:
        raise UserError(str(error)) from None


def table(rows):
    """What became of each layer; normalisation layers are counted by `summary`, not listed.

    Parameters
    ----------
    rows : list of dsrg.initweights.fit.Row

    Returns
    -------
    list of str
        Lines in columns: layer, what, shape, from, notes; the heads first.
    """
    shown = [row for row in rows if row.source != "its normalisation"]
    cells = [("layer", "what", "shape", "from", "notes")]
    cells += [(row.layer, row.what, "x".join(map(str, row.shape)), row.source, "; ".join(row.notes)) for row in shown]
    widths = [max(len(line[k]) for line in cells) for k in range(5)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def summary(rows):
    """How many layers were copied, reduced and left random.

    Parameters
    ----------
    rows : list of dsrg.initweights.fit.Row

    Returns
    -------
    str
    """
    counts = {what: sum(row.what == what for row in rows) for what in ("copied", "reduced", "random")}
    return f"{counts['copied']} layers copied, {counts['reduced']} reduced, {counts['random']} left random"
