"""Nets from text, and single layers run without a net, for the tests of layers."""

import caffe
import numpy as np
import torch
from caffe.blob import Blob
from caffe.layer import REGISTRY
from caffe.layers.bottom_checks import LateAnswers
from caffe.proto import caffe_pb2
from google.protobuf import text_format

PHASES = {"TRAIN": caffe.TRAIN, "TEST": caffe.TEST}


def make_net(folder, text, phase="TEST"):
    """A net of the prototxt `text`, written into `folder`."""
    path = folder / "net.prototxt"
    path.write_text(text)
    return caffe.Net(str(path), PHASES[phase])


class Single:
    """One layer in float64, without a net around it: values go in and out as numpy arrays.

    Blobs are never looked at through their numpy views, which are float32; so they keep float64 tensors.
    """

    def __init__(self, text, *shapes, tops=1, phase="TRAIN", needs=None, seed=0):
        self.param = text_format.Parse(text, caffe_pb2.LayerParameter())
        self.param.name = self.param.name or "layer"
        self.param.phase = PHASES[phase]
        self.param.bottom.extend(f"b{i}" for i in range(len(shapes)))
        self.param.top.extend(f"t{i}" for i in range(tops))
        self.layer = REGISTRY[self.param.type](self.param)
        self.layer.seed = np.random.SeedSequence(seed)
        self.layer.fp32 = False
        self.bottom, self.top = [Blob(*s) for s in shapes], [Blob() for _ in range(tops)]
        self.layer.setup(self.bottom, self.top)
        self.layer.reshape(self.bottom, self.top)
        self.needs = [self.layer.allow_force_backward(i) for i in range(len(shapes))] if needs is None else needs
        self.layer.propagate_down = self.needs
        self.layer.param_propagate_down = [True] * len(self.layer.blobs)
        for blob in self.layer.blobs:
            self.set(blob, blob.data_memory.array())

    def set(self, blob, values, kind="data"):
        getattr(blob, f"{kind}_memory").write(torch.from_numpy(np.array(values, np.float64)))

    def forward(self, *values):
        """Tops for bottoms of these values."""
        for blob, value in zip(self.bottom, values, strict=True):
            blob.reshape(*np.shape(value))
            self.set(blob, value)
        self.layer.reshape(self.bottom, self.top)
        self.layer.forward(self.bottom, self.top)
        return [numpy(b.data_memory) for b in self.top]

    def backward(self, *diffs):
        """Gradients of bottoms and of parameters (None where there is none) for these gradients of the tops."""
        for blob, value in zip(self.top, diffs, strict=True):
            self.set(blob, value, "diff")
        for blob in self.layer.blobs:
            blob.diff_memory.clear()
        self.layer.backward(self.top, self.needs, self.bottom)
        bottoms = [numpy(b.diff_memory) if need else None for b, need in zip(self.bottom, self.needs, strict=True)]
        return bottoms, [numpy(b.diff_memory) for b in self.layer.blobs]


def numpy(memory):
    """A copy of a memory's values in float64, without exposing it."""
    return memory.read(torch.device("cpu")).detach().double().numpy().copy()


def run_layer(text, *arrays, tops=1, phase="TEST"):
    """Tops of one layer in float32, run as nets run it."""
    single = Single(text, *(a.shape for a in arrays), tops=tops, phase=phase, needs=[False] * len(arrays))
    single.layer.fp32 = type(single.layer).fp32
    for blob in single.layer.blobs:
        blob.data_memory.write(torch.from_numpy(blob.data_memory.array()))
    for blob, array in zip(single.bottom, arrays, strict=True):
        blob.data_memory.write(torch.from_numpy(np.array(array, np.float32)))
    single.layer.forward(single.bottom, single.top)
    if torch.cuda.is_available() and (late := LateAnswers([single.layer]).first()):
        raise late[1]
    return [b.data_memory.array() for b in single.top]
