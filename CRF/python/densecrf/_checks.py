"""Arguments turned into what the core takes, or refused by name: who, expected, got, what next."""

import operator
import os

import numpy as np

MOST_VARIABLES, MOST_LABELS = 2**30, 2**16  # of the core
MOST_COUNT = 2**31 - 1
FLOAT32_MAX = float(np.finfo(np.float32).max)


def float32(name, value, shape, meaning):
    """`value` as C-contiguous, aligned float32 of `shape` (-1: any extent).

    float32 in row-major order is passed on as it is; other orders, byte orders and alignments and float64 or
    longdouble are copied, and what is too large for float32 becomes infinite, which the core refuses. Everything
    else is a TypeError: float16 has lost the digits of a log-probability, integers are mostly label maps or
    quantised scores.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : array_like
    shape : tuple of int
    meaning : str
        What the shape stands for, in errors.

    Returns
    -------
    float32 array

    Raises
    ------
    TypeError, ValueError
    """
    array = plain_array(name, value)
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        remedy = "convert the scores before they are rounded" if array.dtype.kind == "f" else "pass scores, not labels"
        raise TypeError(
            f"{name}: expected float32 or float64 {meaning}, got {array.dtype}; {remedy}, or say "
            f"{name}.astype('float32') if these values are meant"
        )
    require_shape(name, array, shape, meaning)
    with np.errstate(over="ignore"):
        return np.require(array, np.float32, ["C", "A"])


def plain_array(name, value):
    """`value` as an array without a mask: a masked pixel has no score that could be computed with.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : array_like

    Returns
    -------
    array

    Raises
    ------
    TypeError
    """
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise TypeError(f"{name}: expected an array without masked elements; say {name}.filled(...) first")
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name}: expected an array, got {type(value).__name__} ({error})") from None


def require_shape(name, array, shape, meaning):
    """ValueError unless `array` has `shape`, where -1 stands for any extent.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    array : array
    shape : tuple of int
    meaning : str
        What the shape stands for, in errors.

    Raises
    ------
    ValueError
    """
    if array.ndim != len(shape) or any(e not in (-1, g) for e, g in zip(shape, array.shape, strict=True)):
        want = "(" + ", ".join("*" if e < 0 else str(e) for e in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name}: expected {meaning} of shape {want}, got {array.shape}")


def bytes_image(name, value, shape):
    """`value` as C-contiguous uint8 image of `shape`; other dtypes only where no value changes.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : array_like
    shape : tuple of int

    Returns
    -------
    uint8 array

    Raises
    ------
    TypeError, ValueError
    """
    image = plain_array(name, value)
    require_shape(name, image, shape, "an image")
    if image.dtype != np.uint8:
        if image.dtype.kind not in "iuf":
            raise TypeError(f"{name}: expected uint8, got {image.dtype}")
        exact = image.astype(np.uint8, copy=True) if _in_byte_range(image) else None
        if exact is None or not np.array_equal(exact, image):
            raise ValueError(
                f"{name}: expected whole numbers 0..255, got {image.dtype} from {image.min()} to {image.max()}; "
                f"scale it to 0..255 and say np.round({name}).astype('uint8')"
            )
        image = exact
    return np.ascontiguousarray(image)


def _in_byte_range(image):
    return image.size == 0 or (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 255)


def number(name, value):
    """`value` as a float that is finite in float32.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : number

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
    """
    if isinstance(value, (str, bytes)):
        raise TypeError(f"{name}: expected a number, got {value!r}")
    try:
        converted = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {shortened(value)}") from None
    except OverflowError:
        converted = np.inf
    if not abs(converted) <= FLOAT32_MAX:
        raise ValueError(f"{name}: expected a finite number, got {shortened(value)}")
    return converted


def positive(name, value):
    """`value` as a float that is positive and finite in float32.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : number

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
    """
    try:
        converted = number(name, value)
    except ValueError:
        converted = 0.0
    if not np.float32(converted) > 0:
        raise ValueError(f"{name}: expected a positive finite number, got {shortened(value)}")
    return converted


def count(name, value, least, most=MOST_COUNT):
    """`value` as an int from `least` to `most`.

    Parameters
    ----------
    name : str
        Of the argument, in errors.
    value : int
    least, most : int

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
    """
    try:
        converted = None if isinstance(value, (bool, np.bool_)) else operator.index(value)
    except TypeError:
        converted = None
    if converted is None:
        raise TypeError(f"{name}: expected a whole number, got {shortened(value)}")
    if converted < least:
        raise ValueError(f"{name}: expected at least {least}, got {shortened(value)}")
    if converted > most:
        raise ValueError(f"{name}: expected at most {most}, got {shortened(value)}")
    return converted


def thread_count(threads):
    """`threads`, or the cores this process may use when it is None.

    Parameters
    ----------
    threads : int or None

    Returns
    -------
    int

    Raises
    ------
    TypeError, ValueError
    """
    if threads is not None:
        return count("threads", threads, 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shortened(value):
    """`value` for a message: its repr, cut off after 80 characters.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    if isinstance(value, int) and abs(value) >= 10**80:  # Python refuses to print more than 4300 digits
        return "a number of more than 80 digits"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
