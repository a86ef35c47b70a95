"""The errors that are for the user, and how a command ends.

An exception is for the user if its class says so: `UserError`, and the classes that `add_user_errors` was given (the
embedded engine's CaffeError). Anything else that reaches `run_main` is a bug of this project.
"""

import errno
import os
import platform
import sys
import tempfile
import traceback
import warnings

from dsrg.io.interrupts import Interrupts
from dsrg.io.terminal import is_quiet, styled

#: characters of an error line; the rest is cut, so that a damaged file cannot fill the terminal
LONGEST_LINE = 2000
TRACEBACK_FLAG = "--traceback"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
#: what helps against an OSError that nothing nearer to it has explained
_REMEDIES = {
    **dict.fromkeys(_FULL, "free space or write to another folder"),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "change its permissions or use another folder"),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR), "check the path; it may have been moved or removed"),
    errno.EISDIR: "give a file",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class UserError(Exception):
    """Something the user can put right; its text is one line: who, expected, got, what next.

    Parameters
    ----------
    text : str
        The line; control characters of a damaged file in it are written out, and it ends after LONGEST_LINE.
    details : sequence of str
        Further lines, printed in front of it: one for each fault where several were found in one go.
    """

    def __init__(self, text, details=()):
        super().__init__(one_line(str(text)))
        self.details = tuple(details)


_for_the_user = [UserError]


def add_user_errors(*classes):
    """Have exceptions of these classes, of a package that does not know this one, shown as a UserError is."""
    _for_the_user.extend(found for found in classes if found not in _for_the_user)


def is_for_the_user(error):
    """Whether an exception tells the user what to put right, as opposed to revealing a bug.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    bool
    """
    return isinstance(error, tuple(_for_the_user))


def run_main(main, argv=None):
    """Run a command and leave the process: status 0, or 1 with one line `error: ...` on stderr.

    An exception that is not for the user is a bug: the line says so, and where its traceback was written. The word
    --traceback, anywhere among a command's arguments, prints the traceback of whatever ends it; commands never see it.

    Parameters
    ----------
    main : callable
        Takes `argv` (list of str, or None for the command line); returns None or an exit status.
    """
    _open_what_is_closed()
    words = sys.argv[1:] if argv is None else list(argv)
    shown = TRACEBACK_FLAG in words
    if shown:
        words = [word for word in words if word != TRACEBACK_FLAG]
        if argv is None:
            sys.argv[1:] = words
        else:
            argv = words
    interrupts = Interrupts()
    try:
        with interrupts, warnings.catch_warnings():
            warnings.showwarning = _show_warning
            os.getcwd()         # libraries end the process where there is none
            status = _status_of(main, argv)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output left, as in `... | head`
        status = 1
    except KeyboardInterrupt:
        status = _interrupted()
    except Exception as error:
        if shown:
            traceback.print_exc()
        if interrupts.came and not is_for_the_user(error):      # a library's word for it
            sys.exit(_interrupted())
        for detail in getattr(error, "details", ()) if isinstance(error, UserError) else ():
            print("  " + one_line(detail), file=sys.stderr)
        status = _complain(_line_of(error, words))
    _let_go_of_stdout()
    sys.exit(status)


def _status_of(main, argv):
    """What a command ends with; argparse leaves it by SystemExit, after its help too."""
    try:
        return main(argv) or 0
    except SystemExit as left:
        if left.code:
            raise
        return 0


def _let_go_of_stdout():
    """Drop output that nobody takes: Python would try again while it ends, and say so in words of its own."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message, category, filename, lineno, file=None, line=None):
    """A Python warning, of the engine or a library, as a line like any other: without source and its place."""
    kind = "" if category is UserWarning else f"{category.__name__}: "
    warn(f"{kind}{message}")


def _open_what_is_closed():
    """Stand in for streams that are closed (`>&-`): what is opened next would be written to as stdout or stderr."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:     # it is the lowest that is free
                pass
            setattr(sys, name, open(opened, mode, encoding="utf-8"))  # noqa: SIM115 (open as long as the process)


def _interrupted():
    _complain("interrupted; the same command goes on from here")
    return 130


def _line_of(error, words):
    """What the user reads of an exception."""
    if is_for_the_user(error):
        return str(error)
    if isinstance(error, OSError):
        if _is_homeless():
            return "the current folder is no longer there; change to another one (cd)"
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        if not error.filename and error.errno in _FULL:
            what = f"output cannot be written: {error.strerror}"
        return what + (f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else "")
    if isinstance(error, (MemoryError, getattr(sys.modules.get("torch"), "OutOfMemoryError", ()))):
        return f"out of memory ({error}); use smaller photos, fewer at a time, or a machine with more"
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):   # pathlib's, up to Python 3.12
        return f"{str(error).partition('from ')[2]}: leads in a circle of links; give the file or folder itself"
    what = f"{type(error).__name__}: {error}"[:300]
    kept = _keep_traceback(error, words)
    where = f"with the file {kept}" if kept else f"with the output of the same command and {TRACEBACK_FLAG}"
    return f"this is a bug in DSRG for Caffe ({what}); please report it {where} (see docs/troubleshooting.md)"


def _is_homeless():
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def _keep_traceback(error, words):
    """Path of a new file in the folder for temporary files that holds what a report needs; None where there is none."""
    try:
        number, path = tempfile.mkstemp(prefix="dsrg-bug-", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as file:
            print(f"command: {[os.path.basename(sys.orig_argv[0]), *sys.orig_argv[1:3]]} .. {words}", file=file)
            print(f"Python {platform.python_version()} on {platform.platform()}\n", file=file)
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    return path


def printable(text):
    """The text with control characters, escape sequences and bytes that are not UTF-8 written out.

    Parameters
    ----------
    text : object
        Its str counts.

    Returns
    -------
    str

    Examples
    --------
    >>> printable("a\\x1b[31m.jpg")
    'a\\\\x1b[31m.jpg'
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def note(text):
    """Print a line on stderr for something the user may want to know and that stops nothing; --quiet leaves it out.

    Parameters
    ----------
    text : str
    """
    if not is_quiet():
        print(one_line(text), file=sys.stderr, flush=True)


def warn(text):
    """Print a line `warning: ...` on stderr for something that is likely to be wrong and stops nothing.

    Parameters
    ----------
    text : str
        With or without "warning: " in front.
    """
    print(styled("warning:", "warning"), one_line(text.removeprefix("warning: ")), file=sys.stderr, flush=True)


def tell_error(text):
    """Print a line `error: ...` on stderr; what goes on, or ends with a status of its own, says it so.

    Parameters
    ----------
    text : str
    """
    print(styled("error:", "error"), one_line(text), file=sys.stderr, flush=True)


def one_line(text):
    """A text of a file, or of many lines, as it is shown: one line, printable, of LONGEST_LINE characters at most.

    Parameters
    ----------
    text : str

    Returns
    -------
    str
    """
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ..."


def _complain(text):
    tell_error(text)
    return 1
