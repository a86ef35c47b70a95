"""What a person should know before believing a run's numbers."""

import re

import numpy as np

from dsrg.cuefile.scarce_classes import scarce_text
from dsrg.report.run_contents import TRAININGS

LEAST_ITERATIONS = 50   # shorter trainings say nothing of a trend
RISEN = 1.25            # of the last fifth's mean loss over the lowest fifth's


def loss_warning(name, log):
    """A line on a training whose losses are not finite, did not fall, or rose again; else None.

    Parameters
    ----------
    name : str
        What it trains.
    log : dict
        As from dsrg.report.run_contents.read_log.
    """
    if not log["losses"]:
        return None
    total = np.sum(list(log["losses"].values()), axis=0)
    bad = np.flatnonzero(~np.isfinite(total))
    if len(bad):
        return f"{name}: the loss is not finite from iteration {log['iteration'][bad[0]]} on; try a lower base_lr"
    if len(total) < LEAST_ITERATIONS:
        return None
    fifths = [float(part.mean()) for part in np.array_split(total, 5)]
    if fifths[-1] >= fifths[0]:
        return (f"{name}: the loss did not fall, it is {fifths[-1]:.3g} over the last fifth of the iterations and was "
                f"{fifths[0]:.3g} over the first")
    if fifths[-1] > RISEN * min(fifths):
        return (f"{name}: the loss stopped falling and rose again, from {min(fifths):.3g} to {fifths[-1]:.3g} "
                "(means of fifths of the iterations)")
    return None


def class_warnings(classes, counts, cells):
    """Lines on classes without photos, and classes of the photos without cues or with few.

    Parameters
    ----------
    classes : list of str
    counts : int array (C,) or None
        Train photos labelled with each class.
    cells : int array (C,) or None
        Cells with a cue of each class.
    """
    lines = []
    if counts is not None:
        none = [classes[c] for c in range(1, len(classes)) if counts[c] == 0]
        if none:
            lines.append(f"no train photo shows {_listed(none)}: nothing can be learned of it")
    if cells is not None:
        wanted = [c for c in range(len(classes)) if c == 0 or counts is None or counts[c]]
        if scarce := scarce_text({c: int(cells[c]) for c in wanted}, classes):
            lines.append(f"cues: {scarce}")
    return lines


def result_warnings(results):
    """A line, in a list, on a reference that bounds nothing.

    Parameters
    ----------
    results : dict
        As from dsrg.report.run_contents.read_results.
    """
    lines = []
    if {"f", "full"} <= results.keys():
        weak, full = results["f"]["miou"], results["full"]["miou"]
        if not full or full < weak:
            lines.append(f"the fully supervised reference ({100 * full:.1f} %) is worse than stage f "
                         f"({100 * weak:.1f} %): it failed, and a ratio to it means nothing")
    return lines


def cut_short(stages):
    """A line, in a list, on trainings that the variable MAX_ITER ended before the solver would.

    Parameters
    ----------
    stages : list of dict
        As from dsrg.report.run_contents.read_stages.
    """
    ended = {}
    for stage in stages:
        words = stage["command"]
        if stage["name"] in TRAININGS and "--max-iter" in words[:-1]:
            ended.setdefault(words[words.index("--max-iter") + 1], []).append(TRAININGS[stage["name"]])
    if not ended:
        return []
    shown = "; ".join(f"after {count} iterations: {', '.join(names)}" for count, names in ended.items())
    return [f"MAX_ITER ended trainings early ({shown}): numbers and pictures show that the run works, not how well"]


def run_warnings(run, results, logs, data_set, cells):
    """All lines on one run, from dsrg.report.run_results.read_run (collapsed models) and dsrg.report.run_contents."""
    lines = [re.sub(r"^warning: [^:]*: ", "", line) for line in run["warnings"]] + result_warnings(results)
    lines += filter(None, (loss_warning(TRAININGS[name], log) for name, log in logs.items()))
    if data_set is not None:
        lines += class_warnings(data_set["classes"], data_set["counts"].get("train"), cells)
    return lines


def _listed(names, most=20):
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
