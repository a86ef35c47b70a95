"""pycaffe's forward_all and forward_backward_all: any number of items, in batches of the net's size."""

from itertools import zip_longest

import numpy as np


class NetBatches:
    """Mixed into Net, whose forward and backward it calls."""

    def forward_all(self, blobs=None, **kwargs):
        """Forward over any number of items, in batches of the net's size (the last one padded with zeros).

        Parameters
        ----------
        blobs : list of str
            Blobs to return beside the outputs.
        **kwargs : array
            Values of all inputs, one row for each item.

        Returns
        -------
        dict
            Blob name -> float32 array with one row for each item, for the outputs and `blobs`.

        Raises
        ------
        RuntimeError
            No values are given.
        """
        if not kwargs:
            raise RuntimeError("forward_all() needs a value for every input: " + ", ".join(self._input_names))
        collected = {}
        for batch in self._batch(kwargs):
            _collect(collected, self.forward(blobs=blobs, **batch))
        return _joined(collected, len(next(iter(kwargs.values()))))

    def forward_backward_all(self, blobs=None, diffs=None, **kwargs):
        """Forward and backward over any number of items, in batches.

        Parameters
        ----------
        blobs, diffs : list of str
            Blobs whose data, or diffs, to return beside the outputs' and the inputs'.
        **kwargs : array
            Values of all inputs, one row for each item, and, if wanted, diffs of all outputs.

        Returns
        -------
        outputs, diffs : dict
            Blob name -> float32 array with one row for each item.

        Raises
        ------
        RuntimeError
            No values are given.
        """
        inputs = {k: v for k, v in kwargs.items() if k in self._input_names}
        tops = {k: v for k, v in kwargs.items() if k in self._output_names}
        if not inputs:
            raise RuntimeError("forward_backward_all() needs a value for every input: " + ", ".join(self._input_names))
        outs, grads = {}, {}
        for fwd, bwd in zip_longest(self._batch(inputs), self._batch(tops), fillvalue={}):
            _collect(outs, self.forward(blobs=blobs, **fwd))
            _collect(grads, self.backward(diffs=diffs, **bwd))
        total = len(next(iter(inputs.values())))
        return _joined(outs, total), _joined(grads, total)

    def _batch(self, blobs):
        """Arrays by blob name, cut into batches of the net's size, the last one padded with zeros.

        Yields
        ------
        dict
            Blob name -> float32 array of one batch.
        """
        if not blobs:
            return
        first = next(iter(blobs))
        blob = self._named_blobs.get(first) or next(iter(self._named_blobs.values()))
        size = blob.dims[0]
        for begin in range(0, len(blobs[first]), size):
            batch = {}
            for name, values in blobs.items():
                part = np.asarray(values[begin : begin + size], np.float32)
                batch[name] = np.zeros((size, *part.shape[1:]), np.float32)
                batch[name][: len(part)] = part
            yield batch


def _collect(collected, values):
    for name, array in values.items():
        collected.setdefault(name, []).append(np.atleast_1d(array).copy())


def _joined(collected, total):
    return {name: np.concatenate(parts)[:total] for name, parts in collected.items()}
