"""Segmentations of one photo at several levels: Felzenszwalb and Huttenlocher, IJCV 2004, by scikit-image."""

import math
from typing import NamedTuple

import cv2
import numpy as np
from skimage.segmentation import felzenszwalb


class Level(NamedTuple):
    """One segmentation: smoothing sigma in pixels, scale k (for colours 0..255), least region in pixels."""

    sigma: float
    k: float
    min_size: int


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
    """Yield the segmentation of each level.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
        The photo as it is: blurring is the features' business.
    levels : sequence of Level

    Yields
    ------
    (H, W) int64 array
        Region of each pixel, 0 to R - 1, every number in use.
    """
    image = image_bgr.astype(np.float32) / 255
    smoothed = {sigma: smooth(image, sigma) for sigma in {level.sigma for level in levels}}
    for level in levels:
        yield felzenszwalb(smoothed[level.sigma], scale=level.k, sigma=0, min_size=level.min_size)


def smooth(image, sigma):
    """Gaussian as in Felzenszwalb's program: 4 sigma to each side, the photo's edge repeated beyond it."""
    sigma = max(sigma, 0.01)
    distance = np.arange(-math.ceil(4 * sigma), math.ceil(4 * sigma) + 1)
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    kernel /= kernel.sum()
    return cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REPLICATE)
