"""Arrays of an ``.npz`` mapped into memory: the system holds the pages read last and may drop them at any time."""

import struct
import zipfile

import numpy as np

LOCAL_HEADER = 30  # bytes of a zip member's own header before its name and extra field (APPNOTE.TXT of PKWARE, 4.3.7)
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def map_arrays(path):
    """Arrays of an ``.npz`` by name: stored ones mapped read-only, compressed ones (np.savez_compressed) read.

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        No zip file, one that is cut off, or arrays of objects.
    """
    arrays = {}
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED:
                arrays[name] = _mapped(path, file, member)
            else:
                with archive.open(member) as stream:
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _mapped(path, file, member):
    """The array of one stored member, mapped."""
    file.seek(member.header_offset + LOCAL_HEADER - 4)
    lengths = file.read(4)  # of name and extra field, which may differ from the central directory's
    if len(lengths) < 4:
        raise ValueError(f"array {member.filename} is cut off")
    begin = member.header_offset + LOCAL_HEADER + sum(struct.unpack("<HH", lengths))
    file.seek(begin)
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"array {member.filename} has format {version}, expected 1.0 or 2.0")
    shape, fortran, dtype = HEADERS[version](file)
    offset = file.tell()
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if dtype.hasobject or fortran or offset - begin + size != member.file_size:
        raise ValueError(f"array {member.filename} is {dtype} {shape} in {member.file_size} bytes")
    if size == 0:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", offset, shape))
