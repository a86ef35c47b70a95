"""caffe.Timer: milliseconds between start and stop, with the GPU's queue drained at both."""

import time

import torch

from . import device


class Timer:
    """``start()``, ``stop()``, then `ms`, `us` or `seconds` (float)."""

    def __init__(self):
        self._start = self._stop = 0.0

    @staticmethod
    def _now():
        if device.current().type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def start(self):
        """Begin to measure."""
        self._start = self._stop = self._now()

    def stop(self):
        """End the measurement."""
        self._stop = self._now()

    @property
    def seconds(self):
        """Seconds from start to stop."""
        return self._stop - self._start

    @property
    def ms(self):
        """Milliseconds from start to stop."""
        return 1e3 * self.seconds

    @property
    def us(self):
        """Microseconds from start to stop."""
        return 1e6 * self.seconds
