"""Classes on few train photos, or never alone on one, are named before anything is trained."""

import random

from dsrg.datasets.class_photos import class_warnings, photos_of_classes


def test_counts_are_those_of_the_photos():
    rng = random.Random(1)
    photos = [[rng.randint(1, 4) for _ in range(rng.randint(0, 3))] for _ in range(200)]
    counts, alone = photos_of_classes(photos)
    for c in range(1, 5):
        assert counts.get(c, 0) == sum(c in one for one in photos)
        assert alone.get(c, 0) == sum(set(one) == {c} for one in photos), "a class that is said twice is on one photo"


def test_each_kind_has_its_line():
    classes = ["background", "cow", "grass", "bird", "boat"]
    lines = list(class_warnings(classes, {1: 20, 2: 19, 4: 40}, {1: 1, 2: 3}))
    assert lines == [
        "no train photo shows bird: nothing can be learned of it",
        "under 20 train photos show grass: what is learned of so few is mostly their backgrounds; add photos",
        "no train photo shows boat alone: labels do not tell it from what always goes with it; add photos of it "
        "without"]
