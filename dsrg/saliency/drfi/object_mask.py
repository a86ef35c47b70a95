"""Masks of the salient object."""

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.photos import load_unchanged


def read_mask(path, size):
    """Mask of the salient object, bool (H, W).

    A gray PNG of the photo's size: 255 on the object, 0 beside it (values from 128 count as object), or 1 and 0.

    Parameters
    ----------
    path : Path
    size : (int, int)
        Height and width of the photo.

    Returns
    -------
    bool array (H, W)

    Raises
    ------
    UserError
        Missing, no picture, colours, another size than the photo, or class numbers.
    """
    if not path.is_file():
        raise UserError(f"no mask {path}; each photo needs a mask of its name (.png), or take it out of the list")
    mask = load_unchanged(path, "mask")
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise UserError(f"mask {path} is {mask.dtype} {mask.shape}, expected 8-bit gray: 255 on the object, 0 beside "
                        "it")
    if mask.shape != tuple(size):
        raise UserError(f"mask {path} is {mask.shape[0]}x{mask.shape[1]}, its photo {size[0]}x{size[1]} "
                        "(height x width); make it for this photo")
    highest = mask.max(initial=0)
    if 1 < highest < 128:
        raise UserError(f"mask {path} holds values up to {highest}, expected 255 (or 1) on the object and 0 beside it")
    return mask >= 128 if highest > 1 else mask > 0
