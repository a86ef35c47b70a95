"""Layers for random nets: for each type a function that draws its settings for a bottom of a given shape.

A maker takes (rng, shape) and returns a list of :class:`Draft`, one layer after the other, or None where the type has
no use for the shape. What a layer cannot be is refused by the engine and drawn again, so makers may be careless.
"""

from dataclasses import dataclass, field

MAKERS = {}


@dataclass
class Draft:
    """One layer: type, settings, further bottoms as (shape or "same", kind of values), number of tops."""

    type: str
    settings: str = ""
    extra: list = field(default_factory=list)
    tops: int = 1
    params: int = 0  # parameter blobs that may be shared by name
    first: tuple = None  # (shape, kind): the layer reads a new input and not the blob it was drawn for
    inplace: bool = False
    phase: str = None
    loss: bool = False


def maker(*names):
    """Decorator: the function draws layers under these names (the type, for most)."""

    def add(function):
        for name in names:
            MAKERS[name] = function
        return function

    return add


def filler(what="weight_filler", std=0.5):
    return f'{what} {{ type: "gaussian" std: {std} }}'


def one_of(rng, *choices):
    return choices[rng.integers(len(choices))]


def axis_of(rng, shape, least=0):
    """An axis counted from the front or from behind."""
    axis = int(rng.integers(least, len(shape))) if len(shape) > least else least
    return axis - len(shape) * int(rng.integers(2))


def _simple(name, inplace=True, settings=lambda rng, shape: "", **options):
    MAKERS[name] = lambda rng, shape: [Draft(name, settings(rng, shape), inplace=inplace, **options)]


_simple("ReLU", settings=lambda rng, _: one_of(rng, "", "relu_param { negative_slope: 0.2 }"))
_simple("ELU", settings=lambda rng, _: one_of(rng, "", "elu_param { alpha: 0.5 }"))
_simple("Sigmoid")
_simple("TanH")
_simple("BNLL")
_simple("AbsVal", inplace=False)
_simple("Clip", settings=lambda rng, _: "clip_param { min: -0.6 max: 0.8 }")
_simple("Swish", settings=lambda rng, _: one_of(rng, "", "swish_param { beta: 0.7 }"))
_simple("Exp", settings=lambda rng, _: one_of(rng, "exp_param { scale: 0.3 }", "exp_param { base: 2 shift: -1 }"))
_simple("Dropout", settings=lambda rng, _: f"dropout_param {{ dropout_ratio: {one_of(rng, 0.3, 0.5)} }}", phase="TRAIN")
_simple("Softmax", settings=lambda rng, s: f"softmax_param {{ axis: {axis_of(rng, s)} }}")
_simple("Split", inplace=False, tops=2)
_simple("PReLU", params=1, settings=lambda rng, _: f"prelu_param {{ {filler('filler')} "
        f"{one_of(rng, '', 'channel_shared: true')} }}")
_simple("MVN", settings=lambda rng, _: f"mvn_param {{ across_channels: {one_of(rng, 'true', 'false')} "
        f"normalize_variance: {one_of(rng, 'true', 'false')} }}")
_simple("BatchNorm", settings=lambda rng, _: "batch_norm_param { eps: 0.01 use_global_stats: "
        f"{one_of(rng, 'false', 'false', 'true')} }}")
_simple("Tile", inplace=False, settings=lambda rng, s: f"tile_param {{ axis: {axis_of(rng, s)} "
        f"tiles: {rng.integers(1, 4)} }}")
_simple("Reduction", inplace=False, settings=lambda rng, s: f"reduction_param {{ axis: {axis_of(rng, s)} coeff: 1.5 "
        f"operation: {one_of(rng, 'SUM', 'ASUM', 'SUMSQ', 'MEAN')} }}")
_simple("Flatten", inplace=False, settings=lambda rng, s: f"flatten_param {{ axis: {axis_of(rng, s)} "
        f"end_axis: {axis_of(rng, s)} }}")


@maker("Log")
def _log(rng, shape):
    return [Draft("BNLL"), Draft("Log", f"log_param {{ shift: 0.5 base: {one_of(rng, -1, 10)} }}", inplace=True)]


@maker("Power")
def _power(rng, shape):
    if rng.integers(2):
        return [Draft("Power", f"power_param {{ power: {one_of(rng, 0, 1, 2, 3)} scale: {one_of(rng, 1, -0.5)} "
                      f"shift: {one_of(rng, 0, 0.3)} }}", inplace=True)]
    return [Draft("BNLL"), Draft("Power", f"power_param {{ power: {one_of(rng, 0.5, -1, 1.7)} shift: 0.5 }}",
                                 inplace=True)]


@maker("Convolution", "Deconvolution")
def _convolution(rng, shape, name="Convolution"):
    axis = one_of(rng, 1, 1, 1, len(shape) - 1) if len(shape) > 1 else 0
    spatial = len(shape) - 1 - axis
    group = one_of(rng, 1, 1, shape[axis])
    kernel = [int(rng.integers(1, 4)) for _ in range(spatial)] if rng.integers(3) else [1] * spatial
    fields = [f"axis: {axis}", f"num_output: {group * rng.integers(1, 4)}", f"group: {group}"]
    fields += [f"kernel_size: {k}" for k in kernel]
    fields += [f"stride: {rng.integers(1, 4)}" for _ in kernel] if rng.integers(2) else []
    fields += [f"pad: {rng.integers(0, 3)}" for _ in kernel] if rng.integers(2) else []
    fields += [f"dilation: {rng.integers(1, 3)}" for _ in kernel] if not rng.integers(3) else []
    bias = bool(rng.integers(2))
    fields.append(filler() + filler("bias_filler") if bias else filler() + " bias_term: false")
    return [Draft(name, f"convolution_param {{ {' '.join(fields)} }}", params=1 + bias)]


MAKERS["Deconvolution"] = lambda rng, shape: _convolution(rng, shape, "Deconvolution")


@maker("Im2col")
def _im2col(rng, shape):
    return [Draft("Im2col", f"convolution_param {{ kernel_size: {rng.integers(1, 4)} stride: {rng.integers(1, 3)} "
                  f"pad: {rng.integers(0, 2)} }}")]


@maker("InnerProduct")
def _inner_product(rng, shape):
    bias = bool(rng.integers(2))
    return [Draft("InnerProduct", f"inner_product_param {{ num_output: {rng.integers(1, 5)} axis: "
                  f"{axis_of(rng, shape)} transpose: {one_of(rng, 'true', 'false')} {filler()} "
                  f"{filler('bias_filler') if bias else 'bias_term: false'} }}", params=1 + bias)]


@maker("Embed")
def _embed(rng, shape):
    return [Draft("Embed", f"embed_param {{ input_dim: 4 num_output: {rng.integers(1, 4)} {filler()} "
                  f"{filler('bias_filler')} }}", params=2, first=(shape[: rng.integers(1, 4)], "index4"))]


@maker("Scale", "Bias")
def _scale(rng, shape, name="Scale"):
    prefix = name.lower()
    begin = int(rng.integers(len(shape)))
    count = int(rng.integers(0, len(shape) - begin + 1))
    bias = "bias_term: true bias_filler { type: \"gaussian\" }" if name == "Scale" and rng.integers(2) else ""
    axis = begin - len(shape) * int(rng.integers(2))
    if rng.integers(2):
        return [Draft(name, f"{prefix}_param {{ axis: {axis} {bias} }}", inplace=True,
                      extra=[(shape[begin : begin + count], "normal")])]
    number = -1 if count == len(shape) - begin else count
    return [Draft(name, f"{prefix}_param {{ axis: {axis} num_axes: {number} {filler('filler')} {bias} }}", inplace=True,
                  params=1 + bool(bias))]


MAKERS["Bias"] = lambda rng, shape: _scale(rng, shape, "Bias")


@maker("LRN")
def _lrn(rng, shape):
    return [Draft("LRN", f"lrn_param {{ local_size: {one_of(rng, 1, 3, 5)} alpha: {one_of(rng, 1, 2)} beta: 0.7 k: 1 "
                  f"norm_region: {one_of(rng, 'ACROSS_CHANNELS', 'WITHIN_CHANNEL')} }}")]


@maker("Pooling")
def _pooling(rng, shape):
    pool = one_of(rng, "MAX", "AVE")
    if rng.integers(4) == 0:
        return [Draft("Pooling", f"pooling_param {{ pool: {pool} global_pooling: true }}")]
    kernel, stride = rng.integers(1, 4), rng.integers(1, 4)
    pad, rounding = rng.integers(0, kernel), one_of(rng, "CEIL", "FLOOR")
    if pad == 0 and any(-((kernel - n) // stride) * stride >= n for n in shape[2:]):
        rounding = "FLOOR"      # Caffe's last window would be empty: a maximum of nothing, written beside the blob
    return [Draft("Pooling", f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} "
                  f"pad: {pad} round_mode: {rounding} }}",
                  tops=2 if pool == "MAX" and rng.integers(4) == 0 else 1)]


@maker("SPP")
def _spp(rng, shape):
    return [Draft("SPP", f"spp_param {{ pyramid_height: {rng.integers(1, 4)} pool: {one_of(rng, 'MAX', 'AVE')} }}")]


@maker("Interp")
def _interp(rng, shape):
    way = one_of(rng, "zoom_factor: 2", "shrink_factor: 2", f"height: {rng.integers(1, 6)} width: {rng.integers(1, 6)}")
    return [Draft("Interp", f"interp_param {{ {way} {one_of(rng, '', 'pad_beg: -1')} }}")]


@maker("Crop")
def _crop(rng, shape):
    axis = int(rng.integers(len(shape)))
    like = (*shape[:axis], *(int(rng.integers(1, n + 1)) for n in shape[axis:]))
    offset = min(a - b for a, b in zip(shape[axis:], like[axis:], strict=True))
    return [Draft("Crop", f"crop_param {{ axis: {axis} offset: {rng.integers(0, offset + 1)} }}",
                  extra=[(like, "normal")])]


@maker("Concat")
def _concat(rng, shape):
    axis = axis_of(rng, shape)
    other = list(shape)
    other[axis] = int(rng.integers(1, 3))
    extra = [("same", "normal"), (tuple(other), "normal")][: rng.integers(0, 3)]
    return [Draft("Concat", f"concat_param {{ axis: {axis} }}", extra=extra)]


@maker("Slice")
def _slice(rng, shape):
    axis = axis_of(rng, shape)
    if shape[axis] > 1 and rng.integers(2):
        return [Draft("Slice", f"slice_param {{ axis: {axis} slice_point: {rng.integers(1, shape[axis])} }}", tops=2)]
    return [Draft("Slice", f"slice_param {{ axis: {axis} }}", tops=one_of(rng, 1, shape[axis]))]


@maker("Eltwise")
def _eltwise(rng, shape):
    more = int(rng.integers(1, 3))
    how = one_of(rng, "operation: SUM", "operation: PROD", "operation: MAX",
                 "operation: SUM " + " ".join(f"coeff: {c}" for c in (0.5, -2, 1)[: more + 1]))
    return [Draft("Eltwise", f"eltwise_param {{ {how} }}", extra=[("same", "normal")] * more, inplace=True)]


@maker("Reshape")
def _reshape(rng, shape):
    way = one_of(rng, "shape { dim: -1 }", "shape { dim: 0 dim: -1 }", "axis: -1 shape { dim: 1 dim: -1 } num_axes: 0",
                 "shape { dim: 1 dim: 0 } axis: 1 num_axes: 1", "shape { dim: -1 dim: 1 } axis: -2 num_axes: 1")
    return [Draft("Reshape", f"reshape_param {{ {way} }}")]


@maker("BatchReindex")
def _batch_reindex(rng, shape):
    return [Draft("BatchReindex", extra=[((int(rng.integers(1, 5)),), f"index{shape[0]}")])]


@maker("Filter")
def _filter(rng, shape):
    return [Draft("Filter", extra=[((shape[0],), "binary")])]


@maker("Parameter")
def _parameter(rng, shape):
    return [Draft("Parameter", f"parameter_param {{ shape {{ {' '.join(f'dim: {d}' for d in shape)} }} }}", params=1,
                  first=())]


@maker("LSTM", "RNN")
def _recurrent(rng, shape, name="LSTM"):
    steps, n, size = *shape[:2], int(rng.integers(1, 4))
    static = [((n, 2), "normal")] if rng.integers(2) else []
    exposed = bool(rng.integers(2))
    states = [((1, n, size), "normal")] * (2 if name == "LSTM" else 1) if exposed else []
    settings = f"num_output: {size} expose_hidden: {str(exposed).lower()} {filler()} {filler('bias_filler')}"
    return [Draft(name, f"recurrent_param {{ {settings} }}", extra=[((steps, n), "binary"), *static, *states],
                  tops=1 + len(states))]


MAKERS["RNN"] = lambda rng, shape: _recurrent(rng, shape, "RNN")


@maker("LSTMUnit")
def _lstm_unit(rng, shape):
    _, n, d = shape
    return [Draft("LSTMUnit", extra=[((1, n, 4 * d), "normal"), ((1, n), "binary")], tops=2)] if shape[0] == 1 else None


@maker("Silence")
def _silence(rng, shape):
    return [Draft("Split", tops=2), Draft("Silence", tops=0)]
