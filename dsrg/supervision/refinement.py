"""Dense-CRF refinement of the network's probabilities, shared by the boundary loss and by region growing.

The original's CRFLayer and DSRGLayer each refine the same probabilities with the same photo in every
iteration; here the second one finds the result of the first. The CRF itself is `krahenbuhl2013.CRF_batch`.
"""

import threading
from collections import deque

import numpy as np

from dsrg.io.voc import MEAN_BGR
from dsrg.supervision.image_threads import image_by_image, joined
from dsrg.supervision.losses import MIN_PROBABILITY

TRAINING_SCALE = 12.0             # scale_factor of the CRF at the feature size (1 at test time)
ITERATIONS = 10                   # mean-field steps


def network_images_to_8bit(images, height, width, mean_bgr=MEAN_BGR):
    """Bring network input back to 8-bit photos at the size of the feature maps.

    Parameters
    ----------
    images : float array (N, 3, H, W)
        BGR photos minus `mean_bgr`.
    height, width : int
        Size wanted.

    Returns
    -------
    uint8 array (N, height, width, 3), BGR, contiguous
        Bilinear, corner pixels aligned (as scipy's zoom of order 1), plus the mean, rounded half to even.
    """
    images = np.asarray(images)
    (top, bottom, above), (left, right, before) = (corners(*sizes) for sizes in zip(images.shape[2:], (height, width),
                                                                                     strict=True))
    top, bottom, above = top[:, None], bottom[:, None], above[:, None]
    def of_part(images):
        small = np.zeros((*images.shape[:2], height, width))
        for row, vertical in ((top, above), (bottom, 1 - above)):
            for column, horizontal in ((left, before), (right, 1 - before)):
                if vertical.any() and horizontal.any():         # of 321 over 41 cells one corner in four counts
                    small += np.multiply(images[:, :, row, column], vertical, dtype=np.float64) * horizontal
        small += np.reshape(mean_bgr, (1, -1, 1, 1))
        small = np.clip(np.rint(small, out=small), 0, 255, out=small).astype(np.uint8)
        return np.ascontiguousarray(small.transpose(0, 2, 3, 1))

    return joined(of_part, images)


def corners(extent, wanted):
    """Of each of `wanted` cells over `extent`, corners aligned: the cell before, the one behind, the first one's part.

    The arithmetic, order included, is that of scipy's zoom: to the bit, so that no half is rounded the other way.

    Parameters
    ----------
    extent : int
        Cells that there are.
    wanted : int
        Cells of the new grid.

    Returns
    -------
    intp array (wanted,)
        The cell before.
    intp array (wanted,)
        The cell behind.
    float64 array (wanted,)
        Share of the first, 0 to 1.
    """
    place = np.arange(wanted) * ((extent - 1) / max(wanted - 1, 1))     # the last may pass the end by a rounding
    before = np.floor(place).astype(np.intp)
    return before, np.minimum(before + 1, extent - 1), 1 - (place - before)


class Refinement:
    """Refines batches with the dense CRF and remembers the last few results by the content of their input.

    Remembering by content, not by identity, makes it right under any engine: a blob copied by a split is
    recognised, and one whose memory holds new values in the next iteration is not mistaken for the old.

    Parameters
    ----------
    remember : int
        Number of results kept; one serves a training net, more serve several nets stepped in turn.
    """

    def __init__(self, remember=2):
        self._results = deque(maxlen=remember)      # (settings, probabilities, images_8bit, refined)
        self._lock = threading.Lock()

    def __call__(self, probabilities, images, mean_bgr=MEAN_BGR, iterations=ITERATIONS,
                 scale_factor=TRAINING_SCALE, textbook=False, backend=None):
        """Probabilities refined by the photo, floored at 1e-4 and normalised.

        Parameters
        ----------
        probabilities : float array (N, C, H, W)
            Values in [0, 1]; read only.
        images : float array (N, 3, H', W')
            The network's input, BGR minus `mean_bgr`; read only.
        iterations, scale_factor
            Mean-field steps and scale of the CRF.
        textbook : bool
            Unary energy -log p. By default it is -p as in the original: CRFLayer hands probabilities to a
            wrapper made for scores, which gives the network's opinion little weight against the photo.
        backend : {"own", "pydensecrf"}, optional
            What computes the CRF; default: what the process has chosen (`dsrg.crf_backend`).

        Returns
        -------
        float32 array (N, C, H, W), not writeable
            Between 1e-4 / (1 + C 1e-4) and 1; NaN throughout where the probabilities are not all finite.
        """
        probabilities = np.asarray(probabilities)
        if probabilities.ndim != 4 or np.ndim(images) != 4 or len(images) != len(probabilities):
            raise ValueError(
                f"refinement: probabilities are {probabilities.shape}, images {np.shape(images)}; "
                "expected (N, C, H, W) and (N, 3, H', W') with the same N"
            )
        def photos():
            return network_images_to_8bit(images, *probabilities.shape[2:], mean_bgr)

        return self.with_photos(probabilities, photos, iterations, scale_factor, textbook, backend)

    def with_photos(self, probabilities, photos, iterations=ITERATIONS, scale_factor=TRAINING_SCALE, textbook=False,
                    backend=None):
        """The same with photos that are at the size of the map already.

        Parameters
        ----------
        probabilities : float array (N, C, H, W)
        photos : callable
            Gives them, uint8 (N, H, W, 3), BGR; it is called only where the probabilities are finite.
        iterations, scale_factor, textbook, backend
            As above.

        Returns
        -------
        float32 array (N, C, H, W), not writeable
        """
        if not np.isfinite(probabilities).all():
            return np.full(probabilities.shape, np.nan, dtype=np.float32)   # the loss shows it, no CRF is needed
        images_8bit = photos()
        settings = (iterations, scale_factor, bool(textbook), backend)
        with self._lock:                # a second caller with the same input waits for the first one's result
            for known_settings, known_probabilities, known_images, refined in self._results:
                if (known_settings == settings and np.array_equal(known_images, images_8bit)
                        and np.array_equal(known_probabilities, probabilities)):
                    return refined
            refined = _refine(probabilities, images_8bit, *settings)
            self._results.append((settings, probabilities.copy(), images_8bit, refined))
            return refined


def _refine(probabilities, images_8bit, iterations, scale_factor, textbook, backend):
    """The CRF on a batch, then floor and normalisation."""
    from krahenbuhl2013 import CRF_batch  # here, so that the losses do without the compiled package

    def score(probabilities, unary):            # (C, H, W) -> (H, W, C)
        unary[...] = probabilities.transpose(1, 2, 0)
        np.maximum(unary, np.float32(MIN_PROBABILITY), out=unary)
        if textbook:
            np.log(unary, out=unary)

    def floored(marginals, refined):            # (H, W, C) -> (C, H, W)
        refined[...] = marginals.transpose(2, 0, 1)
        np.maximum(refined, np.float32(MIN_PROBABILITY), out=refined)
        refined /= refined.sum(axis=0)

    images, classes, height, width = probabilities.shape
    unaries = image_by_image(score, np.empty((images, height, width, classes), np.float32), probabilities)
    marginals = CRF_batch(images_8bit, unaries, maxiter=iterations, scale_factor=scale_factor, backend=backend)
    refined = image_by_image(floored, np.empty(probabilities.shape, np.float32), marginals)
    refined.flags.writeable = False
    return refined


refine = Refinement()
