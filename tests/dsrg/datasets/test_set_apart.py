"""Photos set apart for judging the classifier: how many, and that no class loses what it learns from."""

from collections import Counter

import pytest

from dsrg.datasets.set_apart import set_apart


@pytest.mark.parametrize("count", [10, 57, 400])
def test_a_tenth_where_no_class_is_rare(count):
    apart = set_apart({f"photo {k}": [k % 2 + 1] for k in range(count)})
    assert len(apart) == count // 10


def test_order_does_not_matter():
    labels = {f"a/{k}": [k % 4 + 1] for k in range(80)}
    assert set_apart(labels) == set_apart(dict(reversed(labels.items())))


def test_every_class_keeps_four_fifths_of_its_photos(rng):
    labels = {str(k): sorted(set(rng.integers(1, 9, 2).tolist())) for k in range(60)}
    labels |= {f"rare {k}": [9] for k in range(4)} | {"alone": [10]}
    apart = set_apart(labels)
    total, gone = (Counter(c for i in ids for c in labels[i]) for ids in (labels, apart))
    assert 1 <= len(apart) <= len(labels) // 10
    assert all(gone[c] <= total[c] // 5 for c in total) and not gone[9] and not gone[10]


def test_few_photos_are_all_learned_from():
    assert set_apart({str(k): [1] for k in range(9)}) == set()
    assert set_apart({}) == set()
    assert set_apart({str(k): [k + 1] for k in range(30)}) == set(), "each class has one photo"
