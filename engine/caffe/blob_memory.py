"""The memory of blobs: torch tensors that turn into numpy views, at one place, from the first look on.

Between layers the engine passes torch tensors of any layout (channels_last), dtype (bf16) and device. What the user
of ``blob.data`` and ``blob.diff`` sees and what the layers see meet in :class:`Memory`:

* a blob whose values were never viewed holds whatever tensor its layer produced: no copy, no conversion;
* from the first view on it owns C-contiguous float32 host memory, shown as a numpy view that stays valid, and every
  later result is copied into it (Caffe's memory, too, stays where it is between two forwards);
* on a GPU the copies follow Caffe's SyncedMemory: a view makes the host copy the newest, the next layer uploads it. A
  copy that :meth:`Memory.start_copy` has begun is waited for alone.

What autograd keeps for the backward pass must not change under it, while a view may be written at any time. Layers that
compute with a graph therefore take a :meth:`Memory.snapshot`, and the count of :attr:`Memory.edits` tells the backward
pass whether its values have been written to since.
"""

from math import prod

import torch

from .host_copies import HostCopy, remember, remembered


class Memory:
    """One array of a blob (its data or its diff); may be shared by several blobs.

    Attributes
    ----------
    shape : tuple of int
    edits : int
        How often a snapshot has found values written through the numpy view.
    """

    __slots__ = ("shape", "edits", "_value", "_host", "_flat", "_host_newest", "_kept", "_coming")

    def __init__(self, shape=()):
        self.shape = tuple(shape)
        self._value = None  # tensor as the engine last wrote it; None: zeros
        self._host = None  # float32 C-contiguous CPU tensor, once it has been viewed
        self._flat = None  # the memory behind _host, at its largest size so far
        self._host_newest = False
        self._kept = None  # what _host held when a layer last wrote it or took a snapshot; never changed in place
        self._coming = None  # a copy of _value that is on its way to the host
        self.edits = 0

    @property
    def exposed(self):
        """Whether a numpy view has been handed out."""
        return self._host is not None

    def reshape(self, shape):
        """Change the shape; values are kept where the count allows it, as Caffe keeps its memory."""
        shape = tuple(shape)
        if shape == self.shape:
            return
        count = prod(shape)
        if self._value is not None:
            self._value = self._value.reshape(shape) if self._value.numel() == count else None
        if self._host is not None:
            if count > self._flat.numel():
                self._flat = torch.zeros(count)
            self._host = self._flat[:count].view(shape)
        self._kept = None
        self.shape = shape

    def read(self, device):
        """The values as a tensor on `device`: shared memory, not to be changed.

        Parameters
        ----------
        device : torch.device

        Returns
        -------
        Tensor
            Of this memory's shape; float32, or bf16 where a layer computed in it.
        """
        if self._host is not None and device.type == "cpu":
            return self._newest_on_host()
        if self._host_newest:
            self._value = self._host.to(device)
            self._host_newest = False
        if self._value is None:
            self._value = torch.zeros(self.shape, device=device)
        elif self._value.device != device:
            self._value = self._value.to(device)
        return self._value

    def _newest_on_host(self):
        """The memory behind the view, once it has been viewed, with what a GPU has written since."""
        if self._value is not None:
            if not self._host_newest:
                self._host.copy_(self._on_host())
            self._value = None
        self._host_newest = True
        return self._host

    def snapshot(self, device):
        """The values as a tensor on `device` that stays as it is when the numpy view is written to later.

        Parameters
        ----------
        device : torch.device

        Returns
        -------
        Tensor
        """
        if device.type != "cpu":
            value = self.read(device)  # a view that was handed out makes this a new tensor
            if self._kept is not value:
                self.edits += self._kept is not None and not _same_bits(self._kept.to(device), value)
                self._kept = value
            return value
        if self._host is None:
            return self.read(device)
        host = self._newest_on_host()
        same = self._kept is not None and _same_bits(self._kept.to(device), host)
        if not same or self._kept.device != device:
            self.edits += not same and self._kept is not None
            self._kept = host.clone()
        return self._kept

    def mutable(self, device):
        """As :meth:`read`, float32, for a change in place.

        Parameters
        ----------
        device : torch.device

        Returns
        -------
        Tensor, float32
            Of this memory's shape.
        """
        value = self.read(device)
        if value.dtype != torch.float32:
            self._value = value = value.float()
        return value

    def write(self, tensor):
        """Take `tensor` as the new values (kept, not copied, unless a numpy view is out on the CPU).

        Parameters
        ----------
        tensor : Tensor
            Of the same count.
        """
        kept, known = tensor.requires_grad, remembered(tensor)  # autograd holds most of these tensors anyway
        tensor = tensor.detach()
        if tensor.shape != self.shape:  # what an in-place layer reads may have another shape than what it writes
            tensor = tensor.reshape(self.shape)
        if self._host is not None and tensor.device.type == "cpu":
            if tensor.data_ptr() != self._host.data_ptr() or tensor.dtype != self._host.dtype:
                self._host.copy_(tensor)
                self._kept = tensor if kept else None
            self._value, self._host_newest = None, True
            return
        if known is not None and tensor.is_cuda:
            remember(tensor, known)
        self._value = self._kept = tensor
        self._host_newest = False

    def start_copy(self):
        """Begin to bring values that a GPU has written to the view that was handed out; nothing waits."""
        if self._host is not None and not self._host_newest and self._value is not None and self._value.is_cuda:
            self._coming = HostCopy(self._value)

    def _on_host(self):
        """The values that the engine wrote last, a tensor of the host in their own dtype and layout."""
        coming, self._coming = self._coming, None
        return coming.get() if coming is not None and coming.is_of(self._value) else self._value.cpu()

    def accumulate(self, tensor):
        """Add `tensor` to the values (parameter gradients).

        Parameters
        ----------
        tensor : Tensor
            Of the same count, on any device.
        """
        tensor = tensor.detach()
        if self._host is not None and tensor.device.type == "cpu":
            self._newest_on_host().add_(tensor.reshape(self.shape))
        elif self._value is None and not self._host_newest:
            self._value = tensor.float()
        else:  # out of place: autograd may hand out a tensor it still uses
            self._value = self.read(tensor.device) + tensor
            self._host_newest = False

    def clear(self):
        """Set to zero."""
        self._value = self._kept = None
        self._host_newest = False
        if self._host is not None:
            self._host.zero_()

    def array(self):
        """A numpy float32 copy, C-contiguous, which exposes nothing."""
        if self._host is not None and (self._host_newest or self._value is None):
            return self._host.numpy().copy()
        value = torch.zeros(self.shape) if self._value is None else self._on_host()
        return value.to(torch.float32).contiguous().clone().numpy()

    def view(self):
        """The lasting, writable numpy view (float32, C-contiguous)."""
        if self._host is None:
            self._flat = torch.from_numpy(self.array().reshape(-1))
            self._host = self._flat.view(self.shape)
        elif self._value is not None and not self._host_newest:
            self._host.copy_(self._on_host())
        if self._value is not None and self._value.device.type == "cpu":
            self._value, self._kept = None, self._value  # on the CPU the host memory is the only one from here on
        self._host_newest = True
        return self._host.numpy()


def _same_bits(kept, value):
    """Whether two tensors of one count hold the same bits as float32, NaN included."""
    value = value.float()
    return torch.equal(kept.float().reshape(value.shape).view(torch.int32), value.view(torch.int32))
