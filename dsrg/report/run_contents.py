"""What lies in the folder of a run besides its results: logs, stages, data set, cues. What is missing is left out."""

import math
from pathlib import Path

import numpy as np

from dsrg.cuefile.format import CueError, load_cues
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError
from dsrg.io.image_ids import by_id
from dsrg.io.image_labels import read_image_labels
from dsrg.io.json_files import parse_json
from dsrg.io.lists import read_ids, read_input_list
from dsrg.pipeline.stages import STAGES
from dsrg.report.run_records import read_result, read_stamp
from dsrg.report.run_results import ROWS

#: trainings in the order of the pipeline, by the names of their logs
TRAININGS = {"cam": "classifier", "static": "static seeds", "train-s": "stage s", "train-f": "stage f",
             "full": "fully supervised"}

LARGEST = 1e39      # of a number in a log: a little above the end of float32, in which training computes


def read_log(path):
    """A training's log of losses; see `parse_log`."""
    return parse_log(Path(path).read_text(encoding="utf-8", errors="replace").splitlines())


def parse_log(texts):
    """Lines of a training's log of losses.

    Parameters
    ----------
    texts : iterable of str

    Returns
    -------
    dict
        "iteration": int64 (n,), "lr" and "seconds": float64 (n,), "losses": {name: float64 (n,)}; nan where a line has
        no value, infinity where it is beyond LARGEST. Lines that a kill cut off do not count.
    """
    lines = []
    for text in texts:
        try:
            line = parse_json(text)
            lines.append((_iteration(line["iteration"]), _number(line.get("lr")), _number(line.get("seconds")),
                          {str(name): _number(value) for name, value in line["losses"].items()}))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue
    names = list(dict.fromkeys(name for *_, losses in lines for name in losses))
    return {"iteration": np.array([line[0] for line in lines], np.int64),
            "lr": np.array([line[1] for line in lines], float),
            "seconds": np.array([line[2] for line in lines], float),
            "losses": {name: np.array([line[3].get(name, math.nan) for line in lines], float) for name in names}}


def read_logs(folder):
    """{training: log} of those that have a line, in the order of the pipeline."""
    logs = {}
    for name in TRAININGS:
        path = Path(folder, "logs", f"{name}.jsonl")
        if path.is_file() and len((log := read_log(path))["iteration"]):
            logs[name] = log
    return logs


def read_results(folder):
    """{row of run_results.ROWS: the whole result} of those evaluated; see tools.evaluate for what one holds."""
    results = {}
    for name, *_ in ROWS:
        path = Path(folder, "results", f"{name}.json")
        if path.is_file():
            results[name] = read_result(path)
    return results


def read_stages(folder):
    """The stages that were run or begun, in the order of the pipeline.

    Returns
    -------
    list of dict
        "name", "state" ("done" or "not finished"), "seconds" and "peak_mib" (None where not known), "finished" (text),
        "resumed" (whether it went on after an interruption, None where not known), "set_aside" (results of earlier
        inputs in stale/), "command" (list of str).
    """
    folder = Path(folder)
    names = {path.stem for pattern in ("*.json", "*.begun") for path in (folder / "stamps").glob(pattern)}
    order = {name: place for place, name in enumerate(stage.name for stage in STAGES)}
    stages = []
    for name in sorted(names, key=lambda n: (order.get(n, len(order)), n)):
        record = read_stamp(folder / "stamps" / f"{name}.json")
        begun = {} if record else read_stamp(folder / "stamps" / f"{name}.begun")
        stages.append({"name": name, "state": "done" if record else "not finished",
                       "seconds": record.get("seconds", begun.get("seconds")),
                       "peak_mib": record.get("peak_mib", begun.get("peak_mib")),
                       "finished": record.get("finished", ""), "resumed": record.get("resumed"),
                       "set_aside": len(list((folder / "stale").glob(f"{name}-[0-9]*"))),
                       "command": record.get("command", [])})
    return stages


def read_data_set(folder):
    """Class names, and photos by list and class.

    Returns
    -------
    dict or None
        "classes": list of str; "train" and "val": list of ids, [] without a list; "counts": {list: int64 (C,)}, photos
        labelled with each class, of the lists that have labels. None before the stage lists.
    """
    lists = Path(folder, "lists")
    try:
        classes = read_classes(lists / "classes.txt")
    except UserError:
        return None
    ids = {name: _ids(lists / f"{name}_id.txt") for name in ("train", "val")}
    try:
        labels = read_image_labels(lists / "image_labels.txt", len(classes))
    except UserError:
        labels = {}
    counts = {}
    for name, members in ids.items():
        known = [labels[one] for one in members if one in labels]
        if known:
            counts[name] = np.bincount([c for classes_of in known for c in classes_of], minlength=len(classes))
    return {"classes": classes, **ids, "counts": counts, "labels": labels}


def open_cues(folder):
    """The run's cues, or None."""
    for path in sorted(Path(folder, "cues").glob("localization_cues*.[np]*")):
        if path.suffix in (".npz", ".pickle", ".pkl"):
            try:
                return load_cues(path)
            except (CueError, OSError):
                return None
    return None


def photo_numbers(folder):
    """{image id: number, the key of the photo in the cue file}; {} before the stage lists."""
    try:
        photos = read_input_list(Path(folder, "lists/input_list.txt"))
        return by_id((name, number) for number, name in photos.items())
    except UserError:
        return {}


def spread(items, count):
    """`count` of a list at even distances."""
    if not items or count <= 0:
        return []
    return [items[n] for n in np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).astype(int))]


def _number(value):
    number = math.nan if value is None else float(value)
    return number if abs(number) <= LARGEST else number * math.inf


def _iteration(value):
    if type(value) is not int or not 0 <= value < 2**53:
        raise ValueError("no number of an iteration")
    return value


def _ids(path):
    try:
        return read_ids(path)
    except UserError:
        return []
