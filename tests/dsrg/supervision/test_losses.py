"""Losses: formulas by nested loops, gradients by finite differences, values and gradients of the original."""

import numpy as np
import pytest

from dsrg.supervision import (
    balanced_seed_loss,
    constrain_loss,
    expand_loss,
    floored_softmax,
    floored_softmax_backward,
    seed_loss,
)
from tests.conftest import DATA
from tests.dsrg.supervision.gradients import check_gradient


@pytest.fixture(scope="module")
def golden():
    """One image of the original's layers (goldens/dsrg/python_layers.npz), maps 41x41, 21 classes."""
    with np.load(DATA / "dsrg" / "python_layers.npz") as archive:
        return dict(archive)


@pytest.fixture
def batch(rng):
    """Probabilities, cues and labels of another size and number of classes than the original's."""
    probabilities = floored_softmax(2 * rng.normal(size=(3, 5, 4, 6)))
    cues = (rng.random((3, 5, 4, 6)) < 0.15).astype(np.float32)
    labels = np.array([[1, 1, 0, 0, 1], [1, 0, 0, 1, 0], [1, 0, 1, 0, 0]])
    return probabilities, cues, labels


# -- softmax ------------------------------------------------------------------------------------------------


def test_softmax_adds_the_floor_and_normalises_again():
    scores = np.log([[[[8.0]], [[1.0]], [[1.0]]]])
    expected = (np.array([0.8, 0.1, 0.1]) + 1e-4) / (1 + 3e-4)
    np.testing.assert_allclose(floored_softmax(scores).ravel(), expected, rtol=1e-12)


def test_softmax_of_huge_scores_stays_finite_and_above_the_floor():
    probabilities = floored_softmax(np.array([[[[1000.0]], [[-1000.0]]]], dtype=np.float32))
    np.testing.assert_allclose(probabilities.ravel(), [1.0001 / 1.0002, 1e-4 / 1.0002])


def test_softmax_equals_the_original(golden):
    probabilities = floored_softmax(golden["strip_scores"])
    np.testing.assert_allclose(probabilities, golden["strip_probabilities"], atol=3e-7)
    gradient = floored_softmax_backward(golden["strip_probabilities"], golden["strip_top"])
    np.testing.assert_allclose(gradient, golden["strip_softmax_dx"], atol=1e-6)


def test_softmax_gradient_by_finite_differences(rng):
    scores, top = rng.normal(size=(2, 4, 3, 2)), rng.normal(size=(2, 4, 3, 2))
    gradient = floored_softmax_backward(floored_softmax(scores), top)
    check_gradient(lambda x: (floored_softmax(x) * top).sum(), scores, gradient, rng)


def test_softmax_of_infinite_scores_is_nan_without_a_warning():
    assert np.isnan(floored_softmax(np.array([[[[np.inf]], [[np.inf]]]]))).all()


# -- seed losses --------------------------------------------------------------------------------------------


def test_seed_loss_counts_all_classes_together(batch):
    probabilities, cues, _ = batch
    expected = 0.0
    for p, cue in zip(probabilities, cues, strict=True):
        expected -= sum(np.log(p[i]) for i in zip(*np.nonzero(cue), strict=True)) / cue.sum() / len(cues)
    assert seed_loss(probabilities, cues)[0] == pytest.approx(expected, rel=1e-12)


def test_balanced_seed_loss_averages_background_and_foreground_apart(batch):
    probabilities, cues, _ = batch
    expected = 0.0
    for p, cue in zip(probabilities, cues, strict=True):
        for part in (np.s_[:1], np.s_[1:]):
            seeds = cue[part] == 1
            expected -= np.log(p[part][seeds]).sum() / max(seeds.sum(), 1e-4) / len(cues)
    assert balanced_seed_loss(probabilities, cues)[0] == pytest.approx(expected, rel=1e-12)


def test_balanced_seed_loss_of_an_image_without_background_seeds_has_only_the_foreground_part(batch):
    probabilities, cues, _ = batch
    cues = np.zeros_like(cues[:1])
    cues[0, 2, 1, 1] = 1
    value, gradient = balanced_seed_loss(probabilities[:1], cues)
    assert value == pytest.approx(-np.log(probabilities[0, 2, 1, 1]))
    assert np.flatnonzero(gradient).size == 1


@pytest.mark.parametrize("loss", [seed_loss, balanced_seed_loss])
def test_seed_losses_of_an_image_without_cues_are_zero_not_nan(loss, batch):
    value, gradient = loss(batch[0], np.zeros_like(batch[1]))
    assert value == 0 and not gradient.any()


@pytest.mark.parametrize("loss", [seed_loss, balanced_seed_loss])
def test_seed_gradient_by_finite_differences(loss, batch, rng):
    probabilities, cues, _ = batch
    check_gradient(lambda p: loss(p, cues)[0], probabilities, loss(probabilities, cues)[1], rng)


@pytest.mark.parametrize(("loss", "key"), [(seed_loss, "seed_d0"), (balanced_seed_loss, "balanced_d0")])
def test_seed_gradients_equal_the_original(loss, key, golden):
    gradient = loss(golden["probabilities"], golden["cues"])[1] / 6     # the golden batch has 6 images
    np.testing.assert_allclose(gradient, golden[key], rtol=1e-5)


# -- constrain loss -----------------------------------------------------------------------------------------


def test_constrain_loss_is_the_mean_over_pixels_of_q_log_q_over_p(batch, rng):
    probabilities = batch[0]
    q = floored_softmax(rng.normal(size=probabilities.shape))
    expected = np.mean((q * np.log(np.clip(q / probabilities, 0.05, 20))).sum(axis=1))
    assert constrain_loss(probabilities, np.log(q))[0] == pytest.approx(expected, rel=1e-12)


def test_constrain_loss_clips_the_ratio_to_a_twentieth_and_twenty():
    probabilities = np.array([[[[0.999]], [[0.001]]]])
    q = np.array([[[[0.02]], [[0.98]]]])            # ratios 0.02 and 980
    value, gradient, gradient_log_q = constrain_loss(probabilities, np.log(q))
    assert value == pytest.approx(0.02 * np.log(0.05) + 0.98 * np.log(20))
    assert not gradient.any()
    np.testing.assert_allclose(gradient_log_q.ravel(), [0.02 * np.log(0.05), 0.98 * np.log(20)])


def test_constrain_gradient_flows_to_the_crf_as_well(batch, rng):
    probabilities = batch[0]
    log_q = np.log(floored_softmax(2 * rng.normal(size=probabilities.shape)))
    _, gradient, gradient_log_q = constrain_loss(probabilities, log_q)
    check_gradient(lambda p: constrain_loss(p, log_q)[0], probabilities, gradient, rng)
    check_gradient(lambda x: constrain_loss(probabilities, x)[0], log_q, gradient_log_q, rng)


def test_constrain_gradients_equal_the_original(golden):
    _, gradient, gradient_log_q = constrain_loss(golden["strip_probabilities"], golden["strip_crf_log"])
    share = (6 * 41) / (6 * 41 * 41)      # pixels here, pixels of the golden batch
    np.testing.assert_allclose(gradient * share, golden["strip_constrain_d0"], rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(gradient_log_q * share, golden["strip_constrain_d1"], rtol=1e-4, atol=1e-9)


def test_constrain_loss_takes_a_probability_of_zero():
    value, gradient, _ = constrain_loss(np.array([[[[1.0]], [[0.0]]]]), np.log([[[[0.9]], [[0.1]]]]))
    assert value == pytest.approx(0.9 * np.log(0.9) + 0.1 * np.log(20)) and np.isfinite(gradient).all()


# -- expand loss --------------------------------------------------------------------------------------------


def test_expand_loss_ranks_present_classes_and_takes_the_maximum_of_absent_ones(batch):
    probabilities, _, labels = batch

    def ranked_mean(values, decay):
        descending = np.sort(values.ravel())[::-1]
        powers = np.array([decay**rank for rank in range(descending.size)])
        return (descending * powers).sum() / powers.sum()

    expected = 0.0
    for p, label in zip(probabilities, labels, strict=True):
        present = [c for c in range(1, 5) if label[c]]
        absent = [c for c in range(1, 5) if not label[c]]
        expected -= np.mean([np.log(ranked_mean(p[c], 0.996)) for c in present])
        expected -= np.mean([np.log(1 - p[c].max()) for c in absent])
        expected -= np.log(ranked_mean(p[0], 0.999))
    assert expand_loss(probabilities, labels)[0] == pytest.approx(expected / 3, rel=1e-12)


def test_expand_gradient_by_finite_differences(batch, rng):
    probabilities, _, labels = batch
    gradient = expand_loss(probabilities, labels)[1]
    check_gradient(lambda p: expand_loss(p, labels)[0], probabilities, gradient, rng)


@pytest.mark.parametrize("loss", [seed_loss, balanced_seed_loss, constrain_loss])
def test_float32_arrays_are_computed_in_float32_to_its_rounding(loss, batch):
    probabilities, cues, _ = batch
    second = np.log(np.roll(probabilities, 1, axis=0)) if loss is constrain_loss else cues
    value, *gradients = loss(probabilities, second)
    found, *narrow = loss(probabilities.astype(np.float32), second.astype(np.float32))
    assert found == pytest.approx(value, rel=1e-6)
    for right, ours in zip(gradients, narrow, strict=True):
        assert right.dtype == np.float64 and ours.dtype == np.float32
        np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-6 * np.abs(right).max())


def test_softmax_of_float32_scores_is_float32_to_its_rounding(rng):
    scores, gradient = (3 * rng.normal(size=(2, 5, 4, 6)) for _ in range(2))
    right, ours = floored_softmax(scores), floored_softmax(scores.astype(np.float32))
    assert right.dtype == np.float64 and ours.dtype == np.float32
    np.testing.assert_allclose(ours, right, rtol=1e-5)
    np.testing.assert_allclose(floored_softmax_backward(ours, gradient.astype(np.float32)),
                               floored_softmax_backward(right, gradient), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("present", [0, 1])
def test_expand_loss_with_every_class_present_or_none_is_finite(present, batch):
    value, gradient = expand_loss(batch[0], np.full((3, 5), present))
    assert np.isfinite(value) and np.isfinite(gradient).all()


def test_expand_gradient_equals_the_original(golden):
    gradient = expand_loss(golden["probabilities"], golden["labels"])[1] / 6
    np.testing.assert_allclose(gradient, golden["expand_d0"], atol=2e-5 * np.abs(golden["expand_d0"]).max())


# -- the whole golden batches -------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["dsrg", "dsrg_photos"])
def test_all_losses_equal_the_original_on_whole_batches(folder, shared):
    with np.load(shared / "goldens" / folder / "python_layers.npz") as archive:
        z = dict(archive)
    p, cues = z["softmax_out"], z["cues"].astype(np.float32)
    for name, result in (
        ("seed", seed_loss(p, cues)),
        ("balanced", balanced_seed_loss(p, cues)),
        ("constrain", constrain_loss(p, z["crf_log"])),
        ("expand", expand_loss(p, z["labels"])),
    ):
        assert result[0] == pytest.approx(float(z[f"{name}_loss"]), rel=1e-6), name
        for index, gradient in enumerate(result[1:]):
            golden = z[f"{name}_d{index}"]
            np.testing.assert_allclose(gradient, golden, atol=2e-5 * np.abs(golden).max(), err_msg=name)
