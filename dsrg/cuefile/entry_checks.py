"""What a cue file holds for one image, and what is refused of it."""

import numpy as np

from dsrg.io.errors import UserError

#: beyond these a number is damage: classes are the indices of a label map (255 is 'ignored')
MOST_CLASSES, LONGEST_SIDE = 255, 1 << 15


class CueError(UserError, ValueError):
    """A cue file cannot be read, or holds what no layer could use. The message names file and image."""


def checked_pair(pair, index, source):
    """Labels and cues of one image as integer arrays (k,) and (3, n), or a ``CueError``.

    Parameters
    ----------
    pair : (labels, cues)
        Anything that numpy makes arrays of.
    index : int
        Number of the image.
    source : str
        What errors call the file.

    Returns
    -------
    integer array (k,)
        Classes of the image, 1 and up.
    integer array (3, n)
        Class, row and column of each cue.

    Raises
    ------
    CueError
        Other shapes or types, no label, a label below 1, a class, row or column below 0, or numbers that only a damaged
        file holds.
    """
    labels, cues = pair
    labels = integers(labels, f"{source}: labels of image {index}")
    cues = integers(cues, f"{source}: cues of image {index}")
    if labels.ndim != 1 or cues.ndim != 2 or cues.shape[0] != 3:
        raise CueError(f"{source}: image {index} has labels of shape {labels.shape} and cues of shape "
                       f"{cues.shape}, expected (k,) and (3, n)")
    if labels.size == 0:
        raise CueError(no_labels(source, index))
    if labels.min() < 1:
        raise CueError(f"{source}: image {index} has label {labels.min()}; image labels start at class 1")
    if cues.size and cues.min() < 0:
        raise CueError(f"{source}: image {index} has a cue {cues.min()}; class, row and column start at 0")
    refuse_absurd(labels, cues, f"{source}: image {index}")
    return labels, cues


def refuse_absurd(labels, cues, who):
    """Numbers that only a damaged file holds, and that tables by class or cell would take all memory for.

    Parameters
    ----------
    labels : integer array (k,)
    cues : integer array (3, n)
    who : str
        Begins the message.

    Raises
    ------
    CueError
    """
    for values, limit, name in ((labels, MOST_CLASSES, "label"), (cues[0], MOST_CLASSES, "class"),
                                (cues[1:], LONGEST_SIDE, "row or column")):
        if values.size and values.max() >= limit:
            raise CueError(f"{who}: has {name} {values.max()}, expected below {limit}; the file is damaged")


def no_labels(source, index):
    """The message about an image without labels.

    Parameters
    ----------
    source : str
    index : int

    Returns
    -------
    str
    """
    return (f"{source}: image {index} has no labels; name its classes in image_labels.txt, "
            "or take its line out of the training list")


def integers(value, who):
    """An integer array, not copied where it is one; an empty array of any number type counts as integer.

    Parameters
    ----------
    value : array_like
    who : str
        Begins the message.

    Returns
    -------
    integer array

    Raises
    ------
    CueError
        Anything but whole numbers.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "iu" and (array.size or array.dtype.kind != "f"):
        raise CueError(f"{who} are {array.dtype}, expected integers")
    return array if array.dtype.kind in "iu" else array.astype(np.int64)


def small_type(largest, least=0):
    """The narrowest signed integer type for values from `least` to `largest`.

    Parameters
    ----------
    largest, least : int

    Returns
    -------
    numpy type
    """
    return next(t for t in (np.int8, np.int16, np.int32, np.int64)
                if np.iinfo(t).min <= least and largest <= np.iinfo(t).max)
