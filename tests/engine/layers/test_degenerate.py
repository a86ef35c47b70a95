"""Layers in their degenerate cases: few axes, windows larger than the plane, factors of 0, values that are NaN.

The right values follow from Caffe's formulas, or from the same layer in a case that is not degenerate.
"""

import math

import numpy as np
import pytest
from caffe.layer import LayerError
from caffe.proto import caffe_pb2

from tests.engine.layers.differences import check_layer
from tests.engine.layers.nets import Single, make_net, run_layer

GAUSS = 'weight_filler { type: "gaussian" } bias_filler { type: "gaussian" }'


# -- axes --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (2, 3, 4), (2, 3, 4, 2)])
@pytest.mark.parametrize("across", ["true", "false"])
def test_mvn_has_four_axes_whatever_the_bottom_has(shape, across, rng):
    x = rng.normal(size=shape)
    found = Single(f'type: "MVN" mvn_param {{ across_channels: {across} }}', shape).forward(x)[0]
    four = x.reshape(*shape, *[1] * (4 - len(shape)))
    axes = (1, 2, 3) if across == "true" else (2, 3)
    spread = four.std(axes, keepdims=True) + 1e-9
    assert found.shape == four.shape
    np.testing.assert_allclose(found, (four - four.mean(axes, keepdims=True)) / spread, atol=1e-12)


def test_mvn_in_place_reshapes_its_bottom(tmp_path, rng):
    net = make_net(tmp_path, """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "p" type: "Power" bottom: "x" top: "y" }
        layer { name: "m" type: "MVN" bottom: "y" top: "y" mvn_param { across_channels: true } }""")
    x = rng.normal(size=(2, 3)).astype(np.float32)
    for _ in range(2):
        net.blobs["x"].data[...] = x
        net.forward()
        expected = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)
        np.testing.assert_allclose(net.blobs["y"].data, expected[..., None, None], rtol=1e-4)


@pytest.mark.parametrize("shape", [(0, 3, 2, 2), (2, 0, 2, 2), (2, 3, 0, 2)])
@pytest.mark.parametrize("param", ["", "across_channels: true", "normalize_variance: false"])
def test_mvn_of_an_empty_blob_is_empty(shape, param):
    single = Single(f'type: "MVN" mvn_param {{ {param} }}', shape)
    assert single.forward(np.zeros(shape))[0].shape == shape
    assert single.backward(np.zeros(shape))[0][0].shape == shape


@pytest.mark.parametrize(("param", "expected"), [("", np.zeros((3, 1, 1))),
                                                 ("out_max_val: true", [[[0], [5]], [[0], [-1]], [[0], [7]]])])
def test_argmax_without_axis_on_one_axis(param, expected):
    found = run_layer(f'type: "ArgMax" argmax_param {{ {param} }}', np.array([5.0, -1, 7]))[0]
    assert np.array_equal(found, np.float32(expected))


@pytest.mark.parametrize(("shape", "axis", "end", "expected"), [
    ((2, 3, 4), 1, 0, (2, 1, 3, 4)), ((2, 3, 4), 2, 1, (2, 3, 1, 4)), ((2, 3), 1, -2, (2, 1, 3)),
])
def test_flatten_with_its_end_before_its_begin_inserts_an_axis(shape, axis, end, expected, rng):
    x = rng.normal(size=shape)
    single = Single(f'type: "Flatten" flatten_param {{ axis: {axis} end_axis: {end} }}', shape)
    assert np.array_equal(single.forward(x)[0], x.reshape(expected))
    assert np.array_equal(single.backward(x.reshape(expected))[0][0], x)


def test_crop_by_a_reference_with_more_axes(rng):
    x = rng.normal(size=(2, 4, 3))
    single = Single('type: "Crop" crop_param { axis: 1 offset: 1 offset: 0 }', (2, 4, 3), (1, 2, 2, 5))
    assert np.array_equal(single.forward(x, np.zeros((1, 2, 2, 5)))[0], x[:, 1:3, :2])


# -- windows -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("fields", "shape"), [
    ("kernel_size: 4 stride: 3", (2, 3, 2, 5)), ("kernel_size: 3 pad: 1 stride: 2 dilation: 2", (1, 3, 2, 7)),
    ("kernel_size: 5 stride: 4", (2, 3, 2)), ("kernel_size: 3 stride: 2", (1, 3, 2, 2, 2)),
    ("kernel_size: 3 stride: 2", (1, 3, 2, 2, 2, 2)),
])
def test_a_window_that_overhangs_by_less_than_a_stride_has_one_place(fields, shape, rng):
    """It reads zeros there: the same layer on the bottom with zeros put behind it."""
    x = rng.normal(size=shape)
    for text in (f'type: "Convolution" convolution_param {{ num_output: 2 {fields} {GAUSS} }}',
                 f'type: "Im2col" convolution_param {{ {fields} }}'):
        single = Single(text, shape)
        extent, pad, stride = (single.layer.windows.extent[0], single.layer.windows.pad[0],
                               single.layer.windows.stride[0])
        short = [max(0, extent - n - 2 * pad) for n in shape[2:]]
        assert any(0 < s < stride for s in short)
        wide = np.pad(x, [(0, 0), (0, 0), *((0, s) for s in short)])
        whole = Single(text, wide.shape)
        for mine, theirs in zip(single.layer.blobs, whole.layer.blobs, strict=True):
            whole.set(theirs, mine.data_memory.array())
        np.testing.assert_allclose(single.forward(x)[0], whole.forward(wide)[0], atol=1e-12)
        assert check_layer(single, x) >= 6


def test_a_window_that_overhangs_by_a_stride_is_refused():
    with pytest.raises(LayerError, match="does not fit into the bottom's spatial extents"):
        Single('type: "Convolution" convolution_param { num_output: 2 kernel_size: 5 stride: 3 }', (1, 1, 2, 9))


def test_deconvolution_without_spatial_axes_is_a_matrix(rng):
    text = f'type: "Deconvolution" convolution_param {{ num_output: 4 kernel_size: 2 stride: 2 group: 2 {GAUSS} }}'
    single = Single(text, (3, 6))
    weight, bias = (b.data_memory.array().astype(np.float64) for b in single.layer.blobs)
    x = rng.normal(size=(3, 6))
    expected = np.concatenate([x[:, :3] @ weight[:3], x[:, 3:] @ weight[3:]], 1) + bias
    assert weight.shape == (6, 2)
    np.testing.assert_allclose(single.forward(x)[0], expected, atol=1e-12)
    assert check_layer(single, x) >= 18


@pytest.mark.parametrize("fields", ["kernel_size: 2 stride: 2", "kernel_size: 2 stride: 1 pad: 1 dilation: 2 group: 2"])
def test_deconvolution_over_four_axes_equals_a_sum_over_three(fields, rng):
    """A kernel of extent 1 on the fourth axis is a 3-d deconvolution of every slice; then a gradient check."""
    x = rng.normal(size=(1, 2, 3, 2, 3, 2))
    text = 'type: "Deconvolution" convolution_param {{ num_output: 2 {} {} }}'
    one = fields.replace("kernel_size: 2", "kernel_size: 2 " * 3 + "kernel_size: 1")
    for name in ("stride", "pad"):  # nothing may move along the fourth axis
        value = next((w for k, w in zip(one.split(), one.split()[1:], strict=False) if k == f"{name}:"), None)
        if value is not None:
            still = {"stride": 1, "pad": 0}[name]
            one = one.replace(f"{name}: {value}", f"{name}: {value} " * 3 + f"{name}: {still}")
    four, three = Single(text.format(one, GAUSS), x.shape), Single(text.format(fields, GAUSS), x.shape[:5])
    for mine, theirs in zip(four.layer.blobs, three.layer.blobs, strict=True):
        four.set(mine, theirs.data_memory.array().reshape(mine.dims))
    found = four.forward(x)[0]
    for k in range(2):
        np.testing.assert_allclose(found[..., k], three.forward(x[..., k])[0], atol=1e-12)
    shape = (1, 2, 2, 2, 2, 3)
    assert check_layer(Single(text.format(fields, GAUSS), shape), rng.normal(size=shape)) >= 48


def test_the_mask_of_a_window_outside_the_plane_is_minus_one():
    x = np.arange(25.0).reshape(1, 1, 5, 5)
    y, mask = Single('type: "Pooling" pooling_param { kernel_size: 1 stride: 3 }', x.shape, tops=2).forward(x)
    assert mask[0, 0].tolist() == [[0, 3, -1], [15, 18, -1], [-1, -1, -1]]
    assert (y[mask < 0] < -1e38).all() and np.array_equal(y[mask >= 0], mask[mask >= 0])


# -- factors of 0, values outside, NaN ---------------------------------------------------------------------------
def test_multinomial_loss_of_values_that_are_no_probabilities():
    text = 'type: "MultinomialLogisticLoss"'
    for value, loss, slope in ((-1.0, -math.log(1e-20), -1e20), (0.0, -math.log(1e-20), -1e20),
                               (1e-25, -math.log(1e-20), -1e20), (0.5, math.log(2), -2.0), (4.0, -math.log(4), -0.25)):
        single = Single(text, (1, 2), (1,))
        assert single.forward([[value, 0.3]], [0.0])[0] == pytest.approx(loss)
        assert single.backward(1.0)[0][0].tolist() == [[pytest.approx(slope), 0]]


def test_softmax_loss_of_hopeless_scores_keeps_its_value():
    single = Single('type: "SoftmaxWithLoss"', (1, 2), (1,))
    assert single.forward([[-1e30, 1e30]], [0.0])[0] == pytest.approx(-math.log(2**-126))
    assert single.backward(1.0)[0][0].tolist() == [[-1, 1]]


@pytest.mark.parametrize(("ratio", "phase"), [(0, "TRAIN"), (0, "TEST"), (1, "TEST")])
def test_dropout_of_ratio_0_and_1_copies(ratio, phase, rng):
    x = rng.normal(size=(3, 4))
    single = Single(f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}', x.shape, phase=phase)
    assert np.array_equal(single.forward(x)[0], x)
    assert np.array_equal(single.backward(x)[0][0], x)


@pytest.mark.parametrize(("power", "scale", "shift", "value"), [
    (0.5, 0, -0.3, math.nan), (2, 0, -3, 9), (0, 2, 0, 1), (0, 0, 0, 1), (-1, 0, 0, math.inf), (3, 0, 2, 8),
])
def test_power_that_does_not_read_its_bottom_has_gradient_0(power, scale, shift, value):
    single = Single(f'type: "Power" power_param {{ power: {power} scale: {scale} shift: {shift} }}', (4,))
    x = np.array([-2.0, 0, math.inf, math.nan])
    np.testing.assert_array_equal(single.forward(x)[0], np.full(4, value))
    assert single.backward(np.ones(4))[0][0].tolist() == [0, 0, 0, 0]


def test_clip_of_nan_is_its_minimum_with_gradient_0():
    single = Single('type: "Clip" clip_param { min: -2 max: 1 }', (6,))
    assert single.forward([math.nan, -3, -2, 0, 1, math.inf])[0].tolist() == [-2, -2, -2, 0, 1, 1]
    assert single.backward(np.ones(6))[0][0].tolist() == [0, 0, 1, 1, 1, 0]


@pytest.mark.parametrize("norm", ["L1", "L2"])
def test_hinge_loss_passes_over_nan(norm):
    single = Single(f'type: "HingeLoss" hinge_loss_param {{ norm: {norm} }}', (1, 3), (1,))
    assert single.forward([[math.nan, 1.0, -2.0]], [1.0])[0] == 0
    assert single.backward(1.0)[0][0].tolist() == [[0, 0, 0]]


def test_contrastive_loss_leaves_the_diff_of_its_labels_alone(tmp_path):
    """The similarities come from a layer that learns, which then learns nothing from them."""
    net = make_net(tmp_path, """force_backward: true
        layer { name: "x" type: "Input" top: "a" top: "b" top: "y" input_param {
                shape { dim: 1 dim: 2 } shape { dim: 1 dim: 2 } shape { dim: 1 dim: 1 } } }
        layer { name: "s" type: "Scale" bottom: "y" top: "s" }
        layer { name: "l" type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "s" top: "l"
                propagate_down: true propagate_down: true propagate_down: true }""")
    net.blobs["a"].data[...], net.blobs["y"].data[...] = [[1, 2]], 1
    net.blobs["s"].diff[...] = 7
    net.forward()
    net.backward()
    assert net.blobs["a"].diff.tolist() == [[1, 2]] and net.blobs["b"].diff.tolist() == [[-1, -2]]
    assert net.blobs["s"].diff == 7


def test_losses_of_one_axis():
    """Items of one value each: hinge, contrastive and multinomial losses read (N,) as (N, 1, 1, 1)."""
    x, y = np.array([0.5, 0.25]), np.array([0.0, 0.0])
    assert run_layer('type: "HingeLoss"', x, y)[0] == pytest.approx((0.5 + 0.75) / 2)
    assert run_layer('type: "MultinomialLogisticLoss"', x, y)[0] == pytest.approx(-np.log(x).sum() / 2)
    assert run_layer('type: "ContrastiveLoss"', x, 2 * x, y + 1)[0] == pytest.approx((x**2).sum() / 4)


def test_a_loss_with_two_tops_saves_a_weight_for_each(tmp_path):
    """Caffe wants loss_weight once a top; the file says it, so that both programs read it again."""
    text = """layer { name: "x" type: "Input" top: "x" top: "y" input_param {
              shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "l" top: "p" }"""
    net = make_net(tmp_path, text)
    net.save(str(tmp_path / "m"))
    saved = caffe_pb2.NetParameter.FromString((tmp_path / "m").read_bytes())
    assert list(saved.layer[-1].loss_weight) == [1, 0]
