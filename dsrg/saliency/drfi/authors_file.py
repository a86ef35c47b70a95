"""Reader of the authors' drfiModelCpp.data, the trained forest of their C++ program.

Little-endian, no padding: "DrfiData\\0"; int32 levels, nodes a tree, trees; then ten matrices, each "CmMat", int32
columns, rows, OpenCV type, and the elements row by row. Tree t starts at element t * nodes of the node matrices,
whatever their rows and columns say; daughters and split features count from 1.

No real file was available: the layout follows the program's writer.
"""

from typing import NamedTuple

import numpy as np

from dsrg.io.errors import UserError
from dsrg.saliency.drfi.features import FEATURE_NAMES
from dsrg.saliency.drfi.filters import COUNT, SIZE
from dsrg.saliency.drfi.forest import Forest
from dsrg.saliency.drfi.segmentation import checked_levels

MARKER = b"DrfiData\0"
TERMINAL, INTERIOR = -1, -3
_MATRIX = b"CmMat"


class _Kind(NamedTuple):
    """OpenCV's type code, its name and the numpy type of one element."""

    code: int
    name: str
    dtype: str


_INT8, _INT32, _FLOAT64 = _Kind(1, "CV_8S", "i1"), _Kind(4, "CV_32S", "<i4"), _Kind(6, "CV_64F", "<f8")
_FILTERS = _Kind(6 + ((COUNT - 1) << 3), f"CV_64FC{COUNT}", f"({COUNT},)<f8")


def read_authors(path):
    """Forest, levels and filters of the file.

    Parameters
    ----------
    path : path
        drfiModelCpp.data.

    Returns
    -------
    Forest
        Takes rows of doubles.
    tuple of Level
    (19, 19, 15) float64 array

    Raises
    ------
    UserError
        Another kind of file, cut off, or with contents that do not fit together.
    """
    try:
        return _read(path)
    except ValueError as error:
        raise UserError(f"{path} is not a usable drfiModelCpp.data: {error}; download it again") from None


def _read(path):
    file = _File(path)
    if file.take(len(MARKER), "the marker") != MARKER:
        raise ValueError(f"it does not start with {MARKER!r}")
    levels, nodes, trees = file.integers(3, "the counts of levels, nodes and trees")
    if min(levels, nodes, trees) < 1:
        raise ValueError(f"it counts {levels} levels, {nodes} nodes a tree and {trees} trees")
    file.matrix("w", _FLOAT64, levels)  # level weights, which the program overwrites with 1
    segmentations = file.matrix("segPara", _FLOAT64, 3 * levels, (3, levels)).reshape(3, levels)
    total = trees * nodes
    left, right, split = (file.matrix(name, _INT32, total) for name in ("lDau", "rDau", "mBest"))
    status = file.matrix("nodeStatus", _INT8, total)
    upper, mean = (file.matrix(name, _FLOAT64, total) for name in ("upper", "avNode"))
    filters = file.matrix("mlFilters", _FILTERS, SIZE * SIZE, (SIZE, SIZE)).reshape(SIZE, SIZE, COUNT)
    sizes = file.matrix("ndTree", _INT32, trees).astype(np.int64)
    file.end()

    if sizes.min() < 1 or sizes.max() > nodes:
        raise ValueError(f"ndTree goes from {sizes.min()} to {sizes.max()}, expected 1 to {nodes}")
    used = (np.arange(nodes) < sizes[:, None]).ravel()
    forest = _forest(sizes, *(matrix[used] for matrix in (left, right, split, status, upper, mean)))
    if not np.isfinite(segmentations).all():
        raise ValueError("segPara holds numbers that are not finite")
    found = checked_levels(segmentations.T.tolist())
    if not np.isfinite(filters).all():
        raise ValueError("mlFilters holds numbers that are not finite")
    return forest, found, filters


def _forest(sizes, left, right, split, status, upper, mean):
    """Flat arrays of the nodes in use, tree after tree."""
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    first = np.repeat(roots, sizes)
    interior = status == INTERIOR
    if not (interior | (status == TERMINAL)).all():
        raise ValueError(f"nodeStatus holds {status[~interior & (status != TERMINAL)][0]}, expected -1 or -3")
    split = np.where(interior, split.astype(np.int64) - 1, 0)
    if split.min() < 0 or split.max() >= len(FEATURE_NAMES):
        raise ValueError(f"mBest goes from {split.min() + 1} to {split.max() + 1}, expected features 1 to "
                         f"{len(FEATURE_NAMES)}")
    daughters = np.stack([left, right], 1).astype(np.int64) - 1
    own = np.arange(len(status))
    inside = (daughters > (own - first)[:, None]) & (daughters < np.repeat(sizes, sizes)[:, None])
    if not inside[interior].all():
        raise ValueError("lDau or rDau leads out of its tree or back")
    if np.isnan(upper[interior]).any():
        raise ValueError("upper holds NaN")
    children = np.where(interior[:, None], daughters + first[:, None], own[:, None])
    return Forest(roots, split.astype(np.int16), upper, children.astype(np.int32), mean, len(FEATURE_NAMES),
                  single=False)


class _File:
    """Bytes of the file from its start; nothing is read beyond its end."""

    def __init__(self, path):
        self._data = np.memmap(path, np.uint8, "r")
        self._at = 0

    def take(self, count, what):
        if count > self._data.size - self._at:
            raise ValueError(f"it ends within {what} (at byte {self._data.size}, {count} bytes from byte {self._at} "
                             "were expected)")
        self._at += count
        return self._data[self._at - count:self._at].tobytes()

    def integers(self, count, what):
        return np.frombuffer(self.take(4 * count, what), "<i4").tolist()

    def matrix(self, name, kind, elements, shape=None):
        """Elements of the next matrix in file order; `shape` (rows, columns) is checked where it matters."""
        if self.take(len(_MATRIX), f"the head of matrix {name}") != _MATRIX:
            at = self._at - len(_MATRIX)
            raise ValueError(f"matrix {name} does not start with {_MATRIX.decode()} at byte {at}")
        columns, rows, code = self.integers(3, f"the head of matrix {name}")
        if code != kind.code:
            raise ValueError(f"matrix {name} has OpenCV type {code}, expected {kind.code} ({kind.name})")
        if min(rows, columns) < 0 or rows * columns != elements or (shape and (rows, columns) != shape):
            wanted = f"{shape[0]} x {shape[1]}" if shape else f"{elements} elements"
            raise ValueError(f"matrix {name} is {rows} x {columns}, expected {wanted}")
        dtype = np.dtype(kind.dtype)
        return np.frombuffer(self.take(elements * dtype.itemsize, f"matrix {name}"), dtype)

    def end(self):
        if self._at != self._data.size:
            raise ValueError(f"{self._data.size - self._at} bytes follow its last matrix")
