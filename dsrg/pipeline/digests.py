"""SHA-256 of files by content, kept with what the file system knows of them, so that a second look is cheap."""

import hashlib
import json
import os
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text

MISSING = "-"       # digest of a file that is not there
#: A file that changed so shortly before it was read may change again within the same tick of the file system's clock
#: (two seconds on the coarsest): its digest is not kept.
SETTLED_NS = 2_000_000_000


class DigestCache:
    """Digests of files.

    A digest is kept under the file's path with its size, time of change of content and of inode, inode and device;
    where one of them differs the file is read again. Touching or copying a file therefore costs a read and changes no
    digest; a file put back with its old times has another time of change of its inode.

    Parameters
    ----------
    path : str or Path
        Where the cache is kept between runs; a file that is not a cache counts as an empty one.
    """

    def __init__(self, path):
        self._path, self._changed = Path(path), False
        self.files_read = 0
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            kept = {}
        self._kept = kept if isinstance(kept, dict) else {}

    def digest(self, path):
        """SHA-256 in hexadecimal digits, or MISSING where there is no file."""
        path = str(path)
        try:
            stat = os.stat(path)
        except OSError:
            return MISSING
        known = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino, stat.st_dev]
        entry = self._kept.get(path)
        if isinstance(entry, list) and entry[:-1] == known:
            return entry[-1]
        if os.path.isdir(path):
            return MISSING
        now = time.time_ns()
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        self.files_read += 1
        if now - max(stat.st_mtime_ns, stat.st_ctime_ns) > SETTLED_NS:
            self._kept[path] = [*known, found]
            self._changed = True
        return found

    def save(self):
        """Write the cache beside itself and rename; files that are gone are forgotten."""
        if self._changed:
            kept = {path: entry for path, entry in self._kept.items() if os.path.exists(path)}
            write_text(self._path, json.dumps(kept))
            self._changed = False


def combined(pairs):
    """One digest of (name, digest) pairs, in any order."""
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
        """Combined digest of (name, digest) pairs; they are written by `save`."""
        digest = combined(pairs)
        self._pending[digest] = dict(pairs)
        return digest

    def save(self, digests):
        """Write those of `digests` that were added and are not written yet."""
        for digest in digests:
            path = self._folder / f"{digest}.txt"
            if digest in self._pending and not path.exists():
                lines = (f"{d} {name}\n" for name, d in sorted(self._pending[digest].items()))
                write_text(path, "".join(lines))

    def read(self, digest):
        """Digest by name, or None where the manifest is not there or not readable."""
        if digest in self._pending:
            return self._pending[digest]
        try:
            lines = (self._folder / f"{digest}.txt").read_text(encoding="utf-8").splitlines()
            return {name: d for d, _, name in (line.partition(" ") for line in lines)}
        except (OSError, UnicodeDecodeError):
            return None

    def keep_only(self, digests):
        """Remove the manifests that no stamp names any more."""
        for path in self._folder.glob("*.txt"):
            if path.stem not in digests:
                path.unlink(missing_ok=True)
