"""A model that has collapsed says one class everywhere: seen in what it wrote, and said."""

import numpy as np

from dsrg.io import voc
from dsrg.io.label_png import load_label_png, value_counts
from dsrg.io.workers import in_threads

LEAST_MAPS = 4  # so few photos may well show one class alone


def count_classes(paths):
    """Pixels of each index over label maps, int64 (256,).

    Parameters
    ----------
    paths : iterable of path
        Index PNGs.

    Returns
    -------
    int64 array (256,)

    Raises
    ------
    UserError
        A label map that cannot be read.
    """
    counts = in_threads(lambda path: value_counts(load_label_png(path)), paths)
    return sum(counts, np.zeros(256, np.int64))


def collapse_warning(counts, images, what, class_names=None):
    """A line for the user where all pixels of several label maps have one class, else None.

    Parameters
    ----------
    counts : sequence of int
        Pixels of each class; 255 ('ignored') does not count.
    images : int
        Label maps.
    what : str
        What they are, such as their folder.
    class_names : sequence of str, optional
        In index order.

    Returns
    -------
    str or None

    Examples
    --------
    >>> collapse_warning([5, 1], 9, "labels") is None
    True
    >>> collapse_warning([0, 6], 9, "labels", ["background", "cow"]).split(";")[0]
    "warning: labels: every pixel of all 9 label maps is 'cow', the model has collapsed"
    """
    present = [index for index, count in enumerate(counts) if count and index != voc.IGNORE_LABEL]
    if len(present) != 1 or images < LEAST_MAPS:
        return None
    index = present[0]
    name = f"'{class_names[index]}'" if class_names and index < len(class_names) else f"class {index}"
    return (f"warning: {what}: every pixel of all {images} label maps is {name}, the model has collapsed; look at the "
            "losses of its training (logs/), at the cues (python -m localization_cues.inspect_cues), and try a lower "
            "base_lr or more iterations")
