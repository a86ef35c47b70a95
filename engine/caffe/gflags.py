"""Caffe's tools read their command line with gflags; here argparse reads it, after the forms have been made its own.

gflags takes -name value, --name value and -name=value, -switch, --switch=false and -noswitch, before, between and
after the other words.
"""

import argparse
import contextlib
import os
import re

from . import glog
from .errors import CommandError

#: glog's flags that have no effect here, and whether they are switches
_WITHOUT_EFFECT = {"colorlogtostderr": True, "log_prefix": True, "stop_logging_if_full_disk": True,
                   "symbolize_stacktrace": True, "log_backtrace_at": False, "log_link": False, "logbuflevel": False,
                   "logbufsecs": False, "logfile_mode": False, "max_log_size": False, "stderrthreshold": False,
                   "v": False, "vmodule": False}


def to_argparse(words, switches):
    """Words in gflags' forms, in argparse's: the first word that is no flag, then --name=value, then the rest.

    Parameters
    ----------
    words : sequence of str
    switches : collection of str
        Names of the flags that need no value.

    Returns
    -------
    list of str

    Examples
    --------
    >>> to_argparse(["-solver", "s.prototxt", "train", "-nocheck", "--iterations=5"], {"check"})
    ['train', '--solver=s.prototxt', '--check=false', '--iterations=5']
    """
    flags, others, rest = [], [], iter(words)
    for word in rest:
        if word == "--":
            others += rest
        elif not re.match(r"--?[A-Za-z]", word):
            others.append(word)
        else:
            flags.append(_flag(word, switches, rest))
    return others[:1] + flags + others[1:]


def _flag(word, switches, rest):
    name, equals, value = word.lstrip("-").partition("=")
    if name in ("h", "help"):
        return "--help"
    if name == "version":
        return "--version"
    if equals:
        return f"--{name}={value}"
    if name in switches:
        return f"--{name}=true"
    if name.removeprefix("no") in switches:
        return f"--{name.removeprefix('no')}=false"
    value = next(rest, None)
    return f"--{name}" if value is None else f"--{name}={value}"


def switch(text):
    """Value of a switch: true, t, yes, y, 1 or the opposite, as in gflags.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool

    Raises
    ------
    argparse.ArgumentTypeError
        Another word.
    """
    words = {"true": True, "t": True, "yes": True, "y": True, "1": True,
             "false": False, "f": False, "no": False, "n": False, "0": False}
    try:
        return words[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"'{text}': expected true or false") from None


def add_switch(parser, name, default=False, **kwargs):
    """Add a flag that needs no value; its name belongs to the switches of to_argparse.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    name : str
        Without dashes.
    default : bool
    **kwargs
        As of add_argument.
    """
    parser.add_argument(f"--{name}", type=switch, nargs="?", const=True, default=default,
                        metavar="true|false", **kwargs)


def switches_of(*parsers):
    """Names of the switches of parsers."""
    return {action.dest for parser in parsers for action in parser._actions if action.type is switch}


def log_flags():
    """A parent parser with glog's flags."""
    parser = argparse.ArgumentParser(add_help=False)
    group = parser.add_argument_group("log")
    group.add_argument("--log_dir", metavar="FOLDER", help="write the lines to a file in this folder too")
    add_switch(group, "logtostderr", help="no file, whatever --log_dir says")
    add_switch(group, "alsologtostderr", True, help="show the lines on stderr beside the file (as by default)")
    group.add_argument("--minloglevel", type=int, metavar="LEVEL", help="1: no information, 2: no warnings either")
    for name, is_switch in _WITHOUT_EFFECT.items():
        if is_switch:
            add_switch(group, name, help=argparse.SUPPRESS)
        else:
            group.add_argument(f"--{name}", help=argparse.SUPPRESS)
    return parser


@contextlib.contextmanager
def logging(args):
    """The log as the flags of :func:`log_flags` say.

    Parameters
    ----------
    args : argparse.Namespace

    Yields
    ------
    None

    Raises
    ------
    CommandError
        A folder for logs that is not there or cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        if args.minloglevel is not None:
            stack.enter_context(glog.least_severity(args.minloglevel))
        if args.log_dir and not args.logtostderr:
            _check_folder(args.log_dir)
            stack.enter_context(glog.to_folder(args.log_dir, args.alsologtostderr))
        yield


def _check_folder(folder):
    if not os.path.isdir(folder):
        raise CommandError(f"--log_dir {folder}: no such folder; make it, or name another")
    if not os.access(folder, os.W_OK):
        raise CommandError(f"--log_dir {folder}: the folder cannot be written to; name another")
