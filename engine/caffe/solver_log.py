"""The lines that a solver logs, in Caffe's words: speed, smoothed loss, outputs of its nets."""

import time
from collections import deque

import numpy as np

from . import glog, parallel


class SolverLog:
    """A solver's lines; of several processes the first prints them.

    Parameters
    ----------
    average_loss : int
        Iterations over which the loss is averaged.
    """

    def __init__(self, average_loss):
        self._losses = deque(maxlen=average_loss)
        self._clock = (time.perf_counter(), 0)

    def line(self, message, source="solver.cpp"):
        """Print an information line.

        Parameters
        ----------
        message : str
        source : str
            The file of Caffe's that prints it.
        """
        if parallel.is_root():
            glog.info(source, message)

    def begin(self, iteration):
        """Forget losses and time: iterations begin at this one.

        Parameters
        ----------
        iteration : int
        """
        self._losses.clear()
        self._clock = (time.perf_counter(), iteration)

    def add_loss(self, loss):
        """Note the loss of an iteration.

        Parameters
        ----------
        loss : float or Tensor
            A scalar, which stays on its device until it is printed.
        """
        self._losses.append(loss)

    def smoothed_loss(self):
        """Mean of the last average_loss losses since `begin`, float."""
        return sum(map(float, self._losses)) / len(self._losses)

    def display(self, net, iteration, interval):
        """Print what Caffe prints at an iteration that is displayed.

        Parameters
        ----------
        net : Net
        iteration, interval : int
            The iteration; those from line to line.
        """
        now, (then, since) = time.perf_counter(), self._clock
        seconds = now - then
        self.line(f"Iteration {iteration} ({(iteration - since) / (seconds or 1):g} iter/s, "
                  f"{seconds:g}s/{interval} iters), loss = {self.smoothed_loss():g}")
        self._clock = (now, iteration)
        self.outputs(net, "Train", {name: net.blobs[name].data_memory.array() for name in net.outputs})

    def outputs(self, net, which, values):
        """Print the outputs of a net, value by value, with their part in the loss.

        Parameters
        ----------
        net : Net
        which : {"Train", "Test"}
        values : dict of str to numpy.ndarray
            Name of an output -> its values.
        """
        loss_weights, index = net.blob_loss_weights, 0
        for name in net.outputs:
            weight = loss_weights[name]
            for value in np.ravel(values[name]):
                tail = f" (* {weight:g} = {weight * value:g} loss)" if weight else ""
                self.line(f"    {which} net output #{index}: {name} = {value:g}{tail}")
                index += 1
