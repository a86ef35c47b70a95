"""Refinement of class scores by a dense CRF, with the parameters of SEC and DSRG.

Potts model with a bilateral kernel (weight 10, 80 / scale_factor pixels, color_factor colour levels) and a Gaussian
kernel (weight 3, 3 / scale_factor pixels), both normalised symmetrically. Environment variable ``CRF_BACKEND``:
``densecrf`` (this package's core, the default) or ``pydensecrf``.
"""

import os

from densecrf import _checks, _core

__all__ = ["CRF", "CRF_batch"]


def CRF(image, unary, maxiter=10, scale_factor=1.0, color_factor=13, *, threads=None):
    """Refine the class scores of one image.

    Parameters
    ----------
    image : array (H, W, 3)
        Bytes, any channel order; other dtypes if all values are whole numbers 0..255.
    unary : array (H, W, M), float32 or float64
        Scores: the energy of a label is ``-unary``. Log-probabilities at test time; the original training layers
        pass probabilities.
    maxiter : int
        Mean field updates; 0 gives the softmax of `unary`.
    scale_factor : float
        How much smaller than the photo the image is; widths in pixels are divided by it.
    color_factor : float
        Standard deviation of colour in the bilateral kernel, in levels.
    threads : int, optional
        Defaults to all cores of this process. The result does not depend on it.

    Returns
    -------
    array (H, W, M) float32
        Marginals; they sum to 1 over M.
    """
    unary = _checks.float32("unary", unary, (-1, -1, -1), "scores (H, W, M)")
    image = _checks.bytes_image("image", image, (*unary.shape[:2], 3))
    return _refine(image[None], unary[None], maxiter, scale_factor, color_factor, threads)[0]


def CRF_batch(images, unaries, maxiter=10, scale_factor=1.0, color_factor=13, threads=None):
    """Refine a batch: as `CRF` for `images` (N, H, W, 3) and `unaries` (N, H, W, M), spread over threads."""
    unaries = _checks.float32("unaries", unaries, (-1, -1, -1, -1), "scores (N, H, W, M)")
    images = _checks.bytes_image("images", images, (*unaries.shape[:3], 3))
    return _refine(images, unaries, maxiter, scale_factor, color_factor, threads)


def _refine(images, unaries, maxiter, scale_factor, color_factor, threads):
    if 0 in unaries.shape[1:]:
        raise ValueError(f"unary: expected at least 1 x 1 pixels and 1 label, got {unaries.shape[1:]}")
    maxiter = _checks.count("maxiter", maxiter, 0)
    scale = _checks.positive("scale_factor", scale_factor)
    color = _checks.positive("color_factor", color_factor)
    threads = _checks.thread_count(threads)
    backend = os.environ.get("CRF_BACKEND") or "densecrf"
    if backend == "densecrf":
        return _core.refine(images, unaries, maxiter, 80 / scale, color, 3 / scale, threads)
    if backend == "pydensecrf":
        from krahenbuhl2013 import _pydensecrf

        return _pydensecrf.refine(images, unaries, maxiter, 80 / scale, color, 3 / scale, threads)
    raise ValueError(f"CRF_BACKEND: expected densecrf or pydensecrf, got {backend!r}")
