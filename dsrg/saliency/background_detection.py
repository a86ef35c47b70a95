"""Saliency of one photo without any training: robust background detection.

Zhu, Liang, Wei and Sun, "Saliency Optimization from Robust Background Detection", CVPR 2014. A photo is cut
into superpixels; a region that touches the photo's border along much of its outline is background (boundary
connectivity); what differs in colour from the likely background, weighted by nearness, is salient; a small
linear system then joins both cues with smoothness between neighbours. Symbols below are the paper's.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial.distance import cdist
from skimage.segmentation import slic

from dsrg.io.errors import UserError
from dsrg.io.photos import load_gray, load_image_bgr, write_picture


@dataclass(frozen=True)
class SaliencyOptions:
    """Constants of the method, the paper's where it gives them.

    superpixels: regions asked of SLIC, one map for each number, averaged; the paper takes 200 alone.
    compactness: of SLIC, weighing position against colour; 60 gives nearly convex regions.
    colour_sigma: sigma_clr = 10 (distance in Lab). connectivity_sigma: sigma_bndCon = 1.
    space_sigma: sigma_spa = 0.25 of the photo's longer side. smoothness: mu = 0.1, the least coupling of
    neighbours. Levels and compactness were chosen by the AUC on every sixth photo of the Weizmann horses.
    max_side: photos with a longer side are looked at shrunk to it, by area means (0: never): 400 regions of a larger
    one show no more, and time and memory grow with its pixels. VOC's photos (500) and COCO's (640) stay as they are.
    """

    superpixels: tuple[int, ...] = (100, 200, 400)
    compactness: float = 60.0
    colour_sigma: float = 10.0
    connectivity_sigma: float = 1.0
    space_sigma: float = 0.25
    smoothness: float = 0.1
    max_side: int = 800


def saliency_map(image_bgr, options=SaliencyOptions()):
    """Saliency of every pixel.

    Parameters
    ----------
    image_bgr : (H, W, 3) uint8 array
    options : SaliencyOptions

    Returns
    -------
    (H, W) float32 array in [0, 1]
        1 where the photo is most salient, 0 where least; all 0 for a photo of one colour.
    """
    image_bgr = as_photo(image_bgr)
    height, width = image_bgr.shape[:2]
    factor = options.max_side / max(height, width) if options.max_side else 1
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        small = cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA)
        values = saliency_map(small, replace(options, max_side=0))
        return cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    lab = cv2.cvtColor(image_bgr.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)  # L 0..100, a and b -127..127
    levels = []
    for count in options.superpixels:
        regions = slic(image_bgr[..., ::-1], n_segments=count, compactness=options.compactness,
                       start_label=0, channel_axis=2)  # given RGB it converts to Lab on its own
        levels.append(region_saliency(lab, regions, options)[regions])
    return _unit(np.mean(levels, axis=0)).astype(np.float32)


def as_photo(image_bgr):
    """The array of a photo, uint8 (H, W, 3); ValueError for any other.

    Parameters
    ----------
    image_bgr : array_like

    Returns
    -------
    uint8 array (H, W, 3)

    Raises
    ------
    ValueError
    """
    image_bgr = np.asarray(image_bgr)
    if image_bgr.ndim != 3 or image_bgr.shape[2] != 3 or image_bgr.dtype != np.uint8:
        raise ValueError(f"image_bgr is {image_bgr.dtype} {image_bgr.shape}, expected uint8 (H, W, 3)")
    return image_bgr


def photo_saliency(path, size, map_path=None):
    """Saliency of a photo file at a given size, each cell the mean of the pixels it covers.

    Parameters
    ----------
    path : Path
        The photo.
    size : (int, int)
        Height and width.
    map_path : Path, optional
        The map as a picture (gray, 255 = most salient, of the photo's size); computed when None.

    Returns
    -------
    (height, width) float32 array in [0, 1]
    """
    image_bgr = load_image_bgr(path)
    values = saliency_map(image_bgr) if map_path is None else read_saliency(map_path, image_bgr.shape[:2])
    return cv2.resize(values, size[::-1], interpolation=cv2.INTER_AREA)


def read_saliency(path, size):
    """A saliency map from a gray PNG, float32 in [0, 1]; UserError when missing or of another size than the photo.

    Parameters
    ----------
    path : path
    size : (int, int)
        Height and width of the photo.

    Returns
    -------
    float32 array (H, W), 0 to 1

    Raises
    ------
    UserError
    """
    if not Path(path).is_file():
        raise UserError(f"no saliency map {path}; make one for every photo (python -m localization_cues.saliency)")
    gray = load_gray(path, "saliency map")
    if gray.shape != tuple(size):
        raise UserError(f"saliency map {path} is {gray.shape[0]}x{gray.shape[1]}, its photo {size[0]}x{size[1]} "
                        "(height x width); make it from this photo")
    return gray.astype(np.float32) / 255


def region_saliency(lab, regions, options):
    """Saliency of each superpixel, float64 (R,) in [0, 1]; ``regions`` (H, W) holds indices 0 to R - 1.

    Parameters
    ----------
    lab : float array (H, W, 3)
    regions : int array (H, W)
    options : SaliencyOptions

    Returns
    -------
    float64 array (R,), 0 to 1
    """
    height, width = regions.shape
    count = int(regions.max()) + 1
    sizes = np.bincount(regions.ravel(), minlength=count)
    colours = _region_means(regions, lab.reshape(-1, 3), sizes)
    rows, columns = np.mgrid[:height, :width]
    centres = _region_means(regions, np.stack([rows, columns], -1).reshape(-1, 2), sizes) / max(height, width)

    colour_distance, space_distance = cdist(colours, colours), cdist(centres, centres)
    neighbours = _adjacency(regions, count)
    border = np.unique(np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]]))

    background = background_probability(colour_distance, neighbours, border, options)
    nearness = np.exp(-space_distance**2 / (2 * options.space_sigma**2))
    contrast = _unit(colour_distance * nearness @ background)
    return _unit(_optimise(contrast, background, colour_distance, neighbours, options))


def background_probability(colour_distance, neighbours, border, options):
    """w_bg of each region: how much of its soft area's outline lies on the photo's border (equations 2 to 5).

    Parameters
    ----------
    colour_distance : (R, R) array
        Distance of mean Lab colours.
    neighbours : (R, R) bool array
    border : int array
        Regions touching the photo's border.
    options : SaliencyOptions

    Returns
    -------
    float64 array (R,), 0 to 1
    """
    linked = neighbours.copy()
    linked[np.ix_(border, border)] = True  # as in the paper: an object must not split the ground
    np.fill_diagonal(linked, False)
    # Steps that any two neighbours take are noise: left in, they add up along a path over one smooth ground.
    steps = colour_distance[neighbours]
    least = np.percentile(steps, 25) if steps.size else 0.0
    graph = np.where(linked, np.maximum(colour_distance - least, 0) + 1e-6, 0)  # 0 would mean "no edge"
    # of a hundred to some five hundred regions, in half of Dijkstra's time
    geodesic = csgraph.floyd_warshall(sparse.csr_matrix(graph), directed=False)
    similarity = np.exp(-geodesic**2 / (2 * options.colour_sigma**2))
    connectivity = similarity[:, border].sum(1) / np.sqrt(similarity.sum(1))
    return 1 - np.exp(-connectivity**2 / (2 * options.connectivity_sigma**2))


def _optimise(contrast, background, colour_distance, neighbours, options):
    """argmin_s of the paper's equation 9, a symmetric linear system in the R saliencies."""
    coupling = np.exp(-colour_distance**2 / (2 * options.colour_sigma**2)) + options.smoothness
    coupling = np.where(neighbours, coupling, 0)
    laplacian = np.diag(coupling.sum(1)) - coupling
    return np.linalg.solve(laplacian + np.diag(background + contrast + 1e-9), contrast)


def _adjacency(regions, count):
    """Which regions share a side, bool (R, R), False on the diagonal."""
    pairs = np.concatenate([
        np.stack([regions[:, :-1].ravel(), regions[:, 1:].ravel()]),
        np.stack([regions[:-1].ravel(), regions[1:].ravel()]),
    ], axis=1)
    adjacent = np.zeros((count, count), bool)
    adjacent[pairs[0], pairs[1]] = adjacent[pairs[1], pairs[0]] = True
    np.fill_diagonal(adjacent, False)
    return adjacent


def _region_means(regions, values, sizes):
    """Mean of (H*W, C) values over each region: (R, C)."""
    sums = [np.bincount(regions.ravel(), values[:, channel], len(sizes)) for channel in range(values.shape[1])]
    return np.stack(sums, -1) / np.maximum(sizes, 1)[:, None]


def _unit(values):
    """Stretch to [0, 1]; equal values become 0."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def write_saliency(job):
    """Write the saliency of a photo as an 8-bit PNG; `job` is the photo and the file to write.

    Parameters
    ----------
    job : (path, path)

    Raises
    ------
    UserError
        A photo that cannot be read, or a file that cannot be written.
    """
    path, target = job
    gray = np.rint(255 * saliency_map(load_image_bgr(path))).astype(np.uint8)
    write_picture(target, gray)
