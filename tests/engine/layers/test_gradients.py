"""Every differentiable layer against finite differences."""

import numpy as np
import pytest
from caffe.layer import REGISTRY

from tests.engine.layers.differences import check_layer
from tests.engine.layers.nets import Single

IMAGE = (2, 4, 5, 6)
GAUSS = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "gaussian" }'

# name: (layer text, bottoms, keyword arguments of Single)
# a bottom is a shape (values from a normal distribution), or a shape with the values' kind
CASES = {
    "AbsVal": ('type: "AbsVal"', [IMAGE], {}),
    "BatchNorm": ('type: "BatchNorm"', [(4, 3, 2, 2)], {}),
    "BatchNorm vectors": ('type: "BatchNorm"', [(5, 3)], {}),
    "BatchReindex": ('type: "BatchReindex"', [(3, 2, 2), ((5,), "index3")], {}),
    "Bias": ('type: "Bias" bias_param { axis: 1 num_axes: 2 }', [IMAGE], {}),
    "Bias two bottoms": ('type: "Bias" bias_param { axis: 0 }', [IMAGE, (2, 4)], {}),
    "BNLL": ('type: "BNLL"', [IMAGE], {}),
    "Clip": ('type: "Clip" clip_param { min: -0.5 max: 1 }', [IMAGE], {}),
    "Concat": ('type: "Concat"', [(2, 1, 3), (2, 2, 3)], {}),
    "ContrastiveLoss": ('type: "ContrastiveLoss" contrastive_loss_param { margin: 4 }',
                        [(4, 3), (4, 3), ((4,), "binary")], {"rtol": 1e-3}),
    "ContrastiveLoss legacy": ('type: "ContrastiveLoss" contrastive_loss_param { margin: 20 legacy_version: true }',
                               [(4, 3), (4, 3), ((4,), "binary")], {}),
    "Convolution": (f'type: "Convolution" convolution_param {{ num_output: 4 kernel_size: 3 stride: 2 pad: 2 '
                    f'dilation: 2 group: 2 {GAUSS} }}', [IMAGE], {}),
    "Convolution 1d": (f'type: "Convolution" convolution_param {{ num_output: 3 kernel_size: 3 {GAUSS} }}',
                       [(2, 3, 7)], {}),
    "Convolution 3d": (f'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 2 {GAUSS} }}',
                       [(1, 2, 3, 3, 3)], {}),
    "Convolution 4d": (f'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 2 pad: 1 stride: 2 '
                       f'{GAUSS} }}',
                       [(1, 2, 2, 2, 3, 2)], {}),
    "Convolution two bottoms": (f'type: "Convolution" convolution_param {{ num_output: 2 kernel_size: 3 {GAUSS} }}',
                                [(1, 2, 4, 4)] * 2, {"tops": 2}),
    "Crop": ('type: "Crop" crop_param { axis: 2 offset: 1 offset: 2 }', [IMAGE, (2, 4, 3, 2)], {}),
    "Deconvolution": (f'type: "Deconvolution" convolution_param {{ num_output: 4 kernel_size: 3 stride: 2 pad: 1 '
                      f'group: 2 {GAUSS} }}', [(2, 4, 3, 4)], {}),
    "Dropout": ('type: "Dropout" dropout_param { dropout_ratio: 0.4 }', [IMAGE], {}),
    "Eltwise SUM": ('type: "Eltwise" eltwise_param { coeff: 1 coeff: -2 coeff: 0.5 }', [(2, 3)] * 3, {}),
    "Eltwise PROD": ('type: "Eltwise" eltwise_param { operation: PROD }', [(2, 3)] * 3, {}),
    "Eltwise MAX": ('type: "Eltwise" eltwise_param { operation: MAX }', [(2, 3)] * 3, {}),
    "ELU": ('type: "ELU" elu_param { alpha: 0.7 }', [IMAGE], {}),
    "Embed": ('type: "Embed" embed_param { num_output: 3 input_dim: 5 weight_filler { type: "gaussian" } }',
              [((2, 4), "index5")], {}),
    "EuclideanLoss": ('type: "EuclideanLoss"', [(3, 4), (3, 4)], {}),
    "Exp": ('type: "Exp" exp_param { base: 2 scale: 0.5 shift: 1 }', [IMAGE], {}),
    "Filter": ('type: "Filter"', [(4, 3), (4, 2), ((4,), "binary")], {"tops": 2}),
    "Flatten": ('type: "Flatten" flatten_param { axis: 1 end_axis: 2 }', [IMAGE], {}),
    "HingeLoss L1": ('type: "HingeLoss"', [(4, 3), ((4,), "index3")], {}),
    "HingeLoss L2": ('type: "HingeLoss" hinge_loss_param { norm: L2 }', [(4, 3), ((4,), "index3")], {}),
    "Im2col": ('type: "Im2col" convolution_param { kernel_size: 3 stride: 2 pad: 1 dilation: 1 }', [IMAGE], {}),
    "InfogainLoss": ('type: "InfogainLoss"', [(3, 4, 2), ((3, 1, 2), "index4"), ((4, 4), "positive")], {}),
    "InnerProduct": (f'type: "InnerProduct" inner_product_param {{ num_output: 3 {GAUSS} }}', [(3, 2, 2)], {}),
    "InnerProduct transpose": (f'type: "InnerProduct" inner_product_param {{ num_output: 3 axis: 2 transpose: true '
                               f'{GAUSS} }}', [(2, 3, 4)], {}),
    "Interp zoom": ('type: "Interp" interp_param { zoom_factor: 3 }', [(1, 2, 3, 4)], {}),
    "Interp shrink": ('type: "Interp" interp_param { shrink_factor: 2 pad_beg: -1 pad_end: -1 }', [(1, 2, 7, 8)], {}),
    "Interp size": ('type: "Interp" interp_param { height: 5 width: 3 }', [(1, 2, 4, 7)], {}),
    "Log": ('type: "Log" log_param { base: 10 scale: 2 shift: 0.5 }', [(IMAGE, "positive")], {}),
    "LRN": ('type: "LRN" lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }', [(2, 5, 2, 3)], {}),
    "LRN within": ('type: "LRN" lrn_param { local_size: 3 alpha: 2 norm_region: WITHIN_CHANNEL }', [(1, 2, 4, 5)], {}),
    "LSTM": (f'type: "LSTM" recurrent_param {{ num_output: 2 {GAUSS} }}', [(3, 2, 3), ((3, 2), "binary")], {}),
    "LSTM static exposed": (f'type: "LSTM" recurrent_param {{ num_output: 2 expose_hidden: true {GAUSS} }}',
                            [(3, 2, 3), ((3, 2), "ones"), (2, 2), (1, 2, 2), (1, 2, 2)],
                            {"tops": 3, "needs": [True, False, True, False, False], "unread": (1, 2)}),
    "LSTMUnit": ('type: "LSTMUnit"', [(1, 2, 3), (1, 2, 12), ((1, 2), "binary")], {"tops": 2}),
    "MultinomialLogisticLoss": ('type: "MultinomialLogisticLoss"', [((4, 3), "positive"), ((4,), "index3")], {}),
    "MVN": ('type: "MVN"', [(2, 3, 3, 4)], {}),
    "MVN across": ('type: "MVN" mvn_param { across_channels: true }', [(2, 3, 2, 2)], {}),
    "MVN mean only": ('type: "MVN" mvn_param { normalize_variance: false }', [(2, 3, 3, 4)], {}),
    "Parameter": ('type: "Parameter" parameter_param { shape { dim: 2 dim: 3 } }', [], {}),
    "Pooling MAX": ('type: "Pooling" pooling_param { kernel_size: 3 stride: 2 pad: 1 }', [IMAGE], {}),
    "Pooling MAX by hand": ('type: "Pooling" pooling_param { kernel_size: 3 stride: 3 pad: 2 }', [IMAGE], {}),
    "Pooling AVE": ('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }', [IMAGE], {}),
    "Pooling AVE by hand": ('type: "Pooling" pooling_param { pool: AVE kernel_size: 3 stride: 3 pad: 2 }', [IMAGE], {}),
    "Pooling STOCHASTIC": ('type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 }',
                           [(IMAGE, "positive")], {}),
    "Pooling STOCHASTIC test": ('type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 3 stride: 2 }',
                                [(IMAGE, "positive")], {"phase": "TEST"}),
    "Power": ('type: "Power" power_param { power: 1.5 scale: 2 shift: 0.3 }', [(IMAGE, "positive")], {}),
    "PReLU": ('type: "PReLU"', [IMAGE], {}),
    "PReLU shared": ('type: "PReLU" prelu_param { channel_shared: true }', [IMAGE], {}),
    "Reduction SUM": ('type: "Reduction" reduction_param { axis: 1 coeff: 2 }', [(2, 3, 4)], {}),
    "Reduction ASUM": ('type: "Reduction" reduction_param { operation: ASUM }', [(2, 3, 4)], {}),
    "Reduction SUMSQ": ('type: "Reduction" reduction_param { operation: SUMSQ axis: 2 }', [(2, 3, 4)], {}),
    "Reduction MEAN": ('type: "Reduction" reduction_param { operation: MEAN axis: -1 coeff: 3 }', [(2, 3, 4)], {}),
    "ReLU": ('type: "ReLU"', [IMAGE], {}),
    "ReLU slope": ('type: "ReLU" relu_param { negative_slope: 0.1 }', [IMAGE], {}),
    "Reshape": ('type: "Reshape" reshape_param { shape { dim: 0 dim: -1 dim: 2 } }', [IMAGE], {}),
    "RNN": (f'type: "RNN" recurrent_param {{ num_output: 2 {GAUSS} }}', [(3, 2, 3), ((3, 2), "binary"), (2, 2)], {}),
    "Scale": ('type: "Scale" scale_param { bias_term: true filler { type: "gaussian" } }', [IMAGE], {}),
    "Scale two bottoms": ('type: "Scale" scale_param { axis: 1 bias_term: true }', [IMAGE, (4, 5)], {}),
    "Sigmoid": ('type: "Sigmoid"', [IMAGE], {}),
    "SigmoidCrossEntropyLoss": ('type: "SigmoidCrossEntropyLoss"', [(3, 4), ((3, 4), "positive")], {}),
    "SigmoidCrossEntropyLoss ignore": (
        'type: "SigmoidCrossEntropyLoss" loss_param { ignore_label: 0 normalization: VALID }',
        [(3, 4), ((3, 4), "binary")], {}),
    "Slice": ('type: "Slice" slice_param { slice_point: 1 }', [IMAGE], {"tops": 2}),
    "Softmax": ('type: "Softmax"', [IMAGE], {}),
    "SoftmaxWithLoss": ('type: "SoftmaxWithLoss" loss_param { ignore_label: 1 }',
                        [(2, 3, 2, 2), ((2, 1, 2, 2), "index3")], {}),
    "Split": ('type: "Split"', [IMAGE], {"tops": 3}),
    "SPP": ('type: "SPP" spp_param { pyramid_height: 2 }', [IMAGE], {}),
    "Swish": ('type: "Swish" swish_param { beta: 1.5 }', [IMAGE], {}),
    "TanH": ('type: "TanH"', [IMAGE], {}),
    "Tile": ('type: "Tile" tile_param { axis: 1 tiles: 2 }', [IMAGE], {}),
}
WITHOUT_GRADIENT = {
    "Accuracy", "ArgMax", "Data", "DummyData", "HDF5Data", "HDF5Output", "ImageData", "ImageSegData", "Input",
    "MemoryData", "SegAccuracy", "Silence", "Threshold", "WindowData",
}  # fmt: skip


def values(bottom, rng):
    shape, kind = bottom if isinstance(bottom[-1], str) else (bottom, "normal")
    draw = {
        "normal": lambda: rng.normal(size=shape),
        "positive": lambda: rng.uniform(0.1, 0.9, shape),
        "binary": lambda: np.resize([0.0, 1.0, 1.0], shape),
        "ones": lambda: np.ones(shape),
    }
    return draw[kind]() if kind in draw else rng.integers(int(kind.removeprefix("index")), size=shape)


@pytest.mark.parametrize("name", CASES)
def test_gradient(name, rng):
    text, bottoms, options = CASES[name]
    options = dict(options)
    rtol, unread = options.pop("rtol", 1e-5), options.pop("unread", ())
    arrays = [values(b, rng) for b in bottoms]
    single = Single(text, *(a.shape for a in arrays), **options)
    reset = getattr(single.layer, "reset", None)
    compared = check_layer(single, *arrays, rtol=rtol, before=reset, unread=unread)
    assert compared >= 6


def test_every_layer_type_is_here_or_has_no_gradient():
    assert {name.split()[0] for name in CASES} | WITHOUT_GRADIENT == set(REGISTRY)


def test_second_backward_without_forward_gives_the_same(rng):
    x = rng.normal(size=IMAGE)
    single = Single('type: "TanH"', IMAGE)
    single.forward(x)
    first = single.backward(np.ones(IMAGE))[0][0]
    assert np.array_equal(first, single.backward(np.ones(IMAGE))[0][0])
    np.testing.assert_allclose(first, 1 - np.tanh(x) ** 2, rtol=1e-6)
