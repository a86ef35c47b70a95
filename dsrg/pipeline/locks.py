"""Locks that die with their process: one run a folder, one training a snapshot prefix."""

import contextlib
import errno
import fcntl
import json
import os
import socket
import time
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.io.json_files import read_mapping


class Lock:
    """An advisory lock on a file, held until `release` or the end of the process, however it ends.

    Parameters
    ----------
    path : str or Path
        The lock's file; it stays there, and says who had it last.
    what : str
        What is locked, for the message.
    shared : bool
        For readers: many may hold it, but none beside a writer.

    Raises
    ------
    UserError
        Another process holds it: which, where and since when.
    """

    def __init__(self, path, what, shared=False):
        self._path = Path(path)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # not through a link, which may lead to a file of somebody's that the note would be written over
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise UserError(f"cannot write {self._path}: {error.strerror}; choose another folder") from error
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            holder = self.holder()
            os.close(self._descriptor)
            self._descriptor = None
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise UserError(f"{self._path} cannot be locked: {error.strerror}; choose a folder on a file system "
                                "that has locks") from error
            raise UserError(f"{what} is in use by {holder}; wait for it, or stop it first") from None
        self._note()

    def holder(self):
        """'process 12 on HOST since TIME', as far as it is known."""
        note = read_mapping(self._path)
        process, texts = note.get("process"), (note.get("host"), note.get("since"))
        if type(process) is not int or not all(isinstance(text, str) and len(text) < 100 for text in texts):
            return "another process"
        return f"process {process} on {texts[0]} since {texts[1]}"

    def _note(self):
        text = json.dumps({"process": os.getpid(), "host": socket.gethostname(),
                           "since": time.strftime("%Y-%m-%d %H:%M:%S")}) + "\n"
        with contextlib.suppress(OSError):      # the note is for people; a full disk must not keep a run from going on
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)

    def release(self):
        """Let the next one have it.
        """
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.release()
