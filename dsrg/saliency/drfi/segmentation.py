"""Segmentations of one photo at several levels: Felzenszwalb and Huttenlocher, IJCV 2004.

native/ builds the module graph_segmentation, which sorts the edges of the pixel graph once for all levels of one
sigma; without it scikit-image gives the same regions, a tenth as fast.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np
import skimage.segmentation

try:
    import graph_segmentation
except ImportError:
    graph_segmentation = None


MOST_LEVELS = 1000


class Level(NamedTuple):
    """One segmentation: smoothing sigma in pixels, scale k (for colours 0..255), least region in pixels."""

    sigma: float
    k: float
    min_size: int


def checked_levels(levels):
    """Levels read from a file, each of them one that can be computed.

    Parameters
    ----------
    levels : iterable of (float, float, float)

    Returns
    -------
    tuple of Level

    Raises
    ------
    ValueError
        No level or more than MOST_LEVELS, or numbers beyond sense: a sigma of 10^9 asks for a kernel of gigabytes.
    """
    found = tuple(Level(float(sigma), float(k), int(np.rint(least))) for sigma, k, least in levels)
    if not 1 <= len(found) <= MOST_LEVELS:
        raise ValueError(f"{len(found)} segmentation levels, expected 1 to {MOST_LEVELS}")
    for level in found:
        if not (0 <= level.sigma <= 100 and 0 < level.k <= 1e9 and 0 <= level.min_size <= 10**9):
            raise ValueError(f"a segmentation with sigma {level.sigma:g}, k {level.k:g} and min {level.min_size:g}; "
                             "expected sigma 0 to 100, k above 0 and min from 0 to 10^9")
    return found


# The authors' list (trainAll.m); their program uses the first 15.
ALL_LEVELS = tuple(Level(*numbers) for numbers in (
    (0.8, 100, 150), (0.8, 400, 300), (0.9, 200, 200), (0.9, 100, 200), (0.8, 300, 150),
    (1.0, 200, 150), (0.9, 300, 300), (1.0, 100, 150), (1.0, 500, 300), (0.9, 200, 300),
    (0.8, 600, 200), (1.0, 600, 300), (0.8, 200, 150), (1.0, 500, 200), (0.8, 400, 150),
    (1.0, 300, 150), (0.8, 100, 200), (0.8, 100, 300), (0.8, 200, 200), (0.8, 200, 300),
    (0.8, 300, 200), (0.8, 300, 300), (0.8, 400, 200), (0.8, 500, 150), (0.8, 500, 200),
))
LEVELS = ALL_LEVELS[:15]


def segmentations(image_bgr, levels=LEVELS):
    """Segmentation of each level.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
        The photo as it is: blurring is the features' business.
    levels : sequence of Level

    Returns
    -------
    list of (H, W) integer array
        Region of each pixel, 0 to R - 1, every number in use.
    """
    image = image_bgr.astype(np.float32) / 255
    at_levels = by_graph_segmentation if graph_segmentation else by_scikit_image
    regions = {}
    for sigma in {level.sigma for level in levels}:
        alike = [level for level in levels if level.sigma == sigma]
        regions.update(zip(alike, at_levels(smooth(image, sigma), alike), strict=True))
    return [regions[level] for level in levels]


def by_graph_segmentation(smoothed, levels):
    """Regions of a smoothed float32 image (H, W, 3) in 0..1 at each level, int32 (levels, H, W).

    Parameters
    ----------
    smoothed : float32 array (H, W, 3), 0 to 1
    levels : sequence of Level

    Returns
    -------
    int32 array (levels, H, W)
    """
    return graph_segmentation.felzenszwalb(smoothed, [(level.k / 255, level.min_size) for level in levels])


def by_scikit_image(smoothed, levels):
    """The same by scikit-image, level by level.

    Parameters
    ----------
    smoothed : float32 array (H, W, 3), 0 to 1
    levels : sequence of Level

    Returns
    -------
    list of int array (H, W)
    """
    return [skimage.segmentation.felzenszwalb(smoothed, scale=level.k, sigma=0, min_size=level.min_size)
            for level in levels]


def smooth(image, sigma):
    """Gaussian as in Felzenszwalb's program: 4 sigma to each side, the photo's edge repeated beyond it.

    Parameters
    ----------
    image : float array (H, W, 3)
    sigma : float
        In pixels, 0 or more.

    Returns
    -------
    float array (H, W, 3)
        Of the type of the image.
    """
    sigma = max(sigma, 0.01)
    distance = np.arange(-math.ceil(4 * sigma), math.ceil(4 * sigma) + 1)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
