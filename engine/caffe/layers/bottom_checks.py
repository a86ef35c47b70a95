"""What layers ask of their bottoms and files: four axes at most, indices in a range, a binaryproto that can be read."""

import torch

from ..blob_messages import load_binaryproto


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


def check_range(layer, index, limit, what, of, skip=None):
    """Refuse indices outside [0, limit); `skip` marks indices that are not looked at.

    On a GPU the check is made there, so that the program need not wait: a bad index then ends as a CUDA assertion.

    Parameters
    ----------
    layer : NativeLayer
    index : Tensor
        Of whole numbers, any shape.
    limit : int
    what, of : str
        What the index is, and of what; for the message.
    skip : Tensor of bool, optional

    Raises
    ------
    LayerError
    """
    bad = (index < 0) | (index >= limit)
    if skip is not None:
        bad &= ~skip
    if bad.is_cuda:
        torch._assert_async(~bad.any())
    elif bool(bad.any()):
        worst = index[bad].flatten()[0].item()
        raise layer.error(f"{what} {worst} is outside 0..{limit - 1} ({of})")


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
