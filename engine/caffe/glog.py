"""Log lines in glog's form on stderr, so that tools made for Caffe's logs read the engine's too.

The environment variable GLOG_minloglevel silences them as it does Caffe's: 1 hides information, 2 warnings.
"""

import contextlib
import getpass
import os
import platform
import sys
import time

_state = {"file": None, "stderr": True, "least": None}  # least: severity; None: as the environment says


def _emit(severity, source, message):
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
    micro = int(now % 1 * 1e6)
    line = f"{severity}{stamp}.{micro:06d} {os.getpid():5d} {source}] {message}"
    if _state["stderr"]:
        print(line, file=sys.stderr, flush=True)
    if _state["file"]:
        print(line, file=_state["file"], flush=True)


def info(source, message):
    """Print an information line (severity I) unless GLOG_minloglevel is 1 or more.

    Parameters
    ----------
    source : str
        The file of Caffe's that prints such a line, "solver.cpp".
    message : str
    """
    least = _state["least"]
    if int(os.environ.get("GLOG_minloglevel", "0") if least is None else least) < 1:
        _emit("I", source, message)


@contextlib.contextmanager
def least_severity(level):
    """Within the block only lines of this severity or more are printed, whatever the environment says.

    Parameters
    ----------
    level : int
        0: all lines, 1: no information, 2: no warnings either.

    Yields
    ------
    None
    """
    before = _state["least"]
    _state["least"] = level
    try:
        yield
    finally:
        _state["least"] = before


@contextlib.contextmanager
def to_folder(folder, also_stderr=True):
    """Write the lines to caffe.<machine>.<user>.log.INFO.<time>.<process> in a folder, as glog's log_dir does.

    The link caffe.INFO there leads to the newest such file.

    Parameters
    ----------
    folder : str
    also_stderr : bool
        Show the lines on stderr, too.

    Yields
    ------
    None

    Raises
    ------
    OSError
        A folder that does not exist or cannot be written.
    """
    begin = time.localtime()
    machine = platform.node() or "unknown"
    name = (f"caffe.{machine}.{_user()}.log.INFO.{time.strftime('%Y%m%d-%H%M%S', begin)}.{os.getpid()}")
    with open(os.path.join(folder, name), "a", encoding="utf-8") as file:
        print(f"Log file created at: {time.strftime('%Y/%m/%d %H:%M:%S', begin)}\nRunning on machine: {machine}\n"
              "Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu process source] message", file=file, flush=True)
        with contextlib.suppress(OSError):  # a file system without links
            link = os.path.join(folder, "caffe.INFO")
            os.symlink(name, f"{link}.{os.getpid()}")
            os.replace(f"{link}.{os.getpid()}", link)
        before = dict(_state)
        _state.update(file=file, stderr=also_stderr)
        try:
            yield
        finally:
            _state.update(before)


def _user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def init_log(*_args):
    """pycaffe's init_log: the engine logs from the start, so there is nothing to do."""


def log(message):
    """pycaffe's caffe.log: print one information line.

    Parameters
    ----------
    message : str
    """
    info("log", message)
