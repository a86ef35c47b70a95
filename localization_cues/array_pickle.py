"""Pickles of dicts of numpy arrays: read without running anything, written for every Python and numpy."""

import pickle

import numpy as np


def load_arrays(file):
    """Read a pickle (protocols 0 to 2, of Python 2 or 3; later ones too) of numpy arrays in plain containers.

    Parameters
    ----------
    file : binary file

    Returns
    -------
    object
        As pickled: dict, list, str, numbers, ndarray. Python 2's ``str`` is decoded as latin1.

    Raises
    ------
    pickle.UnpicklingError
        The file is damaged, or names anything but what an array is made of; nothing is imported or called.
    """
    try:
        return _ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:  # damaged bytes can raise nearly anything
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error


def dump_arrays(content):
    """Pickle a dict of arrays in protocol 2, readable by Python 2 and by numpy before and after 2.0."""
    # numpy 2 names its module numpy._core, which older ones (and Python 2's) lack; numpy 2 knows both names.
    # Protocol 2 names a module in one line of text and frames nothing, so the name can be put in its place.
    text = pickle.dumps(content, protocol=2)
    return text.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def _reconstruct(subtype, shape, typecode):
    """What every pickled array starts from; only plain empty arrays are made, whatever the file asks for."""
    if subtype is not np.ndarray:
        raise pickle.UnpicklingError(f"it asks for an array of type {subtype!r}")
    return np.ndarray.__new__(np.ndarray, (0,), np.uint8)


def _encode(text, encoding="latin1"):
    """How Python 3 writes bytes in protocols 0 to 2: as text to encode back."""
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for bytes encoded as {encoding!r}")
    return text.encode("latin1")


def _empty_bytes():
    """How Python 3 writes b'' in protocols 0 to 2: as a call of bytes without arguments."""
    return b""


class _ArrayUnpickler(pickle.Unpickler):
    """Looks the names in the file up here and imports none."""

    known = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        ("_codecs", "encode"): _encode,
        ("__builtin__", "bytes"): _empty_bytes,
    }

    def find_class(self, module, name):
        try:
            return self.known[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None
