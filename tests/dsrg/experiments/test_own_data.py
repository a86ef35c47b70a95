"""Numbers for other data: the rules, each on numbers that can be checked by hand."""

import pytest

from dsrg.experiments.own_data import OwnData, crf_factor, iterations_for, rate_for


def data(photos, counts, classes=4, side=320.0):
    names = ["background", *(f"c{n}" for n in range(1, classes))]
    return OwnData(photos, names, counts, counts, side)


@pytest.mark.parametrize(("kind", "old", "batch", "photos", "counts", "expected"), [
    ("s", 500, 16, 330, {1: 110, 2: 110, 3: 110}, 500),          # the template's own size
    ("s", 500, 16, 3300, {1: 1100, 2: 1100, 3: 1100}, 5000),     # ten times as many photos, each as often
    ("s", 500, 16, 33, {1: 11, 2: 11, 3: 11}, 300),              # few: six tenths
    ("s", 500, 8, 330, {1: 110, 2: 110, 3: 110}, 1000),          # half the batch, as many photos shown
    ("s", 500, 16, 330, {1: 200, 2: 120, 3: 10}, 620),           # 300 times a rare class: 300 * 330 / 10 / 16
    ("s", 500, 16, 330, {1: 200, 2: 129, 3: 1}, 1000),           # at most twice as long for it
    ("cam", 160, 16, 330, {1: 200, 2: 120, 3: 10}, 210),         # 100 * 330 / 10 / 16
    ("f", 500, 16, 100_000, {1: 50_000, 2: 50_000}, 20_000),     # never longer
])
def test_iterations(kind, old, batch, photos, counts, expected):
    assert iterations_for(kind, old, 16, batch, 330, data(photos, counts)) == expected


def test_a_long_training_of_the_template_asks_for_no_more_than_eight_thousand_photos_shown():
    """VOC's 8000 iterations of 20 photos are for 10,582; of 150 photos 400 iterations show each 53 times."""
    assert iterations_for("s", 8000, 20, 20, 10582, data(150, {1: 50, 2: 50, 3: 50})) == 400


@pytest.mark.parametrize(("kind", "batch", "classes", "expected"), [
    ("s", 16, 4, 0.001), ("s", 16, 100, 0.001), ("s", 4, 4, 0.00025), ("s", 64, 4, 0.001),
    ("cam", 16, 4, 0.001), ("cam", 16, 61, 0.0005), ("cam", 8, 61, 0.00025)])
def test_rates_only_ever_go_down(kind, batch, classes, expected):
    assert rate_for(kind, 0.001, 16, batch, 16, classes) == pytest.approx(expected)


@pytest.mark.parametrize(("side", "expected"), [(320, 1), (260, 1), (425, 1), (160, 2), (640, 0.5), (4000, 0.08)])
def test_the_crf_keeps_its_share_of_the_photo(side, expected):
    assert crf_factor(320, side) == expected


def test_a_template_that_was_chosen_for_next_to_no_photos_asks_for_no_endless_training():
    assert iterations_for("s", 500, 16, 16, 1e-310, data(330, {1: 110, 2: 110, 3: 110})) == 20_000
