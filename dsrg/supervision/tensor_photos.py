"""The network's input as photos at the size of its maps, on the device that the input is on."""

from functools import lru_cache

import torch

from .refinement import corners


def network_images_to_8bit(images, height, width, mean_bgr):
    """`refinement.network_images_to_8bit` of a tensor, to the bit: only the small photos have to leave the device.

    Parameters
    ----------
    images : float tensor (N, 3, H, W)
        BGR photos minus `mean_bgr`, in any layout.
    height, width : int
        Size wanted.
    mean_bgr : sequence of 3 floats

    Returns
    -------
    uint8 tensor (N, height, width, 3), BGR, contiguous, on the device of `images`
    """
    device = images.device
    (top, bottom, above), (left, right, before) = (
        _corners_on(device, *sizes) for sizes in zip(images.shape[2:], (height, width), strict=True))
    small = torch.zeros((*images.shape[:2], height, width), dtype=torch.float64, device=device)
    for rows, vertical in ((top, above), (bottom, 1 - above)):
        for columns, horizontal in ((left, before), (right, 1 - before)):
            corner = images.index_select(2, rows).index_select(3, columns).double()
            small += corner * vertical[:, None] * horizontal
    small += _mean_on(device, tuple(mean_bgr))
    return small.round().clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()


# A training asks for the same few in every step, and a copy to a GPU waits for all that the GPU has to do.
@lru_cache(maxsize=64)
def _corners_on(device, extent, wanted):
    return [torch.from_numpy(part).to(device) for part in corners(extent, wanted)]


@lru_cache(maxsize=64)
def _mean_on(device, mean_bgr):
    return torch.tensor(mean_bgr, dtype=torch.float64, device=device).reshape(1, -1, 1, 1)
