"""Iterations done one by one, with their losses."""

import math

import numpy as np


class NotFinite(Exception):
    """A loss is NaN or infinite."""


class LossWatch:
    """Does iterations one by one and reads their losses.

    Where Caffe has solver callbacks (1.0 and the engine), the losses are checked before the weights change.

    Attributes
    ----------
    losses : dict
        Loss name -> value of the last iteration (of its last batch, where iter_size is above 1).
    in_time : bool
        Whether a loss that is not finite is noticed before it reaches the weights.
    """

    def __init__(self, solver):
        self._solver, self._names, self.losses = solver, loss_names(solver.net), {}
        self.in_time = hasattr(solver, "add_callback")
        if self.in_time:
            solver.add_callback(lambda: None, self._check)

    def step(self):
        """One iteration; NotFinite when a loss is NaN or infinite."""
        self._solver.step(1)
        if not self.in_time:
            self._check()

    def _check(self):
        blobs = self._solver.net.blobs
        self.losses = {name: float(np.ravel(blobs[name].data)[0]) for name in self._names}
        if not all(math.isfinite(value) for value in self.losses.values()):
            raise NotFinite


def loss_names(net):
    """Output blobs that count into the loss, or whose name begins with "loss", in the net's order.

    Parameters
    ----------
    net : caffe.Net

    Returns
    -------
    list of str
    """
    weights, blobs, outputs = net.blob_loss_weights, net.blobs, set(net.outputs)    # each is made anew when asked for
    return [name for name in blobs if name in outputs and blobs[name].count == 1
            and (weights[name] or name.startswith("loss"))]
