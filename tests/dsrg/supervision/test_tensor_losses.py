"""The losses on tensors are those on arrays, whose own oracles are in test_losses.py and test_refinement.py."""

import numpy as np
import pytest
import torch

from dsrg.supervision import losses, network_images_to_8bit, tensor_losses, tensor_photos

SHAPES = [(2, 4, 6, 5), (1, 2, 1, 1), (3, 21, 9, 9)]


def probabilities_of(rng, shape):
    return losses.floored_softmax(4 * rng.standard_normal(shape)).astype(np.float32)


def doubled(*arrays):
    """In float64, in which tensors are computed always, arrays where they are of it."""
    return [array.astype(np.float64) for array in arrays]


def cues_of(rng, shape):
    """Cues of two images with some, of a third without any."""
    cues = (rng.random(shape) < 0.2).astype(np.float32)
    cues[2:] = 0
    return cues


def labels_of(rng, shape):
    labels = (rng.random(shape[:2]) < 0.4).astype(np.float32)
    labels[:, 0] = 1
    labels[2:, 1:] = 0
    return labels


def second_of(name, rng, shape):
    if name == "constrain_loss":
        return np.log(losses.floored_softmax(4 * rng.standard_normal(shape))).astype(np.float32)
    return labels_of(rng, shape) if name == "expand_loss" else cues_of(rng, shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["seed_loss", "balanced_seed_loss", "constrain_loss", "expand_loss"])
def test_value_and_gradients_equal_those_of_arrays(name, shape, rng):
    arrays = probabilities_of(rng, shape), second_of(name, rng, shape)
    value, *gradients = getattr(losses, name)(*doubled(*arrays))
    found, *on_tensors = getattr(tensor_losses, name)(*map(torch.from_numpy, arrays))
    assert found.item() == pytest.approx(value, rel=1e-12, abs=1e-15)
    for gradient, tensor in zip(gradients, on_tensors, strict=True):
        np.testing.assert_allclose(tensor.numpy(), gradient, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_softmax_and_its_gradient_equal_those_of_arrays(shape, rng):
    scores, gradient = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    expected = losses.floored_softmax(*doubled(scores))
    found = tensor_losses.floored_softmax(torch.from_numpy(scores))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-13)
    back = tensor_losses.floored_softmax_backward(found, torch.from_numpy(gradient))
    by_arrays = losses.floored_softmax_backward(expected, *doubled(gradient))
    np.testing.assert_allclose(back.numpy(), by_arrays, rtol=1e-10, atol=1e-15)


def test_equal_maxima_of_an_absent_class_all_get_the_gradient():
    p = np.full((1, 2, 1, 3), 0.5, np.float32)
    labels = np.array([[1, 0]], np.float32)
    _, gradient = tensor_losses.expand_loss(torch.from_numpy(p), torch.from_numpy(labels))
    np.testing.assert_allclose(gradient.numpy(), losses.expand_loss(p, labels)[1], rtol=1e-12)
    assert (gradient[0, 1] == 2).all()                  # d(-log(1 - p)) / dp at 0.5, of the one absent class


def test_what_is_not_finite_shows_in_the_value():
    """Training stops at it; a zero would hide it."""
    p = torch.full((1, 2, 1, 2), 0.5)
    p[0, 0, 0, 0] = torch.nan
    cues = torch.ones(1, 2, 1, 2)
    assert torch.isnan(tensor_losses.seed_loss(p, cues)[0])
    assert torch.isnan(tensor_losses.constrain_loss(p, cues)[0])


SIZES = [((321, 321), (41, 41)), ((24, 20), (6, 5)), ((7, 9), (13, 4)), ((5, 5), (1, 1))]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_small_photos_are_the_same_to_the_bit(sizes, layout, rng):
    taken, made = sizes
    images = rng.uniform(-140, 160, (2, 3, *taken)).astype(np.float32)
    tensor = torch.from_numpy(images).contiguous(memory_format=layout)
    found = tensor_photos.network_images_to_8bit(tensor, *made, (104, 117, 123))
    assert np.array_equal(found.numpy(), network_images_to_8bit(images, *made, (104, 117, 123)))
