"""Child processes of a run: signals are passed on to them once, and none outlives the run."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_PDEATHSIG = 1


class Stopped(Exception):
    """The run was asked to stop; `number` is the signal."""

    def __init__(self, number):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


@dataclass(frozen=True)
class Ended:
    """How a child ended: exit status as a shell gives it, and the largest memory of it or one of its own, in MiB."""

    status: int
    peak_mib: int


def die_with_parent():
    """Ask Linux to kill this process when its parent dies, be it by SIGKILL. For a child, before or after exec."""
    libc = ctypes.CDLL(None, use_errno=True)
    if hasattr(libc, "prctl"):
        libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def dying_with(parent):
    """A preexec_fn for children of this process: they die when it does, and take the signals that a run passes on.

    Parameters
    ----------
    parent : int
        os.getpid() of this process.

    Returns
    -------
    callable
    """
    def in_child():
        die_with_parent()
        if os.getppid() != parent:          # it died before it could be asked for
            os._exit(1)
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)

    return in_child


@contextlib.contextmanager
def _end_of(pid):
    """What waits for the end of a child, but no longer than so many seconds; it may come back before either.

    A signal that comes just before the wait is acted on after it: no wait takes more than a second.
    """
    try:
        ended = os.pidfd_open(pid)
    except (AttributeError, OSError):           # not Linux, or one older than 5.3
        yield lambda seconds: time.sleep(min(max(seconds, 0.0), 0.05))
        return
    try:
        yield lambda seconds: select.select([ended], [], [], min(max(seconds, 0.0), 1.0))
    finally:
        os.close(ended)


class Children:
    """Runs commands one after another, and passes on what asks this process to stop.

    The child has a process group of its own, so that Ctrl-C in a terminal reaches it once, through this process, and
    not also from the terminal. It is asked by SIGINT whatever the signal was: trainings end their iteration and take a
    snapshot, other commands end between two files. Signals that were ignored when this process started (nohup) stay so.

    Used as a context; in it, a signal while no child runs raises Stopped.

    Attributes
    ----------
    wanted : int
        The first signal that asked to stop, or 0.
    """

    def __init__(self):
        self.wanted = 0
        self._child = None
        self._before = {}

    def __enter__(self):
        for number in FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._pass_on)
        return self

    def __exit__(self, *exc_info):
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _pass_on(self, number, frame):
        first, self.wanted = not self.wanted, self.wanted or number
        if self._child is None:
            if first:
                raise Stopped(number)
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child.pid, signal.SIGINT)

    def run(self, command, folder, environment, every=lambda seconds: None, interval=20.0):
        """Run a command to its end.

        Parameters
        ----------
        command : sequence of str
        folder : path
            Its working directory.
        environment : dict
        every : callable
            Called with the seconds since the start, about every `interval` seconds.

        Returns
        -------
        Ended

        Raises
        ------
        Stopped
            Before the child is started.
        """
        started = last = time.monotonic()
        signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
        try:
            # the child is known before a signal can come that must reach it
            self._child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                           process_group=0, preexec_fn=dying_with(os.getpid()))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
        try:
            with _end_of(self._child.pid) as wait:
                while True:
                    pid, status, usage = os.wait4(self._child.pid, os.WNOHANG)
                    if pid:
                        break
                    if time.monotonic() - last >= interval:
                        last = time.monotonic()
                        every(last - started)
                    wait(last + interval - time.monotonic())
            self._child.returncode = os.waitstatus_to_exitcode(status)
        except BaseException:
            self._child.kill()
            raise
        finally:
            child, self._child = self._child, None
        code = child.returncode
        return Ended(code if code >= 0 else 128 - code, usage.ru_maxrss // 1024)
