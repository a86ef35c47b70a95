"""Bilinear resizing with aligned corners, of photos for a net and of what it answers."""

import cv2
import numpy as np


def zoom_linear(image, height, width):
    """Resize bilinearly with the corner pixels of both grids aligned.

    Equal to `scipy.ndimage.zoom(..., order=1)` up to rounding, many times faster.

    Parameters
    ----------
    image : ndarray, shape (H, W, C)

    Returns
    -------
    ndarray of float32, shape (height, width, C)
        A new array.

    Examples
    --------
    >>> zoom_linear(np.array([[[0.], [4.]]]), 1, 5)[0, :, 0].tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    return zoomed(image, neighbours(image.shape[0], height), neighbours(image.shape[1], width))


def zoomed(image, row_neighbours, column_neighbours):
    """The pixels of the new grid that the neighbours stand for.

    Parameters
    ----------
    image : array (H, W, C)
    row_neighbours, column_neighbours : tuple
        As of `neighbours`, for height and width.

    Returns
    -------
    float32 array (height, width, C)
    """
    rows, next_rows, down = row_neighbours
    columns, next_columns, right = column_neighbours
    # Gather first: of a large photo only the rows that count are converted.
    above, below = (np.asarray(image[index], np.float32) for index in (rows, next_rows))
    bands = above + (below - above) * down[:, None, None]                     # (height, W, C)
    left = np.take(bands, columns, axis=1)
    result = np.take(bands, next_columns, axis=1)
    result -= left
    result *= right[None, :, None]
    result += left
    return result                                                             # (height, width, C)


def neighbours(size, new_size):
    """Index of the pixel before, index of the pixel after, and weight of the latter, for each new pixel.

    Parameters
    ----------
    size, new_size : int
        1 or more pixels.

    Returns
    -------
    intp array (new_size,)
    intp array (new_size,)
    float32 array (new_size,), 0 to 1
    """
    where = np.linspace(0, size - 1, new_size) if new_size > 1 else np.zeros(1)
    before = np.minimum(where.astype(np.intp), size - 1)
    return before, np.minimum(before + 1, size - 1), (where - before).astype(np.float32)


def shrunk(image_bgr, max_side):
    """The photo, uint8 (H, W, 3), by area means at a longer side of `max_side` where it is larger (0: never).

    Parameters
    ----------
    image_bgr : uint8 array (H, W, 3)
    max_side : int
        0: never.

    Returns
    -------
    uint8 array (h, w, 3)
    """
    height, width = image_bgr.shape[:2]
    if not max_side or max(height, width) <= max_side:
        return image_bgr
    factor = max_side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)


def to_input(image_bgr, height, width, mean_bgr):
    """Network input, float32 (3, height, width), BGR minus the mean, of a photo, uint8 (H, W, 3) BGR.

    Parameters
    ----------
    image_bgr : uint8 array (H, W, 3)
    height, width : int
    mean_bgr : three floats

    Returns
    -------
    float32 array (3, height, width)
    """
    small = zoom_linear(image_bgr, height, width) - np.asarray(mean_bgr, np.float32)
    return np.ascontiguousarray(small.transpose(2, 0, 1))
