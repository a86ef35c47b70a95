"""Convolution, pooling, interpolation and others against plain loops that follow Caffe's formulas."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.layers.nets import Single, run_layer

SLOW = settings(deadline=None, max_examples=40, derandomize=True)


def normal(shape, seed=3):
    return np.random.default_rng(seed).normal(size=shape)


# -- convolution -------------------------------------------------------------------------------------------------
def convolve(x, weight, bias, stride, pad, dilation, group):
    """Nested loops over outputs; weight (O, C / group, kh, kw)."""
    n, c, height, width = x.shape
    o, per_group, kh, kw = weight.shape
    padded = np.zeros((n, c, height + 2 * pad, width + 2 * pad))
    padded[:, :, pad : pad + height, pad : pad + width] = x
    out_h = (height + 2 * pad - dilation * (kh - 1) - 1) // stride + 1
    out_w = (width + 2 * pad - dilation * (kw - 1) - 1) // stride + 1
    y = np.zeros((n, o, out_h, out_w))
    for k in range(o):
        first = k // (o // group) * per_group
        for i in range(out_h):
            for j in range(out_w):
                rows = slice(i * stride, i * stride + dilation * (kh - 1) + 1, dilation)
                columns = slice(j * stride, j * stride + dilation * (kw - 1) + 1, dilation)
                window = padded[:, first : first + per_group, rows, columns]
                y[:, k, i, j] = (window * weight[k]).sum((1, 2, 3)) + bias[k]
    return y


@SLOW
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.sampled_from([1, 2]),
       st.integers(3, 9), st.integers(3, 9))
def test_convolution_equals_loops(kernel, stride, pad, dilation, group, height, width):
    if dilation * (kernel - 1) + 1 > min(height, width) + 2 * pad:
        return
    text = (f'type: "Convolution" convolution_param {{ num_output: 4 kernel_size: {kernel} stride: {stride} pad: {pad} '
            f'dilation: {dilation} group: {group} }}')
    single = Single(text, (2, 2, height, width))
    weight, bias = normal((4, 2 // group, kernel, kernel)), normal(4)
    for blob, value in zip(single.layer.blobs, (weight, bias), strict=True):
        single.set(blob, value)
    x = normal((2, 2, height, width), 4)
    np.testing.assert_allclose(single.forward(x)[0], convolve(x, weight, bias, stride, pad, dilation, group), atol=1e-9)


def test_convolution_over_four_axes_equals_a_sum_over_three(rng):
    """A kernel of extent 1 on the fourth axis is a 3-d convolution of every slice."""
    text = 'type: "Convolution" convolution_param { num_output: 2 group: 2 %s }'
    single = Single(text % "kernel_size: 2 kernel_size: 2 kernel_size: 2 kernel_size: 1", (1, 2, 3, 4, 3, 5))
    three = Single(text % "kernel_size: 2", (1, 2, 3, 4, 3))
    weight = rng.normal(size=(2, 1, 2, 2, 2))
    single.set(single.layer.blobs[0], weight[..., None])
    three.set(three.layer.blobs[0], weight)
    x = rng.normal(size=(1, 2, 3, 4, 3, 5))
    found = single.forward(x)[0]
    for k in range(5):
        np.testing.assert_allclose(found[..., k], three.forward(x[..., k])[0], atol=1e-12)


@pytest.mark.parametrize(
    "fields", ["kernel_size: 3 stride: 2 pad: 1", "kernel_size: 3 dilation: 2", "kernel_size: 2 stride: 3"]
)
def test_deconvolution_is_the_adjoint_of_convolution(fields, rng):
    down = Single(f'type: "Convolution" convolution_param {{ num_output: 4 bias_term: false {fields} }}', (2, 6, 9, 11))
    weight = rng.normal(size=down.layer.blobs[0].dims)
    x = rng.normal(size=(2, 6, 9, 11))
    down.set(down.layer.blobs[0], weight)
    y = rng.normal(size=down.forward(x)[0].shape)
    up = Single(f'type: "Deconvolution" convolution_param {{ num_output: 6 bias_term: false {fields} }}', y.shape)
    up.set(up.layer.blobs[0], weight)
    raised = up.forward(y)[0]
    # a stride may leave a rim of the bottom unread; the adjoint does not reach it
    height, width = raised.shape[2:]
    np.testing.assert_allclose((down.forward(x)[0] * y).sum(), (x[:, :, :height, :width] * raised).sum(), rtol=1e-10)


def test_im2col_equals_torch_unfold(rng):
    x = rng.normal(size=(2, 3, 6, 7))
    single = Single('type: "Im2col" convolution_param { kernel_h: 3 kernel_w: 2 stride: 2 pad: 1 }', x.shape)
    columns = F.unfold(torch.from_numpy(x), (3, 2), padding=1, stride=2).numpy()
    assert np.array_equal(single.forward(x)[0].reshape(columns.shape), columns)


# -- pooling -----------------------------------------------------------------------------------------------------
def pool(x, kernel, stride, pad, average, floor=False):
    """Nested loops after pooling_layer's rule: values, places of the maxima."""
    n, c, height, width = x.shape
    rounding = math.floor if floor else math.ceil
    out_h = rounding((height + 2 * pad - kernel) / stride) + 1
    out_w = rounding((width + 2 * pad - kernel) / stride) + 1
    if pad:
        out_h -= (out_h - 1) * stride >= height + pad
        out_w -= (out_w - 1) * stride >= width + pad
    y, places = np.zeros((n, c, out_h, out_w)), np.zeros((n, c, out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            top, left = i * stride - pad, j * stride - pad
            below, right = min(top + kernel, height + pad), min(left + kernel, width + pad)
            area = (below - top) * (right - left)
            top, left, below, right = max(top, 0), max(left, 0), min(below, height), min(right, width)
            window = x[:, :, top:below, left:right].reshape(n, c, -1)
            if average:
                y[:, :, i, j] = window.sum(-1) / area
            else:
                first = window.argmax(-1)
                y[:, :, i, j] = window.max(-1)
                places[:, :, i, j] = (top + first // (right - left)) * width + left + first % (right - left)
    return y, places


@SLOW
@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(2, 9), st.integers(2, 9), st.booleans(),
       st.booleans())
def test_pooling_equals_loops(kernel, stride, pad, height, width, average, floor):
    if pad >= kernel or kernel > min(height, width) + 2 * pad or (stride > kernel and not floor):
        return
    text = (f'type: "Pooling" pooling_param {{ pool: {"AVE" if average else "MAX"} kernel_size: {kernel} '
            f'stride: {stride} pad: {pad} round_mode: {"FLOOR" if floor else "CEIL"} }}')
    x = np.round(normal((2, 3, height, width)) * 2)  # many ties
    expected, places = pool(x, kernel, stride, pad, average, floor)
    single = Single(text, x.shape)
    found = single.forward(x)[0]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    if not average:
        grad = single.backward(np.ones(found.shape))[0][0]
        count = np.zeros((2, 3, height * width))
        for n, c, i, j in np.ndindex(places.shape):
            count[n, c, int(places[n, c, i, j])] += 1
        assert np.array_equal(grad.reshape(count.shape), count), "ties go to the first"
        y, mask = Single(text, x.shape, tops=2).forward(x)
        assert np.array_equal(mask, places) and np.array_equal(y, expected)


def test_pooling_strides_beyond_the_plane():
    """Without padding no window is dropped, so one may lie outside: MAX then has nothing to take, AVE gives 0."""
    x = normal((1, 1, 5, 5))
    found = Single('type: "Pooling" pooling_param { kernel_size: 1 stride: 3 }', x.shape).forward(x)[0][0, 0]
    assert found.shape == (3, 3)
    np.testing.assert_array_equal(found[:2, :2], x[0, 0, ::3, ::3])
    assert (found[2] < -1e38).all()
    found = Single('type: "Pooling" pooling_param { pool: AVE kernel_size: 1 stride: 3 }', x.shape).forward(x)[0][0, 0]
    np.testing.assert_array_equal(found[:2, :2], x[0, 0, ::3, ::3])
    assert (found[2] == 0).all()


def test_stochastic_pooling_draws_in_proportion_to_the_values():
    text = 'type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }'
    x = np.tile(np.array([[1.0, 2], [3, 4]]), (1, 1, 100, 100))
    drawn = Single(text, x.shape).forward(x)[0]
    share = [(drawn == v).mean() for v in (1, 2, 3, 4)]
    np.testing.assert_allclose(share, [0.1, 0.2, 0.3, 0.4], atol=0.02)
    weighted = Single(text, x.shape, phase="TEST").forward(x)[0]
    np.testing.assert_allclose(weighted, (1 + 4 + 9 + 16) / 10)


def test_spp_joins_levels():
    x = normal((2, 3, 8, 8))
    found = Single('type: "SPP" spp_param { pyramid_height: 3 pool: AVE }', x.shape).forward(x)[0]
    levels = [x.reshape(2, 3, b, 8 // b, b, 8 // b).mean((3, 5)).reshape(2, -1) for b in (1, 2, 4)]
    np.testing.assert_allclose(found, np.concatenate(levels, 1), atol=1e-12)


# -- interpolation -----------------------------------------------------------------------------------------------
def interpolate(x, out_h, out_w):
    """Nested loops after DeepLab-v2's interp layer."""
    height, width = x.shape[2:]
    rh = (height - 1) / (out_h - 1) if out_h > 1 else 0
    rw = (width - 1) / (out_w - 1) if out_w > 1 else 0
    y = np.zeros((*x.shape[:2], out_h, out_w))
    for i in range(out_h):
        for j in range(out_w):
            a, b = min(int(rh * i), height - 1), min(int(rw * j), width - 1)
            fa, fb = rh * i - a, rw * j - b
            c, d = min(a + 1, height - 1), min(b + 1, width - 1)
            y[:, :, i, j] = ((1 - fa) * ((1 - fb) * x[:, :, a, b] + fb * x[:, :, a, d])
                             + fa * ((1 - fb) * x[:, :, c, b] + fb * x[:, :, c, d]))
    return y


@SLOW
@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 12), st.integers(1, 12))
def test_interp_equals_loops(height, width, out_h, out_w):
    x = normal((1, 2, height, width))
    single = Single(f'type: "Interp" interp_param {{ height: {out_h} width: {out_w} }}', x.shape)
    np.testing.assert_allclose(single.forward(x)[0], interpolate(x, out_h, out_w), atol=1e-9)


def test_interp_shrinks_a_label_map_without_blending(rng):
    labels = rng.choice([0, 1, 7, 20, 255], size=(2, 1, 321, 321)).astype(np.float32)
    found = run_layer('type: "Interp" interp_param { shrink_factor: 8 }', labels)[0]
    assert np.array_equal(found, labels[:, :, ::8, ::8])


def test_interp_crops_before_it_resizes():
    x = normal((1, 2, 7, 9))
    single = Single('type: "Interp" interp_param { zoom_factor: 2 pad_beg: -1 pad_end: -2 }', x.shape)
    np.testing.assert_allclose(single.forward(x)[0], interpolate(x[:, :, 1:-2, 1:-2], 7, 11), atol=1e-9)


# -- the rest ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn_equals_torch(size):
    x = normal((2, 6, 3, 4))
    single = Single(f'type: "LRN" lrn_param {{ local_size: {size} alpha: 0.5 beta: 0.75 k: 2 }}', x.shape)
    expected = F.local_response_norm(torch.from_numpy(x), size, 0.5, 0.75, 2).numpy()
    np.testing.assert_allclose(single.forward(x)[0], expected, rtol=1e-7)


def test_lstm_equals_torch(rng):
    """Without resets an LSTM is torch's, whose gates stand in the order i, f, g, o."""
    single = Single('type: "LSTM" recurrent_param { num_output: 4 }', (5, 2, 3), (5, 2))
    w_x, b, w_h = rng.normal(size=(16, 3)), rng.normal(size=16), rng.normal(size=(16, 4))
    for blob, value in zip(single.layer.blobs, (w_x, b, w_h), strict=True):
        single.set(blob, value)
    x = rng.normal(size=(5, 2, 3))
    order = [*range(8), *range(12, 16), *range(8, 12)]
    lstm = torch.nn.LSTM(3, 4).double()
    with torch.no_grad():
        for target, value in ((lstm.weight_ih_l0, w_x[order]), (lstm.weight_hh_l0, w_h[order]),
                              (lstm.bias_ih_l0, b[order]), (lstm.bias_hh_l0, 0 * b)):
            target.copy_(torch.from_numpy(value))
        expected = lstm(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(single.forward(x, np.ones((5, 2)))[0], expected, atol=1e-7)


def test_recurrent_layers_continue_from_the_last_state(rng):
    x, cont = rng.normal(size=(6, 2, 3)), np.ones((6, 2))
    cont[0] = 0
    text = 'type: "%s" recurrent_param { num_output: 4 weight_filler { type: "gaussian" } }'
    for kind in ("LSTM", "RNN"):
        whole = Single(text % kind, x.shape, cont.shape).forward(x, cont)[0]
        halves = Single(text % kind, (3, 2, 3), (3, 2))
        parts = [halves.forward(x[:3], cont[:3])[0], halves.forward(x[3:], cont[3:])[0]]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)
        again = halves.forward(x[:3], cont[:3])[0]
        np.testing.assert_allclose(again, whole[:3], atol=1e-12, err_msg="cont 0 forgets the state")


def test_exposed_state_comes_in_and_goes_out(rng):
    text = 'type: "LSTM" recurrent_param { num_output: 4 weight_filler { type: "gaussian" } %s }'
    x, cont = rng.normal(size=(6, 2, 3)), np.ones((6, 2))
    whole = Single(text % "", x.shape, cont.shape).forward(x, cont)[0]
    state = (1, 2, 4)
    exposed = Single(text % "expose_hidden: true", (3, 2, 3), (3, 2), state, state, tops=3)
    first = exposed.forward(x[:3], cont[:3], np.zeros(state), np.zeros(state))
    second = exposed.forward(x[3:], cont[3:], *first[1:])
    np.testing.assert_allclose(np.concatenate([first[0], second[0]]), whole, atol=1e-12)


def test_reshape_of_the_batch_drops_the_state(rng):
    single = Single('type: "RNN" recurrent_param { num_output: 2 }', (1, 2, 3), (1, 2))
    single.forward(rng.normal(size=(1, 2, 3)), np.ones((1, 2)))
    assert single.forward(rng.normal(size=(1, 3, 3)), np.ones((1, 3)))[0].shape == (1, 3, 2)
