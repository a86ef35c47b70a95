"""The 15 texture filters of DRFI, a small Leung-Malik bank: (19, 19, 15) float64, each of mean 0 and L1 norm 1."""

from functools import cache

import numpy as np

SIZE = 19
ORIENTATIONS = 6
SIGMA = np.sqrt(2)
ELONGATION = 3
COUNT = 2 * ORIENTATIONS + 3


@cache
def texture_filters():
    """First derivatives at 6 orientations, second derivatives at 6, Gaussian, LoG, LoG three times as wide.

    Returns
    -------
    (19, 19, 15) float64 array, read only
        Rows go down, columns right; orientation o is rotated by o * 30 degrees.
    """
    reach = SIZE // 2
    columns, rows = np.meshgrid(np.arange(-reach, reach + 1), np.arange(reach, -reach - 1, -1))  # y points up
    bank = []
    for order in (1, 2):
        for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
            along = np.cos(angle) * columns - np.sin(angle) * rows
            across = np.sin(angle) * columns + np.cos(angle) * rows
            bank.append(_gaussian(along, ELONGATION * SIGMA, 0) * _gaussian(across, SIGMA, order))
    square = columns**2 + rows**2
    bank.append(np.exp(-square / (2 * SIGMA**2)))
    bank += [_laplacian(square, SIGMA), _laplacian(square, ELONGATION * SIGMA)]
    filters = np.stack([_normalised(kernel) for kernel in bank], axis=-1)
    filters.setflags(write=False)
    return filters


def _gaussian(x, sigma, order):
    """Derivative of order 0, 1 or 2 of a Gaussian; factors fall to the normalisation."""
    values = np.exp(-x**2 / (2 * sigma**2))
    return values * (1, -x, x**2 - sigma**2)[order]


def _laplacian(square, sigma):
    """Laplacian of a Gaussian sampled on the grid, its mean taken off before the normalisation."""
    gaussian = np.exp(-square / (2 * sigma**2))
    return gaussian * (square - 2 * sigma**2)


def _normalised(kernel):
    kernel = kernel - kernel.mean()
    return kernel / np.abs(kernel).sum()
