"""Random numbers of layers: every draw is a function of the layer's seed, a stream and a few integers."""

import numpy as np

from .. import device
from ..proto import caffe_pb2

ORDER, CHOICES, SKIP, MASK = 1, 2, 3, 4  # streams


def generator(layer, stream, *words):
    """numpy Generator that depends on the layer's seed, a stream number and `words`.

    Parameters
    ----------
    layer : NativeLayer
    stream : int
    *words : int

    Returns
    -------
    numpy.random.Generator
    """
    return np.random.Generator(np.random.SFC64([*layer.seed.generate_state(4).tolist(), stream, *words]))


def shard(layer):
    """(rank, processes) that share a training run's items; (0, 1) in phase TEST, where each process sees all.

    Parameters
    ----------
    layer : NativeLayer

    Returns
    -------
    (int, int)
    """
    return (device.solver_rank(), device.solver_count()) if layer.phase == caffe_pb2.TRAIN else (0, 1)
