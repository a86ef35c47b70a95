"""Ctrl-C of ``python -m caffe``: while it imports it ends at once and silently, later with one line.

KeyboardInterrupt in the middle of an import is a traceback, or an ImportError of a library that was not whole. So
importing this module, the first of the package, lets SIGINT end the process, if it is ``python -m caffe``; under
``import caffe`` nothing changes.
"""

import os
import signal
import sys


def raise_again():
    """SIGINT is a KeyboardInterrupt again, once all is imported."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _is_command():
    """Whether this process is ``python -m caffe``: -m stands in place of the file until Python has found it."""
    words = sys.argv
    return words[:1] == ["-m"] and sys.orig_argv[-len(words)].removeprefix("-m").partition(".")[0] == __package__


if _is_command():
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # lists and prototxts name files in UTF-8, which a locale of another encoding could not open
    if sys.getfilesystemencoding() != "utf-8" and "utf8" not in sys._xoptions:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
