"""What a file may ask for: memory that is there, blobs as Caffe has them, nets that can be built.

A file of a few bytes can name an array of terabytes. Whoever reads one asks here before memory is taken; pictures have
a limit of their own (picture_files.py).
"""

import re

MOST_LAYERS = 10_000  # the deepest published nets have some thousand
MOST_AXES = 32  # of a blob, as in Caffe
MOST_VALUES = 2**31 - 1  # of a blob, as in Caffe
FREE = 64 << 20  # bytes that may be asked for without a look at what is there


class TooMuch(ValueError):
    """More than there is, or than is allowed: what, how much, the limit."""


def require_memory(size, what):
    """Refuse to go on where `size` bytes for `what` are more than this machine has left.

    Parameters
    ----------
    size : int
        Bytes.
    what : str
        What needs them, for the message.

    Raises
    ------
    TooMuch
    """
    if size <= FREE:
        return
    there = available_memory()
    if there is not None and size > there:
        raise TooMuch(f"{what} needs {size / 1e9:.3g} GB of memory, only {there / 1e9:.3g} GB are available")


def available_memory():
    """Bytes that this process may still take, by the machine's, the container's and its own limit; None: unknown."""
    found = [_machine(), _container(), _process()]
    return min((left for left in found if left is not None), default=None)


def _read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except (OSError, UnicodeDecodeError):
        return ""


def _machine():
    match = re.search(r"MemAvailable:\s+(\d+) kB", _read("/proc/meminfo"))
    return int(match[1]) * 1024 if match else None


def _container():
    limit, used = (_read(f"/sys/fs/cgroup/memory.{name}").strip() for name in ("max", "current"))
    if not (limit.isdigit() and used.isdigit()):
        return None
    cache = re.search(r"^inactive_file (\d+)", _read("/sys/fs/cgroup/memory.stat"), re.MULTILINE)
    return max(0, int(limit) - int(used) + (int(cache[1]) if cache else 0))


def _process():
    try:
        import resource  # not on every platform
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY:
        return None
    pages = _read("/proc/self/statm").split()
    return max(0, limit - int(pages[0]) * resource.getpagesize()) if pages else limit


def check_shape(shape):
    """Refuse a blob's shape that Caffe refuses: negative extents, more than 32 axes, more than 2^31 - 1 values.

    Parameters
    ----------
    shape : sequence of int

    Raises
    ------
    ValueError
    """
    if len(shape) > MOST_AXES:
        raise TooMuch(f"a blob of {len(shape)} axes; Caffe's have {MOST_AXES} at most")
    count = 1
    for extent in shape:
        if extent < 0:
            raise ValueError(f"a blob of shape {tuple(shape)}: extents must not be negative")
        count *= extent
    if count > MOST_VALUES:
        raise TooMuch(f"a blob of shape {tuple(shape)} has {count} values; Caffe's have {MOST_VALUES} at most")


def check_layers(net, name):
    """Refuse a NetParameter of more layers than any net has; `name` is its file.

    Parameters
    ----------
    net : NetParameter
    name : str

    Raises
    ------
    TooMuch
    """
    count = max(len(net.layer), len(net.layers), len(net.input))
    if count > MOST_LAYERS:
        raise TooMuch(f"{name}: {count} layers; expected {MOST_LAYERS} at most")
