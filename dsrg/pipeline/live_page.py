"""The page of a run while it goes on: made anew after every stage, by a process that the stages never wait for."""

import contextlib
import os
import subprocess
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.regular_files import read_file
from dsrg.pipeline.processes import die_with_parent
from dsrg.pipeline.stage import python

PAGE = "report.html"
LOG = "logs/page.log"
LEAST_PAUSE = 60        # seconds between two pages of one stage
SHARE = 50              # and at least so many times the seconds that the last page took
SHARE_OF_ENDS = 40      # the same of two pages between which stages ended
MOST_PAUSE = 600        # but no more: a page of a quarter of an hour ago says that the run may have ended
LAST_PAGE = 120         # seconds that the end of a run waits for its page
#: what is between these in a page exists while the run goes on only
LIVE, END = "<!-- live -->", "<!-- end of live -->"


def _no_link(path, flags):
    """An opener for `open`: a link in a folder of runs does not lead to a file that is written over."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


class LivePage:
    """Makes report.html of a run folder again and again; whatever happens to it, the run goes on.

    Parameters
    ----------
    folder : Path
    environment : dict
        Of the process that makes it.
    """

    def __init__(self, folder, environment):
        self._folder, self._environment = Path(folder), environment
        self._child, self._due, self._began, self._next, self._soon = None, False, 0.0, 0.0, 0.0

    def stage_done(self):
        """A stage ended: make the page, or note that it is due where one is being made or has been a moment ago."""
        self._due = True
        self.while_running()

    def while_running(self):
        """To be called now and then: makes the page when it is due, or old."""
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._child, took = None, time.monotonic() - self._began
            self._next = time.monotonic() + min(MOST_PAUSE, max(LEAST_PAUSE, SHARE * took))
            self._soon = time.monotonic() + min(MOST_PAUSE, SHARE_OF_ENDS * took)
        if time.monotonic() >= (self._soon if self._due else self._next):
            self._start()

    def close(self, render=True):
        """The run ended: the page no longer renews itself.

        Parameters
        ----------
        render : bool
            Make it once more where the last stage is not on it.
        """
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(LAST_PAGE if render else 5)
        self._kill()
        if render and self._due:
            self._start()
            if self._child is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(LAST_PAGE)
            self._kill()
        without_live(self._folder / PAGE)

    def forget(self):
        """Another makes the page now, the stage report: end what makes it here."""
        self._kill()
        self._due, self._next = False, float("inf")

    def _start(self):
        def in_child():
            die_with_parent()
            os.nice(15)

        self._due, self._began = False, time.monotonic()
        with contextlib.suppress(OSError), open(self._folder / LOG, "wb", opener=_no_link) as log:
            self._child = subprocess.Popen(python("tools.report", ".", "--page-only"), cwd=self._folder,
                                           env=self._environment, stdin=subprocess.DEVNULL, stdout=log,
                                           stderr=subprocess.STDOUT, process_group=0, preexec_fn=in_child)

    def _kill(self):
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()
        self._child = None


def without_live(path):
    """Take what exists only while a run goes on out of a page.

    Parameters
    ----------
    path : Path
        Of the page; there need be none.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError, UserError):
        text = read_file(path, "page").decode()
        before, live, rest = text.partition(LIVE)
        if live and END in rest:
            write_text(path, before + rest.partition(END)[2])
