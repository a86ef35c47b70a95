"""Blobs: named N-d float32 arrays with a gradient beside them, and the lists of them that pycaffe hands out."""

from collections.abc import Sequence
from math import prod

from .blob_memory import Memory
from .limits import check_shape
from .shared_memory import NoMemory, in_shape


class Blob:
    """An N-d array `data` with its gradient `diff` (pycaffe's Blob).

    Parameters
    ----------
    *shape : int
        Extents, row-major, e.g. (N, C, H, W). No argument makes a scalar.
    """

    def __init__(self, *shape):
        self.data_memory = Memory(shape)
        self.diff_memory = Memory(shape)
        self._shape = tuple(shape)

    @classmethod
    def without_memory(cls, shape):
        """A blob whose shape alone matters, as large as it may be; it has no values to look at.

        Parameters
        ----------
        shape : tuple of int

        Returns
        -------
        Blob
        """
        blob = cls(*shape)
        blob.data_memory = blob.diff_memory = NoMemory(shape)
        return blob

    @property
    def data(self):
        """Values: writable float32 numpy view of this blob's shape."""
        return self.data_memory.view()

    @property
    def diff(self):
        """Gradient of the loss with respect to `data`: writable float32 numpy view."""
        return self.diff_memory.view()

    @property
    def shape(self):
        """The extents as pycaffe gives them."""
        return IntVec(self._shape)

    @property
    def dims(self):
        """The shape as a plain tuple (the engine's own code compares these)."""
        return self._shape

    @property
    def count(self):
        """Number of values, int."""
        return prod(self._shape)

    num = property(lambda self: self._legacy(0))
    channels = property(lambda self: self._legacy(1))
    height = property(lambda self: self._legacy(2))
    width = property(lambda self: self._legacy(3))

    def _legacy(self, axis):
        if len(self._shape) > 4:
            raise ValueError(f"num/channels/height/width need at most 4 axes, this blob is {self._shape}")
        return self._shape[axis] if axis < len(self._shape) else 1

    def reshape(self, *shape):
        """Change the shape: ``blob.reshape(1, 3, 321, 321)``, separate integers as in pycaffe."""
        if any(isinstance(d, (list, tuple)) for d in shape):
            raise TypeError(f"Blob.reshape takes separate integers, got {shape}: write reshape(*shape)")
        shape = tuple(int(d) for d in shape)
        check_shape(shape)
        self._shape = shape
        self.data_memory.reshape(shape)
        self.diff_memory.reshape(shape)

    def share_data(self, other):
        """Use the data memory of `other` (same count) from now on.

        Parameters
        ----------
        other : Blob
            Of the same count.
        """
        self.data_memory = in_shape(other.data_memory, self._shape)

    def own_data(self):
        """Use a data memory that no other blob has, zeros at first, from now on."""
        self.data_memory = Memory(self._shape)

    def share_diff(self, other):
        """Use the diff memory of `other` (same count) from now on.

        Parameters
        ----------
        other : Blob
            Of the same count.
        """
        self.diff_memory = in_shape(other.diff_memory, self._shape)

    def __repr__(self):
        return f"Blob{self._shape}"


class IntVec(Sequence):
    """A blob's shape: index, iterate, ``tuple(...)``; like pycaffe's it does not compare with lists."""

    def __init__(self, values):
        self._values = tuple(values)

    def __len__(self):
        return len(self._values)

    def __getitem__(self, index):
        return self._values[index]

    def __repr__(self):
        return f"IntVec{self._values}"


class _Vec(list):
    """A list whose slices keep its type, as Boost's vectors do."""

    def __getitem__(self, index):
        item = super().__getitem__(index)
        return type(self)(item) if isinstance(index, slice) else item


class BlobVec(_Vec):
    """Parameter blobs of a layer."""

    def add_blob(self, *shape):
        """Append a zero blob of the given extents (for Python layers with parameters)."""
        self.append(Blob(*shape))


class RawBlobVec(_Vec):
    """Bottoms or tops handed to a layer."""


class StringVec(_Vec):
    """Names of blobs or layers."""


class DtypeVec(_Vec):
    """Numbers, one a blob."""


class LayerVec(_Vec):
    """Layers of a net in order."""


class NetVec(_Vec):
    """Test nets of a solver."""


class BoolVec(_Vec):
    """propagate_down, one flag per bottom."""
