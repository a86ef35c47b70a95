"""Arguments turned into what the core takes, or refused by name: who, expected, got, what next."""

import os

import numpy as np


def float32(name, value, shape, meaning):
    """`value` as C-contiguous float32 of `shape` (-1: any extent).

    float32 in row-major order is passed on as it is, other orders and float64 or longdouble are copied. Everything
    else is a TypeError: float16 has lost the digits of a log-probability, integers are mostly label maps or
    quantised scores.
    """
    array = np.asarray(value)
    if array.dtype.kind != "f" or array.dtype.itemsize < 4:
        remedy = "convert the scores before they are rounded" if array.dtype.kind == "f" else "pass scores, not labels"
        raise TypeError(
            f"{name}: expected float32 or float64 {meaning}, got {array.dtype}; {remedy}, or say "
            f"{name}.astype('float32') if these values are meant"
        )
    require_shape(name, array, shape, meaning)
    return np.ascontiguousarray(array, dtype=np.float32)


def require_shape(name, array, shape, meaning):
    """ValueError unless `array` has `shape`, where -1 stands for any extent."""
    if array.ndim != len(shape) or any(e not in (-1, g) for e, g in zip(shape, array.shape, strict=True)):
        want = "(" + ", ".join("*" if e < 0 else str(e) for e in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ValueError(f"{name}: expected {meaning} of shape {want}, got {array.shape}")


def bytes_image(name, value, shape):
    """`value` as C-contiguous uint8 image of `shape`; other dtypes only where no value changes."""
    image = np.asarray(value)
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


def positive(name, value):
    """`value` as a positive finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: expected a number, got {value!r}") from None
    if not (number > 0 and np.isfinite(number)):
        raise ValueError(f"{name}: expected a positive finite number, got {value!r}")
    return number


def count(name, value, least):
    """`value` as an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name}: expected at least {least}, got {value}")
    return int(value)


def thread_count(threads):
    """`threads`, or the cores this process may use when it is None."""
    if threads is not None:
        return count("threads", threads, 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
