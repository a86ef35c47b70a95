"""What the layers share where the engine calls them with tensors on a GPU (`caffe.tensor_calls`).

Under pycaffe, and on a CPU, nothing here is imported: torch need not be there.
"""

import functools
import importlib

import numpy as np


def tensor_losses():
    """The module of the losses on tensors, imported when a net first runs on a GPU."""
    return importlib.import_module("dsrg.supervision.tensor_losses")


def on_host(tensor):
    """A tensor's values as a float32 array of the host, C-contiguous; waits for the device where nobody has yet.

    Parameters
    ----------
    tensor : torch.Tensor

    Returns
    -------
    float32 array
        Not to be written to: the next to ask for this tensor gets it too.
    """
    copies = importlib.import_module("caffe.host_copies")
    array = copies.remembered(tensor)
    if array is None:
        array = np.ascontiguousarray(tensor.float().cpu().numpy())
        if tensor.is_cuda:
            copies.remember(tensor, array)
    return array


def on_device(array, device):
    """An array as a float32 tensor of the device; the copy does not wait for what the device still computes.

    Parameters
    ----------
    array : array
    device : torch.device

    Returns
    -------
    torch.Tensor
    """
    import torch

    array = np.require(array, np.float32, ["C", "W"])       # the CRF's results are remembered, and not to be written to
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    copies = importlib.import_module("caffe.host_copies")
    return copies.remember(tensor.pin_memory().to(device, non_blocking=True), array)


def refined(refine, probabilities, images, params):
    """Probabilities (N, C, H, W) refined by the dense CRF on the host, as its float32 array.

    Of the photos only what the CRF sees leaves the device: 8 bits a channel at the size of the map.

    Parameters
    ----------
    refine : callable
        dsrg.supervision's refinement.
    probabilities : float tensor (N, C, H, W)
    images : float tensor (N, 3, H', W')
        BGR minus the mean.
    params : dataclass
        The layer's.

    Returns
    -------
    float32 array (N, C, H, W)
    """
    small = small_photos(images, *probabilities.shape[2:], params.mean)     # before the device is waited for
    return refine.with_photos(on_host(probabilities), small, params.iters, params.scale, params.textbook)


def small_photos(images, height, width, mean):
    """The network's input as photos at the size of its maps: made on its device, brought to the host once.

    Parameters
    ----------
    images : float tensor (N, 3, H, W)
        BGR minus the mean.
    height, width : int
    mean : sequence of 3 floats

    Returns
    -------
    callable
        Gives them, uint8 (N, height, width, 3), BGR; waits for the device at its first call.
    """
    asked = (height, width, tuple(mean), images._version)
    made, photos = getattr(images, "small_photos", (None, None))
    if made != asked:       # the CRF's layer is the first to ask, region growing the second
        photos = importlib.import_module("dsrg.supervision.tensor_photos")
        small = photos.network_images_to_8bit(images, height, width, mean)
        photos = functools.cache(lambda: small.cpu().numpy())
        if images.is_cuda:  # the host's memory may be written to through a view of numpy's, which no version counts
            images.small_photos = (asked, photos)
    return photos
