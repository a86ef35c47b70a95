"""Python layers for tests of the engine's contract with them."""

import json

import caffe
import numpy as np

from tests.conftest import DATA


class Batches(caffe.Layer):
    """The six batches that the solver runs were measured with, one a forward; param_str: {"start": k}."""

    def setup(self, bottom, top):
        with np.load(DATA / "caffe" / "solver" / "data.npz") as z:
            self.x, self.labels = z["x"], z["label"]
        self.place = json.loads(self.param_str or "{}").get("start", 0)

    def reshape(self, bottom, top):
        top[0].reshape(*self.x.shape[1:])
        top[1].reshape(*self.labels.shape[1:])

    def forward(self, bottom, top):
        top[0].data[...] = self.x[self.place % len(self.x)]
        top[1].data[...] = self.labels[self.place % len(self.x)]
        self.place += 1

    def backward(self, top, propagate_down, bottom):
        pass


class Recorder(caffe.Layer):
    """Twice its bottom, times a parameter that is 4; remembers what it is called with."""

    def setup(self, bottom, top):
        self.calls = ["setup"]
        self.seen = {"param_str": self.param_str, "phase": self.phase, "bottoms": len(bottom),
                     "types": (type(bottom).__name__, type(top[0]).__name__)}
        self.blobs.add_blob(2, 3)
        self.blobs[0].data[...] = 4

    def reshape(self, bottom, top):
        self.calls.append("reshape")
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.calls.append("forward")
        top[0].data[...] = 2 * bottom[0].data * self.blobs[0].data[0, 0]

    def backward(self, top, propagate_down, bottom):
        self.calls.append("backward")
        self.propagate_down = (type(propagate_down).__name__, list(propagate_down))
        self.blobs[0].diff[0, 0] += (top[0].diff * 2 * bottom[0].data).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * 2 * self.blobs[0].data[0, 0]


class Copy(caffe.Layer):
    """Its bottoms summed."""

    def setup(self, bottom, top):
        self.propagate_down = None

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = sum(b.data for b in bottom)

    def backward(self, top, propagate_down, bottom):
        self.propagate_down = list(propagate_down)
        for blob, wanted in zip(bottom, propagate_down, strict=True):
            if wanted:
                blob.diff[...] = top[0].diff


class NoBackward(caffe.Layer):
    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data


class FailsInForward(NoBackward):
    def forward(self, bottom, top):
        raise ValueError("boom in forward")


class FailsInSetup(NoBackward):
    def setup(self, bottom, top):
        raise KeyError("bad setup")


class FailsInReshape(NoBackward):
    def reshape(self, bottom, top):
        raise OSError("no list")


class NoLayer:
    """Not a layer."""
