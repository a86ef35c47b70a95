"""What a run is doing, in one small file of its folder, for those who watch it.

The file says which stages were asked for, which one is in work, and how the run ended. A run that is killed cannot say
so: the file names its process so exactly (machine, boot, start) that a reader can tell whether it still lives.
"""

import contextlib
import json
import os
import re
import socket
import time
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, read_mapping

RECORD = "logs/run-state.json"
STATES = ("running", "done", "stopped", "failed")
LONGEST = 3.2e10    # seconds since 1970 that a record may name: a thousand years


class RunRecord:
    """Keeps the file of one run.

    Parameters
    ----------
    run : Run
    rows : list of Stage
        That were asked for.
    """

    def __init__(self, run, rows):
        self._path = run.folder / RECORD
        left_out = {row.name: reason for row in rows if (reason := _left_out(row, run))}
        self._said = {"process": _identity(os.getpid()), "host": socket.gethostname(), "began": time.time(),
                      "stages": [row.name for row in rows], "left_out": left_out, "iterations": _iterations(run, rows),
                      "stage": None, "number": 0, "stage_began": None, "state": "running", "status": None}
        self._write()

    def begin(self, name, number):
        """A stage begins.

        Parameters
        ----------
        name : str
        number : int
            Its place among those asked for, from 1.
        """
        self._said |= {"stage": name, "number": number, "stage_began": time.time()}
        self._write()

    def end(self, state, status=0):
        """The run ends.

        Parameters
        ----------
        state : str
            'done', 'stopped' (by a signal) or 'failed'.
        status : int
            Its exit status.
        """
        self._said |= {"state": state, "status": status, "ended": time.time()}
        self._write()

    def _write(self):
        with contextlib.suppress(UserError):    # who watches must not keep a run from going on
            write_text(self._path, json.dumps(self._said, indent=1) + "\n")


def read_record(folder):
    """What a run keeps of itself.

    Parameters
    ----------
    folder : path
        Of the run.

    Returns
    -------
    dict
        "state": 'running', 'done', 'stopped', 'failed', or 'killed' where its process is gone without a word (a process
        of another machine is taken at its word); "stages": list of str; "stage", "number": of the one in work or the
        last; "left_out": {stage: why}; "iterations": {training stage: its last}; "began", "stage_began", "ended":
        seconds since 1970; "status". {} where there is no record; a value of another form is not among them.
    """
    record = {name: value for name, value in read_mapping(Path(folder, RECORD)).items() if _fits(name, value)}
    if record.get("state") == "running" and record.get("host") == socket.gethostname():
        process = record.get("process")         # None where the system has no /proc
        if process is not None and (not isinstance(process, dict) or _identity(process.get("id")) != process):
            record["state"] = "killed"
    return record


def _fits(name, value):
    """Whether a value of the file, which may have been edited or damaged, has the form that its readers expect."""
    if name in ("began", "stage_began", "ended"):
        return is_number(value) and 0 <= value <= LONGEST
    if name in ("number", "status"):
        return _is_count(value)
    if name in ("left_out", "iterations"):
        form = _is_text if name == "left_out" else _is_count
        return isinstance(value, dict) and all(map(form, value.values()))
    if name == "stages":
        return isinstance(value, list) and all(map(_is_text, value))
    return {"state": value in STATES if _is_text(value) else False, "stage": _is_text(value),
            "host": _is_text(value), "process": True}.get(name, False)


def _is_text(value):
    return isinstance(value, str)


def _is_count(value):
    return type(value) is int and 0 <= value < 10 ** 12


def _identity(number):
    """{"id", "start", "boot"} of a process that lives, None else; no process later has the same three."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        fields = Path(f"/proc/{int(number)}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2]
    except (OSError, TypeError, ValueError, OverflowError):
        return None
    return {"id": int(number), "start": int(fields.split()[19]), "boot": boot}


def _left_out(row, run):
    try:
        return row.left_out(run)
    except UserError:           # it depends on what an earlier stage has yet to make
        return None


def _iterations(run, rows):
    """{training stage: the iteration it ends with}."""
    found = {}
    for row in rows:
        with contextlib.suppress(UserError):
            for name in row.makes(run).files[:1]:
                if match := re.search(r"_iter_(\d+)\.caffemodel", name):
                    found[row.name] = int(match[1])
    return found
