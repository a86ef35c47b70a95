"""What a training run shows and keeps of its losses: a bar or plain lines, and a file of JSON lines."""

import contextlib
import json
import re
import time
from collections import deque
from pathlib import Path

from tqdm import tqdm

from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, parse_json
from dsrg.io.output_folders import refuse_other_content
from dsrg.io.progress_bar import PlainLines
from dsrg.io.terminal import is_quiet, shows_bars

#: also of a log whose first line a kill cut off
_BEGINS = re.compile(rb'\{"iteration": |' + b"|".join(re.escape(b'{"iteration": '[:k]) + b"$" for k in range(1, 14)))


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
        Iterations between two plain lines, 0 for one every ten seconds; one comes at least every 30 seconds.
    silent : bool
        Show nothing (all but one of several processes).
    earlier : float
        Seconds that the iterations before `start` took.

    A bar where stderr is a terminal, plain lines elsewhere, nothing with --quiet.
    """

    def __init__(self, name, start, end, average_loss=1, display=0, silent=False, earlier=0.0):
        self._end, self._display, self._window = end, display, max(1, average_loss)
        self._recent = {}           # loss name -> its last values
        self._bar = self._lines = None
        if silent or is_quiet():
            return
        if shows_bars():
            self._bar = tqdm(total=end, initial=start, desc=name, unit="it", dynamic_ncols=True)
        else:
            self._lines = PlainLines(name, end, start, earlier)

    def step(self, done, rate, losses):
        """Iteration number `done` is complete, at learning rate `rate` (None: not known), with `losses` by name.

        Parameters
        ----------
        done : int
        rate : float or None
        losses : dict of str to float
        """
        for name, value in losses.items():
            self._recent.setdefault(name, deque(maxlen=self._window)).append(value)
        if self._bar is not None:
            self._bar.set_postfix_str(self._shown(rate), refresh=False)
            self._bar.update()
        elif self._lines is not None:
            due = done == self._end or done % self._display == 0 if self._display else None
            self._lines.update(done, self._shown(rate), due)

    def close(self):
        """End the bar; lines printed later stand below it."""
        for shown in (self._bar, self._lines):
            if shown is not None:
                shown.close()

    def _shown(self, rate):
        means = {name: sum(values) / len(values) for name, values in self._recent.items()}
        shown = [f"{name} {mean:.4g}" for name, mean in means.items()]
        return ", ".join(shown if rate is None else [*shown, f"lr {rate:.3g}"])


class LossLog:
    """JSON lines of a run: iteration (as Caffe counts: updates done before it), lr, losses, seconds, elapsed.

    `seconds` is the time of the iteration; `elapsed` that of the training so far, all its parts with what was done
    between a last snapshot and a kill, and done again.

    Parameters
    ----------
    path : str or Path
    start : int
        The first iteration that will be written. What an earlier run wrote of later ones is dropped, so that the
        log of a resumed run reads like that of an unbroken one; at 0 the file starts afresh.

    Attributes
    ----------
    earlier : float
        Seconds that earlier parts of the training took.
    """

    def __init__(self, path, start=0):
        self._path = Path(path)
        refuse_other_content(self._path, _BEGINS, "a log of losses")
        old = self._old_lines() if start else []
        kept = [line for line in old if line["iteration"] < start]
        self.earlier = _time_of(old)
        self._started = time.monotonic()
        with atomic_write(self._path) as temporary:
            temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        try:
            self._file = open(self._path, "a", encoding="utf-8")  # noqa: SIM115 (open as long as the run)
        except OSError as error:
            raise self._failed(error) from None

    def _old_lines(self):
        """The lines of an earlier run; one that was cut off by a kill is left out."""
        lines = []
        if self._path.is_file():
            for text in self._path.read_text(encoding="utf-8", errors="replace").splitlines():
                try:
                    line = parse_json(text)
                except ValueError:
                    continue
                if isinstance(line, dict) and is_number(line.get("iteration")):
                    lines.append(line)
        return lines

    def write(self, iteration, rate, losses, seconds):
        """Append one line and hand it to the system, so that a killed run keeps it.

        Parameters
        ----------
        iteration : int
        rate : float or None
        losses : dict of str to float
        seconds : float
        """
        line = {"iteration": iteration, "lr": rate, "losses": losses, "seconds": round(seconds, 4),
                "elapsed": round(self.elapsed(), 2)}
        try:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from None

    def _failed(self, error):
        return UserError(f"log {self._path} cannot be written: {error.strerror}; free space, or give another --log; "
                         "--resume goes on from the last snapshot")

    def elapsed(self):
        """Seconds of training, those of earlier parts too."""
        return self.earlier + time.monotonic() - self._started

    def close(self):
        """Close the file.
        """
        with contextlib.suppress(OSError):      # what could not be written was said when it was
            self._file.close()


def _time_of(lines):
    """Seconds that a log tells: its last `elapsed`, or the sum of its iterations where it was written without."""
    if lines and is_number(lines[-1].get("elapsed")):
        return float(lines[-1]["elapsed"])
    return float(sum(seconds for line in lines if is_number(seconds := line.get("seconds"))))
