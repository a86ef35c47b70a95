"""Pickles of dicts of numpy arrays: read without running anything, written for every Python and numpy.

What a pickle makes are plain stand-ins defined here; arrays are built from them, checked, when all is read. numpy's own
__setstate__ is never called: a forged state of a dtype breaks the dtype for the whole process.
"""

import functools
import math
import pickle
import re

import numpy as np

from dsrg.io.pickle_steps import check_steps


def load_arrays(file):
    """Read a pickle (protocols 0 to 2, of Python 2 or 3; 3 and 4 too) of numpy arrays.

    Parameters
    ----------
    file : binary file
        Seekable; read from its start.

    Returns
    -------
    object
        As pickled: dict, list, str, numbers; an array, or the arrays that are values of a dict, as ndarrays that own
        their memory. Python 2's ``str``, and bytes of Python 3 in protocols 0 to 2, are decoded as latin1.

    Raises
    ------
    pickle.UnpicklingError
        The file is damaged, or names anything but what an array of numbers is made of; nothing is imported or called.
    """
    try:
        check_steps(file)
        file.seek(0)
        content = _ArrayUnpickler(file, encoding="latin1").load()
        if not isinstance(content, dict):
            return _array(content)
        for key in content:  # in place: the bytes of an array go before the next one is made
            content[key] = _array(content[key])
        return content
    except Exception as error:  # damaged bytes can raise nearly anything
        raise pickle.UnpicklingError(str(error) or type(error).__name__) from error


def dump_arrays(content):
    """Pickle a dict of arrays in protocol 2, readable by Python 2 and by numpy before and after 2.0.

    Parameters
    ----------
    content : dict of str to array

    Returns
    -------
    bytes
    """
    # numpy 2 names its module numpy._core, which older ones (and Python 2's) lack; numpy 2 knows both names.
    # Protocol 2 names a module in one line of text and frames nothing, so the name can be put in its place.
    text = pickle.dumps(content, protocol=2)
    return text.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


class _Ndarray:
    """Stands for the class ndarray, which a pickle names as what to reconstruct."""


class _DtypeParts:
    """A dtype as pickled: its code, then a state with the byte order."""

    def __init__(self, code, align=False, copy=True):
        if not (isinstance(code, str) and re.fullmatch(r"[biuf][1248]", code)):
            raise pickle.UnpicklingError(f"it asks for an array of type {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state):
        version, order, *rest = state
        if order not in ("<", ">", "|", "=") or any(part is not None for part in rest[:3]):
            raise pickle.UnpicklingError("it holds a dtype of another kind than plain numbers")
        self.order = order

    def dtype(self):
        return np.dtype(self.order + self.code)


class _ArrayParts:
    """An array as pickled: a state with version, shape, dtype, whether columns come first, and the bytes."""

    state = None

    def __setstate__(self, state):
        self.state = state

    def array(self):
        if self.state is None:
            raise pickle.UnpicklingError("it holds an array without content")
        _version, shape, parts, by_columns, data = self.state
        if not isinstance(parts, _DtypeParts):
            raise pickle.UnpicklingError("it holds an array without a dtype")
        data = data.encode("latin1") if isinstance(data, str) else bytes(data)
        dtype, shape = parts.dtype(), tuple(int(extent) for extent in shape)
        if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
            raise pickle.UnpicklingError(f"it holds an array of shape {shape} and {len(data)} bytes")
        return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C").copy()


def _array(value):
    return value.array() if isinstance(value, _ArrayParts) else value


def _reconstruct(subtype, shape, typecode):
    """What every pickled array starts from; only plain arrays are made, whatever the file asks for."""
    if not isinstance(subtype, _Ndarray):
        raise pickle.UnpicklingError(f"it asks for an array of type {subtype!r}")
    return _ArrayParts()


def _encode(text, encoding="latin1"):
    """How Python 3 writes bytes in protocols 0 to 2: as text to encode back.

    It stays text until its array is made: the unpickler remembers all text to the end, and bytes would lie beside it.
    """
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for bytes encoded as {encoding!r}")
    return text


def _empty_bytes():
    """How Python 3 writes b'' in protocols 0 to 2: as a call of bytes without arguments."""
    return b""


class _ArrayUnpickler(pickle.Unpickler):
    """Looks the names in the file up here and imports none."""

    known = {
        ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
        ("numpy", "dtype"): _DtypeParts,
        ("_codecs", "encode"): _encode,
        ("__builtin__", "bytes"): _empty_bytes,
    }

    def find_class(self, module, name):
        if (module, name) == ("numpy", "ndarray"):
            return _Ndarray()
        try:
            # A new object each time: a pickle may set attributes of what it is given.
            return functools.partial(self.known[module, name])
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None
