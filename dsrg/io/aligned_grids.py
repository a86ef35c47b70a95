"""Which pixel a cell of a net's map stands for, and the other way round."""

import numpy as np


def nearest_aligned(values, height, width):
    """Values of one grid at the places of another, corner on corner.

    Parameters
    ----------
    values : ndarray, shape (h, w, ..)
        A map of cells, or a mask of pixels.
    height, width : int
        Size of the other grid, finer or coarser.

    Returns
    -------
    ndarray of the same type, shape (height, width, ..)
        The nearest value each (halves go to the even index).

    Examples
    --------
    >>> nearest_aligned(np.array([[1, 2], [3, 4]]), 2, 4).tolist()
    [[1, 1, 2, 2], [3, 3, 4, 4]]
    """
    rows, columns = (np.rint(np.linspace(0, old - 1, new)).astype(int)
                     for old, new in zip(values.shape[:2], (height, width), strict=True))
    return values[np.ix_(rows, columns)]
