"""The error that is for the user, and how a command ends."""

import os
import sys

#: characters of an error line; what is beyond is cut, so that a damaged file cannot fill the terminal
LONGEST_LINE = 2000


class UserError(Exception):
    """Something the user can put right; its text is one line: who, expected, got, what next.

    Parameters
    ----------
    text : str
        The line.
    details : sequence of str
        Further lines, printed in front of it: one a fault where several were found in one go.
    """

    def __init__(self, text, details=()):
        super().__init__(text)
        self.details = tuple(details)


def run_main(main, argv=None):
    """Run a command and leave the process: status 0, or 1 with one line `error: ...` on stderr.

    Parameters
    ----------
    main : callable
        Takes `argv` (list of str, or None for the command line); returns None or an exit status.
    """
    try:
        status = main(argv) or 0
        sys.stdout.flush()
    except UserError as error:
        for detail in error.details:
            print("  " + _one_line(detail), file=sys.stderr)
        status = _complain(str(error))
    except BrokenPipeError:  # the reader of our output left, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        status = _complain("interrupted; the same command goes on from here") and 130
    sys.exit(status)


def printable(text):
    """The text with control characters, escape sequences and bytes that are no UTF-8 written out.

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
    """Print a line on stderr for something the user should know and that stops nothing."""
    print(_one_line(text), file=sys.stderr, flush=True)


def _one_line(text):
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + " ..."


def _complain(text):
    print("error: " + _one_line(text), file=sys.stderr)
    return 1
