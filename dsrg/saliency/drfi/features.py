"""The 93 features of each region: contrast to the other regions, contrast to the border, properties.

Order, as in the authors' C++ program: 29 contrasts (9 colours, 15 textures, 5 histograms), the same 29 against the
photo's border, 35 properties. FEATURE_NAMES names them.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from dsrg.saliency.drfi.filters import COUNT as TEXTURES
from dsrg.saliency.drfi.pixels import BINS, COLOURS, border_strip

_CHANNELS = ("B", "G", "R", "L", "a", "b", "H", "S", "V", *(f"texture {n}" for n in range(TEXTURES)))
_HISTOGRAMS = ("BGR", "Lab", "HSV", "texture", "LBP")
FEATURE_NAMES = (
    *(f"{kind} {name}" for kind in ("contrast", "backgroundness")
      for name in (*_CHANNELS, *(f"{name} histogram" for name in _HISTOGRAMS))),
    "mean x", "mean y", "left", "top", "right", "bottom", "perimeter", "aspect",
    *(f"variance {name}" for name in (*_CHANNELS, "LBP")), "area", "neighbour area",
)
CONTRASTS = COLOURS + TEXTURES + len(BINS)
_FALL_OFF = 0.4         # of the contrast's weight with the squared distance of centroids, photo sides being 1
_TINY = 1e-200          # the C++ program's guard against division by zero
_BLOCK = 1 << 16        # histogram cells compared at a time: what fits the cache


@dataclass(frozen=True)
class Statistics:
    """Of R regions: area (R,), means (R, 24), variances (R, 25), histograms: five (R, bins) float32 of sum 1."""

    area: np.ndarray
    means: np.ndarray
    variances: np.ndarray
    histograms: tuple


def region_features(pixels, regions, ground=None):
    """The 93 features of each region of a segmentation.

    Parameters
    ----------
    pixels : PixelData
    regions : (H, W) integer array
        Region of each pixel, 0 to R - 1, every number in use.
    ground : Statistics, optional
        `ground_statistics(pixels)`, for who has several segmentations of the photo.

    Returns
    -------
    (R, 93) float64 array
        Columns as FEATURE_NAMES.
    """
    labels = regions.ravel()
    statistics = region_statistics(pixels, labels, int(labels.max()) + 1)
    ground = ground or ground_statistics(pixels)
    geometry, centroids = region_geometry(regions, statistics.area)
    neighbours, outline = adjacency(regions, len(statistics.area))
    weights = contrast_weights(centroids, statistics.area, pixels.variant)

    contrast = np.empty((len(statistics.area), CONTRASTS))
    channels = statistics.means.shape[1]
    for n in range(channels):
        mean = statistics.means[:, n]
        contrast[:, n] = (weights * np.abs(mean[:, None] - mean)).sum(1)
    for n, histogram in enumerate(statistics.histograms):
        contrast[:, channels + n] = (weights * chi_square(histogram)).sum(1)
    background = np.concatenate([
        np.abs(statistics.means - ground.means),
        *(chi_square(own, other) for own, other in zip(statistics.histograms, ground.histograms, strict=True))], 1)

    height, width = pixels.shape
    variances = statistics.variances.copy()
    variances[:, -1] *= 1e-4
    left, top, right, bottom = geometry[:, 2:].T
    if pixels.variant == "clean":
        next_to = 100 * (neighbours @ statistics.area) / labels.size
        aspect = (right - left) / np.maximum(bottom - top, 1 / height)
    else:
        next_to = 10 * neighbours.sum(1) / labels.size
        aspect = (right - left) / (bottom - top + _TINY)
    return np.concatenate([
        contrast, background, geometry, outline[:, None] / (width + height), aspect[:, None], variances,
        100 * statistics.area[:, None] / labels.size, next_to[:, None]], axis=1)


def region_statistics(pixels, labels, count):
    """Means, variances and histograms of `count` regions.

    Parameters
    ----------
    pixels : PixelData
    labels : (N,) integer array
        Region of each pixel.

    Returns
    -------
    Statistics
    """
    owners = sparse.csr_array((np.ones(len(labels)), labels, np.arange(len(labels) + 1)), (len(labels), count))
    first, second = np.split(owners.T @ pixels.moments, 2, axis=1)
    area = np.bincount(labels, minlength=count)
    histograms = [np.bincount(labels * bins + words, minlength=count * bins).reshape(count, bins)
                  for words, bins in zip(pixels.words, BINS, strict=True)]
    means = first / area[:, None]
    variances = np.maximum(second - first * means, 0) / np.maximum(area - 1, 1)[:, None]
    return Statistics(area, (means + pixels.offset)[:, :-1], variances,
                      tuple((histogram / area[:, None]).astype(np.float32) for histogram in histograms))


def ground_statistics(pixels):
    """Statistics of the photo's border strip, taken for background: one region.

    Parameters
    ----------
    pixels : PixelData

    Returns
    -------
    Statistics
        Of one region.
    """
    inside = border_strip(pixels.shape).ravel()
    strip = replace(pixels, moments=pixels.moments[inside], words=pixels.words[:, inside])
    return region_statistics(strip, np.zeros(len(strip.moments), np.int64), 1)


def region_geometry(regions, area):
    """Centroid and bounds of each region in fractions of the photo.

    Parameters
    ----------
    regions : int array (H, W)
        Indices 0 to R - 1.
    area : int array (R,)
        Pixels of each region.

    Returns
    -------
    (R, 6) array
        Mean column and row; then left, top, right, bottom: the column (row) of the pixel that stands at a tenth or
        nine tenths of the area when the region's pixels are counted column by column (row by row).
    (R, 2) array
        The centroids alone.
    """
    height, width = regions.shape
    count = len(area)
    steps = [np.minimum(np.rint(area * share).astype(np.int64), area - 1) for share in (0.1, 0.9)]
    means, bounds = [], []
    for position, length in ((np.arange(width)[None, :], width), (np.arange(height)[:, None], height)):
        pixels = np.bincount((regions * length + position).ravel(), minlength=count * length).reshape(count, length)
        means.append(pixels @ np.arange(length) / (area * length))
        counted = pixels.cumsum(1)
        bounds.append([(counted <= step[:, None]).sum(1) / length for step in steps])
    (left, right), (top, bottom) = bounds
    return np.stack([*means, left, top, right, bottom], 1), np.stack(means, 1)


def adjacency(regions, count):
    """Which regions share a pixel side, bool (R, R); and how many pixels of each lie on an outline, (R,).

    Pixels of the photo's outermost rows and columns count as outline.

    Parameters
    ----------
    regions : int array (H, W)
        Indices 0 to count - 1.
    count : int

    Returns
    -------
    bool array (count, count)
    int array (count,)
    """
    outline = np.ones(regions.shape, bool)
    outline[1:-1, 1:-1] = False
    adjacent = np.zeros((count, count), bool)
    for first, second in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        differ = regions[first] != regions[second]
        outline[first] |= differ
        outline[second] |= differ
        one, other = regions[first][differ], regions[second][differ]
        adjacent[one, other] = adjacent[other, one] = True
    return adjacent, np.bincount(regions[outline], minlength=count)


def contrast_weights(centroids, area, variant):
    """Weight of region j in the contrast of region i, (R, R), rows of sum 1: exp(-distance^2 / 0.4) * area_j.

    "clean" leaves the region itself out (a photo of one region has no contrast); "authors" leaves it in, so a
    region that covers most of the photo contrasts little.

    Parameters
    ----------
    centroids : float array (R, 2)
        In fractions of the photo.
    area : array (R,)
    variant : str
        "clean" or "authors".

    Returns
    -------
    float64 array (R, R)
    """
    square = ((centroids[:, None] - centroids) ** 2).sum(-1)
    weights = np.exp(-square / _FALL_OFF) * area
    if variant == "clean":
        np.fill_diagonal(weights, 0)
    return weights / np.maximum(weights.sum(1, keepdims=True), np.finfo(float).tiny)


def chi_square(own, other=None):
    """Distance 1/2 * sum (a - b)^2 / (a + b) of every pair of histograms of sum 1, float64 (R, S).

    With sums of 1 this is 1 - 2 * sum 1 / (1/a + 1/b), where an empty bin adds nothing.

    Parameters
    ----------
    own : float array (R, B)
        Histograms, rows of sum 1.
    other : float array (S, B), optional
        `own` by default.

    Returns
    -------
    float64 array (R, S), 0 to 1
    """
    symmetric = other is None
    other = own if symmetric else other
    used = own.any(0) & other.any(0)
    with np.errstate(divide="ignore"):
        own, other = 1 / own[:, used], 1 / other[:, used]
    overlap = np.empty((len(own), len(other)))
    rows = max(_BLOCK // max(other.size, 1), 1)
    for start in range(0, len(own), rows):
        first = start if symmetric else 0
        shared = own[start:start + rows, None] + other[None, first:]
        np.reciprocal(shared, out=shared)
        overlap[start:start + rows, first:] = shared.sum(-1)
    if symmetric:
        lower = np.tril_indices(len(own), -1)
        overlap[lower] = overlap.T[lower]
    return 1 - 2 * overlap
