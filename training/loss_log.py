"""What a training run shows and keeps of its losses: a bar or plain lines, and a file of JSON lines."""

import json
import sys
import time
from collections import deque
from pathlib import Path

from tqdm import tqdm

from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError

SECONDS_BETWEEN_LINES = 10      # plain lines, where the solver's `display` gives no number of iterations


class Progress:
    """Reports iterations as they are done.

    Parameters
    ----------
    name : str
        What is trained, in front of the bar.
    start, end : int
        Iterations done before and after the run.
    average_loss : int
        Window of the shown losses, as the solver's field of that name.
    display : int
        Iterations between two plain lines; 0 for one every ten seconds.
    silent : bool
        Show nothing (all but one of several processes).

    A bar where stderr is a terminal, plain lines elsewhere.
    """

    def __init__(self, name, start, end, average_loss=1, display=0, silent=False):
        self._name, self._end, self._display = name, end, display
        self._window = max(1, average_loss)
        self._recent = {}           # loss name -> its last values
        self._started = self._last_line = time.monotonic()
        self._start = start
        self._silent = silent
        self._bar = None
        if sys.stderr.isatty() and not silent:
            self._bar = tqdm(total=end, initial=start, desc=name, unit="it", dynamic_ncols=True)

    def step(self, done, rate, losses):
        """Iteration number `done` is complete, at learning rate `rate` (None: not known), with `losses` by name."""
        for name, value in losses.items():
            self._recent.setdefault(name, deque(maxlen=self._window)).append(value)
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown(rate), refresh=False)
            self._bar.update()
        elif not self._silent and self._line_is_due(done):
            self._last_line = time.monotonic()
            speed = (self._last_line - self._started) / (done - self._start)
            line = f"{self._name}: {done}/{self._end}, {self._shown(rate)}, {speed:.2f} s/it"
            print(line, file=sys.stderr, flush=True)

    def close(self):
        """End the bar; lines printed later stand below it."""
        if self._bar is not None:
            self._bar.close()

    def _line_is_due(self, done):
        if done == self._end:
            return True
        if self._display:
            return done % self._display == 0
        return time.monotonic() - self._last_line >= SECONDS_BETWEEN_LINES

    def _shown(self, rate):
        means = {name: sum(values) / len(values) for name, values in self._recent.items()}
        shown = [f"{name} {mean:.4g}" for name, mean in means.items()]
        return ", ".join(shown if rate is None else [*shown, f"lr {rate:.3g}"])


class LossLog:
    """JSON lines of a run: iteration (as Caffe counts: updates done before it), lr, losses, seconds.

    Parameters
    ----------
    path : str or Path
    start : int
        The first iteration that will be written. What an earlier run wrote of later ones is dropped, so that the
        log of a resumed run reads like that of an unbroken one; at 0 the file begins anew.
    """

    def __init__(self, path, start=0):
        self._path = Path(path)
        kept = [line for line in self._old_lines() if line["iteration"] < start] if start else []
        with atomic_write(self._path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        try:
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        except OSError as error:
            raise UserError(f"log {self._path} cannot be written: {error.strerror}") from None

    def _old_lines(self):
        """The lines of an earlier run; one that was cut off by a kill is left out."""
        lines = []
        if self._path.is_file():
            for text in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    lines.append(json.loads(text))
                except json.JSONDecodeError:
                    continue
        return lines

    def write(self, iteration, rate, losses, seconds):
        """Append one line and hand it to the system, so that a killed run keeps it."""
        line = {"iteration": iteration, "lr": rate, "losses": losses, "seconds": round(seconds, 4)}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self):
        self._file.close()
