"""Temperature scaling against labels drawn at a known temperature, and the calibration error against brute force."""

import math

import numpy as np
import pytest
import torch

from dsrg.calibration.temperature import BINS, BOUNDS, fit_temperature, mean_nll, measured, scaled_softmax

RANDOM = np.random.default_rng(5)


def drawn(temperature, pixels=20_000, classes=6):
    """Scores, and labels drawn with the probabilities that they have at a temperature."""
    scores = (4 * RANDOM.standard_normal((pixels, classes))).astype(np.float32)
    values = scores.astype(np.float64) / temperature
    shares = np.exp(values - values.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return scores, (shares.cumsum(axis=1) < RANDOM.random((pixels, 1))).sum(axis=1)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0, 8.0])
def test_the_temperature_that_labels_were_drawn_at_is_found(temperature):
    scores, labels = drawn(temperature)
    assert fit_temperature(scores, labels) == pytest.approx(temperature, rel=0.05)
    after = measured(scores, labels, temperature)
    assert after["ece"] < 0.015 and after["confidence"] == pytest.approx(after["right"], abs=0.01)


def test_the_fit_is_where_torch_finds_the_least_cross_entropy():
    scores, labels = drawn(3.0, pixels=4000)
    log_t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    z, y = torch.from_numpy(scores).double(), torch.from_numpy(labels)
    search = torch.optim.LBFGS([log_t], max_iter=100, tolerance_grad=1e-12, line_search_fn="strong_wolfe")

    def loss():
        search.zero_grad()
        value = torch.nn.functional.cross_entropy(z / log_t.exp(), y)
        value.backward()
        return value

    at_one = search.step(loss).item()           # the loss that it began with
    assert fit_temperature(scores, labels) == pytest.approx(math.exp(log_t.item()), rel=1e-3)
    assert mean_nll(scores, labels) == pytest.approx(at_one)


def test_a_net_that_is_always_right_or_knows_nothing_ends_at_a_bound():
    labels = np.arange(300) % 3
    right = np.eye(3, dtype=np.float32)[labels]
    assert fit_temperature(right, labels) == pytest.approx(BOUNDS[0], rel=0.01)
    assert fit_temperature(right[np.r_[1:300, 0]] * 50, labels) == pytest.approx(BOUNDS[1], rel=0.01)


def test_calibration_error_and_bins_by_brute_force():
    scores, labels = drawn(2.5, pixels=3000, classes=4)
    found = measured(scores, labels, 1.7)
    held = {}
    total = 0.0
    for z, y in zip(scores.astype(float), labels, strict=True):
        p = [math.exp(v / 1.7) for v in z]
        p = [v / sum(p) for v in p]
        total -= math.log(p[y])
        sure = max(p)
        k = next(k for k in range(BINS) if sure <= (k + 1) / BINS + 1e-12)
        held.setdefault(k, []).append((sure, p.index(sure) == y))
    ece = sum(abs(sum(c for c, _ in rows) - sum(r for _, r in rows)) for rows in held.values()) / 3000
    assert found["ece"] == pytest.approx(ece, abs=1e-6) and found["nll"] == pytest.approx(total / 3000, rel=1e-5)
    assert [(round(BINS * row["from"]), row["pixels"]) for row in found["bins"]] == \
        [(k, len(held[k])) for k in sorted(held)]
    for row, k in zip(found["bins"], sorted(held), strict=True):
        assert row["right"] == pytest.approx(np.mean([r for _, r in held[k]]))
        assert row["confidence"] == pytest.approx(np.mean([c for c, _ in held[k]]), abs=1e-6)


def test_probabilities_sum_to_one_for_scores_of_any_size():
    scores = np.array([[1e4, 0, -1e4], [0, 0, 0]], np.float32)
    assert scaled_softmax(scores, 0.05).tolist() == [[1, 0, 0], pytest.approx([1 / 3] * 3)]
    assert np.isfinite(mean_nll(scores, np.array([2, 0]), 0.05))
