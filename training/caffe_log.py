"""A training's log as Caffe prints it, line by line, for the scripts that people have for Caffe's logs.

Tools that read such logs look for "Iteration N", "loss = x", "lr = x" and "Train net output #k: name = x", and take the
time from the head that glog gives each line. Caffe itself prints them to stderr among everything else; here a file has
nothing but them, and a resumed training goes on in it.
"""

import os
import re
import time
from collections import deque
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.output_folders import refuse_other_content
from dsrg.io.regular_files import read_file

DISPLAY = 20            # iterations between two reports where the solver has no `display`
LARGEST_OUTPUT = 64     # values of an output that are listed; a map that nothing consumes is no number to follow


class CaffeLog:
    """Lines for every `display`-th iteration: smoothed loss, the net's outputs, learning rate.

    Parameters
    ----------
    path : str or Path
    solver : pycaffe solver
        Its `net` is asked for outputs and their weights in the loss.
    name : str
        Of the net, for the line that says that the training begins.
    start : int
        The first iteration that will be written. What an earlier run wrote of later ones is dropped; at 0 the file
        starts afresh.
    display, average_loss : int
        The solver's; 0 stands for DISPLAY.
    """

    def __init__(self, path, solver, name, start=0, display=0, average_loss=1):
        self._path, self._net, self._display = Path(path), solver.net, display or DISPLAY
        self._recent = deque(maxlen=max(1, average_loss))
        refuse_other_content(self._path, re.compile(rb"[IWEF]\d{4} |Log file created"), "a log of Caffe's")
        kept = _before(self._path, start) if start else ""
        write_text(self._path, kept or self._line("solver.cpp:300", f"Solving {name}"))

    def write(self, iteration, rate, losses, seconds):
        """Iteration number `iteration` (updates done before it) is complete.

        Parameters
        ----------
        iteration : int
        rate : float or None
        losses : dict of str to float
        seconds : float
            Of the iteration.
        """
        weights = self._net.blob_loss_weights
        self._recent.append(sum(float(weights[name]) * value for name, value in losses.items()))
        if iteration % self._display:
            return
        lines = [self._line("solver.cpp:228", f"Iteration {iteration}, loss = {np.mean(self._recent):.6g}")]
        values = [(name, value) for name, array in self._outputs().items() for value in array]
        for number, (name, value) in enumerate(values):
            weight = float(weights[name])
            share = f" (* {weight:g} = {weight * value:.6g} loss)" if weight else ""
            lines.append(self._line("solver.cpp:244", f"    Train net output #{number}: {name} = {value:.6g}{share}"))
        if rate is not None:
            lines.append(self._line("sgd_solver.cpp:106", f"Iteration {iteration}, lr = {rate:.6g}"))
        try:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write("".join(lines))
        except OSError as error:
            raise UserError(f"log {self._path} cannot be written: {error.strerror}; free space, or leave out "
                            "--caffe-log; --resume goes on from the last snapshot") from None

    def _outputs(self):
        """{name: float array (n,)} of the net's outputs, in its order."""
        blobs = self._net.blobs
        return {name: np.ravel(blobs[name].data) for name in self._net.outputs if blobs[name].count <= LARGEST_OUTPUT}

    def _line(self, source, message):
        now = time.time()
        stamp = time.strftime("%m%d %H:%M:%S", time.localtime(now))
        return f"I{stamp}.{int(now % 1 * 1e6):06d} {os.getpid():5d} {source}] {message}\n"

    def close(self):
        """Nothing is held open."""


def _before(path, start):
    """What a log says of iterations before `start`; lines that a kill cut off are left out."""
    kept = []
    try:
        text = read_file(path, "log").decode("utf-8", errors="replace")
    except UserError:
        return ""
    for line in text.splitlines(keepends=True):
        match = re.search(r"Iteration (\d+)", line)
        if not line.endswith("\n") or (match and int(match[1]) >= start):
            break
        kept.append(line)
    return "".join(kept)
