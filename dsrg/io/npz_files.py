"""The .npz files of this project, read whole: what they unpack to is looked at before memory is taken for it."""

import math
import zipfile
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError

#: what members may unpack to: some bytes whatever the file's size, and so many times its size; arrays of photos and
#: trees pack to a tenth or so, a file made to fill memory to a thousandth
FREE_BYTES, MOST_RATIO = 64 << 20, 100


def read_npz(path, what):
    """Arrays of an .npz by name; none of them is of objects, so that nothing is run.

    Parameters
    ----------
    path : path
    what : str
        What errors call the file.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    UserError
        Missing, no .npz, damaged, or one that unpacks to far more than its size.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            refuse_bomb(archive, path)
            return {member.filename.removesuffix(".npy"): read_member(archive, member) for member in archive.infolist()}
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist") from None
    except Exception as error:  # zipfile, zlib, lzma, tokenize: damaged files raise nearly anything
        raise UserError(f"{what} {path} cannot be read ({why(error)})") from None


def refuse_bomb(archive, path):
    """Refuse a zip archive whose members unpack to far more than the size of its file.

    Parameters
    ----------
    archive : zipfile.ZipFile
    path : path
        Its file.

    Raises
    ------
    ValueError
        Its message is the end of a sentence about the file.
    """
    total, size = sum(member.file_size for member in archive.infolist()), Path(path).stat().st_size
    if total > FREE_BYTES + MOST_RATIO * size:
        raise ValueError(f"its {size} bytes unpack to {total}; no file of this kind does")


def read_member(archive, member):
    """The array of one member, whose header must fit the size that the archive tells.

    Parameters
    ----------
    archive : zipfile.ZipFile
    member : zipfile.ZipInfo

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        And whatever zipfile and numpy raise for damaged bytes.
    """
    with archive.open(member) as stream:
        shape, _, dtype = read_header(stream, member.filename)
        check_size(shape, dtype, member.file_size - stream.tell(), member.filename)
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def read_header(stream, name):
    """Shape, order and type of the .npy that a stream stands in front of.

    Parameters
    ----------
    stream : binary file
    name : str
        Of the array, for errors.

    Returns
    -------
    tuple of int, bool (columns first), numpy.dtype

    Raises
    ------
    ValueError
        An array of objects or records.
    """
    version = np.lib.format.read_magic(stream)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if reader is None:
        raise ValueError(f"array {name} has format {version}, expected 1.0 or 2.0")
    shape, fortran, dtype = reader(stream)
    if dtype.hasobject or dtype.fields or dtype.subdtype:
        raise ValueError(f"array {name} is of {dtype}, expected numbers or text; allow_pickle=False")
    return shape, fortran, dtype


def check_size(shape, dtype, size, name):
    """Refuse an array whose shape and type do not make `size` bytes.

    Parameters
    ----------
    shape : tuple of int
    dtype : numpy.dtype
    size : int
        Bytes that there are.
    name : str
        Of the array, for errors.

    Raises
    ------
    ValueError
    """
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size:
        raise ValueError(f"array {name} is {dtype} {shape} in {size} bytes")


def why(error):
    """What an exception says, in one short line.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    str
    """
    return " ".join(f"{error}".split())[:200] or type(error).__name__
