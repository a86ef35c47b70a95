"""From a photo to network inputs of several sizes, and from their scores back to one label map.

The procedure of the original's test-ms.py and test-ms-f.py: scores of all sizes are brought to the size of
the photo and summed; softmax; dense CRF at the photo's size on -log p. No caffe here.
"""

import numpy as np

from dsrg.io.aligned_grids import nearest_aligned
from dsrg.io.voc import IGNORE_LABEL
from dsrg.scoring.resizing import neighbours, zoom_linear, zoomed

LOG_FLOOR = 1e-5        # floor before the logarithm (eps of the original's test-ms.py); training has another
CRF_SCALE = 1.0         # scale_factor of the CRF at the photo's own size
#: Longer side at which photos are scored and refined at most. VOC's photos (500) and COCO's (640) stay as they are;
#: objects of larger ones would be larger than any that the nets have seen, and every pixel costs memory for each class.
MAX_SIDE = 800
BAND_BYTES = 32 << 20   # of scores brought to the size of a large photo at a time


def input_shapes(height, width, sizes=None, scales=None):
    """Heights and widths of the network's inputs for one photo.

    Parameters
    ----------
    sizes : sequence of int, optional
        Sides of squares, whatever the photo's aspect (stage s: 241, 321, 401).
    scales : sequence of float, optional
        Factors of the photo's own size (stage f: 0.75, 1, 1.25); used when `sizes` is None.

    Returns
    -------
    list of (int, int)
    """
    if sizes is not None:
        return [(size, size) for size in sizes]
    return [(max(1, round(height * scale)), max(1, round(width * scale))) for scale in scales]


def fuse_scores(maps, height, width):
    """Sum of score maps at the photo's size.

    Parameters
    ----------
    maps : sequence of float ndarrays, each (C, h, w) of its own size

    Returns
    -------
    ndarray of float32, shape (height, width, C)
    """
    total = zoom_linear(maps[0].transpose(1, 2, 0), height, width)
    for scores in maps[1:]:
        total += zoom_linear(scores.transpose(1, 2, 0), height, width)
    return total


def probabilities(scores):
    """Softmax over the last axis of (H, W, C), each value at least LOG_FLOOR (not normalised again).

    Parameters
    ----------
    scores : float array (H, W, C)

    Returns
    -------
    float array (H, W, C)
        LOG_FLOOR to 1.
    """
    values = np.exp(scores - scores.max(axis=2, keepdims=True))
    values /= values.sum(axis=2, keepdims=True)
    return np.maximum(values, LOG_FLOOR, out=values)


def marginals(scores, image_bgr, classes=None, crf_scale=CRF_SCALE, crf_backend=None):
    """Probability of each class by the dense CRF, whose largest decides the label map.

    Parameters
    ----------
    scores, image_bgr, classes, crf_scale, crf_backend
        As of label_map.

    Returns
    -------
    ndarray of float32, shape (H, W, C)
        0 to 1, summing to 1; 0 for classes that are not allowed.
    """
    import krahenbuhl2013  # built from CRF/; not needed without the CRF

    classes = np.arange(scores.shape[2]) if classes is None else np.unique(classes)
    result = np.zeros(scores.shape, np.float32)
    if len(classes) == 1:
        result[:, :, classes] = 1
        return result
    image_rgb = np.ascontiguousarray(image_bgr[:, :, ::-1])  # the channel order the original filters in
    log_p = np.log(probabilities(scores[:, :, classes]))
    refined = krahenbuhl2013.CRF(image_rgb, log_p, scale_factor=crf_scale, threads=1, backend=crf_backend)
    if len(classes) == scores.shape[2]:
        return refined
    result[:, :, classes] = refined
    return result


def label_map(scores, image_bgr=None, classes=None, crf_scale=CRF_SCALE, crf_backend=None, size=None, ignore_below=0.0,
              summed=1, refined=None):
    """Class of every pixel, or IGNORE_LABEL where the network is less sure of it than asked for.

    One thread: callers work on several images at a time.

    Parameters
    ----------
    scores : ndarray of float32, shape (H, W, C)
        Network scores before the softmax.
    image_bgr : ndarray of uint8, shape (H, W, 3), optional
        The photo; with it the dense CRF decides, without it the largest score.
    classes : sequence of int, optional
        The only classes allowed (background and the image's labels, for pseudo-labels); the others are taken
        out before the softmax.
    crf_scale : float
        Divides the spatial widths of the CRF's kernels (80 and 3 pixels, made for photos of about 500 pixels).
    crf_backend : {"own", "pydensecrf"}, optional
        What computes the CRF; default: what the process has chosen (`dsrg.crf_backend`).
    size : (int, int), optional
        Height and width of the label map, by default those of the scores; what the classes are told by is
        interpolated to it.
    ignore_below : float
        0 to 1: a pixel is ignored where the network itself, before the CRF, gives the class decided on less than this
        probability of those allowed. Above 1/2 these are also the pixels where network and CRF disagree.
    summed : int
        Number of maps that `scores` is the sum of. The CRF sees the sum, as the original's; that probability is of
        their mean, so that it does not rise with the number of sizes.
    refined : ndarray of float32, shape (H, W, C), optional
        What `marginals` has given for them, where that is known.

    Returns
    -------
    ndarray of uint8, shape (H, W) or `size`
        Of equal values the first class wins.
    """
    classes = np.arange(scores.shape[2]) if classes is None else np.unique(classes)
    own = probabilities(scores[:, :, classes] / summed) if ignore_below else None
    if image_bgr is not None and len(classes) > 1:
        scores = marginals(scores, image_bgr, classes, crf_scale, crf_backend) if refined is None else refined
    scores = scores[:, :, classes]
    result = classes.astype(np.uint8)[_largest(scores, size or scores.shape[:2])]
    if own is not None:
        decided = np.take_along_axis(own, scores.argmax(axis=2)[:, :, None], axis=2)[:, :, 0]
        result[nearest_aligned(decided < ignore_below, *result.shape)] = IGNORE_LABEL
    return result


def _largest(values, size):
    """Index of the largest of (H, W, C) values at every pixel of `size`, a band of rows at a time where it differs."""
    if values.shape[:2] == tuple(size):
        return np.argmax(values, axis=2)
    (height, width), (rows, next_rows, down) = size, neighbours(values.shape[0], size[0])
    columns = neighbours(values.shape[1], width)
    result = np.empty((height, width), np.uint8)
    step = max(1, BAND_BYTES // (4 * width * values.shape[2]))
    for start in range(0, height, step):
        band = slice(start, start + step)
        result[band] = np.argmax(zoomed(values, (rows[band], next_rows[band], down[band]), columns), axis=2)
    return result
