"""densecrf.densecrf and densecrf.utils: pydensecrf's interface and results."""

import densecrf.densecrf as dcrf
import densecrf.utils as utils
import numpy as np
import pytest

KERNELS = {"CONST": dcrf.CONST_KERNEL, "DIAG": dcrf.DIAG_KERNEL, "FULL": dcrf.FULL_KERNEL}
NORMALIZATIONS = {
    "NO": dcrf.NO_NORMALIZATION,
    "BEFORE": dcrf.NORMALIZE_BEFORE,
    "AFTER": dcrf.NORMALIZE_AFTER,
    "SYMM": dcrf.NORMALIZE_SYMMETRIC,
}


def unary(probs):
    return utils.unary_from_softmax(probs.transpose(2, 0, 1))


def close(a, b, atol=1e-4):
    np.testing.assert_allclose(a, b, rtol=0, atol=atol)


@pytest.mark.parametrize("name", ["DIAG_NO", "DIAG_BEFORE", "DIAG_AFTER", "DIAG_SYMM", "CONST_SYMM", "FULL_AFTER"])
def test_kernels_and_normalizations(crf_data, name):
    arrays, call = crf_data[1](crf_data[0] / f"pydensecrf_{name}.npz")
    height, width, labels = arrays["probs"].shape
    how = {"kernel": KERNELS[call["kernel"]], "normalization": NORMALIZATIONS[call["normalization"]]}
    crf = dcrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary(arrays["probs"]))
    crf.addPairwiseGaussian(sxy=tuple(call["sxy_g"]), compat=call["compat_g"], **how)
    crf.addPairwiseBilateral(
        sxy=tuple(call["sxy_b"]), srgb=tuple(call["srgb"]), rgbim=arrays["image"], compat=call["compat_b"], **how
    )
    close(np.array(crf.inference(call["iters"])), arrays["q"])


@pytest.mark.parametrize("form", ["scalar", "vector", "matrix"])
def test_label_compatibility_steps_and_divergence(crf_data, form):
    arrays, call = crf_data[1](crf_data[0] / f"pydensecrf_compat_{form}.npz")
    height, width, labels = arrays["probs"].shape
    crf = dcrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary(arrays["probs"]))
    compat = float(arrays["compat"]) if arrays["compat"].ndim == 0 else arrays["compat"]
    crf.addPairwiseBilateral(sxy=call["sxy"], srgb=call["srgb"], rgbim=arrays["image"], compat=compat)
    q, tmp1, tmp2 = crf.startInference()
    for step in range(call["steps"]):
        crf.stepInference(q, tmp1, tmp2)
        close(crf.klDivergence(q), arrays["kl"][step], atol=1e-3 * abs(arrays["kl"][step]) + 1e-2)
    close(q, arrays["q"])
    np.testing.assert_array_equal(np.argmax(q, axis=0), arrays["map"])
    close(crf.inference(call["steps"]), arrays["q"])


def test_generic_features(crf_data):
    arrays, call = crf_data[1](crf_data[0] / "pydensecrf_generic_features.npz")
    height, width, labels = arrays["probs"].shape
    bilateral = utils.create_pairwise_bilateral(call["sdims_b"], call["schan"], arrays["image"], chdim=2)
    gaussian = utils.create_pairwise_gaussian(call["sdims_g"], (height, width))
    close(bilateral, arrays["feat_bilateral"], 1e-6)
    close(gaussian, arrays["feat_gaussian"], 1e-6)
    crf = dcrf.DenseCRF(height * width, labels)
    crf.setUnary(dcrf.ConstUnary(unary(arrays["probs"])))
    crf.addPairwiseEnergy(bilateral, compat=call["compat_b"])
    crf.addPairwiseEnergy(gaussian, compat=call["compat_g"])
    close(crf.inference(call["iters"]), arrays["q"])


def test_every_golden_of_pydensecrf_kernels(shared, crf_data):
    paths = [p for d in ("dsrg", "dsrg_photos") for p in (shared / "goldens" / d).glob("pydensecrf_*_*.npz")]
    paths = [p for p in paths if p.name.split("_")[1] in KERNELS]
    assert len(paths) == 24
    for path in paths:
        test_kernels_and_normalizations((path.parent, crf_data[1]), path.stem.removeprefix("pydensecrf_"))


def test_utils_unaries(crf_data):
    arrays, call = crf_data[1](crf_data[0] / "utils_unary.npz")
    labels, n = arrays["labels"], call["n_labels"]
    close(utils.unary_from_labels(labels, n, call["gt_prob"]), arrays["u_zero_unsure"], 1e-6)
    close(
        utils.unary_from_labels(np.maximum(labels - 1, 0), n, call["gt_prob"], zero_unsure=False),
        arrays["u_nozero"],
        1e-6,
    )
    probs = arrays["probs"].transpose(2, 0, 1)
    close(utils.unary_from_softmax(probs, scale=call["scale"]), arrays["u_softmax"], 1e-5)
    close(utils.unary_from_softmax(probs, clip=call["clip"]), arrays["u_softmax_clip"], 1e-5)


def test_former_names_warn(crf_data):
    arrays, call = crf_data[1](crf_data[0] / "utils_unary.npz")
    with pytest.warns(DeprecationWarning, match="use unary_from_labels"):
        old = utils.compute_unary(arrays["labels"], call["n_labels"], GT_PROB=call["gt_prob"])
    np.testing.assert_array_equal(old, utils.unary_from_labels(arrays["labels"], call["n_labels"], call["gt_prob"]))
    probs = arrays["probs"].transpose(2, 0, 1)
    with pytest.warns(DeprecationWarning, match="use unary_from_softmax"):
        np.testing.assert_array_equal(utils.softmax_to_unary(probs), utils.unary_from_softmax(probs, clip=None))


def test_code_written_for_pydensecrf_runs_on_both(scene):
    pytest.importorskip("pydensecrf")
    import pydensecrf.densecrf
    import pydensecrf.utils

    image, _ = scene(34, 47, 3)
    truth = (np.indices((34, 47)).sum(0) // 20 % 4).astype(np.int64)  # 0: unknown

    def example(dcrf, utils):
        crf = dcrf.DenseCRF2D(47, 34, 3)
        crf.setUnaryEnergy(np.ascontiguousarray(utils.unary_from_labels(truth, 3, gt_prob=0.7, zero_unsure=True)))
        crf.addPairwiseGaussian(sxy=(3, 3), compat=3, kernel=dcrf.DIAG_KERNEL, normalization=dcrf.NORMALIZE_SYMMETRIC)
        crf.addPairwiseBilateral(sxy=(80, 80), srgb=(13, 13, 13), rgbim=image, compat=10, kernel=dcrf.DIAG_KERNEL)
        energy = utils.create_pairwise_bilateral(sdims=(10, 10), schan=(7,), img=image[..., 0], chdim=-1)
        crf.addPairwiseEnergy(np.ascontiguousarray(energy), compat=2)
        q, tmp1, tmp2 = crf.startInference()
        for _ in range(5):
            crf.stepInference(q, tmp1, tmp2)
        return np.array(q), np.array(crf.inference(5)), crf.klDivergence(q)

    ours = example(dcrf, utils)
    theirs = example(pydensecrf.densecrf, pydensecrf.utils)
    close(ours[0], theirs[0])
    close(ours[1], theirs[1])
    assert ours[2] == pytest.approx(theirs[2], rel=1e-4)


def test_lattices_are_kept_when_the_unary_changes(scene):
    image, p = scene(25, 31, 4)
    other = np.roll(p, 1, axis=-1)
    crf = dcrf.DenseCRF2D(31, 25, 4)
    crf.addPairwiseBilateral(sxy=20, srgb=10, rgbim=image, compat=5)
    crf.setUnaryEnergy(unary(p))
    first = crf.inference(4)
    crf.setUnaryEnergy(unary(other))
    np.testing.assert_allclose(crf.inference(4), np.roll(first, 1, axis=0), atol=1e-5)


def test_a_kernel_added_later_counts(scene):
    image, p = scene(25, 31, 4)
    both = dcrf.DenseCRF2D(31, 25, 4)
    both.setUnaryEnergy(unary(p))
    both.addPairwiseGaussian(sxy=3, compat=3)
    alone = both.inference(2)
    both.addPairwiseEnergy(np.random.default_rng(1).random((20, 775)), compat=2)  # 20 dimensions: smaller tiles
    again = dcrf.DenseCRF2D(31, 25, 4)
    again.setUnaryEnergy(unary(p))
    again.addPairwiseGaussian(sxy=3, compat=3)
    np.testing.assert_array_equal(again.inference(2), alone)
    assert np.abs(both.inference(2) - alone).max() > 1e-3


def test_matrix_that_says_potts_equals_potts(scene):
    image, p = scene(12, 15, 3)
    for sxy in (5, 0.2):  # 0.2: each pixel on its own
        results = []
        for compat in (4.0, np.full(3, -4.0), np.diag(np.full(3, -4.0))):
            crf = dcrf.DenseCRF2D(15, 12, 3)
            crf.setUnaryEnergy(unary(p))
            crf.addPairwiseGaussian(sxy=sxy, compat=compat)
            results.append(crf.inference(3))
        close(results[0], results[1], 1e-5)
        close(results[0], results[2], 1e-5)


def test_logistic_unary(scene):
    rng = np.random.default_rng(3)
    weights, features = rng.standard_normal((3, 6)).astype(np.float32), rng.standard_normal((6, 20)).astype(np.float32)
    crf = dcrf.DenseCRF(20, 3)
    crf.setUnary(dcrf.LogisticUnary(weights, features))
    one = crf.inference(0)
    crf.setUnaryEnergy(weights, features)
    np.testing.assert_array_equal(crf.inference(0), one)
    expected = np.exp(-weights @ features)
    close(one, expected / expected.sum(0), 1e-5)


def test_wide_range_and_many_dimensions_fall_back_to_wide_keys():
    # 12 dimensions do not fit a 64-bit key; a duplicate of each point makes neighbours certain.
    rng = np.random.default_rng(0)
    points = np.repeat(rng.random((12, 50)) * 1000, 2, axis=1).astype(np.float32)
    crf = dcrf.DenseCRF(100, 2)
    u = np.zeros((2, 100), np.float32)
    u[0, ::2] = 2  # every first of a pair prefers label 1
    crf.setUnaryEnergy(u)
    crf.addPairwiseEnergy(points, compat=10)
    q = crf.inference(10)
    np.testing.assert_allclose(q[:, ::2], q[:, 1::2], atol=0.05)
    assert (q[1] > 0.9).all()
