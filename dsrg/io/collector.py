"""Python's collector of cycles, kept from looking through objects that stay.

It looks through all of them each time their number has grown by a quarter, and in what is made to stay it finds
nothing. (The engine, which does without this library, has a `collector` of its own.)
"""

import contextlib
import gc


@contextlib.contextmanager
def held_back():
    """Collect no cycles within the block, in which many objects are made that stay.

    What is no part of a cycle is freed as ever.
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
