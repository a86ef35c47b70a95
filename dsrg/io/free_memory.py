"""Memory that is free inside this process goes back to the system: what a long run holds does not creep up.

The C library keeps blocks that were freed, for later ones. Where threads hand each other blocks of many sizes, the gaps
fit worse and worse, and the process grows although it holds no more than before, by less and less but for hours.
"""

import contextlib
import ctypes
import gc


def give_back():
    """Return the whole pages of freed blocks to the system. Takes milliseconds; without glibc nothing happens."""
    if _trim is not None:
        _trim(0)


@contextlib.contextmanager
def collector_held_back():
    """Collect no cycles within the block, in which many objects are made that stay.

    Python's collector looks through all objects each time their number has grown by a quarter, and finds nothing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextlib.contextmanager
def settled():
    """Leave what is there out of what Python's collector of cycles looks through, until the block ends.

    For a process that has made what it works with, and works with it for hours.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _found():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):    # another C library
        return None


_trim = _found()
