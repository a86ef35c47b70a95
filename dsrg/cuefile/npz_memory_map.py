"""Arrays of an ``.npz`` mapped into memory: the system holds the pages read last and may drop them at any time.

numpy maps ``.npy`` files alone (``np.load(mmap_mode=...)`` reads the members of an ``.npz`` whole), and h5py reads no
zip files. So zipfile finds where a stored member begins, numpy reads the member's header, and np.memmap maps the rest.
Read whole, the members would hold their size in memory that cannot be dropped: 23 MiB of 203 MiB for the cues of 20,000
images (benchmarks.cue_memory), and that in each process of a training run.
"""

import zipfile

import numpy as np

HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def map_arrays(path):
    """Arrays of an ``.npz`` by name: stored ones mapped read-only, compressed ones (np.savez_compressed) read.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to array

    Raises
    ------
    OSError, ValueError, zipfile.BadZipFile
        No zip file, one that is cut off, or arrays of objects.
    """
    arrays = {}
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            with archive.open(member) as stream:
                if member.compress_type == zipfile.ZIP_STORED:
                    # zipfile has read the member's own header; were that not so, read_magic would refuse what is here
                    arrays[name] = _mapped(path, file, member)
                else:
                    arrays[name] = np.lib.format.read_array(stream, allow_pickle=False)
    return arrays


def _mapped(path, file, member):
    """The array of one stored member, mapped; `file` is where its content begins."""
    begin = file.tell()
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
