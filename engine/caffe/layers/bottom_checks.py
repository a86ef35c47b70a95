"""What layers ask of their bottoms and files: four axes at most, indices in a range, a binaryproto that can be read."""

import torch

from ..blob_messages import load_binaryproto
from ..host_copies import HostCopy


def legacy_shape(layer, shape, which="the bottom"):
    """`shape` padded with ones to four axes, as Caffe's num, channels, height and width give it; more are refused.

    Parameters
    ----------
    layer : NativeLayer
    shape : tuple of int
    which : str
        What messages call the blob.

    Returns
    -------
    tuple of int

    Raises
    ------
    LayerError
    """
    if len(shape) > 4:
        raise layer.error(f"{which} is {shape}; expected at most 4 axes (N, C, H, W)")
    return (*shape, *[1] * (4 - len(shape)))


def in_range(layer, index, limit, what, of, skip=None):
    """Indices that may be looked up: `index`, refused where one is outside [0, limit).

    On a GPU the program does not wait for the answer: what is outside becomes 0, and is refused where the host waits
    anyway (`LateAnswers`). A kernel that met it would end all use of the device, with an assertion that names no layer.

    Parameters
    ----------
    layer : NativeLayer
    index : Tensor
        Of whole numbers, any shape.
    limit : int
    what, of : str
        What the index is, and of what; for the message.
    skip : Tensor of bool, optional
        Where it is not looked at, and left as it is.

    Returns
    -------
    Tensor

    Raises
    ------
    LayerError
    """
    bad = (index < 0) | (index >= limit)
    if skip is not None:
        bad &= ~skip
    if bad.device.type == "cpu":
        if bool(bad.any()):
            raise layer.error(_outside(index[bad].flatten()[0].item(), limit, what, of))
        return index
    if index.numel():
        first_bad = bad.flatten().byte().argmax().reshape(1)
        found, worst = bad.any(), index.flatten().index_select(0, first_bad)
        if what in layer.late:  # of an earlier forward, whose loss nobody has read yet
            earlier, first, *_ = layer.late[what]
            found, worst = earlier | found, torch.where(earlier, first, worst)
        layer.late[what] = (found, worst, limit, of)
    return index.masked_fill(bad, 0)


class LateAnswers:
    """What a GPU has found in the bottoms of layers, asked after a forward pass and read when the host waits anyway.

    Parameters
    ----------
    layers : iterable of Layer
    """

    def __init__(self, layers):
        self._notes = [(layer, what, *note) for layer in layers for what, note in getattr(layer, "late", {}).items()]
        found = [found for _, _, found, *_ in self._notes]
        self._copy = HostCopy(torch.stack(found)) if found else None

    def first(self):
        """The first layer that has met an index out of range, with its error; None where all is well.

        Waits until the device has come to the question.

        Returns
        -------
        (Layer, LayerError) or None
        """
        answers = self._copy.get().tolist() if self._copy else ()
        for layer, *_ in self._notes:
            layer.late = {}
        for (layer, what, _, worst, limit, of), found in zip(self._notes, answers, strict=True):
            if found:
                return layer, layer.error(_outside(worst.item(), limit, what, of))
        return None


def _outside(worst, limit, what, of):
    return f"{what} {worst} is outside 0..{limit - 1} ({of})"


def read_binaryproto(layer, path, what):
    """The array of a binaryproto file, float32; `what` names it in the error of a file that cannot be read.

    Parameters
    ----------
    layer : NativeLayer
    path : str
    what : str

    Returns
    -------
    numpy.ndarray, float32

    Raises
    ------
    LayerError
    """
    try:
        return load_binaryproto(path)
    except RuntimeError as error:
        raise layer.error(f"{what}: {error}") from error
