"""The error that is for the user, and how a command ends."""

import os
import sys


class UserError(Exception):
    """Something the user can put right; its text is one line: who, expected, got, what next."""


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
        status = _complain(str(error))
    except BrokenPipeError:  # the reader of our output left, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        status = _complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        status = _complain("interrupted; the same command goes on from here") and 130
    sys.exit(status)


def _complain(text):
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return 1
