"""Accuracy and SegAccuracy against counting by hand; their details measured on Caffe are in the goldens."""

import numpy as np
import pytest

from tests.engine.layers.nets import Single, run_layer


def figures(scores, labels, ignored=()):
    """The three figures of SegAccuracy, counted pixel by pixel."""
    classes = scores.shape[1]
    confusion = np.zeros((classes, classes))
    for n, i, j in np.ndindex(labels.shape[0], *labels.shape[2:]):
        label = int(labels[n, 0, i, j])
        if label not in ignored:
            column = scores[n, :, i, j]
            confusion[label, max(c for c in range(classes) if column[c] == column.max())] += 1
    hit, truth, guess = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    recall = [h / t for h, t in zip(hit, truth, strict=True) if t]
    union = truth + guess - hit
    jaccard = [1.0 if h == u else h / u for h, u in zip(hit, union, strict=True)]
    return [hit.sum() / truth.sum(), np.mean(recall), np.mean(jaccard)]


def test_seg_accuracy_equals_counting(rng):
    scores = np.round(rng.normal(size=(3, 5, 6, 7)))  # ties on purpose
    labels = rng.choice([0, 1, 2, 255], size=(3, 1, 6, 7))  # classes 3 and 4 are absent
    text = 'type: "SegAccuracy" seg_accuracy_param { ignore_label: 255 ignore_label: 2 }'
    found = run_layer(text, scores, labels)[0]
    assert found.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(found.ravel(), figures(scores, labels, {255, 2}), rtol=1e-6)


def test_seg_accuracy_counts_a_class_nobody_sees_as_right():
    scores, labels = np.zeros((1, 4, 1, 2)), np.zeros((1, 1, 1, 2))
    scores[0, 0] = 1
    found = run_layer('type: "SegAccuracy"', scores, labels)[0].ravel()
    assert np.array_equal(found, [1, 1, 1]), "0 / 0 counts 1"


def test_seg_accuracy_of_ties_takes_the_highest_class():
    found = run_layer('type: "SegAccuracy"', np.zeros((1, 3, 1, 1)), np.full((1, 1, 1, 1), 2.0))[0].ravel()
    assert found[0] == 1


def test_seg_accuracy_goes_on_counting_without_reset(rng):
    scores, labels = rng.normal(size=(2, 3, 4, 4)), rng.integers(0, 3, (2, 1, 4, 4)).astype(float)
    single = Single('type: "SegAccuracy" seg_accuracy_param { reset: false }', (1, 3, 4, 4), (1, 1, 4, 4))
    single.forward(scores[:1], labels[:1])
    found = single.forward(scores[1:], labels[1:])[0].ravel()
    np.testing.assert_allclose(found, figures(scores, labels), rtol=1e-6)


def test_seg_accuracy_without_any_label_that_counts():
    text = 'type: "SegAccuracy" seg_accuracy_param { ignore_label: 255 }'
    found = run_layer(text, np.zeros((1, 3, 2, 2)), np.full((1, 1, 2, 2), 255.0))[0].ravel()
    assert np.array_equal(found, [0, 0, 1])


@pytest.mark.parametrize("top_k", [1, 2])
def test_accuracy_equals_counting(top_k, rng):
    scores = rng.normal(size=(6, 4, 2, 3))
    labels = rng.choice([0, 1, 2, 3, 9], size=(6, 2, 3))
    text = f'type: "Accuracy" accuracy_param {{ top_k: {top_k} ignore_label: 9 }}'
    found, by_class = run_layer(text, scores, labels, tops=2)
    order = np.argsort(-scores, axis=1)[:, :top_k]
    hits = (order == labels[:, None]).any(1)
    assert found == pytest.approx(hits[labels != 9].mean())
    assert by_class == pytest.approx([hits[labels == c].mean() for c in range(4)])


def test_accuracy_without_labels_is_zero():
    text = 'type: "Accuracy" accuracy_param { ignore_label: 9 }'
    assert run_layer(text, np.zeros((2, 3)), np.full(2, 9.0))[0] == 0
