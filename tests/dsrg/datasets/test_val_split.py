"""Val photos: every class among them where it can be, every class left with a photo to learn from."""

from collections import Counter

import numpy as np
import pytest

from dsrg.datasets.val_split import choose_val, classes_without_val
from dsrg.io.errors import UserError


def many(count=200, classes=8, seed=0):
    """Photos of one to three classes, the last of which are rare."""
    rng = np.random.default_rng(seed)
    chances = 1 / np.arange(1, classes + 1) ** 1.5
    return {f"p{n:03}": sorted(int(c) for c in rng.choice(classes, rng.integers(1, 4), replace=False,
                                                          p=chances / chances.sum()) + 1) for n in range(count)}


def counts(labels, names):
    return Counter(c for name in names for c in labels[name])


@pytest.mark.parametrize("seed", range(6))
def test_every_class_is_in_val_and_in_train_in_its_share(seed):
    labels = many(seed=seed)
    val = choose_val(labels, 0.2, seed)
    assert len(val) == 40
    total, have = counts(labels, labels), counts(labels, val)
    for c, number in total.items():
        assert 1 <= have[c] < number if number > 1 else have[c] == 0
        assert abs(have[c] - 0.2 * number) <= max(2, 0.1 * number), (c, number, have[c])
    assert val == choose_val(dict(sorted(labels.items(), reverse=True)), 0.2, seed)
    assert val != choose_val(labels, 0.2, seed + 1)


def test_rare_classes_come_first_where_places_are_few():
    """Three places of thirty: the two classes of two photos have one each, by one photo that shows both if need be."""
    labels = {f"p{n:02}": [1] for n in range(26)} | {"q0": [2], "q1": [2], "r0": [3], "r1": [3]}
    for seed in range(5):
        assert counts(labels, choose_val(labels, 0.1, seed)) == {1: 1, 2: 1, 3: 1}
    labels |= {"q1": [2, 3], "r1": [3, 4], "s": [4]}
    val = choose_val(labels, 0.1, 0)
    assert len(val) == 3 and set(counts(labels, val)) == {1, 2, 3, 4}


def test_the_last_photo_of_a_class_is_not_spared():
    labels = {"a": [1], "b": [1], "c": [1, 2]}
    assert all(choose_val(labels, 0.5, seed) <= {"a", "b"} for seed in range(5))
    with pytest.raises(UserError, match="1 photo with --val 0.9 leave none to set apart"):
        choose_val({"a": [1]}, 0.9, 0)
    assert choose_val(labels, 0, 0) == set()


def test_photos_with_a_mask_alone_are_taken_where_some_have_one():
    """Without one among them nothing of val could be measured."""
    labels = many()
    masks = sorted(labels)[:50]
    for share in (0.2, 0.5):
        assert set() < choose_val(labels, share, 0, masks) <= set(masks)
    assert choose_val(labels, 0.2, 0, sorted(labels)) == choose_val(labels, 0.2, 0)
    assert choose_val({"a": [1], "b": [2], "c": [2]}, 0.4, 0, ["a"]) < {"b", "c"}, "of its class the last"


def test_a_class_that_alone_has_masks_keeps_most_of_its_photos_to_learn_from():
    labels = {f"car{n:02}": [1] for n in range(30)} | {f"horse{n:02}": [2] for n in range(14)}
    masks = [name for name in labels if name.startswith("horse")]
    assert counts(labels, choose_val(labels, 0.2, 0, masks)) == {2: 3}


def test_thousands_of_photos_are_split_in_time_linear_in_the_places():
    labels = {f"p{n}": [n % 20 + 1] for n in range(5000)}
    assert set(counts(labels, choose_val(labels, 0.2, 0)).values()) == {50}


def test_classes_that_val_lacks_are_named():
    labels = {"a": [1], "b": [1], "c": [1, 2]}
    line = classes_without_val(labels, {"a"}, ["background", "cow", "goat", "sheep"])
    assert line.startswith("no val photo shows goat (1 photo in all): nothing will be measured of it")
    assert classes_without_val(labels, {"c"}, ["background", "cow", "goat"]) is None
    assert classes_without_val(labels, set(), ["background", "cow", "goat"]).startswith("no photo is set apart")
