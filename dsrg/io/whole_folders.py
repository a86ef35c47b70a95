"""Folders that are whole or not there: made beside, under a name of their own, and renamed."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from pathlib import Path

from dsrg.io.atomic_files import short_stem
from dsrg.io.errors import UserError

SUFFIX = ".partial"


@contextlib.contextmanager
def whole_folder(out, replace=False):
    """Give a free path of the same name, for a folder to be made there; when the block ends well, it becomes `out`.

    The path lies in a hidden folder beside `out`, `.NAME.xxxxxxxx.partial`, which nobody else has and which goes when
    the block ends, however it does. Where the process is killed it stays, and the next that makes `out` removes it: it
    is known by its name and by a lock that died with the process.

    Parameters
    ----------
    out : path
        Missing folders above it are made.
    replace : bool
        Whether a folder that is there gives way; else only an empty one does.

    Yields
    ------
    Path

    Raises
    ------
    UserError
        When the folder cannot be written (disk full, no permission, `out` is there), naming it.

    Examples
    --------
    with whole_folder("my-data") as partial:
        (partial / "JPEGImages").mkdir(parents=True)
    """
    asked, out = out, Path(os.path.abspath(out))
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stem = short_stem(out.name)
        _remove_left_over(out.parent, stem)
        with _locked_folder(out.parent, f".{stem}.") as holder:
            partial = holder / out.name
            yield partial
            if replace and out.exists():
                out.rename(holder / f"{stem}.old")
            partial.rename(out)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"cannot write {asked}: {why}; free space or choose another folder") from error


@contextlib.contextmanager
def _locked_folder(parent, prefix):
    """A new folder with a lock on it; removed at the end."""
    holder = Path(tempfile.mkdtemp(dir=parent, prefix=prefix, suffix=SUFFIX))
    try:
        lock = os.open(holder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):      # a file system without locks: nobody can tell then, and it stays
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield holder
        finally:
            os.close(lock)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def _remove_left_over(parent, stem):
    """Remove the folders of processes that were killed while they made the same folder."""
    name = re.compile(rf"\.{re.escape(stem)}\.[a-z0-9_]{{8}}{re.escape(SUFFIX)}")
    for entry in os.listdir(parent):
        if not name.fullmatch(entry):
            continue
        with contextlib.suppress(OSError):          # in use, no folder, or somebody else's
            lock = os.open(parent / entry, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(parent / entry, ignore_errors=True)
            finally:
                os.close(lock)
