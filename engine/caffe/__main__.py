"""``python -m caffe``: Caffe's command line and its other tools; errors are one line and status 1."""

import errno
import os
import sys
import tempfile
import traceback

from caffe import command_line, gflags, picture_files
from caffe.errors import CaffeError, readable
from caffe.interrupts import raise_again


def main(argv=None):
    """Run a command.

    Parameters
    ----------
    argv : list of str, optional
        Its words; by default those of the process.

    Raises
    ------
    SystemExit
        With the text of an error, argparse's status, or 130 after Ctrl-C.
    """
    args = None
    try:
        args = command_line.parse(sys.argv[1:] if argv is None else argv)
        raise_again()
        if args.max_megapixels is not None:
            picture_files.allow_megapixels(args.max_megapixels)
        with gflags.logging(args):
            args.run(args)
        print(end="", flush=True)
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # the reader of the output left, as in `... | head`
        _drop_output()
        sys.exit(1)
    except Exception as error:
        if args and args.traceback:
            traceback.print_exception(error)
        _drop_output()
        sys.exit(f"error: {_line(error)}")


def _drop_output():
    """Drop what stdout does not take: Python would try again while it ends, and say so in words of its own."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _line(error):
    """What is shown of an error: its text and its notes, which say in which layer, as one line."""
    text = "; ".join([str(error), *getattr(error, "__notes__", ())])
    if isinstance(error, OSError) and error.filename and not isinstance(error, CaffeError):
        text = f"{error.filename}: {error.strerror}"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
        text = f"output cannot be written: {error.strerror}; free space or write elsewhere"
    elif isinstance(error, MemoryError):
        text = f"out of memory ({text or 'no size is given'}); use smaller pictures or batches, or a machine with more"
    elif not isinstance(error, (ValueError, RuntimeError, OSError)):  # the engine's own errors are of these kinds
        text = (f"{type(error).__name__}: {text}; this is a bug, here or in a layer of yours; report it with "
                f"{_keep_traceback(error)}")
    return readable(text)


def _keep_traceback(error):
    try:
        with tempfile.NamedTemporaryFile("w", prefix="caffe-", suffix=".traceback", delete=False) as file:
            traceback.print_exception(error, file=file)
    except OSError:  # no folder for temporary files
        return "the output of the same command and --traceback"
    return f"the traceback in {file.name}"


if __name__ == "__main__":
    main()
