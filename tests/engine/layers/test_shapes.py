"""Shapes of tops against Caffe's formulas, for whatever fields hypothesis finds."""

import math

from caffe.layer import LayerError
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.engine.layers.nets import Single

QUICK = settings(deadline=None, max_examples=60, derandomize=True)
extents = st.integers(1, 20)


def top_shape(text, *shapes):
    return Single(text, *shapes).top[0].dims


def made(text, *shapes):
    """The top's shape, or None where the layer refuses."""
    try:
        return top_shape(text, *shapes)
    except LayerError:
        return None


@QUICK
@given(extents, extents, st.integers(1, 5), st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))
def test_convolution(height, width, kernel_h, kernel_w, stride, pad, dilation):
    text = ('type: "Convolution" convolution_param { num_output: 5 '
            f'kernel_h: {kernel_h} kernel_w: {kernel_w} stride: {stride} pad: {pad} dilation: {dilation} }}')
    rows = zip((height, width), (kernel_h, kernel_w), strict=True)
    spare = [n + 2 * pad - (dilation * (k - 1) + 1) for n, k in rows]
    out = [int(s / stride) + 1 for s in spare]  # C's division: up to a stride too little is one place
    expected = (2, 5, *out) if min(out) >= 1 else None
    assert made(text, (2, 3, height, width)) == expected


@QUICK
@given(extents, extents, st.integers(1, 5), st.integers(1, 4), st.integers(0, 4), st.integers(1, 3))
def test_deconvolution(height, width, kernel, stride, pad, dilation):
    text = ('type: "Deconvolution" convolution_param { num_output: 5 '
            f'kernel_size: {kernel} stride: {stride} pad: {pad} dilation: {dilation} }}')
    out = [stride * (n - 1) + dilation * (kernel - 1) + 1 - 2 * pad for n in (height, width)]
    assert made(text, (2, 3, height, width)) == ((2, 5, *out) if min(out) > 0 else None)


@QUICK
@given(extents, extents, st.integers(1, 6), st.integers(1, 5), st.integers(0, 5))
def test_pooling(height, width, kernel, stride, pad):
    text = f'type: "Pooling" pooling_param {{ kernel_size: {kernel} stride: {stride} pad: {pad} }}'
    expected = None
    if pad < kernel:
        out = [math.ceil((n + 2 * pad - kernel) / stride) + 1 for n in (height, width)]
        if pad:
            out = [o - ((o - 1) * stride >= n + pad) for o, n in zip(out, (height, width), strict=True)]
        expected = (1, 2, *out) if min(out) > 0 else None
    assert made(text, (1, 2, height, width)) == expected


@QUICK
@given(extents, extents, st.integers(1, 4), st.integers(-3, 0), st.integers(-3, 0), st.booleans())
def test_interp(height, width, factor, begin, end, zoom):
    field = "zoom_factor" if zoom else "shrink_factor"
    text = f'type: "Interp" interp_param {{ {field}: {factor} pad_beg: {begin} pad_end: {end} }}'
    inner = [n + begin + end for n in (height, width)]
    out = [n + (n - 1) * (factor - 1) if zoom else (n - 1) // factor + 1 for n in inner]
    assert made(text, (1, 2, height, width)) == ((1, 2, *out) if min(inner) > 0 else None)


def interp_fields(**fields):
    return f'type: "Interp" interp_param {{ {" ".join(f"{k}: {v}" for k, v in fields.items())} }}'


def test_interp_takes_the_first_rule_that_its_fields_meet():
    """One factor alone goes before height and width, those before both factors; both shrink first: 321 -> 81 -> 241."""
    bottom, size = (1, 1, 321, 321), dict(height=100, width=90)
    for fields, out in (({"shrink_factor": 4, "zoom_factor": 3}, (241, 241)),
                        ({"shrink_factor": 4, "zoom_factor": 3, **size}, (100, 90)),
                        ({"zoom_factor": 2, **size}, (641, 641)), ({"shrink_factor": 2, **size}, (161, 161)),
                        (size, (100, 90)),
                        ({"shrink_factor": 4, "zoom_factor": 3, "height": 9}, (241, 241)),
                        ({"zoom_factor": 1, "shrink_factor": 1}, (321, 321))):
        assert top_shape(interp_fields(**fields), bottom)[2:] == out


def test_interp_of_fewer_axes_has_ones_behind():
    for shape, expected in (((2,), (2, 1, 5, 6)), ((2, 3), (2, 3, 5, 6)), ((2, 3, 4), (2, 3, 5, 6))):
        assert top_shape(interp_fields(height=5, width=6), shape) == expected


@QUICK
@given(st.lists(st.tuples(extents, extents, st.integers(0, 5)), min_size=2, max_size=4), st.integers(0, 3))
def test_crop(axes, axis):
    assume(axis < len(axes))
    shape, like = tuple(a[0] for a in axes), tuple(a[1] for a in axes)
    offsets = [a[2] for a in axes][axis:]
    text = f'type: "Crop" crop_param {{ axis: {axis} {" ".join(f"offset: {o}" for o in offsets)} }}'
    fits = all(o + b <= a for a, b, o in zip(shape[axis:], like[axis:], offsets, strict=True))
    assert made(text, shape, like) == (shape[:axis] + like[axis:] if fits else None)


@QUICK
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.data())
def test_reshape(shape, data):
    begin = data.draw(st.integers(0, len(shape)))
    num_axes = data.draw(st.integers(0, len(shape) - begin))
    middle = shape[begin : begin + num_axes]
    # a factorisation of the middle part, with one extent inferred and one copied where that is right
    dims = data.draw(st.permutations([*middle, 1]))
    text_dims = list(dims)
    if begin < len(shape) and dims[0] == shape[begin]:
        text_dims[0] = 0
    inferred = data.draw(st.integers(1, len(dims) - 1)) if len(dims) > 1 else None
    if inferred is not None:
        text_dims[inferred] = -1
    axis = data.draw(st.sampled_from([begin, begin - len(shape) - 1]))
    text = (f'type: "Reshape" reshape_param {{ axis: {axis} num_axes: {num_axes} '
            f'shape {{ {" ".join(f"dim: {d}" for d in text_dims)} }} }}')
    assert top_shape(text, tuple(shape)) == (*shape[:begin], *dims, *shape[begin + num_axes :])


@QUICK
@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.data())
def test_flatten(shape, data):
    begin = data.draw(st.integers(0, len(shape) - 1))
    end = data.draw(st.integers(max(0, begin - 1), len(shape) - 1))
    text = f'type: "Flatten" flatten_param {{ axis: {begin} end_axis: {end - len(shape)} }}'
    expected = (*shape[:begin], math.prod(shape[begin : end + 1]), *shape[end + 1 :])
    assert top_shape(text, tuple(shape)) == expected


def test_input_shapes_that_change_reach_the_tops(tmp_path):
    from tests.engine.layers.nets import make_net

    net = make_net(tmp_path, """
        layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
        layer { name: "c" type: "Convolution" bottom: "x" top: "c" convolution_param { num_output: 2 kernel_size: 3 } }
        layer { name: "g" type: "Pooling" bottom: "c" top: "g" pooling_param { global_pooling: true pool: AVE } }
    """)
    assert tuple(net.blobs["c"].shape) == (1, 2, 6, 6)
    net.blobs["x"].reshape(4, 3, 11, 9)
    net.forward()
    assert tuple(net.blobs["c"].shape) == (4, 2, 9, 7)
    assert tuple(net.blobs["g"].shape) == (4, 2, 1, 1)
