"""The cue file: reading and writing, as the original layers know it and as flat arrays.

The original's file (``localization_cues.pickle`` of SEC, ``localization_cues-sal.pickle`` of DSRG) is a
Python-2 pickle of one dict. For the image with number ``i`` in the second column of ``input_list.txt`` it
holds ``'%i_labels'``, the 1-D classes of the image without background, and ``'%i_cues'``, an array (3, n) of
class, row, column, one column of it per marked cell of the map (class 0 is background).

A pickle can run code when it is read, so it is read here by an unpickler that knows numpy arrays and nothing
else. ``.npz`` holds the same content in five flat arrays of small integers and loads without any pickle. It is mapped
into memory, so that reading takes no more memory for many images than for few; a pickle has to be read whole.
"""

import pickle
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dsrg.cuefile.array_pickle import load_arrays
from dsrg.cuefile.entry_checks import CueError, checked_pair, integers, no_labels, refuse_absurd, small_type
from dsrg.cuefile.npz_memory_map import map_arrays
from dsrg.cuefile.writer import PICKLE_SUFFIXES, CueWriter
from dsrg.io.npz_files import why

__all__ = ["PICKLE_SUFFIXES", "CueError", "Cues", "load_cues", "save_cues"]

NPZ_ARRAYS = ("indices", "label_offsets", "labels", "cue_offsets", "cues")
BLOCK = 1 << 20  # cues looked at together


class Cues(Mapping):
    """Cues of many images: image number -> ``(labels, cues)``.

    ``labels`` is int64 (k,), classes >= 1; ``cues`` is int64 (3, n) with rows class, row, column: copies, made when
    they are asked for out of flat arrays of the narrowest integer type.

    Parameters
    ----------
    items : mapping of int to (labels, cues)
        Anything numpy can turn into integer arrays of the shapes above.
    source : str
        What error messages call the collection, usually the file's path.
    """

    def __init__(self, items, source="cues"):
        self.source = str(source)
        numbers = sorted(int(index) for index in items)
        counts, largest = np.zeros((2, len(numbers) + 1), np.int64), [0, 0]
        for place, index in enumerate(numbers, 1):
            for k, values in enumerate(checked_pair(items[index], index, self.source)):
                counts[k, place] = values.shape[-1]
                largest[k] = max(largest[k], int(values.max(initial=0)))
        label_offsets, cue_offsets = counts.cumsum(axis=1)
        labels = np.empty(label_offsets[-1], small_type(largest[0]))
        cues = np.empty((3, cue_offsets[-1]), small_type(largest[1]))
        for place, index in enumerate(numbers):
            image_labels, image_cues = checked_pair(items[index], index, self.source)
            labels[label_offsets[place]:label_offsets[place + 1]] = image_labels
            cues[:, cue_offsets[place]:cue_offsets[place + 1]] = image_cues
        self._fill(np.array(numbers, np.int64), label_offsets, labels, cue_offsets, cues)

    @classmethod
    def from_arrays(cls, arrays, source="cues"):
        """Build from the five flat arrays of an ``.npz`` file (a mapping from the names ``NPZ_ARRAYS``).

        Parameters
        ----------
        arrays : mapping of str to integer array
        source : str
            What errors call the file.

        Returns
        -------
        Cues

        Raises
        ------
        CueError
            An array that is missing, or arrays that do not fit each other.
        """
        self = cls.__new__(cls)
        self.source = str(source)
        values = []
        for name in NPZ_ARRAYS:
            if name not in arrays:
                raise CueError(f"{source}: no array {name!r}; a cue file holds {', '.join(NPZ_ARRAYS)}")
            array = integers(arrays[name], f"{source}: array {name!r}")
            values.append(array if name in ("labels", "cues") else array.astype(np.int64))
        indices, label_offsets, labels, cue_offsets, cues = values
        consistent = (
            all(array.ndim == 1 for array in (indices, label_offsets, labels, cue_offsets))
            and cues.ndim == 2 and cues.shape[0] == 3
            and _offsets_fit(label_offsets, len(indices), len(labels))
            and _offsets_fit(cue_offsets, len(indices), cues.shape[1])
            and len(np.unique(indices)) == len(indices)
        )
        if not consistent:
            raise CueError(f"{source}: its flat arrays do not fit one another; write the file again")
        self._fill(*values)
        self._check_values()
        return self

    def _fill(self, indices, label_offsets, labels, cue_offsets, cues):
        self._place = {int(index): place for place, index in enumerate(indices)}
        self._indices, self._label_offsets, self._labels = indices, label_offsets, labels
        self._cue_offsets, self._cues = cue_offsets, cues

    def _check_values(self):
        """Refuse, on the flat arrays at once, what ``checked_pair`` refuses image by image."""
        empty = np.flatnonzero(np.diff(self._label_offsets) == 0)
        if len(empty):
            raise CueError(no_labels(self.source, self._indices[empty[0]]))
        if len(self._labels) and self._labels.min() < 1:
            raise CueError(f"{self.source}: a label is {self._labels.min()}; image labels start at class 1")
        if self._cues.size and self._cues.min() < 0:
            raise CueError(f"{self.source}: a cue holds {self._cues.min()}; class, row and column start at 0")
        refuse_absurd(self._labels, self._cues, self.source)

    def __getitem__(self, index):
        place = self._place[index]
        labels = self._labels[self._label_offsets[place]:self._label_offsets[place + 1]]
        cues = self._cues[:, self._cue_offsets[place]:self._cue_offsets[place + 1]]
        return labels.astype(np.int64), cues.astype(np.int64)

    def __iter__(self):
        return iter(self._place)

    def __len__(self):
        return len(self._place)

    def arrays(self):
        """The five flat arrays by name, as ``from_arrays`` takes them: not to be written to."""
        return {"indices": self._indices, "label_offsets": self._label_offsets, "labels": self._labels,
                "cue_offsets": self._cue_offsets, "cues": self._cues}

    def image_of_cue(self):
        """Image number of every column of the flat cue array, int64 (total,)."""
        return np.repeat(self._indices, np.diff(self._cue_offsets))

    def least_size(self):
        """Height and width of the smallest map that holds every cue; (1, 1) without cues."""
        return tuple(int(axis.max(initial=0)) + 1 for axis in self._cues[1:])

    def without_cues(self):
        """Numbers of the images that have no cue at all, ascending."""
        return sorted(int(index) for index in self._indices[np.diff(self._cue_offsets) == 0])

    def overlaps(self):
        """Numbers of the images in which one cell carries two classes (or one class twice), ascending."""
        height, width = self.least_size()
        double = []
        for first, last in self._blocks():
            images = np.repeat(np.arange(first, last), np.diff(self._cue_offsets[first:last + 1]))
            _, rows, columns = self._cues[:, self._cue_offsets[first]:self._cue_offsets[last]].astype(np.int64)
            cells = np.sort((images * height + rows) * width + columns)
            double += set((cells[1:][cells[1:] == cells[:-1]] // (height * width)).tolist())
        return sorted(int(index) for index in self._indices[double])

    def _blocks(self):
        """(first, last + 1) places of images with about a million cues together: temporaries stay small."""
        first = 0
        while first < len(self._indices):
            last = np.searchsorted(self._cue_offsets, self._cue_offsets[first] + BLOCK, "right") - 1
            last = min(max(int(last), first + 1), len(self._indices))
            yield first, last
            first = last

    def check(self, num_classes=None, size=None, overlaps=True):
        """Check the content against a net; raise ``CueError`` naming the first image that does not fit.

        Parameters
        ----------
        num_classes : int, optional
            Classes including background: every label and every cue's class must be below it.
        size : (int, int), optional
            Height and width of the map the cues are for.
        overlaps : bool
            Refuse an image in which one cell carries two classes.
        """
        if num_classes is not None:
            self._refuse(self._label_offsets, self._labels, num_classes, "label", "classes.txt names fewer")
            self._refuse(self._cue_offsets, self._cues[0], num_classes, "class", "the net has fewer")
        if size is not None:
            for axis, name in enumerate(("row", "column")):
                self._refuse(self._cue_offsets, self._cues[axis + 1], size[axis], name,
                             f"the file was made for another map than {size[0]}x{size[1]}: make it again")
        double = self.overlaps() if overlaps else []
        if double:
            raise CueError(f"{self.source}: image {double[0]} has a cell with two cues, as have "
                           f"{len(double) - 1} more images; one class a cell "
                           "(localization_cues.merge)")

    def _refuse(self, offsets, values, limit, name, remedy):
        if values.max(initial=0) < limit:
            return
        bad = int(np.argmax(values >= limit))
        image = self._indices[np.searchsorted(offsets, bad, "right") - 1]
        raise CueError(f"{self.source}: image {image} has {name} {values[bad]}, expected 0 to {limit - 1}; {remedy}")


def load_cues(path):
    """Read a cue file, pickle (of Python 2 or 3, protocols 0 to 2) or ``.npz``.

    Parameters
    ----------
    path : str or Path
        Its first bytes decide: those of a zip file for flat arrays, anything else is read as a pickle.

    Returns
    -------
    Cues
        Image number -> (labels int64 (k,), cues int64 (3, n) of class, row, column). The arrays of an ``.npz`` stay
        on disk, mapped; do not write into the file while they are in use (renaming another over it is fine).

    Raises
    ------
    CueError
        Missing or damaged file; a pickle that asks for anything but numpy arrays (nothing of it is run);
        labels without cues or the reverse; an image without labels; negative values.
    """
    path = Path(path)
    if not path.is_file():
        what = "no file" if path.exists() else "no such cue file"
        raise CueError(f"{path}: {what}; make it with python -m localization_cues.make_cues")
    with open(path, "rb") as file:
        is_archive = file.read(4) == b"PK\x03\x04" or path.resolve().suffix == ".npz"
    if is_archive:
        try:
            return Cues.from_arrays(map_arrays(path), path)
        except CueError:
            raise
        except Exception as error:  # damaged archives raise nearly anything
            raise CueError(f"{path}: not a readable .npz cue file ({why(error)})") from error
    with open(path, "rb") as file:
        if file.peek(2)[:2] == b"\x1f\x8b":  # as SEC's is offered for download
            raise CueError(f"{path}: is gzip-compressed; unpack it first (gunzip)")
        try:
            content = load_arrays(file)
        except pickle.UnpicklingError as error:
            raise CueError(f"{path}: refused, not a pickle of numpy arrays alone ({error}); nothing in it "
                           "was run. Make it again with localization_cues") from error
    return Cues(_images_of(content, path), path)


def save_cues(path, items, overlaps=False):
    """Write a cue file beside ``path`` and rename it, so that a killed run leaves no half file.

    Parameters
    ----------
    path : str or Path
        ``.pickle`` or ``.pkl``: the original's format, protocol 2, readable by the original's layers under
        Python 2 and 3 and by every numpy. ``.npz``: flat arrays.
    items : Cues or mapping of int to (labels, cues)
        Image number -> classes and (3, n) cues.
    overlaps : bool
        Whether a cell may carry two classes.
    """
    with CueWriter(path, overlaps) as writer:
        for index in sorted(items):
            writer.add(index, *items[index])


def _images_of(content, path):
    """Sort the dict's '%i_labels' and '%i_cues' into image number -> pair."""
    if not isinstance(content, dict):
        raise CueError(f"{path}: holds a {type(content).__name__}, expected '<i>_labels' and '<i>_cues'")
    parts = {"labels": {}, "cues": {}}
    for key, value in content.items():
        match = re.fullmatch(r"(\d{1,18})_(labels|cues)", key) if isinstance(key, str) else None
        if match is None:
            raise CueError(f"{path}: unknown key {key!r}, expected '<i>_labels' and '<i>_cues'")
        parts[match[2]][int(match[1])] = value
    lonely = parts["labels"].keys() ^ parts["cues"].keys()
    if lonely:
        index = min(lonely)
        missing = "cues" if index in parts["labels"] else "labels"
        raise CueError(f"{path}: image {index} has no '{index}_{missing}'; the file is incomplete")
    return {index: (labels, parts["cues"][index]) for index, labels in parts["labels"].items()}


def _offsets_fit(offsets, count, total):
    return (len(offsets) == count + 1 and offsets[0] == 0 and offsets[-1] == total
            and bool((np.diff(offsets) >= 0).all()))
