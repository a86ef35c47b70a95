"""Refinement: photos back to 8 bits, the unary the original uses, results remembered by content."""

import numpy as np
import pytest
from scipy import ndimage

from dsrg.io.voc import MEAN_BGR
from dsrg.supervision import Refinement, network_images_to_8bit, refinement


@pytest.fixture
def batch(rng):
    probabilities = rng.dirichlet(np.full(4, 0.3), size=(2, 7, 9)).transpose(0, 3, 1, 2).astype(np.float32)
    images_bgr = rng.integers(0, 256, size=(2, 3, 25, 33), dtype=np.uint8)
    return probabilities, images_bgr.astype(np.float32) - np.reshape(MEAN_BGR, (1, 3, 1, 1)).astype(np.float32)


def test_photos_come_back_exactly_where_the_sizes_divide(rng):
    """321 -> 41 steps by exactly 8 pixels: no blending."""
    images_bgr = rng.integers(0, 256, size=(2, 3, 321, 321), dtype=np.uint8)
    images = images_bgr.astype(np.float32) - np.reshape(MEAN_BGR, (1, 3, 1, 1)).astype(np.float32)
    small = network_images_to_8bit(images, 41, 41)
    np.testing.assert_array_equal(small, images_bgr[:, :, ::8, ::8].transpose(0, 2, 3, 1))
    assert small.flags.c_contiguous


@pytest.mark.parametrize("size", [(7, 9), (31, 31), (1, 5), (25, 33), (40, 50)])
def test_photos_are_zoomed_as_scipy_does_channel_by_channel(size, batch):
    images = batch[1]
    small = network_images_to_8bit(images, *size)
    factors = (size[0] / 25, size[1] / 33)
    for image, result in zip(images, small, strict=True):
        for channel, mean in enumerate(MEAN_BGR):
            expected = ndimage.zoom(image[channel].astype(np.float64), factors, order=1, mode="nearest") + mean
            np.testing.assert_array_equal(result[:, :, channel], np.clip(np.rint(expected), 0, 255))


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (26, 10), (27, 12), (57, 33)])
@pytest.mark.parametrize("wanted", [(1, 1), (5, 3), (23, 27), (33, 49)])
def test_halves_are_rounded_as_scipy_rounds_them(size, wanted, rng):
    """Whole numbers and no mean: blends of exactly a half, which the last bit of a weight decides."""
    images = rng.integers(0, 256, size=(2, 3, *size)).astype(np.float32)
    factors = (1, 1, wanted[0] / size[0], wanted[1] / size[1])
    expected = ndimage.zoom(images.astype(np.float64), factors, order=1, mode="nearest")
    small = network_images_to_8bit(images, *wanted, mean_bgr=(0, 0, 0))
    np.testing.assert_array_equal(small, np.clip(np.rint(expected), 0, 255).transpose(0, 2, 3, 1))


@pytest.fixture
def recorded(monkeypatch):
    """A CRF that returns what it was given and notes its arguments."""
    calls = []

    def crf_batch(images, unaries, **settings):
        calls.append((images, unaries, settings))
        return np.exp(unaries) if settings.get("maxiter") == 3 else unaries

    krahenbuhl2013 = pytest.importorskip("krahenbuhl2013", reason="the CRF package is not built: run setup.sh")
    monkeypatch.setattr(krahenbuhl2013, "CRF_batch", crf_batch)
    return calls


def test_unary_is_minus_p_as_in_the_original(batch, recorded):
    """The wrapper negates what it gets: handing it p makes -p the energy."""
    Refinement()(*batch)
    images, unaries, settings = recorded[0]
    assert images.shape == (2, 7, 9, 3) and images.dtype == np.uint8
    assert unaries.dtype == np.float32 and settings == {"maxiter": 10, "scale_factor": 12.0, "backend": None}
    np.testing.assert_array_equal(unaries, np.maximum(batch[0], 1e-4).transpose(0, 2, 3, 1))


def test_backend_is_handed_on_and_told_apart(batch, recorded):
    refine = Refinement()
    for backend in ("own", "pydensecrf", "own"):
        refine(*batch, backend=backend)
    assert [settings["backend"] for _, _, settings in recorded] == ["own", "pydensecrf"]


def test_textbook_unary_is_minus_log_p(batch, recorded):
    refined = Refinement()(*batch, iterations=3, textbook=True)
    np.testing.assert_allclose(recorded[0][1], np.log(np.maximum(batch[0], 1e-4)).transpose(0, 2, 3, 1), rtol=1e-6)
    floored = np.maximum(batch[0], 1e-4)
    np.testing.assert_allclose(refined, floored / floored.sum(axis=1, keepdims=True), rtol=1e-5)


def test_result_is_floored_normalised_and_read_only(batch, recorded):
    refined = Refinement()(*batch)
    assert refined.dtype == np.float32 and not refined.flags.writeable
    np.testing.assert_allclose(refined.sum(axis=1), 1, rtol=1e-6)
    assert refined.min() >= 1e-4 / (1 + 4e-4)


def test_the_probabilities_themselves_are_not_floored(batch, recorded):
    """The original wrote the floor into its bottom."""
    probabilities = batch[0].copy()
    Refinement()(*batch)
    np.testing.assert_array_equal(batch[0], probabilities)
    assert (probabilities < 1e-4).any()


def test_same_content_is_refined_once_wherever_it_lies(batch, recorded):
    refine = Refinement()
    first = refine(*batch)
    assert refine(batch[0].copy(), batch[1].copy()) is first
    assert len(recorded) == 1


def test_new_content_in_the_same_memory_is_refined_anew(batch, recorded):
    refine = Refinement()
    probabilities = batch[0].copy()
    first = refine(probabilities, batch[1])
    probabilities[...] = probabilities[:, ::-1]
    assert refine(probabilities, batch[1]) is not first
    assert len(recorded) == 2


@pytest.mark.parametrize("other", [
    {"iterations": 5}, {"scale_factor": 1.0}, {"textbook": True, "iterations": 3}, {"mean_bgr": (0, 0, 9)},
])
def test_other_settings_are_refined_apart(other, batch, recorded):
    refine = Refinement()
    refine(*batch)
    refine(*batch, **other)
    assert len(recorded) == 2


def test_probabilities_that_are_not_finite_never_reach_the_crf(batch, recorded):
    """A training that has gone wrong shows in the loss, which is NaN then."""
    batch[0][1, 2, 3, 4] = np.nan
    assert np.isnan(Refinement()(*batch)).all() and not recorded


def test_only_the_last_results_are_remembered(batch, recorded):
    refine = Refinement(remember=2)
    for shift in (0, 1, 2, 0):
        refine(np.roll(batch[0], shift, axis=2), batch[1])
    assert len(recorded) == 4


def test_batches_of_different_length_are_refused(batch):
    with pytest.raises(ValueError, match=r"probabilities are \(2, 4, 7, 9\), images \(1, 3, 25, 33\)"):
        refinement.refine(batch[0], batch[1][:1])
