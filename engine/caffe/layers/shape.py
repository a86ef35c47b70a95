"""Layers that move or drop values and change none: Concat, Slice, Split, Flatten, Reshape, Tile, BatchReindex, Filter,
Crop, Silence."""

import math

import torch

from .. import device
from ..layer import NativeLayer, register
from ..torch_layer import TorchLayer
from .bottom_checks import in_range


def _axis(layer, param, legacy, shape):
    """The axis of Concat and Slice: `axis`, or the older field concat_dim or slice_dim."""
    if param.HasField(legacy):
        if param.HasField("axis"):
            raise layer.error(f"give either axis or {legacy} (its old name), not both")
        return layer.axis(getattr(param, legacy), len(shape), legacy)
    return layer.axis(param.axis, len(shape))


@register("Concat")
class Concat(TorchLayer):
    """Bottoms joined along `axis`; the other axes must agree."""

    bottoms = (1, None)

    def infer(self, *shapes):
        at = self.at = _axis(self, self._layer_param.concat_param, "concat_dim", shapes[0])
        for i, shape in enumerate(shapes):
            if len(shape) != len(shapes[0]) or any(
                a != b for j, (a, b) in enumerate(zip(shape, shapes[0], strict=True)) if j != at
            ):
                raise self.error(f"bottom {i} is {shape}, bottom 0 is {shapes[0]}; all but axis {at} must agree")
        return (*shapes[0][:at], sum(s[at] for s in shapes), *shapes[0][at + 1 :])

    def compute(self, *tensors):
        return torch.cat(tensors, self.at)


@register("Slice")
class Slice(TorchLayer):
    """One bottom cut along `axis`, at slice_point, or into equal parts."""

    tops = (1, None)

    def reshape(self, bottom, top):
        self.parts = len(top)
        super().reshape(bottom, top)

    def infer(self, shape):
        p = self._layer_param.slice_param
        at = self.at = _axis(self, p, "slice_dim", shape)
        points = list(p.slice_point)
        if points:
            if len(points) != self.parts - 1:
                raise self.error(f"{len(points)} slice_point for {self.parts} tops; expected one less than tops")
            self.sizes = [b - a for a, b in zip([0, *points], [*points, shape[at]], strict=True)]
            if min(self.sizes) < 1:
                raise self.error(f"slice_point {points} must increase within 1..{shape[at] - 1} (axis {at} of {shape})")
        else:
            if shape[at] % self.parts:
                raise self.error(f"axis {at} of the bottom, {shape}, cannot be cut into {self.parts} equal parts; "
                                 "give slice_point")
            self.sizes = [shape[at] // self.parts] * self.parts
        return [(*shape[:at], n, *shape[at + 1 :]) for n in self.sizes]

    def compute(self, x):
        return tuple(part.clone() for part in x.split(self.sizes, self.at))


@register("Split")
class Split(NativeLayer):
    """One bottom as several tops; their gradients add up.

    Bottom and tops are one memory, as in Caffe: what is written to one of them shows in all. Only a top that a later
    layer changes in place is a copy (the net names it in `separate`); Caffe lets it change its neighbours.
    """

    tops = (1, None)

    def setup(self, bottom, top):
        self.separate = set()  # indices of tops

    def reshape(self, bottom, top):
        for k, blob in enumerate(top):
            blob.reshape(*bottom[0].dims)
            if k not in self.separate and blob.data_memory is not bottom[0].data_memory:
                blob.share_data(bottom[0])

    def forward(self, bottom, top):
        for k in self.separate:
            top[k].data_memory.write(bottom[0].data_memory.snapshot(device.current()))

    def backward(self, top, propagate_down, bottom):
        if not propagate_down[0]:
            return
        where = device.current()
        total = top[0].diff_memory.read(where)
        if len(top) == 1 and top[0].diff_memory.exposed:
            total = total.clone()  # its view may be written to
        for blob in top[1:]:  # a layer in place may have given one of them another shape
            total = total + blob.diff_memory.read(where).reshape(total.shape)
        bottom[0].diff_memory.write(total)


@register("Flatten")
class Flatten(TorchLayer):
    """Axes from `axis` to end_axis become one; an end_axis just before `axis` inserts an axis of extent 1."""

    def infer(self, shape):
        p = self._layer_param.flatten_param
        begin, end = self.axis(p.axis, len(shape)), self.axis(p.end_axis, len(shape), "end_axis")
        if end < begin - 1:
            raise self.error(f"end_axis {p.end_axis} is less than axis {p.axis} (the bottom is {shape})")
        return (*shape[:begin], math.prod(shape[begin : end + 1]), *shape[end + 1 :])

    def compute(self, x):
        return x.reshape(self.infer(tuple(x.shape)))


@register("Reshape")
class Reshape(TorchLayer):
    """num_axes axes from `axis` on become `shape`: 0 copies the bottom's extent, one -1 is inferred.

    A negative axis counts from the end: -1 inserts after the last axis.
    """

    def infer(self, shape):
        p = self._layer_param.reshape_param
        begin = p.axis if p.axis >= 0 else len(shape) + 1 + p.axis
        end = len(shape) if p.num_axes == -1 else begin + p.num_axes
        if p.num_axes < -1 or not 0 <= begin <= end <= len(shape):
            raise self.error(f"axis {p.axis} and num_axes {p.num_axes} are out of range for a bottom of {shape}")
        dims = list(p.shape.dim)
        if dims.count(-1) > 1 or any(d < -1 for d in dims):
            raise self.error(f"shape {dims}: expected extents, 0 (as the bottom), and -1 (inferred) at most once")
        for i, d in enumerate(dims):
            if d == 0:
                if begin + i >= len(shape):
                    raise self.error(f"shape {dims}: the 0 at {i} copies axis {begin + i}, which {shape} does not have")
                dims[i] = shape[begin + i]
        out = [*shape[:begin], *dims, *shape[end:]]
        count, known = math.prod(shape), math.prod(d for d in out if d != -1)
        if -1 in out and known and count % known == 0:
            out[out.index(-1)] = count // known
        if math.prod(out) != count or -1 in out:
            raise self.error(f"the bottom, {shape}, has {count} values, which do not fill {tuple(out)}")
        return tuple(out)

    def compute(self, x):
        return x.reshape(self.infer(tuple(x.shape)))


@register("Tile")
class Tile(TorchLayer):
    """The bottom repeated `tiles` times along `axis`."""

    def infer(self, shape):
        p = self._layer_param.tile_param
        at = self.at = self.axis(p.axis, len(shape))
        if p.tiles < 1:
            raise self.error(f"tiles is {p.tiles}; expected at least 1")
        return (*shape[:at], shape[at] * p.tiles, *shape[at + 1 :])

    def compute(self, x):
        return torch.cat([x] * self._layer_param.tile_param.tiles, self.at)


@register("BatchReindex")
class BatchReindex(TorchLayer):
    """Item bottom[1][i] of bottom[0] as item i: (N, ...), (M,) -> (M, ...)."""

    bottoms = (2, 2)
    labels = (1,)

    def infer(self, shape, index):
        if len(index) != 1:
            raise self.error(f"bottom 1, the indices, is {index}; expected one axis")
        return (*index, *shape[1:])

    def compute(self, x, index):
        index = in_range(self, index.long(), x.shape[0], "bottom 1: index", "items of bottom 0")
        return x.index_select(0, index)


@register("Filter")
class Filter(TorchLayer):
    """Items where the last bottom, (N,), is not zero: one top for every other bottom. The tops' N follows the data."""

    bottoms = (2, None)
    tops = (1, None)
    keeps = None

    def setup(self, bottom, top):
        if len(top) != len(bottom) - 1:
            raise self.error(f"{len(top)} tops for {len(bottom)} bottoms; expected {len(bottom) - 1}: the last bottom "
                             "selects")
        self.kept = None

    def allow_force_backward(self, bottom_index):
        return bottom_index != len(self._layer_param.bottom) - 1

    def infer(self, *shapes):
        selector = shapes[-1]
        if math.prod(selector) != selector[0]:
            raise self.error(f"the last bottom, the selector, is {selector}; expected one value an item")
        for i, shape in enumerate(shapes[:-1]):
            if shape[0] != selector[0]:
                raise self.error(f"bottom {i} is {shape}, the selector {selector}: they differ in the number of items")
        kept = selector[0] if self.kept is None else self.kept
        return [(kept, *shape[1:]) for shape in shapes[:-1]]

    def compute(self, *tensors):
        index = tensors[-1].flatten().nonzero().flatten()
        self.kept = len(index)
        return tuple(x.index_select(0, index) for x in tensors[:-1])


@register("Crop")
class Crop(TorchLayer):
    """bottom[0] cut to the shape of bottom[1] from `axis` on, starting at `offset` (one for all axes, or one each).

    Axes of bottom[1] beyond the last of bottom[0] are ignored.
    """

    bottoms = (2, 2)
    labels = (1,)

    def infer(self, shape, like):
        param = self._layer_param.crop_param
        start = self.axis(param.axis, len(shape))
        offsets = list(param.offset) or [0]
        if len(like) < len(shape):
            raise self.error(f"bottom 0 is {shape}, bottom 1 is {like}: expected at least as many axes")
        if len(offsets) not in (1, len(shape) - start):
            raise self.error(f"offset is given {len(offsets)} times; expected once, or {len(shape) - start} times, for "
                             f"the axes from {start} on")
        offsets *= (len(shape) - start) // len(offsets)
        self.begin, self.out = [0] * start + offsets, shape[:start] + like[start : len(shape)]
        for axis, (n, begin, size) in enumerate(zip(shape, self.begin, self.out, strict=True)):
            if axis >= start and begin + size > n:
                raise self.error(
                    f"axis {axis}: {size} from offset {begin} on do not fit into bottom 0, {shape}; bottom 1 is {like}"
                )
        return self.out

    def compute(self, x, like):
        return x[tuple(slice(b, b + n) for b, n in zip(self.begin, self.out, strict=True))].clone()

    def backward(self, top, propagate_down, bottom):
        super().backward(top, [propagate_down[0], False], bottom)  # the shape alone is read: Caffe leaves its diff be


@register("Silence")
class Silence(NativeLayer):
    """Takes blobs that nothing else reads; their gradient is zero."""

    bottoms = (1, None)
    tops = (0, 0)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass

    def backward(self, top, propagate_down, bottom):
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff_memory.clear()
