"""Losses for random nets, see random_layers.py."""

import math

from tests.engine.random_layers import Draft, one_of

LOSSES = {}


def loss(name):
    def add(function):
        LOSSES[name] = function
        return function

    return add


def _normalization(rng):
    return one_of(rng, "", "normalization: FULL", "normalization: BATCH_SIZE", "normalization: NONE",
                  "ignore_label: 0", "ignore_label: 1 normalization: VALID")


def _labels(rng, shape, axis):
    """Shape of labels, one for each place outside `axis`."""
    axis %= len(shape)
    rest = (*shape[:axis], *shape[axis + 1 :])
    return one_of(rng, rest, (*shape[:axis], 1, *shape[axis + 1 :]))


@loss("SoftmaxWithLoss")
def _softmax(rng, shape):
    axis = int(rng.integers(1, len(shape)))
    return [Draft("SoftmaxWithLoss", f"softmax_param {{ axis: {axis} }} loss_param {{ {_normalization(rng)} }}",
                  extra=[(_labels(rng, shape, axis), f"index{shape[axis]}")], tops=1, loss=True)]


@loss("InfogainLoss")
def _infogain(rng, shape):
    axis = int(rng.integers(1, len(shape)))
    classes = shape[axis]
    return [Draft("InfogainLoss", f"infogain_loss_param {{ axis: {axis} }} loss_param {{ {_normalization(rng)} }}",
                  extra=[(_labels(rng, shape, axis), f"index{classes}"), ((1, 1, classes, classes), "positive")],
                  loss=True)]


@loss("MultinomialLogisticLoss")
def _multinomial(rng, shape):
    return [Draft("Softmax"), Draft("Flatten"),
            Draft("MultinomialLogisticLoss", extra=[((shape[0],), f"index{math.prod(shape[1:])}")], loss=True)]


@loss("SigmoidCrossEntropyLoss")
def _sigmoid(rng, shape):
    return [Draft("SigmoidCrossEntropyLoss", f"loss_param {{ {_normalization(rng)} }}", extra=[("same", "binary")],
                  loss=True)]


@loss("EuclideanLoss")
def _euclidean(rng, shape):
    return [Draft("EuclideanLoss", extra=[("same", "normal")], loss=True)]


@loss("HingeLoss")
def _hinge(rng, shape):
    return [Draft("Flatten"), Draft("HingeLoss", f"hinge_loss_param {{ norm: {one_of(rng, 'L1', 'L2')} }}",
                                    extra=[((shape[0],), f"index{math.prod(shape[1:])}")], loss=True)]


@loss("ContrastiveLoss")
def _contrastive(rng, shape):
    n, c = shape[0], math.prod(shape[1:])
    return [Draft("Flatten"), Draft("ContrastiveLoss", "contrastive_loss_param { margin: 3 legacy_version: "
                                    f"{one_of(rng, 'true', 'false')} }}", extra=[((n, c), "normal"), ((n,), "binary")],
                                    loss=True)]


@loss("Reduction")
def _reduction(rng, shape):
    return [Draft("Reduction", f"reduction_param {{ operation: {one_of(rng, 'SUM', 'SUMSQ', 'MEAN')} }}", loss=True)]
