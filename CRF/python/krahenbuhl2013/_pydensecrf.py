"""The same refinement by pydensecrf, for comparison (backend="pydensecrf")."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

try:
    import pydensecrf.densecrf as _dcrf
except ImportError as error:
    raise ImportError(
        "CRF backend 'pydensecrf': the module pydensecrf is not installed; pip install pydensecrf2, or take 'own'"
    ) from error

if _dcrf.DenseCRF2D.__module__ == "densecrf.densecrf":
    raise ImportError(
        "CRF backend 'pydensecrf': the module pydensecrf here is the stand-in dense-crf-pydensecrf, which computes as "
        "'own' does; install pydensecrf2 in its place, or take 'own'"
    )


def refine(images, unaries, maxiter, bilateral_xy, color, gaussian_xy, threads):
    """Refine (N, H, W, M) scores; the arguments are checked by the caller.

    Parameters
    ----------
    images : uint8 array (N, H, W, 3)
    unaries : float array (N, H, W, M)
    maxiter : int
    bilateral_xy, color, gaussian_xy : float
        Widths of the kernels.
    threads : int

    Returns
    -------
    float32 array (N, H, W, M)
        Marginals; they sum to 1 over M.
    """
    if not np.isfinite(unaries).all():
        raise ValueError("unary: expected finite numbers, got NaN or infinity")

    def one(image, unary):
        height, width, labels = unary.shape
        crf = _dcrf.DenseCRF2D(width, height, labels)
        crf.setUnaryEnergy(np.ascontiguousarray(-unary.reshape(-1, labels).T))
        crf.addPairwiseBilateral(sxy=bilateral_xy, srgb=color, rgbim=image, compat=10)
        crf.addPairwiseGaussian(sxy=gaussian_xy, compat=3)
        return np.array(crf.inference(maxiter)).T.reshape(unary.shape)

    with ThreadPoolExecutor(threads) as pool:
        refined = list(pool.map(one, images, unaries))
    return np.stack(refined) if refined else np.empty_like(unaries)
