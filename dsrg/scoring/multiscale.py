"""From a photo to network inputs of several sizes, and from their scores back to one label map.

The procedure of the original's test-ms.py and test-ms-f.py: scores of all sizes are brought to the size of
the photo and summed; softmax; dense CRF at the photo's size on -log p. No caffe here.
"""

import numpy as np

MIN_PROBABILITY = 1e-5  # floor before the logarithm, as in the original (eps in test-ms.py)
CRF_SCALE = 1.0         # scale_factor of the CRF at the photo's own size


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
    rows, next_rows, down = _neighbours(image.shape[0], height)
    columns, next_columns, right = _neighbours(image.shape[1], width)
    # Gather first: of a large photo only the rows that count are converted.
    above, below = (np.asarray(image[index], np.float32) for index in (rows, next_rows))
    bands = above + (below - above) * down[:, None, None]                     # (height, W, C)
    left = np.take(bands, columns, axis=1)
    result = np.take(bands, next_columns, axis=1)
    result -= left
    result *= right[None, :, None]
    result += left
    return result                                                             # (height, width, C)


def _neighbours(size, new_size):
    """Index of the pixel before, index of the pixel after, and weight of the latter, for each new pixel."""
    where = np.linspace(0, size - 1, new_size) if new_size > 1 else np.zeros(1)
    before = np.minimum(where.astype(np.intp), size - 1)
    return before, np.minimum(before + 1, size - 1), (where - before).astype(np.float32)


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


def to_input(image_bgr, height, width, mean_bgr):
    """Network input, float32 (3, height, width), BGR minus the mean, of a photo, uint8 (H, W, 3) BGR."""
    small = zoom_linear(image_bgr, height, width) - np.asarray(mean_bgr, np.float32)
    return np.ascontiguousarray(small.transpose(2, 0, 1))


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
    """Softmax over the last axis of (H, W, C), each value at least MIN_PROBABILITY (not normalised again)."""
    values = np.exp(scores - scores.max(axis=2, keepdims=True))
    values /= values.sum(axis=2, keepdims=True)
    return np.maximum(values, MIN_PROBABILITY, out=values)


def label_map(scores, image_bgr=None, classes=None, crf_scale=CRF_SCALE, crf_backend=None):
    """Class of every pixel.

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

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Of equal values the first class wins.
    """
    classes = np.arange(scores.shape[2]) if classes is None else np.unique(classes)
    scores = scores[:, :, classes]
    if image_bgr is not None and len(classes) > 1:
        import krahenbuhl2013  # built from CRF/; not needed without the CRF

        image_rgb = np.ascontiguousarray(image_bgr[:, :, ::-1])  # the channel order the original filters in
        log_p = np.log(probabilities(scores))
        scores = krahenbuhl2013.CRF(image_rgb, log_p, scale_factor=crf_scale, threads=1, backend=crf_backend)
    return classes[np.argmax(scores, axis=2)].astype(np.uint8)
