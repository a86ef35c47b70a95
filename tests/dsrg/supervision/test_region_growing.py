"""Region growing: a slow flood fill, maps typed by hand, each quirk of the original, the original's results."""

import numpy as np
import pytest

from dsrg.supervision import grow_seeds
from tests.conftest import DATA


def slow_growth(labels, cues, probabilities, th_background, th_foreground):
    """One image, pixel by pixel: an independent reading of the method."""
    classes, height, width = cues.shape
    present = [c for c in range(classes) if c == 0 or labels[c]]
    label_map = {}
    for row in range(height):
        for column in range(width):
            for c in range(classes):
                if cues[c, row, column]:
                    label_map[row, column] = c
            best = max(present, key=lambda c: (probabilities[c, row, column], -c))
            value = probabilities[best, row, column]
            if value > th_foreground and (best != 0 or value > th_background):
                label_map[row, column] = best
    grown = np.array(cues)
    for c in present:
        reached = [pixel for pixel, label in label_map.items() if label == c and cues[c][pixel]]
        seen = set(reached)
        while reached:
            row, column = reached.pop()
            for pixel in ((row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
                if label_map.get(pixel) == c and pixel not in seen:
                    seen.add(pixel)
                    reached.append(pixel)
        for pixel in seen:
            seeds = [k for k in range(classes) if cues[(k, *pixel)]]
            if len(seeds) != 1 or seeds == [c]:
                grown[(c, *pixel)] = 1
    return grown


def one_class(cue, probability, present=1):
    """labels, cues, probabilities of one image with classes background and 1; maps typed as rows of numbers."""
    cue, probability = np.array(cue), np.array(probability)
    cues = np.stack([cue == 0, cue == 1])[None].astype(np.float32)      # -1: no seed
    probabilities = np.stack([1 - probability, probability])[None]
    return np.array([[1, present]]), cues, probabilities


def test_growing_fills_the_confident_region_around_a_seed_and_no_other():
    cue = [[-1, -1, -1, -1, -1],
           [-1, 1, -1, -1, -1],
           [-1, -1, -1, -1, -1],
           [-1, -1, -1, -1, -1]]
    probability = [[.9, .9, .1, .1, .9],        # the .9 on the right are a region without a seed
                   [.1, .9, .1, .9, .9],
                   [.1, .1, .1, .1, .1],
                   [.1, .1, .1, .1, .1]]
    grown = grow_seeds(*one_class(cue, probability), 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [
        [1, 1, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0]]
    assert not grown[0, 0].any()


def test_growing_crosses_corners():
    cue = [[1, -1, -1], [-1, -1, -1], [-1, -1, -1]]
    probability = [[.9, .1, .1], [.1, .9, .1], [.1, .1, .9]]
    grown = grow_seeds(*one_class(cue, probability), 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_thresholds_are_strict():
    cue = [[1, -1, -1]]
    grown = grow_seeds(*one_class(cue, [[.9, .75, .9]]), 0.99, 0.75)
    assert grown[0, 1].astype(int).tolist() == [[1, 0, 0]]


def test_background_passes_only_above_both_thresholds():
    """As in the original, where the background's test is nested in the foreground's."""
    cue = [[0, -1, -1]]
    arguments = one_class(cue, [[.1, .1, .1]])      # background .9
    assert grow_seeds(*arguments, 0.85, 0.8)[0, 0].sum() == 3
    assert grow_seeds(*arguments, 0.95, 0.8)[0, 0].sum() == 1     # above th2 only
    assert grow_seeds(*arguments, 0.80, 0.95)[0, 0].sum() == 1    # above th1 only


def test_background_grows_even_where_the_labels_do_not_name_it():
    labels, cues, probabilities = one_class([[0, -1]], [[.1, .1]])
    labels[:, 0] = 0
    assert grow_seeds(labels, cues, probabilities, 0.85, 0.8)[0, 0].sum() == 2


def test_absent_class_never_grows_but_keeps_its_seeds():
    labels, cues, probabilities = one_class([[1, -1]], [[.9, .9]], present=0)
    grown = grow_seeds(labels, cues, probabilities, 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [[1, 0]]


def test_seed_relabelled_by_confidence_bridges_but_keeps_its_own_cue():
    """Background's seed lies in the way of class 1: class 1 grows past it, not onto it."""
    cue = [[1, 0, -1]]
    grown = grow_seeds(*one_class(cue, [[.9, .9, .9]]), 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [[1, 0, 1]]
    assert grown[0, 0].astype(int).tolist() == [[0, 1, 0]]


def test_seeds_are_never_removed_even_against_the_network():
    cue = [[1, 1, -1]]
    grown = grow_seeds(*one_class(cue, [[.001, .001, .001]]), 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [[1, 1, 0]]


def test_unconfident_seeds_still_carry_their_region():
    """A seed pixel is in the label map whatever its probability, so a region may hang on it."""
    cue = [[1, -1, -1]]
    grown = grow_seeds(*one_class(cue, [[.2, .9, .9]]), 0.99, 0.85)
    assert grown[0, 1].astype(int).tolist() == [[1, 1, 1]]


def test_pixel_seeded_as_two_classes_counts_as_the_last_in_the_label_map():
    labels = np.ones((1, 3))
    cues = np.zeros((1, 3, 1, 3), dtype=np.float32)
    cues[0, 1, 0, 1] = cues[0, 2, 0, 1] = 1             # classes 1 and 2 on the pixel in the middle
    probabilities = np.zeros((1, 3, 1, 3))
    probabilities[0, 1, 0, 0] = probabilities[0, 2, 0, 2] = 0.9
    grown = grow_seeds(labels, cues, probabilities, 0.99, 0.85)
    assert grown[0, 1, 0].tolist() == [0, 1, 0]         # class 1 has no component with a seed
    assert grown[0, 2, 0].tolist() == [0, 1, 1]


def test_argmax_ties_go_to_the_first_class():
    labels = np.ones((1, 3))
    cues = np.zeros((1, 3, 1, 2), dtype=np.float32)
    cues[0, 1:, 0, 0] = 1
    probabilities = np.full((1, 3, 1, 2), 0.9)
    probabilities[0, 0] = 0
    assert grow_seeds(labels, cues, probabilities, 0.99, 0.85)[0, :, 0, 1].tolist() == [0, 1, 0]


def test_growing_starts_anew_each_time_and_writes_none_of_its_inputs():
    arguments = one_class([[1, -1, -1]], [[.9, .9, .1]])
    before = [a.copy() for a in arguments]
    first = grow_seeds(*arguments, 0.99, 0.85)
    second = grow_seeds(*arguments, 0.99, 0.85)
    np.testing.assert_array_equal(first, second)
    for now, then in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(now, then)
    assert first.dtype == arguments[1].dtype


def test_growing_equals_a_slow_flood_fill(rng):
    """Overlapping seeds, seeds of absent classes, odd sizes, blobs of probability."""
    for _ in range(25):
        classes, height, width = rng.integers(2, 6), rng.integers(1, 12), rng.integers(1, 12)
        shape = (3, classes, height, width)
        labels = rng.integers(2, size=(3, classes))
        cues = (rng.random(shape) < 0.1).astype(np.uint8)
        probabilities = rng.random(shape) ** 2
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        grown = grow_seeds(labels, cues, probabilities, 0.7, 0.5)
        for image in range(3):
            expected = slow_growth(labels[image], cues[image], probabilities[image], 0.7, 0.5)
            np.testing.assert_array_equal(grown[image], expected)


def test_growing_refuses_shapes_that_do_not_belong_together():
    labels, cues, probabilities = one_class([[1, -1]], [[.9, .9]])
    with pytest.raises(ValueError, match=r"cues are \(1, 2, 1, 2\), probabilities \(1, 2, 1, 1\), labels \(1, 2\)"):
        grow_seeds(labels, cues, probabilities[..., :1], 0.99, 0.85)


# -- the original's results ---------------------------------------------------------------------------------


def assert_equal_to(archive, thresholds):
    """Cases take the thresholds in turn."""
    count = len(thresholds)
    for first, pair in enumerate(thresholds):
        labels, cues, probs, grown = (archive[k][first::count] for k in ("labels", "cues", "probs", "grown"))
        np.testing.assert_array_equal(grow_seeds(labels, cues, probs, *pair), grown)
        assert (grown != cues).any()


def test_growing_equals_the_original():
    with np.load(DATA / "dsrg" / "region_growing.npz") as archive:
        assert_equal_to(archive, archive["thresholds"])


def test_growing_equals_the_original_on_overlapping_seeds():
    with np.load(DATA / "dsrg" / "region_growing_hard.npz") as archive:
        assert_equal_to(archive, [archive["thresholds"]])


@pytest.mark.parametrize("folder", ["dsrg", "dsrg_photos"])
def test_growing_equals_the_original_on_every_golden(folder, shared):
    with np.load(shared / "goldens" / folder / "region_growing.npz") as archive:
        assert_equal_to(archive, [(0.99, 0.85), (0.7, 0.5)])
    with np.load(shared / "goldens" / folder / "region_growing_hard.npz") as archive:
        assert_equal_to(archive, [(0.8, 0.6)])
