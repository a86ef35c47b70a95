"""What a terminal shows besides results: whether notes and bars are wanted, and colours where they can be seen."""

import os
import sys

_STYLES = {"error": "1;31", "warning": "1;33", "good": "32", "faint": "2"}  # of ECMA-48: SGR
_quiet = False


def be_quiet(quiet=True):
    """Leave out notes and progress from here on, or no longer; warnings and errors are always shown.

    Parameters
    ----------
    quiet : bool
    """
    global _quiet
    _quiet = quiet


def is_quiet():
    """Whether notes and progress are left out (--quiet)."""
    return _quiet


def shows_bars():
    """Whether a bar that moves can be drawn: on a terminal, unless it is to be quiet."""
    return not _quiet and sys.stderr.isatty()


def redraws(stream):
    """Whether what a stream shows can be drawn anew in its place: a terminal that is not TERM=dumb.

    Parameters
    ----------
    stream : file

    Returns
    -------
    bool
    """
    return os.environ.get("TERM") != "dumb" and stream.isatty()


def in_colour(stream):
    """Whether a stream takes colours: a terminal that is not TERM=dumb, and no NO_COLOR (https://no-color.org).

    Parameters
    ----------
    stream : file

    Returns
    -------
    bool
    """
    return not os.environ.get("NO_COLOR") and redraws(stream)


def styled(text, style, stream=None):
    """The text in a style (error, warning, good, faint) where the stream, by default stderr, takes colours.

    Parameters
    ----------
    text : str
    style : str
        error, warning, good or faint.
    stream : file, optional

    Returns
    -------
    str
    """
    return f"\033[{_STYLES[style]}m{text}\033[0m" if in_colour(stream or sys.stderr) else text
