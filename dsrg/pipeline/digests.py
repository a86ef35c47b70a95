"""SHA-256 of files by content, kept with what the file system knows of them, so that a second look is cheap."""

import hashlib
import os
import stat
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.file_cache import FileCache
from dsrg.io.regular_files import read_file

MISSING = "-"       # digest of a file that is not there


class DigestCache:
    """Digests of files, read again where the file system says that they may have changed (FileCache).

    Touching or copying a file costs a read and changes no digest.

    Parameters
    ----------
    path : str or Path
        Where the cache is kept between runs.
    """

    def __init__(self, path):
        self._cache = FileCache(path)
        self.files_read = 0

    def digest(self, path):
        """SHA-256 in hexadecimal digits, or MISSING where there is no file: a device or FIFO is read without end.

        Parameters
        ----------
        path : path

        Returns
        -------
        str
        """
        path = str(path)
        try:
            status = os.stat(path)
        except OSError:
            return MISSING
        if not stat.S_ISREG(status.st_mode):
            return MISSING
        if known := self._cache.find(path, status):
            return known
        read_at = time.time_ns()
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self.files_read += 1
        self._cache.keep(path, status, found, read_at)
        return found

    def save(self):
        """Write the cache beside itself and rename; files that are gone are forgotten."""
        self._cache.save()


def combined(pairs):
    """One digest of (name, digest) pairs, in any order.

    Parameters
    ----------
    pairs : iterable of (str, str)

    Returns
    -------
    str
    """
    out = hashlib.sha256()
    for name, digest in sorted(pairs):
        out.update(f"{digest} {name}\n".encode())
    return out.hexdigest()


class Manifests:
    """Which files a combined digest stands for, so that a later run can say which of them changed.

    Each is a text file `<digest>.txt` of lines "<digest> <name>", named by its own digest: the photos that six stages
    read stand in it once.
    """

    def __init__(self, folder):
        self._folder = Path(folder)
        self._pending = {}

    def add(self, pairs):
        """Combined digest of (name, digest) pairs; they are written by `save`.

        Parameters
        ----------
        pairs : sequence of (str, str)

        Returns
        -------
        str
        """
        digest = combined(pairs)
        self._pending[digest] = dict(pairs)
        return digest

    def save(self, digests):
        """Write those of `digests` that were added and are not written yet.

        Parameters
        ----------
        digests : set of str
        """
        for digest in digests:
            path = self._folder / f"{digest}.txt"
            if digest in self._pending and not path.exists():
                lines = (f"{d} {name}\n" for name, d in sorted(self._pending[digest].items()))
                write_text(path, "".join(lines))

    def read(self, digest):
        """Digest by name, or None where the manifest is not there or not readable.

        Parameters
        ----------
        digest : str

        Returns
        -------
        dict of str to str, or None
        """
        if digest in self._pending:
            return self._pending[digest]
        try:
            lines = read_file(self._folder / f"{digest}.txt", "manifest").decode().splitlines()
            return {name: d for d, _, name in (line.partition(" ") for line in lines)}
        except (UserError, UnicodeDecodeError):
            return None

    def keep_only(self, digests):
        """Remove the manifests that no stamp names any more.

        Parameters
        ----------
        digests : set of str
        """
        for path in self._folder.glob("*.txt"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)
