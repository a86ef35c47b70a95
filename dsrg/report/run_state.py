"""The state of a run in words and numbers: which stage, how far, which losses, how long still, the last warning."""

import os
import time
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.regular_files import open_regular
from dsrg.pipeline.run_record import read_record
from dsrg.report.run_contents import TRAININGS, parse_log, read_data_set, read_results, read_stages
from dsrg.report.run_results import read_run
from dsrg.report.run_warnings import run_warnings

RECENT = 50             # iterations that losses and speed are means of
TAIL = 100_000          # bytes of the end of a log that they are read from
#: folders of label maps by the stage that fills them, with the list of their photos
LABEL_MAPS = {"label": ("labels", "train"),
              **{f"segment-{model}": (f"segmentations/{model}", "val") for model in ("static", "s", "f", "full")}}
STATES = ("running", "done", "stopped", "failed", "killed", "not begun")


def read_state(folder, warnings=True):
    """The state of a run.

    Parameters
    ----------
    folder : path
    warnings : bool
        Whether to look for them, for which whole logs are read.

    Returns
    -------
    dict
        "run": name; "state": one of STATES; "stage", "number" (1..), "of": the stage in work or the last one begun,
        None where nothing is known of it; "stages": {name: "done", "not finished", "to do" or "left out"};
        "progress": {"unit", "done", "of", "seconds_left"} of the stage, or None ("of" and "seconds_left" may be None);
        "training": {"losses": {name: mean}, "rate", "seconds": an iteration's, "age": seconds since the last} or None;
        "seconds": since the run began, or None; "status": exit status of a run that ended; "warnings": list of str.

    Raises
    ------
    UserError
        A folder that is no run.
    """
    folder = Path(folder)
    record, stages = read_record(folder), {one["name"]: one["state"] for one in read_stages(folder)}
    if not record and not stages and not list(folder.glob("*solver*.prototxt")):
        raise UserError(f"{folder}: not the folder of a run{_known_runs(folder)}")
    names = record.get("stages") or list(stages)
    left_out = record.get("left_out", {})
    shown = {name: "left out" if name in left_out else stages.get(name, "to do")
             for name in dict.fromkeys([*stages, *names])}
    stage = record.get("stage") or next((name for name, state in stages.items() if state != "done"), None)
    began = record.get("began")
    ended = record.get("ended") or time.time()
    number = record.get("number") or (names.index(stage) + 1 if stage in names else None)
    return {"run": folder.resolve().name, "state": record.get("state") or _state_without(record, stages),
            "stage": stage, "number": number, "of": len(names) or None, "stages": shown,
            **_training(folder, stage, record.get("iterations", {})),
            "seconds": None if began is None else round(max(0.0, ended - began), 1), "status": record.get("status"),
            "warnings": _warnings(folder) if warnings else []}


def _state_without(record, stages):
    """Of a folder without a record, as earlier versions left it: what its stamps tell."""
    if not stages:
        return "not begun"
    return "done" if set(stages.values()) == {"done"} else "stopped"


def _known_runs(folder):
    """' (in work: a, b)' of the runs that lie beside."""
    parent = folder.parent
    found = sorted(path.name for path in parent.iterdir() if (path / "stamps").is_dir()) if parent.is_dir() else []
    return f"; beside it are {', '.join(found[:8])}" if found else "; give one such as work/demo"


def _training(folder, stage, iterations):
    """"progress" and "training" of the stage in work."""
    if stage in TRAININGS:
        log = folder / "logs" / f"{stage}.jsonl"
        told = parse_log(_tail(log))
        end = iterations.get(stage)
        if not len(told["iteration"]):
            return {"progress": {"unit": "iterations", "done": 0, "of": end, "seconds_left": None}, "training": None}
        done, seconds = int(told["iteration"][-1]) + 1, _mean(told["seconds"])
        left = None if end is None or seconds is None else round(max(0, end - done) * seconds, 1)
        return {"progress": {"unit": "iterations", "done": done, "of": end, "seconds_left": left},
                "training": {"losses": {name: _mean(values) for name, values in told["losses"].items()},
                             "rate": _mean(told["lr"][-1:]), "seconds": seconds,
                             "age": round(max(0.0, time.time() - log.stat().st_mtime), 1)}}
    if stage in LABEL_MAPS:
        where, photos = LABEL_MAPS[stage]
        data_set = read_data_set(folder)
        done = sum(1 for path in (folder / where).rglob("*.png") if not path.name.startswith("."))
        return {"progress": {"unit": "photos", "done": done, "of": len(data_set[photos]) if data_set else None,
                             "seconds_left": None}, "training": None}
    return {"progress": None, "training": None}


def _tail(path):
    """The last lines of a log, RECENT of them at most; the first line read may be cut off."""
    try:
        with open_regular(path, "log") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
            return file.read().decode("utf-8", errors="replace").splitlines()[-RECENT:]
    except (OSError, UserError):
        return []


def _mean(values):
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _warnings(folder):
    """As on the page of the run, without what only the cue file tells."""
    try:
        run = read_run(folder)
    except UserError:
        return []
    logs = {}
    for name in TRAININGS:
        path = folder / "logs" / f"{name}.jsonl"
        if path.is_file() and len((log := _whole_log(path))["iteration"]):
            logs[name] = log
    try:
        return run_warnings(run, read_results(folder), logs, read_data_set(folder), None)
    except (ValueError, KeyError, TypeError):       # a result that cannot be read is for the stage report to say
        return []


_read = {}      # log -> (size and time of its file, what was read)


def _whole_log(path):
    """A log, read again only where its file has changed."""
    now = path.stat()
    key = now.st_size, now.st_mtime_ns
    if _read.get(path, (None,))[0] != key:
        _read[path] = key, parse_log(path.read_text(encoding="utf-8", errors="replace").splitlines())
    return _read[path][1]
