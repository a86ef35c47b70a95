"""Layers on contiguous and channels_last memory: values, gradients, and the layout that comes out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.engine.layers.nets import Single


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("window", ["kernel_size: 3 stride: 2 pad: 1", "kernel_size: 2 stride: 2",
                                    "kernel_size: 3 stride: 1 pad: 1", "kernel_size: 4 stride: 3 pad: 3"])
def test_maxima_and_their_gradients_are_torchs_on_ties_too_and_keep_their_layout(window, memory_format, rng):
    layer = Single(f'type: "Pooling" pooling_param {{ pool: MAX {window} }}', (2, 5, 13, 17)).layer
    x = torch.from_numpy(rng.integers(0, 4, (2, 5, 13, 17)).astype("float32")).contiguous(memory_format=memory_format)
    x.requires_grad_()
    y = layer.compute(x)
    assert y.is_contiguous(memory_format=memory_format)
    windows = F.unfold(F.pad(x.detach(), (9,) * 4, value=-1), layer.pool.kernel, stride=1)   # (2, 5 k k, places)
    (kh, kw), (sh, sw), (ph, pw) = layer.pool.kernel, layer.pool.stride, layer.pool.pad
    places = windows.reshape(2, 5, kh * kw, 13 + 19 - kh, 17 + 19 - kw)[..., 9 - ph::sh, 9 - pw::sw]
    places = places[..., :y.shape[2], :y.shape[3]]
    assert torch.equal(y, places.amax(2))
    grad = torch.from_numpy(rng.integers(1, 9, y.shape).astype("float32")).contiguous(memory_format=memory_format)
    (found,) = torch.autograd.grad([y], [x], [grad])
    expected = np.zeros((2, 5, 13, 17), np.float32)
    first = places.numpy().argmax(2)        # numpy's is the first of equal ones, row by row
    for (n, c, i, j), k in np.ndenumerate(first):
        expected[n, c, i * sh - ph + k // kw, j * sw - pw + k % kw] += grad[n, c, i, j].item()
    assert np.array_equal(found.numpy(), expected) and found.is_contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=["NCHW", "NHWC"])
def test_a_scale_of_channels_is_the_formula_to_the_bit_and_keeps_its_layout(memory_format, rng):
    layer = Single('type: "Scale" scale_param { bias_term: true filler { type: "gaussian" } bias_filler '
                   '{ type: "gaussian" } }', (2, 5, 6, 7)).layer
    x, grad = (torch.from_numpy(rng.standard_normal((2, 5, 6, 7)).astype("float32")).contiguous(
        memory_format=memory_format) for _ in range(2))
    factor, offset = (blob.data_memory.array().astype("float32") for blob in layer.blobs)
    leaves = [x.requires_grad_(), *(torch.from_numpy(values).requires_grad_() for values in (factor, offset))]
    y = layer.compute(*leaves)
    view = (1, 5, 1, 1)
    assert torch.equal(y, torch.addcmul(leaves[2].view(view), x, leaves[1].view(view)))
    assert y.is_contiguous(memory_format=memory_format)
    found = torch.autograd.grad([y], leaves, [grad])
    values, above = x.detach().double(), grad.double()
    expected = above * leaves[1].detach().double().view(view), (above * values).sum((0, 2, 3)), above.sum((0, 2, 3))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 5), (5, 1), (3, 3), (4, 6)])
def test_batch_norm_reads_gradients_of_any_layout(batch, size, rng):
    x, grad = (torch.from_numpy(rng.normal(size=(batch, 2, *size))) for _ in range(2))
    leaf = x.clone().requires_grad_()
    mean, var = leaf.mean((0, 2, 3), keepdim=True), leaf.var((0, 2, 3), correction=0, keepdim=True)
    expected = torch.autograd.grad((leaf - mean) / (var + 1e-5).sqrt(), leaf, grad)[0].numpy()
    formats = (torch.contiguous_format, torch.channels_last)
    for bottom_format in formats:
        for diff_format in formats:
            single = Single('type: "BatchNorm"', tuple(x.shape))
            single.bottom[0].data_memory.write(x.contiguous(memory_format=bottom_format))
            single.layer.forward(single.bottom, single.top)
            single.top[0].diff_memory.write(grad.contiguous(memory_format=diff_format))
            single.layer.backward(single.top, [True], single.bottom)
            ours = single.bottom[0].diff_memory.read(torch.device("cpu")).numpy()
            np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9, err_msg=f"{bottom_format} {diff_format}")
