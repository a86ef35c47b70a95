"""HDF5 files of strangers, read within limits: what lies in the file itself, and not more than it can hold.

HDF5 lets a data set keep its numbers in another file (external storage, virtual data sets) and a name lead anywhere
(soft and external links), so that "weights" may be any file of the machine; a few bytes can declare terabytes. Caffe
writes nothing of the kind, and nothing of it is followed here.
"""

import contextlib
import math
import os

import h5py
import numpy as np

from .errors import CaffeError, ModelFileError, OpenError
from .limits import MOST_AXES, TooMuch, require_memory

MOST_LEVELS = 32  # of groups
FREE = 256 << 20  # bytes that a file may unfold to, however small it is
RATIO = 100  # times its size that it may unfold to beyond that: compressed or unwritten parts


class Refused(ValueError):
    """An object of a file that is not read; the text goes on from the object's name."""


class File:
    """An HDF5 file opened for reading; see `reading`."""

    def __init__(self, path):
        self.path = os.fspath(path)
        self._left = FREE + RATIO * os.path.getsize(path)
        self._seen = set()
        self._file = h5py.File(path, "r")
        self.root = self._group(self._file)

    def close(self):
        """Close the file."""
        self._file.close()

    def find(self, name):
        """The group or data set of a path of names, or None where there is none; no link but a plain one is followed.

        Parameters
        ----------
        name : str
            Names with "/" between them.

        Returns
        -------
        h5py.Group, h5py.Dataset or None

        Raises
        ------
        Refused
        """
        here = self._file
        for part in [part for part in name.split("/") if part and part != "."]:
            if not isinstance(here, h5py.Group) or part not in set(here.keys()):
                return None
            here = self._child(here, part)
        return here

    def names(self, group):
        """Names in a group, sorted.

        Parameters
        ----------
        group : h5py.Group

        Returns
        -------
        list of str
        """
        return list(group.keys())

    def children(self, group, level=0):
        """Names and objects of a group; a group that is reached twice, or too deep a one, is refused.

        Parameters
        ----------
        group : h5py.Group
        level : int
            Depth of the group.

        Returns
        -------
        dict of str to h5py.Group or h5py.Dataset

        Raises
        ------
        Refused
        """
        if level > MOST_LEVELS:
            raise Refused(f"'{group.name}' lies more than {MOST_LEVELS} groups deep")
        found = {}
        for name in group.keys():  # noqa: SIM118  (a group is not a dict)
            found[name] = child = self._child(group, name)
            if isinstance(child, h5py.Group):
                self._group(child)
        return found

    def _group(self, group):
        address = h5py.h5o.get_info(group.id).addr
        if address in self._seen:
            raise Refused(f"'{group.name}' is in more than one place")
        self._seen.add(address)
        return group

    def _child(self, group, name):
        link = group.get(name, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise Refused(f"'{name}' is a {type(link).__name__}: links to other places are not followed")
        child = group[name]
        if not isinstance(child, (h5py.Group, h5py.Dataset)):
            raise Refused(f"'{name}' is a {type(child).__name__}; expected numbers")
        return child

    def check(self, dataset):
        """Refuse a data set that is not numbers, not in this file, or larger than the file can hold; its shape.

        Parameters
        ----------
        dataset : h5py.Dataset

        Returns
        -------
        tuple of int

        Raises
        ------
        Refused
        """
        if dataset.is_virtual or dataset.external:
            raise Refused(f"'{dataset.name}' keeps its numbers in other files, which is not followed")
        shape, kind = dataset.shape, dataset.dtype.kind
        if shape is None or len(shape) > MOST_AXES:
            raise Refused(f"'{dataset.name}' has {'no' if shape is None else len(shape)} axes; expected an array of "
                          f"{MOST_AXES} axes at most")
        if kind not in "fiub":
            raise Refused(f"'{dataset.name}' holds {dataset.dtype}; expected numbers")
        stored, size = dataset.id.get_storage_size(), math.prod(shape) * max(4, dataset.dtype.itemsize)
        begin = dataset.id.get_offset() if stored and dataset.chunks is None else None
        if begin is not None and begin + stored > os.path.getsize(self.path):
            raise Refused(f"'{dataset.name}' extends beyond the end of the file, which is truncated")
        return shape, size

    def numbers(self, dataset):
        """A data set as float32 array.

        Parameters
        ----------
        dataset : h5py.Dataset

        Returns
        -------
        numpy.ndarray, float32

        Raises
        ------
        Refused
        """
        size = self.check(dataset)[1]
        if dataset.chunks is not None and 8 * math.prod(dataset.chunks) > FREE + RATIO * os.path.getsize(self.path):
            raise Refused(f"'{dataset.name}' has chunks of {dataset.chunks}, more than the file can hold")
        self._left -= size
        if self._left < 0:
            raise Refused(f"'{dataset.name}' declares {dataset.shape}: with what lies before it that is more than a "
                          "file of this size can hold")
        try:
            require_memory(3 * size, f"'{dataset.name}' of shape {dataset.shape}")
        except TooMuch as error:
            raise Refused(str(error)) from None
        return np.asarray(dataset[()], np.float32)

    def text(self, name, most=4096):
        """A string of fixed length (Caffe's learned_net) as str, "" where there is none.

        Parameters
        ----------
        name : str
        most : int
            Bytes; longer strings are refused.

        Returns
        -------
        str
        """
        dataset = self.find(name)
        if dataset is None:
            return ""
        if not isinstance(dataset, h5py.Dataset) or dataset.shape != () or dataset.dtype.kind not in "SO":
            raise Refused(f"'{name}' is not a text")
        if dataset.is_virtual or dataset.external or dataset.dtype.itemsize > most:
            raise Refused(f"'{name}' is not a text of at most {most} bytes in this file")
        value = dataset[()]
        value = value if isinstance(value, bytes) else str(value).encode()
        if len(value) > most:
            raise Refused(f"'{name}' is not a text of at most {most} bytes in this file")
        return bytes(value).decode()

    def integer(self, name):
        """The whole number of a data set with one value (Caffe's iter), or None where there is none.

        Parameters
        ----------
        name : str

        Returns
        -------
        int or None
        """
        dataset = self.find(name)
        if dataset is None:
            return None
        if (not isinstance(dataset, h5py.Dataset) or dataset.dtype.kind not in "iu"
                or math.prod(self.check(dataset)[0]) != 1):
            raise Refused(f"'{name}' is not an integer")
        return int(np.ravel(dataset[()])[0])


@contextlib.contextmanager
def reading(path, kind="HDF5 file"):
    """A `File`, with every failure of HDF5 told as one ModelFileError that names the file.

    Parameters
    ----------
    path : str or os.PathLike
    kind : str
        What messages call the file.

    Yields
    ------
    File
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise OpenError(f"Could not open file {path} (it is not a regular file)")
    file = None
    try:
        file = File(path)
        yield file
    except CaffeError:
        raise
    except Refused as error:
        raise ModelFileError(f"{path}: {error}; a {kind} as Caffe writes it holds its numbers itself") from None
    except Exception as error:  # h5py lets a dozen classes through for damaged files
        reason = " ".join(str(error).split())
        raise ModelFileError(f"{path}: truncated or damaged HDF5 ({reason}); get it again") from None
    finally:
        if file is not None:
            with contextlib.suppress(Exception):
                file.close()
