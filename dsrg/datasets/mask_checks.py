"""Checks the masks of a folder of photos: each against its photo, all of them together against the labels.

What no single mask shows: masks of 0 and 255, where 255 means ignored and so nothing is left to learn, and masks whose
classes are numbered in another order than classes.txt.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.label_png import load_label_png, value_counts
from dsrg.io.orientation import upright
from dsrg.io.voc import IGNORE_LABEL


def check_mask(path, shape, orientation, count, stored):
    """Read a mask and check it against its photo.

    Parameters
    ----------
    path : Path
    shape : (int, int)
        Height and width of the photo, upright.
    orientation : int
        The photo's EXIF orientation, 1 to 8.
    count : int
        Number of classes with background.
    stored : bool
        Whether the mask is of the photo's stored pixels, before the orientation turns them.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Upright, as every command shows the photo.

    Raises
    ------
    UserError
        Not an index PNG, not of the photo's size, or with an index that is not a class.
    """
    mask = load_label_png(path)
    turned = upright(mask, orientation) if stored else mask
    if turned.shape != tuple(shape):
        remedy = "make it from this photo"
        if orientation >= 5 and mask.shape == tuple(shape)[::-1] and not stored:
            remedy = (f"the photo's EXIF orientation ({orientation}) turns it upright, and the mask is of the pixels "
                      "as stored: pass --masks-stored, or make it from the upright photo")
        raise UserError(f"mask {path} is {turned.shape[0]}x{turned.shape[1]}, its photo {shape[0]}x{shape[1]} "
                        f"(height x width); {remedy}")
    bad = np.flatnonzero(value_counts(turned)[count:IGNORE_LABEL]) + count
    if len(bad):
        raise UserError(f"mask {path} has class {bad[0]}, expected 0 to {count - 1} or {IGNORE_LABEL}; "
                        "check the classes")
    return np.ascontiguousarray(turned)


@dataclass
class MaskCounts:
    """What the masks of a data set hold.

    Attributes
    ----------
    pixels : int64 array (256,)
        Pixels of each value.
    holders : dict of int to list of str
        Class -> photos whose mask holds it.
    binary : list of str
        Photos whose mask holds ignored pixels and no object.
    masks : int
    """

    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    holders: dict = field(default_factory=dict)
    binary: list = field(default_factory=list)
    masks: int = 0

    def add(self, name, mask):
        """Count the mask of a photo.

        Parameters
        ----------
        name : str
            Of the photo.
        mask : numpy.ndarray of uint8, shape (H, W)
        """
        counts = value_counts(mask)
        self.pixels += counts
        self.masks += 1
        if counts[IGNORE_LABEL] and not counts[1:IGNORE_LABEL].any():
            self.binary.append(name)
        for index in np.flatnonzero(counts[1:IGNORE_LABEL]) + 1:
            self.holders.setdefault(int(index), []).append(name)


def judge(counts, labels, classes, trust):
    """Compare all masks with the labels of their photos.

    Parameters
    ----------
    counts : MaskCounts
    labels : dict of str to list of int
        Classes of each photo.
    classes : sequence of str
        With background.
    trust : bool
        Take masks that hold classes their photos are not labelled with, however many.

    Returns
    -------
    list of str
        What is worth knowing and stops nothing.

    Raises
    ------
    UserError
        No mask holds an object; or most masks of a class, or most of all, are of photos that are not labelled so.
    """
    if not counts.holders or (not trust and len(counts.binary) > counts.masks / 2):
        _refuse_without_objects(counts, len(classes))
    notes = []
    if counts.binary:
        notes.append(f"{counted(len(counts.binary), 'mask holds', 'masks hold')} 0 and {IGNORE_LABEL} (ignored) alone "
                     f"({_first(counts.binary)}), though the photo is labelled: binary masks?")
    strange = {c: [name for name in names if c not in labels[name]] for c, names in counts.holders.items()}
    photos = dict.fromkeys(name for names in strange.values() for name in names)
    of_objects = {name for names in counts.holders.values() for name in names}
    if not photos:
        return notes
    worst = max(strange, key=lambda c: (len(strange[c]) / len(counts.holders[c]), len(strange[c])))
    most_of_class = len(strange[worst]) >= 2 and len(strange[worst]) > len(counts.holders[worst]) / 2
    if not trust and (most_of_class or len(photos) > len(of_objects) / 2):
        seen = Counter(c for name in strange[worst] for c in labels[name])
        raise UserError(
            f"{len(photos)} of {counts.masks} masks hold a class that their photo is not labelled with: class {worst} "
            f"({classes[worst]}) is in {len(counts.holders[worst])} masks, of which {len(strange[worst])} photos are "
            f"not labelled so but mostly {classes[seen.most_common(1)[0][0]]}; the masks seem to number the classes in "
            "another order (give it with --classes), or labels are missing (--trust-masks takes the masks as they are)")
    return [*notes, f"{counted(len(photos), 'mask holds', 'masks hold')} a class that the photo is not labelled with "
            f"({_first(list(photos))}); check the labels of these photos"]


def _refuse_without_objects(counts, count):
    if counts.binary:
        remedy = ("python -m tools.index_masks --gray 0 255 turns 255 into class 1" if count == 2 else
                  f"binary masks do not say which of the {count - 1} classes an object is: masks must hold its index")
        raise UserError(f"{len(counts.binary)} of {counts.masks} masks hold 0 and {IGNORE_LABEL} alone, and "
                        f"{IGNORE_LABEL} means ignored, so no object would count; {remedy}")
    raise UserError(f"the {counts.masks} masks hold background alone, so there is nothing to measure; check --masks, "
                    "or leave it out")


def _first(names):
    return ", ".join(names[:3]) + (", .." if len(names) > 3 else "")
