"""Python's collector of cycles, held back where many objects are made that stay.

It looks through all objects each time their number has grown by a quarter. While a net of thousands of layers is read,
built or written there is nothing for it to find, and looking takes a quarter of the time.
"""

import contextlib
import gc


@contextlib.contextmanager
def held_back():
    """Collect no cycles within the block; one within another, or where the program has turned it off, changes nothing.

    What is no part of a cycle is freed as ever.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
