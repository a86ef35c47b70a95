"""What the layers share where the engine calls them with tensors on a GPU (`caffe.tensor_calls`).

Under pycaffe, and on a CPU, nothing here is imported: torch need not be there.
"""

import importlib

import numpy as np


def tensor_losses():
    """The module of the losses on tensors, imported when a net first runs on a GPU."""
    return importlib.import_module("dsrg.supervision.tensor_losses")


def on_host(tensor):
    """A tensor's values as a float32 array of the host, C-contiguous; waits for the device.

    Parameters
    ----------
    tensor : torch.Tensor

    Returns
    -------
    float32 array
    """
    return np.ascontiguousarray(tensor.float().cpu().numpy())


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
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


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
    photos = importlib.import_module("dsrg.supervision.tensor_photos")
    small = photos.network_images_to_8bit(images, *probabilities.shape[2:], params.mean)
    return refine.with_photos(on_host(probabilities), lambda: small.cpu().numpy(), params.iters, params.scale,
                              params.textbook)
