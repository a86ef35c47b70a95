"""Layers whose values come from the program, the prototxt or training: Input, DummyData, MemoryData, Parameter."""

import warnings

import numpy as np
import torch

from .. import device
from ..fillers import fill
from ..layer import NativeLayer, register
from ..proto import caffe_pb2
from ..torch_layer import TorchLayer


@register("Input")
class Input(NativeLayer):
    """Tops that the program fills: one shape for each, or one for all. ``blob.reshape`` changes a top for good."""

    bottoms = (0, 0)
    tops = (1, None)

    def setup(self, bottom, top):
        shapes = [tuple(s.dim) for s in self._layer_param.input_param.shape]
        if len(shapes) not in (0, 1, len(top)):
            raise self.error(f"{len(shapes)} shapes for {len(top)} tops; expected one for all, or one each")
        if shapes:
            for blob, shape in zip(top, shapes * (len(top) // len(shapes)), strict=True):
                blob.reshape(*shape)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        pass


@register("DummyData")
class DummyData(NativeLayer):
    """Tops filled by fillers: constant ones once, random ones anew at each forward, each with numbers of its own."""

    bottoms = (0, 0)
    tops = (1, None)

    def configure(self, bottom, top):
        p = self._layer_param.dummy_data_param
        fillers = list(p.data_filler) or [caffe_pb2.FillerParameter()]
        if p.shape and len(p.num):
            raise self.error("give either shape, or num, channels, height and width (its old form), not both")
        if p.shape:
            shapes = [tuple(s.dim) for s in p.shape]
        else:
            columns = [list(column) for column in (p.num, p.channels, p.height, p.width)]
            if any(len(c) not in (1, len(top)) for c in columns):
                raise self.error(f"give num, channels, height and width once for all {len(top)} tops, or once each")
            shapes = list(zip(*(c * (len(top) // len(c)) for c in columns), strict=True))
        for what, values in (("shape", shapes), ("data_filler", fillers)):
            if len(values) not in (1, len(top)):
                raise self.error(f"{what} is given {len(values)} times for {len(top)} tops; expected once, or one each")
        self.fillers = fillers * (len(top) // len(fillers))
        for blob, shape in zip(top, shapes * (len(top) // len(shapes)), strict=True):
            blob.reshape(*shape)

    def setup(self, bottom, top):
        self.configure(bottom, top)
        self._fill(top, constant=True)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self._fill(top, constant=False)

    def _fill(self, top, constant):
        """Fill the tops of constant fillers, or the others, from one stream of numbers."""
        rng = self.rng()
        for blob, filler in zip(top, self.fillers, strict=True):
            if (filler.type == "constant") == constant:
                values = np.zeros(blob.dims, np.float32)
                try:
                    fill(values, filler, rng)
                except ValueError as error:
                    raise self.error(f"data_filler: {error}") from None
                blob.data_memory.write(torch.from_numpy(values).to(device.current()))


@register("MemoryData")
class MemoryData(NativeLayer):
    """Batches of arrays that the program hands over by ``Net.set_input_arrays``, again and again in order."""

    bottoms = (0, 0)
    tops = (2, 2)

    def setup(self, bottom, top):
        p = self._layer_param.memory_data_param
        self.batch, self.item = p.batch_size, (p.channels, p.height, p.width)
        if min(self.batch, *self.item) < 1:
            raise self.error(
                f"batch_size {self.batch}, channels, height, width {self.item}: expected at least 1 of each"
            )
        self.data = self.targets = None
        top[0].reshape(self.batch, *self.item)
        top[1].reshape(self.batch, 1, 1, 1)

    def set_arrays(self, data, labels):
        """Take the arrays to read from now on, from their first item; they are not copied.

        Parameters
        ----------
        data : numpy.ndarray
            float32, C-contiguous, (M, channels, height, width), M a multiple of batch_size.
        labels : numpy.ndarray
            float32, C-contiguous, M values.

        Raises
        ------
        RuntimeError
            Arrays of another type, layout or shape.
        """
        for what, array in (("data", data), ("labels", labels)):
            if not isinstance(array, np.ndarray) or array.dtype != np.float32 or not array.flags.c_contiguous:
                raise RuntimeError(f"set_input_arrays: {what} must be a C-contiguous float32 numpy array")
        if data.ndim != 4 or data.shape[1:] != self.item:
            raise RuntimeError(f"set_input_arrays: data is {data.shape}; layer '{self.name}' expects (M, *{self.item})")
        if labels.size != len(data):
            raise RuntimeError(f"set_input_arrays: {len(data)} items of data, but {labels.size} labels")
        if not len(data) or len(data) % self.batch:
            raise RuntimeError(f"set_input_arrays: {len(data)} items; expected a multiple of batch_size, {self.batch}")
        if self._layer_param.HasField("transform_param"):
            warnings.warn(f"layer '{self.name}' (MemoryData): transform_param does not apply to arrays", stacklevel=3)
        self.data, self.targets = data, labels.reshape(-1, 1, 1, 1)
        self.tick = 0

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        if self.data is None:
            raise self.error("there is no data: call net.set_input_arrays(data, labels) before the first forward")
        begin = self.tick * self.batch % len(self.data)
        for blob, values in zip(top, (self.data, self.targets), strict=True):
            part = torch.from_numpy(values[begin : begin + self.batch].copy())
            blob.data_memory.write(part.to(device.current()))


@register("Parameter")
class Parameter(TorchLayer):
    """A parameter blob of the given shape, as a top."""

    bottoms = (0, 0)

    def setup(self, bottom, top):
        shape = tuple(self._layer_param.parameter_param.shape.dim)
        self.add_param(shape, caffe_pb2.FillerParameter())

    def infer(self):
        return self.blobs[0].dims

    def compute(self, value):
        return value.view_as(value)
