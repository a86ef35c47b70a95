"""How far a loop is: a bar on a terminal, plain lines elsewhere."""

import sys
import threading
import time

from tqdm import tqdm

from dsrg.io.terminal import is_quiet, shows_bars

SECONDS_BETWEEN_LINES = 10  # while steps are done
LONGEST_SILENCE = 30        # while one step takes longer: a log that stands still looks like a hang


def progress(iterable, desc, total=None):
    """Yield the items of `iterable` under a progress bar; plain lines where stderr is no terminal, none with --quiet.

    Parameters
    ----------
    desc : str
        What is counted, in front of the bar.
    total : int, optional
        Number of items; by default `len(iterable)` where it has one.

    Yields
    ------
    object
        The items.
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    if shows_bars():
        yield from tqdm(iterable, desc=desc, total=total, dynamic_ncols=True)
        return
    lines = PlainLines(desc, total)
    try:
        for done, item in enumerate(iterable, 1):
            yield item
            lines.update(done)
    finally:
        lines.close()


class PlainLines:
    """Lines on stderr about a loop: count, time that has passed, time left, rate.

    A line at the end, one every ten seconds while steps are done, and one after 30 seconds without any, from a thread
    of its own.

    Parameters
    ----------
    desc : str
    total : int, optional
        Steps in all.
    initial : int
        Steps done before.
    earlier : float
        Seconds that those took: they count as passed, not for the rate.
    """

    def __init__(self, desc, total=None, initial=0, earlier=0.0):
        self._desc, self._total, self._initial, self._earlier = desc, total, initial, earlier
        self._done, self._note, self._told = initial, "", None
        self._started = self._printed = time.monotonic()
        self._lock, self._closed = threading.Lock(), threading.Event()
        threading.Thread(target=self._break_silence, daemon=True).start()

    def update(self, done, note="", due=None):
        """`done` steps are complete.

        Parameters
        ----------
        note : str
            Stands in the line behind the count.
        due : bool, optional
            Whether to print a line now; by default after ten seconds.
        """
        with self._lock:
            self._done, self._note = done, note
            if due or (due is None and time.monotonic() - self._printed >= SECONDS_BETWEEN_LINES):
                self._print()

    def close(self):
        """Print the progress made unless the last line shows it; nothing is printed later."""
        with self._lock:
            if not self._closed.is_set() and self._told != self._done:
                self._print()
            self._closed.set()

    def _break_silence(self):
        while not self._closed.wait(max(0.01, self._printed + LONGEST_SILENCE - time.monotonic())):
            with self._lock:
                if not self._closed.is_set() and time.monotonic() - self._printed >= LONGEST_SILENCE:
                    self._print()

    def _print(self):
        self._printed, self._told = time.monotonic(), self._done
        if is_quiet():
            return
        print(self.line(self._printed - self._started), file=sys.stderr, flush=True)

    def line(self, seconds):
        """The line after so many seconds; a rate below one a second is given as seconds a step.

        Parameters
        ----------
        seconds : float
            Since this part of the work began.

        Returns
        -------
        str
        """
        note = f", {self._note}".replace("{", "{{").replace("}", "}}") if self._note else ""
        passed = tqdm.format_interval(self._earlier + seconds)
        count = "{n_fmt}/{total_fmt}" if self._total is not None else "{n_fmt}"
        left = ", {remaining} left" if self._total is not None else ""
        return self._desc + tqdm.format_meter(self._done, self._total, seconds, initial=self._initial,
                                              bar_format=f": {count}{note}, {passed} passed{left}, {{rate_fmt}}")
