"""Files that are read whole are regular ones: a pipe would be waited for without end, and a device has none."""

import os

from .errors import OpenError


def is_special(path):
    """Whether a path leads to a folder, a pipe, a socket or a device.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    bool
        False where there is nothing.
    """
    return os.path.exists(path) and not os.path.isfile(path)


def refuse_special(path):
    """Refuse a folder, a pipe, a socket or a device where a file is expected.

    Parameters
    ----------
    path : str or os.PathLike

    Raises
    ------
    OpenError
    """
    if is_special(path):
        raise OpenError(f"Could not open file {path} (it is not a regular file)")
