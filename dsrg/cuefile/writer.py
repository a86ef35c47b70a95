"""Writing a cue file image by image, in memory that does not grow with their number."""

import contextlib
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from dsrg.cuefile.array_pickle import dump_arrays
from dsrg.cuefile.entry_checks import CueError, checked_pair, small_type
from dsrg.io.atomic_files import atomic_write

PICKLE_SUFFIXES = (".pickle", ".pkl")
CHUNK = 1 << 20  # numbers copied at a time
SPOOL = np.dtype(np.int32)


class CueWriter:
    """Writes a cue file image by image.

    A context manager; the file appears, whole, when its block ends well.

    Parameters
    ----------
    path : str or Path
        ``.pickle`` or ``.pkl``: the original's format, protocol 2, readable by the original's layers under Python 2
        and 3 and by every numpy. ``.npz``: flat arrays, stored in the narrowest type, so that they can be mapped.
    overlaps : bool
        Take images in which a cell carries two classes, as files of other programs may, and AnnotationLayer does:
        both classes are seeds there.

    Examples
    --------
    with CueWriter("cues/localization_cues.npz") as writer:
        writer.add(7, [2], [[0, 2], [0, 5], [0, 5]])  # image 7 shows class 2; background and 2 at two cells
    """

    def __init__(self, path, overlaps=False):
        self.path = Path(path)
        if self.path.suffix not in (*PICKLE_SUFFIXES, ".npz"):
            raise CueError(f"{self.path}: a cue file ends in .pickle, .pkl or .npz")
        self._file = (_archive if self.path.suffix == ".npz" else _pickle)(self.path)
        self._overlaps = overlaps
        self._written = set()

    def __enter__(self):
        self._append = self._file.__enter__()
        return self

    def add(self, index, labels, cues):
        """Add one image.

        Parameters
        ----------
        index : int
            Number of the image.
        labels : integer array_like (k,)
            Its classes, 1 and up.
        cues : integer array_like (3, n)
            Class, row and column of each cue.

        Raises
        ------
        CueError
            Labels or cues that ``Cues`` refuses, a cell with two classes (unless `overlaps`), or an image added
            before.
        """
        labels, cues = checked_pair((labels, cues), index, self.path)
        if index in self._written:
            raise CueError(f"{self.path}: image {index} is given twice")
        rows, columns = cues[1:].astype(np.int64)
        cells = rows * (columns.max(initial=0) + 1) + columns
        if not self._overlaps and len(np.unique(cells)) < len(cells):
            raise CueError(f"{self.path}: image {index} has a cell with two cues; one class a cell "
                           "(localization_cues.merge)")
        self._written.add(index)
        self._append(int(index), labels, cues)

    def __exit__(self, *exception):
        return self._file.__exit__(*exception)


@contextlib.contextmanager
def _pickle(path):
    """Give a function that appends (index, labels, cues) to the pickle of one dict.

    Each array is a pickle of its own set into the stream, so readers see what pickling the whole dict would give.
    """
    with atomic_write(path) as beside, open(beside, "wb") as file:
        file.write(b"\x80\x02}")  # protocol 2, an empty dict

        def append(index, labels, cues):
            for kind, value in (("labels", labels), ("cues", cues)):
                item = np.ascontiguousarray(value, np.int64)
                for part in (f"{index}_{kind}", item):
                    file.write(dump_arrays(part)[2:-1])  # its opcodes without protocol and stop
                file.write(b"s")  # set the item

        yield append
        file.write(b".")


@contextlib.contextmanager
def _archive(path):
    """Give a function that appends (index, labels, cues) to the flat arrays of an ``.npz``."""
    numbers, counts, largest = [], {"labels": [0], "cues": [0]}, {"labels": 0, "cues": 0}
    with atomic_write(path) as beside, contextlib.ExitStack() as stack:
        # labels, and of the cues class, row and column, which lie one after the other in the file; nameless files
        spools = [stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for _ in range(4)]

        def append(index, labels, cues):
            numbers.append(index)
            for name, values in (("labels", labels), ("cues", cues)):
                counts[name].append(counts[name][-1] + values.shape[-1])
                largest[name] = max(largest[name], int(values.max(initial=0)))
            for spool, row in zip(spools, (labels, *cues), strict=True):
                spool.write(np.ascontiguousarray(row, SPOOL).tobytes())

        yield append
        archive = stack.enter_context(zipfile.ZipFile(beside, "w", zipfile.ZIP_STORED))
        _store(archive, "indices", numbers)
        for name, rows, leading in (("labels", spools[:1], ()), ("cues", spools[1:], (3,))):
            _store(archive, name.removesuffix("s") + "_offsets", counts[name])
            kind = np.dtype(small_type(largest[name]))
            with archive.open(f"{name}.npy", "w", force_zip64=True) as out:
                header = {"descr": kind.str, "fortran_order": False, "shape": (*leading, counts[name][-1])}
                np.lib.format.write_array_header_1_0(out, header)
                for row in rows:
                    _copy(row, out, kind)


def _store(archive, name, values):
    """Write a list of whole numbers into the archive."""
    values = np.array(values, np.int64)
    with archive.open(f"{name}.npy", "w") as out:
        kind = small_type(values.max(initial=0), values.min(initial=0))
        np.lib.format.write_array(out, values.astype(kind), allow_pickle=False)


def _copy(spool, out, kind):
    spool.seek(0)
    while data := spool.read(CHUNK * SPOOL.itemsize):
        out.write(np.frombuffer(data, SPOOL).astype(kind).tobytes())
