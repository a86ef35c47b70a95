"""What was found out about files, kept with what the file system knows of them, so that a second look is cheap."""

import json
import os
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.json_files import read_mapping

#: A file that changed so shortly before it was read may change again within the same tick of the file system's clock
#: (two seconds on the coarsest): what was found is not kept.
SETTLED_NS = 2_000_000_000


class FileCache:
    """Findings by file.

    A finding is kept under the file's path with its size, time of change of content and of inode, inode and device;
    where one of them differs the file is to be looked at again. A file put back with its old times has another time of
    change of its inode.

    Parameters
    ----------
    path : str or Path or None
        Where the cache is kept between runs; a file that is not a cache counts as an empty one. None keeps nothing.
    """

    def __init__(self, path):
        self._path, self._changed = None if path is None else Path(path), False
        self._kept = {} if path is None else read_mapping(self._path)

    def find(self, path, status):
        """What is kept of a file whose os.stat is `status`, or None.

        Parameters
        ----------
        path : path
        status : os.stat_result

        Returns
        -------
        object or None
        """
        entry = self._kept.get(str(path))
        return entry[-1] if isinstance(entry, list) and entry[:-1] == _identity(status) else None

    def keep(self, path, status, value, read_at):
        """Keep a value that JSON can hold, found in a file that was read at `read_at` (time.time_ns()).

        Parameters
        ----------
        path : path
        status : os.stat_result
            Taken before the file was read.
        value : object
            Anything that JSON can hold.
        read_at : int
            time.time_ns() before the file was read.
        """
        if read_at - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
            self._kept[str(path)] = [*_identity(status), value]
            self._changed = True

    def save(self):
        """Write the cache beside itself and rename; files that are gone are forgotten."""
        if self._changed and self._path is not None:
            kept = {path: entry for path, entry in self._kept.items() if os.path.exists(path)}
            write_text(self._path, json.dumps(kept))
            self._changed = False


def _identity(status):
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]
