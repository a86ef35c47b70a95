"""Saliency as a prior, and the cells of a class that labels do not tell from its companion."""

import numpy as np
import pytest

from localization_cues.background_rules import Evidence
from localization_cues.cues_of_photos import Rules
from localization_cues.merge import merge
from localization_cues.saliency_prior import hidden_classes, weighted, with_remainders

NO_BACKGROUND = np.zeros((1, 4), bool)


def test_maps_are_weighted_as_fractions_of_their_maximum():
    maps = np.array([[[2, 4, -1, 1]], [[0, 10, 5, 5]]], float)
    expected = [[[0.5 * 0.2, 1 * 0.5, 0, 0.25 * 0.8]], [[0, 1 * 0.5, 0.5 * 1, 0.5 * 0.8]]]
    np.testing.assert_allclose(weighted(maps, np.array([[0.2, 0.5, 1, 0.8]])), expected)


@pytest.mark.parametrize("values", [[[-3, -1, -2, -4]], [[0, 5, 0, 0]]])
def test_a_map_of_which_nothing_is_left_keeps_its_largest_cell(values):
    maps = np.array([values], float)
    result = weighted(maps, np.array([[1, 0, 1, 1]]))       # the largest cell is not salient at all
    np.testing.assert_array_equal(result, maps)
    assert merge(result, [1], NO_BACKGROUND, 0.5).label_map.tolist() == [[-1, 1, -1, -1]]


@pytest.mark.parametrize(("photos", "expected"), [
    ([[1, 2]] * 4 + [[2]], {2: {1}}),               # on 4 of 5 of its photos
    ([[1, 2]] * 3 + [[2]], {}),                     # 3 of 4 are too few
    ([[1, 2]] * 9 + [[2], [1]], {}),                # 1 is also without 2
    ([[1, 2]] * 9, {}),                             # nothing says which one the maps show
    ([[2, 1, 3]] * 4 + [[3]], {3: {1, 2}}),
    ([[1]] * 4 + [[2]], {}),
    ([], {}),
])
def test_hidden_is_who_has_a_companion_on_most_photos_that_is_never_without_it(photos, expected):
    assert hidden_classes(photos) == expected


def test_hidden_classes_by_counting_photos_of_every_pair(rng):
    photos = [sorted(set(rng.choice([1, 2, 3, 4, 5], 3).tolist()) | {5}) for _ in range(12)] + [[5]]
    found = hidden_classes(photos, share=0.5)
    for b in range(1, 6):
        expected = set()
        for a in range(1, 6):
            both = sum(a in p and b in p for p in photos)
            of_a, of_b = sum(a in p for p in photos), sum(b in p for p in photos)
            if a != b and both == of_a < of_b and both >= 0.5 * of_b:
                expected.add(a)
        assert found.get(b, set()) == expected
    assert found                                     # the case is no empty one


def test_a_hidden_class_gets_what_is_salient_and_of_no_other_class():
    maps = np.array([[[4, 2, 0, 0]], [[8, 4, 0, 0]], [[0, 0, 0, 6]]], float)
    saliency = np.array([[0.9, 0.8, 0.6, 1]])
    result, replaced = with_remainders(maps, [1, 2, 3], saliency, {2: {1}})
    assert replaced == {2}
    np.testing.assert_allclose(result[1], [[0, 0.8 * 0.5, 0.6, 0]])
    np.testing.assert_array_equal(result[[0, 2]], maps[[0, 2]])


def test_where_nothing_is_salient_beside_the_companion_a_class_keeps_its_map():
    maps = np.array([[[4.0, 0]], [[1, 3]]])
    for saliency in (np.zeros((1, 2)), np.array([[0.5, 0]])):       # a black map; salient on the companion alone
        found, replaced = with_remainders(maps, [1, 2], saliency, {2: {1}})
        assert found.tolist() == maps.tolist() and replaced == set()


def test_without_its_companion_a_class_keeps_its_map():
    maps = np.array([[[8, 4, 0, 0]], [[0, 0, 0, 6]]], float)
    result, replaced = with_remainders(maps, [2, 3], np.ones((1, 4)), {2: {1}})
    assert replaced == set() and result is maps


@pytest.mark.parametrize(("companion", "labels", "expected"), [
    (None, [1, 2, 3], [1, 1, 2, 3]),    # 0.3 of its maximum is above the 0.2 of all
    (0.4, [1, 2, 3], [1, -1, 2, 3]),    # not above its own 0.4; the remainder of 0.7 there is not above 0.8
    (0.4, [1, 3], [1, 1, -1, 3]),       # without the class behind it, it is like any other
])
def test_a_companion_has_a_threshold_of_its_own_beside_whom_it_hides(companion, labels, expected):
    maps = {1: [1, 0.3, 0, 0], 2: [1, 1, 0, 0], 3: [0, 0, 0, 0.3]}
    rules = Rules(0.2, (), None, "smaller-area", False, "none", 0.8, companion)
    evidence = Evidence(np.zeros((len(labels), 1, 4)), np.array([[1, 1, 1, 0]]))
    found = rules.cues(np.array([[maps[label]] for label in labels], float), labels, evidence, {2: frozenset({1})})
    assert found.label_map.tolist() == [expected]
