"""Log lines in glog's form on stderr, so that tools made for Caffe's logs read the engine's too.

The environment variable GLOG_minloglevel silences them as it does Caffe's: 1 hides information, 2 warnings.
"""

import os
import sys
import time


def _emit(severity, source, message):
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
    micro = int(now % 1 * 1e6)
    print(f"{severity}{stamp}.{micro:06d} {os.getpid():5d} {source}] {message}", file=sys.stderr, flush=True)


def info(source, message):
    """Print an information line (severity I) unless GLOG_minloglevel is 1 or more."""
    if int(os.environ.get("GLOG_minloglevel", "0")) < 1:
        _emit("I", source, message)


def init_log(*_args):
    """pycaffe's init_log: the engine logs from the start, so there is nothing to do."""


def log(message):
    """pycaffe's caffe.log: print one information line."""
    info("log", message)
