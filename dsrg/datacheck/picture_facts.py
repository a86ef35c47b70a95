"""What a photo and its mask are: size, orientation, values. Each is decoded once, by all cores, and then remembered."""

import contextlib
import os
import time
from dataclasses import dataclass

import numpy as np

from dsrg.datasets.mask_checks import value_counts
from dsrg.io.errors import UserError
from dsrg.io.file_cache import FileCache
from dsrg.io.label_png import NotIndices, load_label_png
from dsrg.io.orientation import exif_orientation
from dsrg.io.photos import CutOff, load_image_bgr
from dsrg.io.picture_files import TooLarge, most_megapixels
from dsrg.io.regular_files import Unreadable
from dsrg.io.workers import MemoryBudget, in_threads

BYTES_A_PIXEL = 8       # of a photo while it is decoded


@dataclass(frozen=True)
class Picture:
    """A photo or a mask that can be read.

    Attributes
    ----------
    height, width : int
        Of a photo turned upright by its EXIF orientation; of a mask as stored.
    orientation : int
        EXIF's, 1 to 8; of a photo.
    values : tuple of int
        The numbers in a mask, ascending.
    """

    height: int
    width: int
    orientation: int = 1
    values: tuple = ()


@dataclass(frozen=True)
class Bad:
    """A photo or a mask that cannot be used: the kind of fault (dsrg.datacheck.kinds) and what to say of it."""

    kind: str
    text: str


class PictureFacts:
    """Looks at photos and masks, those that have not changed since the last time from memory.

    Parameters
    ----------
    cache : path or None
        Where good pictures are remembered, by size, times, inode and device; bad ones are looked at each time.

    Attributes
    ----------
    read : int
        Pictures that were decoded.
    """

    def __init__(self, cache=None):
        self._cache, self._budget = FileCache(cache), MemoryBudget()
        self.read = 0

    def look(self, jobs):
        """Yield a Picture or a Bad for each (path, is_mask), in order.

        Parameters
        ----------
        jobs : iterable of (Path, bool)
            A file, and whether it is a mask, whose values are counted too.

        Yields
        ------
        Picture or Bad
        """
        jobs = list(jobs)
        known = [self._known(path, is_mask) for path, is_mask in jobs]
        looked = in_threads(self._look, [job for job, fact in zip(jobs, known, strict=True) if fact is None])
        for (path, _), fact in zip(jobs, known, strict=True):
            if fact is None:
                fact, status, at = next(looked)
                self.read += 1
                if isinstance(fact, Picture) and status is not None:
                    self._cache.keep(path, status, [fact.height, fact.width, fact.orientation, list(fact.values)], at)
            yield fact
        self._save()

    def _known(self, path, is_mask):
        """What is remembered of a picture; None where it has to be read."""
        try:
            entry = self._cache.find(path, os.stat(path))
            height, width, orientation, values = entry
            fact = Picture(int(height), int(width), int(orientation), tuple(map(int, values)))
        except (OSError, TypeError, ValueError):
            return None
        return fact if height * width <= most_megapixels() * 1e6 and bool(values) == is_mask else None

    def _look(self, job):
        """(Picture or Bad, os.stat of the file or None, when it was read in nanoseconds)."""
        path, is_mask = job
        at = time.time_ns()
        try:
            status = os.stat(path)
        except OSError as error:
            kind = "missing" if isinstance(error, (FileNotFoundError, NotADirectoryError)) else "unreadable"
            return _bad(kind, is_mask, f"{path} ({error.strerror})"), None, at
        if os.path.isfile(path) and status.st_size == 0:
            return _bad("empty", is_mask, str(path)), status, at
        try:
            with self._budget.claim(min(status.st_size * 40, most_megapixels() * 1e6 * BYTES_A_PIXEL)):
                return (_mask(path) if is_mask else _photo(path)), status, at
        except Unreadable as error:
            return _bad("unreadable", is_mask, error), status, at
        except TooLarge as error:
            return _bad("too-large", is_mask, error), status, at
        except CutOff:
            return _bad("cut-off", is_mask, str(path)), status, at
        except NotIndices as error:
            return Bad("mask-of-colours", str(error)), status, at
        except UserError as error:
            return _bad("damaged", is_mask, error), status, at

    def _save(self):
        with contextlib.suppress(UserError, OSError):   # a full disk, a folder of others: it only remembers
            self._cache.save()


def _bad(kind, is_mask, text):
    if is_mask:
        kind = {"unreadable": "unreadable"}.get(kind, "damaged")
    return Bad(f"{'mask' if is_mask else 'photo'}-{kind}", str(text))


def _photo(path):
    height, width = load_image_bgr(path).shape[:2]
    return Picture(height, width, exif_orientation(path))


def _mask(path):
    mask = load_label_png(path)
    return Picture(*mask.shape, values=tuple(np.flatnonzero(value_counts(mask)).tolist()))
