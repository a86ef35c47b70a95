"""Refinement of class scores by a dense CRF, with the parameters of SEC and DSRG.

Potts model with a bilateral kernel (weight 10, 80 / scale_factor pixels, color_factor colour levels) and a Gaussian
kernel (weight 3, 3 / scale_factor pixels), both normalised symmetrically. Computed by this package's core, or by
pydensecrf for comparison: argument ``backend``, or `set_backend` for code that cannot pass it on.
"""

from densecrf import _checks, _core

__all__ = ["BACKENDS", "CRF", "CRF_batch", "set_backend"]

BACKENDS = ("own", "pydensecrf")
_default_backend = "own"


def CRF(image, unary, maxiter=10, scale_factor=1.0, color_factor=13, *, threads=None, backend=None):
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
    backend : {"own", "pydensecrf"}, optional
        What computes; by default what `set_backend` has chosen, or "own".

    Returns
    -------
    array (H, W, M) float32
        Marginals; they sum to 1 over M.

    Raises
    ------
    ValueError, TypeError
        For an argument that cannot be computed with, by its name.
    ImportError
        For "pydensecrf" where it is not installed.
    """
    unary = _checks.float32("unary", unary, (-1, -1, -1), "scores (H, W, M)")
    image = _checks.bytes_image("image", image, (*unary.shape[:2], 3))
    return _refine(image[None], unary[None], maxiter, scale_factor, color_factor, threads, backend)[0]


def CRF_batch(images, unaries, maxiter=10, scale_factor=1.0, color_factor=13, threads=None, *, backend=None):
    """Refine a batch: as `CRF` for `images` (N, H, W, 3) and `unaries` (N, H, W, M), spread over threads.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
    unaries : float array (N, H, W, M)
        Scores, as of `CRF`.
    maxiter, scale_factor, color_factor, backend
        As of `CRF`.
    threads : int, optional

    Returns
    -------
    float32 array (N, H, W, M)
        Marginals; they sum to 1 over M.
    """
    unaries = _checks.float32("unaries", unaries, (-1, -1, -1, -1), "scores (N, H, W, M)")
    images = _checks.bytes_image("images", images, (*unaries.shape[:3], 3))
    return _refine(images, unaries, maxiter, scale_factor, color_factor, threads, backend)


def set_backend(name):
    """Choose what computes where a call names no `backend`, for this process: "own" or "pydensecrf".

    For commands whose calls come from layers that Caffe makes, which take no argument of theirs. Refused at once
    where it is not known (ValueError) or not installed (ImportError).

    Parameters
    ----------
    name : str
        "own" or "pydensecrf".

    Raises
    ------
    ValueError, ImportError
    """
    global _default_backend
    _implementation(name)
    _default_backend = name


def _implementation(name):
    """Function (images, unaries, iterations, bilateral_xy, color, gaussian_xy, threads) of a backend."""
    if name == "own":
        return _core.refine
    if name == "pydensecrf":
        from krahenbuhl2013 import _pydensecrf

        return _pydensecrf.refine
    raise ValueError(f"backend: expected one of {', '.join(BACKENDS)}, got {_checks.shortened(name)}")


def _refine(images, unaries, maxiter, scale_factor, color_factor, threads, backend):
    if 0 in unaries.shape[1:]:
        raise ValueError(f"unary: expected at least 1 x 1 pixels and 1 label, got {unaries.shape[1:]}")
    maxiter = _checks.count("maxiter", maxiter, 0)
    scale = _checks.positive("scale_factor", scale_factor)
    bilateral_xy, gaussian_xy = (
        _checks.positive(f"scale_factor: kernel width {width} / scale_factor", width / scale) for width in (80, 3)
    )
    color = _checks.positive("color_factor", color_factor)
    threads = _checks.thread_count(threads)
    refine = _implementation(_default_backend if backend is None else backend)
    return refine(images, unaries, maxiter, bilateral_xy, color, gaussian_xy, threads)
