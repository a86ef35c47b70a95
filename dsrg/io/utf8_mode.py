"""Names of files are UTF-8, whatever the locale says, as the lists, cues and results are that hold them.

Python does so by itself unless it is told not to (PYTHONUTF8=0, or a locale of one byte a character): then "ü" comes
from the command line as two bytes that mean nothing, and a list's "ü" can name no file.
"""

import os
import sys

from dsrg.io.interrupts import is_command_of


def read_names_as_utf8(package):
    """Start the process again in Python's UTF-8 mode, if it is `python -m package..` and is not in it already.

    Parameters
    ----------
    package : str
        `__name__` of a package with commands, which imports it first.
    """
    if is_command_of(package) and sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
