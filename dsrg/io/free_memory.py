"""Memory that is free inside this process goes back to the system: what a long run holds does not creep up.

The C library keeps blocks that were freed, for later ones. Where threads hand each other blocks of many sizes, the gaps
fit worse and worse, and the process grows although it holds no more than before, by less and less but for hours.
"""

import ctypes


def give_back():
    """Return the whole pages of freed blocks to the system. Takes milliseconds; without glibc nothing happens."""
    if _trim is not None:
        _trim(0)


def _found():
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):    # another C library
        return None


_trim = _found()
