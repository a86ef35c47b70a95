"""Memories that blobs share: another blob's under another shape, and none at all."""

import torch


class Reshaped:
    """The Memory of another blob under another shape of the same count (parameters shared permissively)."""

    exposed = property(lambda self: self.base.exposed)
    edits = property(lambda self: self.base.edits)

    def __init__(self, base, shape):
        self.base, self.shape = base, tuple(shape)

    def reshape(self, shape):
        if tuple(shape) != self.shape:
            raise ValueError(f"a parameter of shape {self.shape} that is shared cannot become {tuple(shape)}")

    def read(self, device):
        return self.base.read(device).reshape(self.shape)

    def snapshot(self, device):
        return self.base.snapshot(device).reshape(self.shape)

    def mutable(self, device):
        value = self.base.mutable(device)
        if not value.is_contiguous():  # a reshape would be a copy
            self.base.write(value.contiguous())
            value = self.base.mutable(device)
        return value.view(self.shape)

    def write(self, tensor):
        self.base.write(tensor.reshape(self.base.shape))

    def accumulate(self, tensor):
        self.base.accumulate(tensor.reshape(self.base.shape))

    def start_copy(self):
        self.base.start_copy()

    def clear(self):
        self.base.clear()

    def array(self):
        return self.base.array().reshape(self.shape)

    def view(self):
        return self.base.view().reshape(self.shape)


class NoMemory:
    """Memory of a parameter whose shape alone matters: reads give tensors without storage, writes are dropped."""

    exposed = True  # so that it is not rearranged

    def __init__(self, shape):
        self.shape = tuple(shape)

    def read(self, device):
        return torch.zeros(self.shape, device="meta")

    def write(self, tensor):
        pass


def in_shape(memory, shape):
    """`memory` under a shape of the same count.

    Parameters
    ----------
    memory : Memory
    shape : tuple of int

    Returns
    -------
    Memory or Reshaped
    """
    return memory if memory.shape == shape else Reshaped(memory, shape)


def owner(memory):
    """The Memory that holds the values.

    Parameters
    ----------
    memory : Memory, Reshaped or NoMemory

    Returns
    -------
    Memory or NoMemory
    """
    return owner(memory.base) if isinstance(memory, Reshaped) else memory
