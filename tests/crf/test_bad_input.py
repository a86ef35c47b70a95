"""What the CRF refuses: by argument name, with what it expected and what it got."""

import densecrf.densecrf as dcrf
import densecrf.utils as utils
import krahenbuhl2013
import numpy as np
import pytest

IMAGE = np.zeros((4, 5, 3), np.uint8)
UNARY = np.zeros((4, 5, 2), np.float32)


def broken(value):
    unary = UNARY.copy()
    unary[2, 3, 1] = value
    return unary


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"unary": UNARY.astype(np.float16)},
            TypeError,
            r"unary: expected float32 or float64 .* got float16; .*astype",
        ),
        ({"unary": UNARY.astype(np.uint8)}, TypeError, r"unary: expected float32 .* got uint8; pass scores.*astype"),
        ({"unary": UNARY.astype(complex)}, TypeError, r"unary: .* got complex128"),
        ({"unary": UNARY[0]}, ValueError, r"unary: expected scores \(H, W, M\) .* got \(5, 2\)"),
        ({"unary": UNARY[:, :, :0]}, ValueError, r"unary: expected at least 1 x 1 pixels and 1 label, got \(4, 5, 0\)"),
        ({"unary": broken(np.nan)}, ValueError, r"unary: expected finite numbers, got nan at variable 13, label 1"),
        ({"unary": broken(np.inf)}, ValueError, r"unary: expected finite numbers, got inf"),
        ({"image": IMAGE[:3]}, ValueError, r"image: expected an image of shape \(4, 5, 3\), got \(3, 5, 3\)"),
        ({"image": IMAGE[..., :1]}, ValueError, r"image: expected .* got \(4, 5, 1\)"),
        (
            {"image": IMAGE + 0.5},
            ValueError,
            r"image: expected whole numbers 0..255, got float64 from 0.5 to 0.5; .*round",
        ),
        ({"image": IMAGE - np.int16(1)}, ValueError, r"image: expected whole numbers 0..255, got int16 from -1 to -1"),
        ({"image": IMAGE.astype(bool)}, TypeError, r"image: expected uint8, got bool"),
        ({"maxiter": -1}, ValueError, r"maxiter: expected at least 0, got -1"),
        ({"maxiter": 2.5}, TypeError, r"maxiter: expected a whole number, got 2.5"),
        ({"scale_factor": 0}, ValueError, r"scale_factor: expected a positive finite number, got 0"),
        ({"scale_factor": "big"}, TypeError, r"scale_factor: expected a number, got 'big'"),
        ({"color_factor": -13}, ValueError, r"color_factor: expected a positive finite number, got -13"),
        ({"scale_factor": 1e9}, ValueError, r"features: expected positions within .* is a kernel width .* too small"),
        ({"threads": 0}, ValueError, r"threads: expected at least 1, got 0"),
    ],
)
def test_wrapper_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        krahenbuhl2013.CRF(**{"image": IMAGE, "unary": UNARY, **arguments})


def test_batch_refuses_images_of_another_count():
    with pytest.raises(ValueError, match=r"images: expected an image of shape \(1, 4, 5, 3\), got \(2, 4, 5, 3\)"):
        krahenbuhl2013.CRF_batch(np.stack([IMAGE, IMAGE]), UNARY[None])


def crf():
    return dcrf.DenseCRF2D(5, 4, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: dcrf.DenseCRF2D(0, 4, 2), ValueError, "w: expected at least 1, got 0"),
        (lambda: dcrf.DenseCRF(20, 0), ValueError, "nlabels: expected at least 1, got 0"),
        (lambda: crf().inference(1), ValueError, "unary: not set; call setUnaryEnergy"),
        (lambda: crf().setUnaryEnergy(np.zeros((20, 2), np.float32)), ValueError, r"u: .* \(2, 20\), got \(20, 2\)"),
        (
            lambda: crf().setUnaryEnergy(np.full((2, 20), np.inf)),
            ValueError,
            "u: expected finite energies, got inf; clip",
        ),
        (lambda: crf().setUnaryEnergy(np.zeros((2, 20), np.float16)), TypeError, "u: expected float32 .* got float16"),
        (
            lambda: crf().setUnary(np.zeros((2, 20))),
            TypeError,
            "unary: expected ConstUnary or LogisticUnary, got ndarray",
        ),
        (lambda: crf().addPairwiseGaussian(sxy=-3, compat=3), ValueError, "sxy: expected a positive finite number"),
        (
            lambda: crf().addPairwiseGaussian(sxy=(1, 2, 3), compat=3),
            ValueError,
            "sxy: expected a number or 2 of them, got 3",
        ),
        (
            lambda: crf().addPairwiseBilateral(3, 0, IMAGE, 3),
            ValueError,
            "srgb: expected a positive finite number, got 0",
        ),
        (lambda: crf().addPairwiseBilateral(3, 3, IMAGE[1:], 3), ValueError, r"rgbim: .* \(4, 5, 3\), got \(3, 5, 3\)"),
        (lambda: crf().addPairwiseGaussian(3, np.zeros(3)), ValueError, r"compat: .* shape \(2,\), got \(3,\)"),
        (
            lambda: crf().addPairwiseGaussian(3, np.zeros((2, 3))),
            ValueError,
            r"compat: .* shape \(2, 2\), got \(2, 3\)",
        ),
        (lambda: crf().addPairwiseGaussian(3, np.nan), ValueError, "compat: expected a finite number, got nan"),
        (lambda: crf().addPairwiseGaussian(3, 3, normalization=7), ValueError, "7 is not a valid NormalizationType"),
        (lambda: crf().addPairwiseEnergy(np.zeros((2, 19)), 3), ValueError, r"features: .* \(\*, 20\), got \(2, 19\)"),
        (lambda: crf().addPairwiseEnergy(np.full((2, 20), np.nan), 3), ValueError, "features: expected finite numbers"),
        (
            lambda: crf().addPairwiseEnergy(np.zeros((65, 20)), 3),
            ValueError,
            "features: expected 1 to 64 dimensions, got 65",
        ),
        (
            lambda: utils.unary_from_labels(np.full((3, 3), 5), 4, 0.7),
            ValueError,
            "labels: expected whole numbers 0..4",
        ),
        (
            lambda: utils.unary_from_labels(np.zeros(3, int), 4, 1.0),
            ValueError,
            r"gt_prob: expected within \(0, 1\), got 1.0",
        ),
        (
            lambda: utils.unary_from_softmax(np.ones((2, 3)), scale=2),
            ValueError,
            r"scale: expected within \(0, 1\], got 2",
        ),
        (lambda: utils.create_pairwise_gaussian((1,), (3, 4)), ValueError, r"sdims: expected 2 widths"),
        (lambda: utils.create_pairwise_bilateral((1, 1), (1, 1), IMAGE, 2), ValueError, r"schan: expected 3 widths"),
    ],
)
def test_densecrf_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_step_refuses_matrices_it_cannot_update_in_place():
    c = crf()
    c.setUnaryEnergy(np.zeros((2, 20)))
    with pytest.raises(TypeError, match="Q: expected the float32 array that startInference returned"):
        c.stepInference(np.zeros((2, 20)))
