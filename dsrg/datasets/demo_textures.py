"""Random colours and textured surfaces: what bodies, grounds and stones of the demo scenes are painted with."""

import math

import cv2
import numpy as np


def noise(rng, shape, cell):
    """Smooth noise of about unit variance whose blobs are `cell` pixels wide; (H, W) float32.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Height and width.
    cell : int
        Pixels.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
    """
    grid = rng.standard_normal((shape[0] // cell + 3, shape[1] // cell + 3)).astype(np.float32)
    image = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
    y, x = rng.integers(0, cell, 2)
    return image[y:y + shape[0], x:x + shape[1]]


def texture(rng, shape):
    """A random texture of one of four families with values of about -1..1; (H, W) float32.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Height and width.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W)
    """
    family = rng.integers(4)
    warp = noise(rng, shape, 24)
    if family == 0:                                             # stripes, bent
        angle, period = rng.uniform(0, math.pi), rng.uniform(6, 18)
        y, x = np.indices(shape, dtype=np.float32)
        return np.sin((x * math.cos(angle) + y * math.sin(angle)) * (2 * math.pi / period) + 1.5 * warp)
    if family == 1:                                             # spots
        return np.tanh(3 * (noise(rng, shape, int(rng.integers(4, 9))) - 0.6))
    if family == 2:                                             # clouds
        return 0.6 * noise(rng, shape, 16) + 0.4 * noise(rng, shape, 6)
    return 0.5 * rng.standard_normal(shape).astype(np.float32) + 0.4 * warp     # grain


def random_color(rng):
    """A random BGR colour, neither black nor white; (3,) float32.

    Parameters
    ----------
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of float32, shape (3,)
        0 to 255.
    """
    hue, saturation, value = rng.uniform(0, 180), rng.uniform(15, 130), rng.uniform(70, 215)
    return cv2.cvtColor(np.uint8([[[hue, saturation, value]]]), cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)


def color_distance(bgr_a, bgr_b):
    """Distance of two BGR colours in CIE Lab (about 0..100).

    Parameters
    ----------
    bgr_a, bgr_b : array (3,)
        0 to 255.

    Returns
    -------
    float
    """
    lab = cv2.cvtColor(np.float32([[bgr_a, bgr_b]]) / 255, cv2.COLOR_BGR2LAB)[0]
    return float(np.linalg.norm(lab[0] - lab[1]))


def textured(rng, shape, color, strength):
    """A surface of `color` with a random texture in brightness and a weaker one in hue; (H, W, 3) float32.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Height and width.
    color : array (3,)
        Blue, green, red, 0 to 255.
    strength : float
        What the texture, of about -1 to 1, is multiplied by.

    Returns
    -------
    numpy.ndarray of float32, shape (H, W, 3)
        Not clipped.
    """
    tint = rng.uniform(-1, 1, 3).astype(np.float32)
    surface = color + strength * texture(rng, shape)[..., None]
    return surface + 0.4 * strength * noise(rng, shape, 20)[..., None] * tint
