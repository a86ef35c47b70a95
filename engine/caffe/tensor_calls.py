"""Python layers that have a second face: tensors on the device instead of numpy views of host memory.

A Python layer's forward and backward see numpy views, for which the engine copies every bottom from a GPU and every
top back, and waits in between. A layer may define, beside them,

    forward_tensors(*bottoms) -> a tensor for each top
    backward_tensors(top_diffs, propagate_down) -> a gradient or None (zero) for each bottom

which compute the same on tensors of the current device. The tensors are the blobs' own memory and not to be changed;
they may be bf16 or channels_last. What is returned is kept. Real Caffe knows neither method and calls the other two.

A class that derives from such a layer and overrides only what works on arrays is called with arrays: the tensors would
compute what it no longer means. A base that splits its work further says in `tensor_pairs` which method on arrays goes
with which on tensors, such as (("compute", "compute_tensors"),).
"""

from functools import lru_cache

from . import device
from .layer import NativeLayer


def forward(layer, bottom, top):
    """Run a layer's forward pass, by its tensors where it has them and the device is not the host."""
    if not _by_tensors(layer):
        layer.forward(bottom, top)
        return
    where = device.current()
    values = layer.forward_tensors(*(blob.data_memory.read(where) for blob in bottom))
    for blob, value in zip(top, values, strict=True):
        blob.data_memory.write(value)


def backward(layer, top, propagate_down, bottom):
    """Run a layer's backward pass in the same way."""
    if not _by_tensors(layer):
        layer.backward(top, propagate_down, bottom)
        return
    where = device.current()
    gradients = layer.backward_tensors([blob.diff_memory.read(where) for blob in top], list(propagate_down))
    for blob, wanted, gradient in zip(bottom, propagate_down, gradients, strict=True):
        if wanted:
            blob.diff_memory.clear() if gradient is None else blob.diff_memory.write(gradient)


@lru_cache
def _tensors_are_up_to_date(cls):
    """Whether a class has methods on tensors, each defined in the class of its twin on arrays or in one derived."""
    pairs = (("forward", "forward_tensors"), ("backward", "backward_tensors"), *getattr(cls, "tensor_pairs", ()))
    places = [[next((k for k, base in enumerate(cls.__mro__) if name in vars(base)), None) for name in pair]
              for pair in pairs]
    return all(tensors is not None and (arrays is None or tensors <= arrays) for arrays, tensors in places)


def _by_tensors(layer):
    if isinstance(layer, NativeLayer) or not _tensors_are_up_to_date(type(layer)):
        return False
    chosen = device.python_layers()
    return chosen == "tensors" or (chosen == "auto" and device.current().type != "cpu")
