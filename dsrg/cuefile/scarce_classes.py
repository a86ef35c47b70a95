"""Classes that a cue file says next to nothing of: seeds that do not exist cannot grow."""

import numpy as np

#: cells in all images together below which a class is named
FEW_CELLS = 20
BLOCK = 1 << 20


def cells_of_classes(cues, count):
    """Cells with a cue of each class in all images of a Cues together, int64 (count,).

    Parameters
    ----------
    cues : Cues
    count : int
        Number of classes with background.

    Returns
    -------
    int64 array (count,)
    """
    classes, cells = cues.arrays()["cues"][0], np.zeros(count, np.int64)
    for start in range(0, len(classes), BLOCK):     # mapped from disk: never all of it as wide integers
        cells += np.bincount(classes[start:start + BLOCK], minlength=count)[:count]
    return cells


def scarce_text(cells, names=None):
    """What to say of classes without cues or with few.

    Parameters
    ----------
    cells : mapping or sequence of int
        Class -> cells with a cue, background being 0.
    names : sequence of str, optional
        Of the classes, in index order.

    Returns
    -------
    str
        The end of a line that names the file; empty when every class has FEW_CELLS or more.

    Examples
    --------
    >>> scarce_text([900, 0, 7, 40], ["background", "cow", "sheep", "horse"])
    'no cue of class cow; under 20 cells of class sheep (7); nothing grows where no seed is'
    >>> scarce_text([900, 20])
    ''
    """
    items = list(cells.items() if hasattr(cells, "items") else enumerate(cells))

    def title(index):
        return str(index) if names is None or index >= len(names) else names[index]

    none = [title(index) for index, number in items if number == 0]
    few = [f"{title(index)} ({number})" for index, number in items if 0 < number < FEW_CELLS]
    parts = [f"{head} {'class' if len(group) == 1 else f'{len(group)} classes:'} {', '.join(group[:30])}"
             + (", .." if len(group) > 30 else "")
             for head, group in (("no cue of", none), (f"under {FEW_CELLS} cells of", few)) if group]
    return "; ".join([*parts, "nothing grows where no seed is"]) if parts else ""
