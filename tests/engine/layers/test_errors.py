"""What a layer says about settings and shapes it cannot work with: who, expected, got."""

import caffe
import numpy as np
import pytest
from caffe.layer import LayerError

from tests.engine.layers.nets import Single, make_net, run_layer

IMAGE = (2, 4, 5, 6)
FIVE = (2, 3, 1, 1, 2)

SETTINGS = [
    ("Convolution", "convolution_param { kernel_size: 3 }", [IMAGE], "num_output is missing"),
    (
        "Convolution",
        "convolution_param { num_output: 2 }",
        [IMAGE],
        "kernel_size is given 0 times; expected once, or 2",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 2 }",
        [IMAGE],
        "kernel_size is given as well",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 2 kernel_h: 3 kernel_w: 2 }",
        [(2, 3, 4)],
        "1 spatial axes, not 2",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 2 kernel_size: 3 stride_h: 2 }",
        [IMAGE],
        r"stride is \[2, 0\]; expected at least 1",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 3 kernel_size: 3 group: 2 }",
        [IMAGE],
        "group 2 must divide the bottom's channels, 4, and num_output, 3",
    ),
    (
        "Convolution",
        "convolution_param { num_output: 2 kernel_size: 9 pad: 1 }",
        [IMAGE],
        r"a window of \(9, 9\) .* does not fit into the bottom's spatial extents \(5, 6\) with pad \(1, 1\)",
    ),
    ("Convolution", "convolution_param { num_output: 2 kernel_size: 1 axis: 7 }", [IMAGE], "axis 7 is out of range"),
    ("Deconvolution", "convolution_param { num_output: 2 kernel_size: 1 pad: 4 }", [IMAGE], "leaves nothing"),
    ("Im2col", "convolution_param { kernel_size: 1 }", [(2, 3)], "expected at least one axis after the channels"),
    ("Crop", "crop_param { offset: 3 }", [IMAGE, (2, 4, 4, 4)], r"axis 2: 4 from offset 3 on do not fit"),
    (
        "Crop",
        "crop_param { axis: 1 offset: 1 offset: 2 }",
        [IMAGE, IMAGE],
        "offset is given 2 times; expected once, or 3",
    ),
    ("Crop", "", [IMAGE, (2, 3)], "expected at least as many axes"),
    ("Pooling", "", [IMAGE], "kernel_size .or kernel_h and kernel_w. is missing"),
    ("Pooling", "pooling_param { kernel_size: 2 pad: 2 }", [IMAGE], r"pad \(2, 2\) must be smaller than the kernel"),
    ("Pooling", "pooling_param { kernel_size: 9 }", [IMAGE], r"a kernel of \(9, 9\) does not fit into the bottom"),
    ("Pooling", "pooling_param { kernel_h: 9 }", [IMAGE], "kernel_h and kernel_w must be given together"),
    ("Pooling", "pooling_param { kernel_size: 2 kernel_h: 2 kernel_w: 2 }", [IMAGE],
     "give either kernel_size, or kernel_h and kernel_w, not both"),
    ("Pooling", "pooling_param { global_pooling: true kernel_size: 2 }", [IMAGE], "leave out kernel_size"),
    ("Pooling", "pooling_param { global_pooling: true stride: 2 }", [IMAGE], "needs pad 0 and stride 1"),
    (
        "Pooling",
        "pooling_param { pool: STOCHASTIC kernel_size: 3 pad: 1 }",
        [IMAGE],
        "not supported by pool: STOCHASTIC",
    ),
    ("Pooling", "pooling_param { kernel_size: 2 }", [(2, 3)], r"the bottom is \(2, 3\); expected 4 axes"),
    ("SPP", "", [IMAGE], "pyramid_height is missing"),
    ("SPP", "spp_param { pyramid_height: 5 }", [IMAGE], "too many; lower pyramid_height"),
    ("SPP", "spp_param { pyramid_height: 1 pool: STOCHASTIC }", [IMAGE], "STOCHASTIC is not supported"),
    ("PReLU", "", [(3,)], "expected at least 2 axes"),
    ("Clip", "clip_param { min: 2 max: 1 }", [IMAGE], "needs min and max, min <= max"),
    ("Exp", "exp_param { base: -2 }", [IMAGE], "base is -2.0; expected more than 0, or -1 for e"),
    ("Log", "log_param { base: 1 }", [IMAGE], "base 1 has no logarithm"),
    ("Dropout", "dropout_param { dropout_ratio: 1 }", [IMAGE], "dropout_ratio is 1: in phase TRAIN nothing is left"),
    ("Dropout", "dropout_param { dropout_ratio: 1.5 }", [IMAGE], "dropout_ratio is 1.5; expected 0 to 1"),
    ("ArgMax", "", [()], "the bottom is a scalar; expected at least 1 axis"),
    ("InnerProduct", "", [IMAGE], "num_output is missing"),
    ("Embed", "embed_param { num_output: 2 }", [(3,)], "input_dim 0; expected at least 1"),
    ("Eltwise", "", [(2, 3), (2, 4)], r"bottom 1 is \(2, 4\), bottom 0 is \(2, 3\); all must have one shape"),
    ("Eltwise", "eltwise_param { coeff: 1 }", [(2, 3), (2, 3)], "coeff is given 1 times for 2 bottoms"),
    (
        "Eltwise",
        "eltwise_param { operation: MAX coeff: 1 coeff: 1 }",
        [(2, 3), (2, 3)],
        "coeff belongs to operation: SUM",
    ),
    ("Softmax", "softmax_param { axis: 4 }", [IMAGE], "axis 4 is out of range for a bottom of 4 axes"),
    ("ArgMax", "argmax_param { top_k: 9 axis: 1 }", [IMAGE], "top_k is 9; expected 1 to 4"),
    ("Concat", "", [(2, 3), (3, 3)], "all but axis 1 must agree"),
    ("Concat", "concat_param { axis: 1 concat_dim: 1 }", [(2, 3), (2, 3)], "either axis or concat_dim"),
    ("Flatten", "flatten_param { axis: 3 end_axis: 1 }", [IMAGE], "end_axis 1 is less than axis 3"),
    ("Reshape", "reshape_param { shape { dim: 7 } }", [IMAGE], r"has 240 values, which do not fill \(7,\)"),
    ("Reshape", "reshape_param { shape { dim: -1 dim: 7 } }", [IMAGE], "do not fill"),
    ("Reshape", "reshape_param { shape { dim: -1 dim: -1 } }", [IMAGE], "at most once"),
    ("Reshape", "reshape_param { axis: 4 shape { dim: 0 } }", [IMAGE], "the 0 at 0 copies axis 4"),
    ("Reshape", "reshape_param { axis: -6 shape { dim: 1 } }", [IMAGE], "axis -6 and num_axes -1 are out of range"),
    ("Tile", "", [IMAGE], "tiles is 0; expected at least 1"),
    ("BatchReindex", "", [IMAGE, (2, 2)], "bottom 1, the indices, is"),
    ("BatchNorm", "param { lr_mult: 1 }", [IMAGE], "lr_mult 1: the blobs are statistics, not weights; set lr_mult: 0"),
    ("Scale", "scale_param { axis: 3 num_axes: 2 }", [IMAGE], "extend beyond the bottom's axes"),
    (
        "Scale",
        "",
        [IMAGE, (5,)],
        r"the bottom is \(2, 4, 5, 6\), bottom 1 \(5,\): expected the bottom's extents from axis 1",
    ),
    ("LRN", "lrn_param { local_size: 4 }", [IMAGE], "local_size is 4; expected an odd number"),
    ("BatchNorm", "", [(3,)], r"the bottom is \(3,\); expected at least 2 axes"),
    ("MVN", "", [FIVE], "expected at most 4 axes"),
    ("Interp", "interp_param { zoom_factor: 2 }", [FIVE], "expected at most 4 axes"),
    ("SegAccuracy", "", [FIVE, IMAGE], "bottom 0, the scores, is .*; expected at most 4 axes"),
    ("EuclideanLoss", "", [FIVE, FIVE], "bottom 0 is .*; expected at most 4 axes"),
    ("HingeLoss", "", [FIVE, (2,)], "bottom 0 is .*; expected at most 4 axes"),
    ("MultinomialLogisticLoss", "", [FIVE, (2,)], "bottom 0 is .*; expected at most 4 axes"),
    ("ContrastiveLoss", "", [(2, 3, 1, 1, 1)] * 2 + [(2,)], r"expected two of one shape \(N, C\)"),
    ("SoftmaxWithLoss", "", [IMAGE, (60,)], "they differ in the number of items"),
    ("InfogainLoss", "", [IMAGE, (60,), (4, 4)], "they differ in the number of items"),
    ("InfogainLoss", "loss_param { normalize: true }", [(2, 3), (2,), (3, 3)], "normalize, the old field, is not read"),
    ("Interp", "", [IMAGE], "expected zoom_factor, shrink_factor, or height with width"),
    ("Interp", "interp_param { height: 3 }", [IMAGE], "expected zoom_factor, shrink_factor, or height with width"),
    ("Interp", "interp_param { shrink_factor: 0 }", [IMAGE], "shrink_factor 0 must be at least 1"),
    ("Interp", "interp_param { zoom_factor: 2 pad_beg: 1 }", [IMAGE], "expected 0 or less"),
    ("Interp", "interp_param { zoom_factor: 2 pad_beg: -3 pad_end: -2 }", [IMAGE], "nothing is left"),
    (
        "SoftmaxWithLoss",
        "",
        [IMAGE, (2, 4, 5, 6)],
        "expected one label for each place outside axis 1, 60 labels, not 240",
    ),
    ("SigmoidCrossEntropyLoss", "", [(2, 3), (2, 4)], "expected one target for each score"),
    ("EuclideanLoss", "", [(2, 3), (3, 3)], "they differ in the number of items"),
    ("EuclideanLoss", "", [(2, 3), (2, 4)], "expected the same size"),
    ("HingeLoss", "", [(2, 3), (2, 2)], "expected one label an item"),
    ("ContrastiveLoss", "", [(2, 3), (2, 4), (2,)], r"expected two of one shape \(N, C\)"),
    ("ContrastiveLoss", "", [(2, 3), (2, 3), (2, 2)], "expected 2 values"),
    ("MultinomialLogisticLoss", "", [(2, 3), (2, 2)], "expected one label an item"),
    ("InfogainLoss", "", [(2, 3), (2,)], "the matrix H is missing"),
    ("InfogainLoss", "", [(2, 3), (2,), (2, 2)], r"H is \(2, 2\); expected \(3, 3\)"),
    ("InfogainLoss", 'infogain_loss_param { source: "none" }', [(2, 3), (2,)], "matrix H: Could not open file none"),
    ("Accuracy", "accuracy_param { top_k: 5 }", [(2, 3), (2,)], "top_k is 5; the scores have 3 classes"),
    ("SegAccuracy", "", [IMAGE, (2, 1, 5, 5)], r"expected \(N, C, H, W\) and \(2, 1, 5, 6\)"),
    ("LSTM", "", [(3, 2, 4), (3, 2)], "num_output is missing"),
    ("LSTM", "recurrent_param { num_output: 2 }", [(3, 2, 4), (3, 1)], r"cont is \(3, 1\); expected \(3, 2\)"),
    (
        "LSTM",
        "recurrent_param { num_output: 2 expose_hidden: true }",
        [(3, 2, 4), (3, 2)],
        "2 bottoms and 1 tops; expected 4 or 5",
    ),
    ("RNN", "recurrent_param { num_output: 2 }", [(3, 2), (3, 2)], "expected .T, N, .... with at least 3 axes"),
    ("LSTMUnit", "", [(1, 2, 3), (1, 2, 11), (1, 2)], r"expected \(1, N, D\), \(1, N, 4D\)"),
    ("MemoryData", "", [], "batch_size 0, channels, height, width"),
    ("DummyData", "dummy_data_param { num: 1 channels: 2 }", [], "give num, channels, height and width once"),
    (
        "InnerProduct",
        'inner_product_param { num_output: 2 weight_filler { type: "he" } }',
        [(2, 3)],
        "parameter 0: unknown filler type 'he', known are bilinear, constant",
    ),
    (
        "Convolution",
        'convolution_param { num_output: 2 kernel_size: 1 bias_filler { type: "bilinear" } }',
        [IMAGE],
        r"parameter 1: filler 'bilinear': the blob is \(2,\)",
    ),
    ("HDF5Output", "", [(2, 3), (2,)], "file_name is missing"),
]


@pytest.mark.parametrize("kind, text, shapes, why", SETTINGS)
def test_settings_and_shapes(kind, text, shapes, why):
    with pytest.raises(LayerError, match=why) as caught:
        Single(f'name: "here" type: "{kind}" {text}', *shapes, tops=2 if kind == "LSTMUnit" else 1)
    assert str(caught.value).startswith(f"layer 'here' ({kind}): ")


@pytest.mark.parametrize(
    "kind, scores, labels, why",
    [
        (
            "SoftmaxWithLoss",
            (2, 3),
            [0, 3],
            r"label 3 is outside 0..2 \(classes of the scores; ignore_label leaves some out",
        ),
        ("SoftmaxWithLoss", (2, 3), [0, -1], "label -1 is outside 0..2"),
        ("HingeLoss", (2, 3), [0, 5], "label 5 is outside 0..2"),
        ("MultinomialLogisticLoss", (2, 3), [0, 5], "label 5 is outside"),
        ("Accuracy", (2, 3), [0, 5], "label 5 is outside"),
        ("BatchReindex", (2, 3), [0, 2], r"index 2 is outside 0..1 \(items of bottom 0\)"),
    ],
)
def test_values_out_of_range(kind, scores, labels, why):
    with pytest.raises(LayerError, match=why):
        run_layer(f'type: "{kind}"', np.ones(scores), np.array(labels))


def test_ignored_labels_may_lie_anywhere():
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: 255 }'
    assert run_layer(text, np.zeros((2, 3)), np.array([0, 255]))[0] == pytest.approx(np.log(3))


def test_slice_and_filter_need_fitting_tops():
    for text, shapes, tops, why in (
        ("Slice", [IMAGE], 3, "cannot be cut into 3 equal parts; give slice_point"),
        ('Slice" slice_param { slice_point: 1 } name: "s', [IMAGE], 3, "1 slice_point for 3 tops"),
        ('Slice" slice_param { slice_point: 4 } name: "s', [IMAGE], 2, r"slice_point \[4\] must increase within 1..3"),
        ("Filter", [(2, 3), (2,)], 2, "2 tops for 2 bottoms; expected 1"),
        ("Filter", [(2, 3), (3,)], 1, "differ in the number of items"),
    ):
        with pytest.raises(LayerError, match=why):
            Single(f'type: "{text}"', *shapes, tops=tops)


@pytest.mark.parametrize("kind", ["AbsVal", "Convolution", "Pooling", "Reshape", "Concat", "SoftmaxWithLoss"])
def test_layers_that_cannot_work_in_place(kind, tmp_path):
    more = 'bottom: "y"' if kind == "SoftmaxWithLoss" else ""
    with pytest.raises(LayerError, match=rf"layer 'l' \({kind}\) cannot work in place"):
        make_net(
            tmp_path,
            f"""
            layer {{ name: "x" type: "Input" top: "x" top: "y"
                     input_param {{ shape {{ dim: 1 dim: 2 dim: 3 dim: 3 }} }} }}
            layer {{ name: "l" type: "{kind}" bottom: "x" {more} top: "x" }}""",
        )


def test_a_bottom_that_changes_its_channels(tmp_path):
    net = make_net(
        tmp_path,
        """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
        layer { name: "i" type: "InnerProduct" bottom: "c" top: "i" inner_product_param { num_output: 2 } }
    """,
    )
    net.blobs["x"].reshape(1, 3, 5, 5)
    with pytest.raises(caffe.LayerError, match=r"bottom 0 is \(1, 3, 5, 5\) with 3 channels .*made for 2"):
        net.forward()
    net.blobs["x"].reshape(1, 2, 7, 5)
    with pytest.raises(caffe.LayerError, match="30 values from axis 1 on; the weights were made for 18"):
        net.forward()
