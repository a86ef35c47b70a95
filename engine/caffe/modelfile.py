"""Model files on disk: mapped for reading, written beside their place and renamed, and what a wrong file is.

Every fault is one ModelFileError that names the file, what is wrong with it and what to do.
"""

import contextlib
import errno
import hashlib
import mmap
import os
from pathlib import Path

from google.protobuf.message import DecodeError

from . import binary_families
from . import protobuf_wire as wire
from .errors import ModelFileError, OpenError
from .limits import TooMuch, check_layers
from .proto import caffe_pb2
from .regular_files import is_special, refuse_special

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


# ---- reading ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mapped(path):
    """Memory-mapped content of a file.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    memoryview

    Raises
    ------
    OpenError
        No such file, or no regular one.
    ModelFileError
        An empty file.
    """
    refuse_special(path)
    try:
        file = open(path, "rb")  # noqa: SIM115  (the with below closes it; only opening may fail here)
    except OSError as error:
        reason = "" if isinstance(error, FileNotFoundError) else f" ({error.strerror or error})"
        raise OpenError(f"Could not open file {path}{reason}") from None
    with file:
        if os.fstat(file.fileno()).st_size == 0:
            raise ModelFileError(f"{path}: is empty; get or write it again")
        # Closed with its last view: the traceback of a failed read may still hold some.
        yield memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def strip(view, message, name, kind):
    """wire.strip; a failure is reported as: file `name` is not `kind`, and what it seems to be instead.

    Parameters
    ----------
    view : memoryview
        The whole file.
    message : str
        A key of protobuf_wire.NESTED.
    name, kind : str
        The file; what it should be.

    Returns
    -------
    (bytes, list of numpy.ndarray)
        As of wire.strip.

    Raises
    ------
    ModelFileError
    """
    try:
        return wire.strip(view, message)
    except wire.WireError as error:
        guess = looks_like(view)
        if guess != UNKNOWN:
            raise ModelFileError(f"{name}: not {kind}; {guess}") from None
        raise ModelFileError(
            f"{name}: truncated or not {kind}: {error} (the file has {len(view)} bytes); {UNKNOWN}"
        ) from None


def decode(data, message, view, name, kind):
    """Parse bytes into a message and return it; failures are reported as by strip.

    Parameters
    ----------
    data : bytes
    message : Message
        An empty one, filled.
    view : memoryview
        The whole file, to say what it is instead.
    name, kind : str
        The file; what it should be.

    Returns
    -------
    Message

    Raises
    ------
    ModelFileError
    """
    try:
        message.ParseFromString(data)
        wire.check_text(message)
        if isinstance(message, caffe_pb2.NetParameter):
            check_layers(message, name)
    except TooMuch as error:
        raise ModelFileError(str(error)) from None
    except UnicodeDecodeError:
        raise ModelFileError(f"{name}: damaged, a name in it is not UTF-8; {UNKNOWN}") from None
    except DecodeError:
        raise ModelFileError(f"{name}: damaged or not {kind}; {looks_like(view)}") from None
    return message


def decode_net(data, view, name):
    """Parse bytes of a NetParameter of any family of Caffe; failures are reported as by strip.

    Parameters
    ----------
    data : bytes
        A NetParameter without the numbers of its blobs.
    view : memoryview
    name : str

    Returns
    -------
    NetParameter

    Raises
    ------
    ModelFileError
    """
    try:
        data = bytes(binary_families.to_engine(data))
    except wire.WireError as error:
        raise ModelFileError(f"{name}: truncated or not a caffemodel: {error}; {looks_like(view)}") from None
    return decode(data, caffe_pb2.NetParameter(), view, name, "a caffemodel")


UNKNOWN = "get it again and compare its size or checksum"


def looks_like(view):
    """What a file that is not what was expected seems to be, and what to do.

    Parameters
    ----------
    view : memoryview

    Returns
    -------
    str
    """
    head = bytes(view[:512])
    starts = {
        b"version https://git-lfs": "it is a Git LFS pointer; run `git lfs pull`",
        b"<": "it is a web page, the download failed; get it again",
        b"PK\x03\x04": "it is a zip archive or a PyTorch file; a caffemodel is needed",
        b"\x80\x02": "it is a pickle; a caffemodel is needed",
        b"\x1f\x8b": "it is gzip-compressed; unpack it first",
        b"\x89PNG": "it is a picture",
        HDF5_MAGIC: "it is HDF5",
    }
    for start, text in starts.items():
        if head.lstrip().startswith(start) or head.startswith(start):
            return text
    if not any(byte < 9 or byte == 127 for byte in head):
        return "it is text: is it a prototxt given in place of weights?"
    state = caffe_pb2.SolverState()
    with contextlib.suppress(DecodeError, wire.WireError, UnicodeDecodeError):
        state.ParseFromString(wire.strip(view, "SolverState")[0])
        if state.HasField("iter") and len(state.history):
            return f"it is a solver state, its weights are in '{state.learned_net}'"
    net = caffe_pb2.NetParameter()
    with contextlib.suppress(DecodeError, wire.WireError, UnicodeDecodeError):
        net.ParseFromString(bytes(binary_families.to_engine(wire.strip(view, "NetParameter")[0])))
        if len(net.layer) or len(net.layers):
            return f"it is a caffemodel (net '{net.name}')"
    return UNKNOWN


def is_hdf5(path):
    """Whether a file begins as HDF5 does.

    Parameters
    ----------
    path : str or os.PathLike

    Returns
    -------
    bool
    """
    refuse_special(path)
    try:
        with open(path, "rb") as file:
            return file.read(8) == HDF5_MAGIC
    except OSError:
        return False  # the reader says why


# ---- writing ------------------------------------------------------------------------------------------

LONGEST_NAME = 220  # bytes in that of a temporary file
WRITE_REMEDIES = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "make its folder first",
    errno.ENOSPC: "free space, nothing that was there before is lost",
    errno.EACCES: "choose a folder that you may write to",
    errno.EROFS: "choose a folder that you may write to",
}


def write_atomic(path, data):
    """Write bytes, or a list of buffers, to a file: beside it, synced, renamed.

    Parameters
    ----------
    path : str or os.PathLike
    data : bytes or sequence of buffers

    Raises
    ------
    ModelFileError
    """
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.writelines([data] if isinstance(data, (bytes, bytearray, memoryview)) else data)


@contextlib.contextmanager
def atomic_path(path):
    """A path beside `path`; what is written there takes its place on success and is removed on failure.

    Parameters
    ----------
    path : str or os.PathLike

    Yields
    ------
    pathlib.Path

    Raises
    ------
    ModelFileError
        What cannot be written, with the system's reason and a remedy.
    """
    path = Path(path)
    if is_special(path) and not path.is_dir():  # root could rename a file into the place of /dev/null
        raise ModelFileError(f"cannot write {path}: it is a device or a pipe, expected a file or a free name")
    name = os.fsencode(path.name)  # a name may be as long as the longest: its temporary one is not longer
    shown = path.name if len(name) <= LONGEST_NAME else hashlib.sha256(name).hexdigest()
    temporary = path.with_name(f".{shown}.{os.getpid()}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        remedy = WRITE_REMEDIES.get(error.errno, "choose another folder")
        raise ModelFileError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error
    finally:
        temporary.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # a folder that cannot be synced is still renamed in
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
