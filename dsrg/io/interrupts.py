"""Ctrl-C at any moment of a command: while it imports, while it works, while it leaves; never a traceback.

A package of commands calls `end_silently_while_importing` before anything else is imported. Until `run_main` takes
over, and again once it is done, Ctrl-C then ends the process as the signal does by itself (status 130 in a shell):
there is nothing to tidy up yet, and KeyboardInterrupt in the middle of an import is a traceback, or an ImportError of a
library that was not whole.
"""

import _thread
import contextlib
import os
import signal
import sys
import time

#: seconds after which an interrupt that Python could not raise where it came is sent again
AGAIN = 0.05


def end_silently_while_importing(package):
    """Let SIGINT end the process at once, if it is `python -m package..`; elsewhere nothing changes.

    Parameters
    ----------
    package : str
        `__name__` of a package with commands, which imports it first.
    """
    if is_command_of(package) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def is_command_of(package):
    """Whether this process is `python -m package..`, asked while the package is imported.

    Parameters
    ----------
    package : str

    Returns
    -------
    bool
    """
    words = sys.argv        # -m stands in place of the file's name until Python has found that
    if words[:1] != ["-m"]:
        return False
    name = sys.orig_argv[-len(words)].removeprefix("-m")
    return name == package or name.startswith(package + ".")


class Interrupts:
    """A context in which SIGINT raises KeyboardInterrupt in the main thread; on leaving, it does what it did before.

    Where Python cannot raise it, in a callback or a destructor, nothing is printed, and it is raised a moment later.
    SIGINT stays ignored where it was (nohup, `&` in a script).

    Attributes
    ----------
    came : bool
        Whether one came; what a library raises instead of KeyboardInterrupt is then that.
    """

    def __init__(self):
        self.came = False
        self._leave = contextlib.ExitStack()

    def __enter__(self):
        # not above: what is imported there is imported before Ctrl-C is taken care of
        import threading

        if threading.current_thread() is threading.main_thread() and (
                signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler)):
            hook = sys.unraisablehook
            self._leave.callback(setattr, sys, "unraisablehook", hook)
            sys.unraisablehook = lambda unraisable: self._unraisable(unraisable, hook)
            self._leave.callback(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT))
            signal.signal(signal.SIGINT, self._raise)
        return self

    def __exit__(self, *exc_info):
        self._leave.close()

    def _raise(self, number, frame):
        self.came = True
        raise KeyboardInterrupt

    @staticmethod
    def _unraisable(unraisable, hook):
        if not issubclass(unraisable.exc_type, KeyboardInterrupt):
            hook(unraisable)
            return
        _thread.start_new_thread(_send_again, ())       # does not wait for the thread, unlike threading's


def _send_again():
    time.sleep(AGAIN)
    os.kill(os.getpid(), signal.SIGINT)


@contextlib.contextmanager
def without_interrupts():
    """Hold SIGINT back in this thread, and for good in the processes that are started: Ctrl-C is for this process.

    A signal that comes meanwhile reaches this process at the end of the block at the latest.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
