"""Values of a GPU on their way to the host, and values of the host that a tensor of a GPU was made of.

Whoever reads a tensor of a GPU waits for all that the device was given to do before, the backward pass and the update
of the step before included. A copy that is begun early is waited for alone; what the host knows already needs none.
"""

import torch


class HostCopy:
    """A copy to the host that is begun now and waited for when it is asked for.

    Parameters
    ----------
    tensor : Tensor
        On a CUDA device.
    """

    def __init__(self, tensor):
        self._of = (tensor, tensor._version)
        self._values = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._values.copy_(tensor, non_blocking=True)
        self._done = torch.cuda.Event()
        self._done.record()

    def is_of(self, tensor):
        """Whether this is a copy of this tensor as it is now.

        Parameters
        ----------
        tensor : Tensor

        Returns
        -------
        bool
        """
        return self._of[0] is tensor and self._of[1] == tensor._version

    def get(self):
        """The values, a tensor of the host; waits for this copy and for nothing that was begun after it."""
        self._done.synchronize()
        return self._values


def remember(tensor, array):
    """Note the array of the host that has the values of a tensor, and is not written to as long as the tensor lives.

    Parameters
    ----------
    tensor : Tensor
    array : numpy.ndarray

    Returns
    -------
    Tensor
        The same.
    """
    tensor.host_values = (array, tensor._version)
    return tensor


def remembered(tensor):
    """The array that `remember` noted.

    Parameters
    ----------
    tensor : Tensor

    Returns
    -------
    numpy.ndarray or None
        None where none was noted or the tensor was changed since.
    """
    array, version = getattr(tensor, "host_values", (None, None))
    return array if array is not None and version == tensor._version else None
