"""Batches spread over threads: the same bits as image by image, whatever the number of cores."""

import numpy as np
import pytest

from dsrg.supervision import (
    constrain_loss,
    floored_softmax,
    grow_seeds,
    image_threads,
    losses,
    network_images_to_8bit,
)
from dsrg.supervision.image_threads import by_images, joined

SHAPE = (5, 4, 9, 8)


@pytest.fixture(params=[1, 2, 3, 8])
def cores(request, monkeypatch):
    monkeypatch.setattr(image_threads, "available_cpus", lambda: request.param)
    monkeypatch.setattr(image_threads, "WORTH", 0)
    return request.param


def test_results_are_those_of_one_thread_to_the_bit(cores, rng, monkeypatch):
    scores, gradient = (rng.standard_normal(SHAPE).astype(np.float32) for _ in range(2))
    images = rng.uniform(-100, 100, (5, 3, 33, 20)).astype(np.float32)
    cues = (rng.random(SHAPE) < 0.1).astype(np.float32)
    labels = np.ones(SHAPE[:2], np.float32)

    def everything():
        p = floored_softmax(scores)
        log_q = np.log(floored_softmax(gradient))
        value, *gradients = constrain_loss(p, log_q)
        return [p, losses.floored_softmax_backward(p, gradient), network_images_to_8bit(images, 9, 8),
                grow_seeds(labels, cues, p, 0.3, 0.2), np.array(value), *gradients]

    found = everything()
    monkeypatch.setattr(image_threads, "available_cpus", lambda: 1)
    for array, expected in zip(found, everything(), strict=True):
        assert array.dtype == expected.dtype and np.array_equal(array, expected)


def test_parts_are_consecutive_and_cover_the_batch(cores):
    batch = np.arange(5)
    assert np.array_equal(joined(lambda part: part, batch), batch)
    assert len(list(by_images(len, batch))) == min(cores, 5)


def test_a_small_batch_starts_no_thread():
    batch = np.zeros((4, 10))
    assert [part is batch for part in by_images(lambda part: part, batch)] == [True]
