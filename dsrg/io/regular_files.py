"""Files read whole: regular ones alone, for a FIFO or a device would be waited for without end."""

import os
import stat
from pathlib import Path

from dsrg.io.errors import UserError

KINDS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a FIFO"), (stat.S_ISSOCK, "a socket"),
         (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"))


class Unreadable(UserError):
    """A file that is there and cannot be read: by its permissions, or since it is no regular file."""


def read_file(path, what, most_bytes=None):
    """The bytes of a regular file.

    Parameters
    ----------
    path : path
    what : str
        What errors call the file: "photo", "image list".
    most_bytes : int, optional
        A larger file is refused unread.

    Returns
    -------
    bytes

    Raises
    ------
    UserError
        Missing, a folder, FIFO or device, too large, not allowed to be read.
    """
    with open_regular(path, what) as file:
        size = os.fstat(file.fileno()).st_size
        if most_bytes is not None and size > most_bytes:
            raise UserError(f"{what} {path} has {size / 2**20:.0f} MiB, expected at most {most_bytes / 2**20:.0f}; "
                            "is it the right file?")
        try:
            return file.read()
        except OSError as error:
            raise Unreadable(f"{what} {path} cannot be read: {error.strerror or error}") from None


def open_regular(path, what):
    """A regular file opened to read bytes; UserError as of read_file.

    Parameters
    ----------
    path : path
    what : str
        What errors call it.

    Returns
    -------
    binary file

    Raises
    ------
    UserError
        As of read_file.
    """
    if "\0" in str(path):
        raise UserError(f"{what} {path}: the name holds a NUL character, as no file's does")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO without a writer opens at once
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist") from None
    except OSError as error:
        raise Unreadable(f"{what} {path} cannot be read: {error.strerror or error}") from None
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    kind = next((name for test, name in KINDS if test(mode)), "no regular file")
    raise Unreadable(f"{what} {Path(path)} is {kind}; expected a file")
