"""Files that are whole or not there: written beside, synced, renamed."""

import contextlib
import errno
import hashlib
import os
import re
import stat
import threading
from pathlib import Path

from dsrg.io.errors import UserError

#: files of writers that were killed before they renamed them (atomic_write here, atomic_path in the engine)
TEMPORARY = re.compile(r"\..+\.\d+-\d+(\.[^.]+)?|\..+\.\d+\.tmp|.*\.tmp-.+")
LONGEST_STEM = 180      # bytes in the name of a temporary file, which may be no longer than others (255)


@contextlib.contextmanager
def atomic_write(path):
    """Give a temporary path beside `path`; when the block ends well, that file is synced and becomes `path`.

    Readers see the old file or the whole new one. When the block fails the temporary file is removed and
    `path` stays as it was. Missing folders are made. The temporary name keeps the suffix (np.savez and
    cv2.imwrite look at it) and is unique per process and thread.

    Parameters
    ----------
    path : path

    Yields
    ------
    Path
        The temporary file, to be written by name.

    Raises
    ------
    UserError
        When the file cannot be written (disk full, no permission), naming it; or when `path` is a device or a pipe, in
        whose place the renaming would put a file (root may do that to /dev/null).

    Examples
    --------
    with atomic_write("results/val.txt") as temporary:
        temporary.write_text("whole")
    """
    path = Path(path)
    if _is_special(path):
        raise UserError(f"cannot write {path}: it is a device or a pipe, expected a file or a free name")
    temporary = path.with_name(f".{short_stem(path.stem)}.{os.getpid()}-{threading.get_ident()}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        descriptor = os.open(temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except OSError as error:
        remedy = "choose a shorter name" if error.errno == errno.ENAMETOOLONG else "free space or choose another folder"
        raise UserError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error
    except UnicodeEncodeError as error:
        raise UserError(f"cannot write {path}: it would hold a name that is no UTF-8, "
                        f"{error.object[error.start:error.end]!a}; rename that file") from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def short_stem(name):
    """A name to which a temporary one may add a few characters: itself, or a digest where it is long.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    data = os.fsencode(name)
    return name if len(data) <= LONGEST_STEM else hashlib.sha256(data).hexdigest()


def _is_special(path):
    """Whether a path is a device, a pipe, a socket, or one of the links in /dev that stand for streams."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    if path.is_symlink() and path.absolute().parent == Path("/dev"):
        return True
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_text(path, text):
    """Write `text` (UTF-8) to `path`, whole or not at all.

    Parameters
    ----------
    path : path
    text : str

    Raises
    ------
    UserError
        As of atomic_write.
    """
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
