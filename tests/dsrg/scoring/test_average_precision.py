"""Average precision against a count by hand: the mean of the precision at the rank of each photo with the class."""

import numpy as np
import pytest

from dsrg.scoring.average_precision import mean_average_precision, rank_classes


def by_hand(scores, truth):
    order = np.argsort(-scores)
    hits = np.cumsum(truth[order])
    return np.mean([hits[rank] / (rank + 1) for rank in range(len(order)) if truth[order][rank]])


def test_average_precision_by_hand():
    """Ranks 1, 3 and 6 of six: (1/1 + 2/3 + 3/6) / 3."""
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5, 0.1]]).T
    truth = np.array([[1, 0, 1, 0, 0, 1]], bool).T
    (one,) = rank_classes(scores, truth, ["cow"])
    assert one.average_precision == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert (one.photos, one.chance) == (3, 0.5)


def test_random_scores_against_the_count(rng):
    scores, truth = rng.normal(size=(40, 5)), rng.random((40, 5)) < 0.3
    rankings = rank_classes(scores, truth, "abcde")
    for k, one in enumerate(rankings):
        assert one.average_precision == pytest.approx(by_hand(scores[:, k], truth[:, k]))
    mean, chance = mean_average_precision(rankings)
    assert mean == pytest.approx(np.mean([by_hand(scores[:, k], truth[:, k]) for k in range(5)]))
    assert chance == pytest.approx(truth.mean())


def test_a_class_in_all_photos_or_in_none_is_not_ranked():
    truth = np.array([[1, 0, 1], [1, 0, 0]], bool)
    rankings = rank_classes(np.zeros((2, 3)), truth, "abc")
    assert [one.average_precision for one in rankings] == [None, None, pytest.approx(0.5)]
    assert mean_average_precision(rankings[:2]) == (None, None)
