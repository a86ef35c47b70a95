"""Arrays of an ``.npz`` mapped into memory: the system holds the pages read last and may drop them at any time.

numpy maps ``.npy`` files alone (``np.load(mmap_mode=...)`` reads the members of an ``.npz`` whole), and h5py reads no
zip files. So zipfile finds where a stored member begins, numpy reads the member's header, and np.memmap maps the rest.
Read whole, the members would hold their size in memory that cannot be dropped: 23 MiB of 203 MiB for the cues of 20,000
images (benchmarks.cue_memory), and that in each process of a training run.
"""

import zipfile

import numpy as np

from dsrg.io.npz_files import check_size, read_header, read_member, refuse_bomb


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
    Exception
        No zip file, one that is cut off or unpacks to far more than its size, arrays of objects: zipfile, zlib and
        numpy's reader of headers raise nearly anything for damaged bytes.
    """
    arrays = {}
    with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        refuse_bomb(archive, path)
        for member in archive.infolist():
            name = member.filename.removesuffix(".npy")
            if member.compress_type == zipfile.ZIP_STORED:
                with archive.open(member):
                    # zipfile has read the member's own header; were that not so, read_magic would refuse what is here
                    arrays[name] = _mapped(path, file, member)
            else:
                arrays[name] = read_member(archive, member)
    return arrays


def _mapped(path, file, member):
    """The array of one stored member, mapped; `file` is where its content begins."""
    begin = file.tell()
    shape, fortran, dtype = read_header(file, member.filename)
    offset = file.tell()
    check_size(shape, dtype, member.file_size - (offset - begin), member.filename)
    if fortran:
        raise ValueError(f"array {member.filename} has its columns first")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", offset, shape))
