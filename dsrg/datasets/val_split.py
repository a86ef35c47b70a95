"""Photos set apart to be segmented and measured at the end: listed, or chosen with every class among them."""

from collections import Counter

import numpy as np

from dsrg.datasets.photo_names import PhotoNames
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.lists import read_lines

CANDIDATES = 50    # photos of a class that are compared for one place


def choose_val(labels, share, seed, masks=()):
    """A share of the photos at random, stratified by class: iterative stratification (Sechidis et al., 2011).

    First every class gets a photo, the rarest first, then the class that lacks most of its share, until the places are
    taken. Every class keeps a photo to learn from. Where some photos have a mask, only those are taken, of each class
    no more than its share: one val photo without would leave all unmeasured, and what is taken is missed in training.

    Parameters
    ----------
    labels : dict of str to list of int
        Classes of each photo.
    share : float
        From 0 (no photo) to below 1.
    seed : int
        The same photos, share and seed make the same choice, in whatever order the photos come.
    masks : container of str
        Photos that have a mask. Where none of them can be spared, others are taken.

    Returns
    -------
    set of str

    Raises
    ------
    UserError
        A share above 0 for which no photo can be spared.
    """
    if not share:
        return set()
    names = sorted(labels)
    order = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    choice = _Choice(labels, share)
    masked = [name for name in order if name in masks]
    choice.take_from(masked, capped=len(masked) < len(order))
    if not choice.val:
        choice.take_from(order)
    if not choice.val:
        raise UserError(f"{counted(len(names), 'photo')} with --val {share:g} leave none to set apart; add more "
                        "photos, or name some with --val-list; --val 0 learns from all and measures nothing")
    return choice.val


class _Choice:
    """Photos chosen so far, and what each class still wants and can spare."""

    def __init__(self, labels, share):
        self.labels, self.val = labels, set()
        self.places = round(share * len(labels))
        count = Counter(c for classes in labels.values() for c in classes)
        self.left = dict(count)                             # photos to learn from
        self.wanted = {c: max(1.0, share * number) for c, number in count.items()}
        self.have = Counter()

    def take_from(self, pool, capped=False):
        """Choose among these photos, in this order where all else is equal; capped: of no class more than its share."""
        of_class = {}
        for name in pool:
            for c in self.labels[name]:
                of_class.setdefault(c, []).append(name)
        while of_class and len(self.val) < self.places:
            c = min(of_class, key=self._served)
            full = capped and self.have[c] >= round(self.wanted[c])
            if not full and (candidates := self._first_free(of_class[c])):
                self._take(min(candidates, key=self._excess))
            else:
                del of_class[c]

    def _served(self, c):
        """How well off a class is: those without a photo are worst, the rarest of them first."""
        have = self.have[c]
        return have > 0, 0 if have else self.left[c], have / self.wanted[c], c

    def _first_free(self, members):
        """The first photos that can be spared; those in front of them that cannot leave the list: they never will."""
        free, seen = [], 0
        while seen < len(members) and len(free) < CANDIDATES:
            free += [members[seen]] if self._free(members[seen]) else []
            seen += 1
        members[:seen] = free
        return free

    def _free(self, name):
        return name not in self.val and all(self.left[c] > 1 for c in self.labels[name])

    def _excess(self, name):
        """How little a photo's classes want another photo: those that have none count most."""
        return (-sum(not self.have[c] for c in self.labels[name]),
                sum(max(0.0, self.have[c] + 1 - self.wanted[c]) for c in self.labels[name]))

    def _take(self, name):
        self.val.add(name)
        for c in self.labels[name]:
            self.left[c] -= 1
            self.have[c] += 1


def listed_val(path, labels):
    """The photos that a list sets apart.

    Parameters
    ----------
    path : Path
        A photo a line: its path below the photo folder, with or without suffix, in any letter case.
    labels : dict of str to list of int
        Classes of each photo.

    Returns
    -------
    set of str

    Raises
    ------
    UserError
        Lines that name no photo with a label, or more than one; or every photo is named.
    """
    photos, val, faults = PhotoNames("", labels), set(), Faults(path)
    for number, line in read_lines(path, "image list"):
        names = photos.find(line)
        if len(names) == 1:
            val.add(names[0])
        else:
            faults.add("lines that name no photo with a label",
                       f"{path}:{number}: '{line}' is not a photo with a label")
    faults.refuse()
    if len(val) == len(labels):
        raise UserError(f"{path} names every photo; leave some to learn from")
    return val


def classes_without_val(labels, val, classes):
    """A line on the classes that no val photo shows, or that there is no val photo at all; None where all are shown.

    Parameters
    ----------
    labels : dict of str to list of int
        Photo -> class indices.
    val : set of str
    classes : list of str
        With background.

    Returns
    -------
    str or None
    """
    if not val:
        return "no photo is set apart: nothing will be segmented or measured at the end"
    shown = {c for name in val for c in labels[name]}
    missing = [f"{title} ({counted(number, 'photo')} in all)" for index, title in enumerate(classes[1:], 1)
               if index not in shown and (number := sum(index in known for known in labels.values()))]
    if not missing:
        return None
    return (f"no val photo shows {', '.join(missing[:10])}{', ..' if len(missing) > 10 else ''}: nothing will be "
            "measured of it; add photos, give a larger --val, or name val photos with --val-list")
