"""The table of one experiment's runs, with what stands below it."""

import json
import statistics

from dsrg.io.atomic_files import write_text
from dsrg.io.counts import counted
from dsrg.io.versions import git_commit
from dsrg.report.run_results import ROWS, mean_and_spread


def table(runs):
    """The table of the runs' mean IoU, then the ratio to full supervision and the gain of growing.

    Parameters
    ----------
    runs : list of dict
        As from dsrg.report.run_results.read_run.

    Returns
    -------
    list of str
        Lines of Markdown; the two lines of the head alone where nothing is measured.
    """
    lines = ["| | photos | mIoU (%) |", "|---|---|---|"]
    for name, says, photos in ROWS:
        values = [run["miou"][name] for run in runs if name in run["miou"]]
        if values:
            lines.append(f"| {says} | {photos} | {mean_and_spread(values)} |")
    both = [r["miou"] for r in runs if {"f", "full"} <= r["miou"].keys()]
    if both:
        lines.append(f"| retrained / fully supervised | val | {_ratio(both)} |")
    both = [r["miou"] for r in runs if {"s", "static"} <= r["miou"].keys()]
    if both:
        gain = 100 * statistics.fmean(m["s"] - m["static"] for m in both)
        lines.append(f"| DSRG − static seeds | val | {gain:+.1f} (points) |")
    return lines


def _ratio(both):
    """Mean of stage f / fully supervised; none where the reference is worse: then it failed and bounds nothing."""
    worse = sum(m["full"] < m["f"] for m in both)
    if worse or not all(m["full"] for m in both):
        return "– (the reference is worse" + (f" in {worse} of {len(both)} runs)" if len(both) > 1 else ")")
    return f"{statistics.fmean(m['f'] / m['full'] for m in both):.3f} (ratio)"


def remarks(runs):
    """Lines below the table: what the classifiers know of photos set apart, and the warnings of the runs.

    Parameters
    ----------
    runs : list of dict
        As from dsrg.report.run_results.read_run.

    Returns
    -------
    list of str
    """
    known = [run["classifier"] for run in runs if run["classifier"]]
    lines = []
    if known:
        mean = mean_and_spread([one["mean_average_precision"] for one in known])
        chances = [one["mean_chance"] for one in known if one["mean_chance"] is not None]
        chance = f" (chance {mean_and_spread(chances)} %)" if len(chances) == len(known) else ""
        lines.append(f"Classifier of the cues: mean average precision {mean} %{chance} on "
                     f"{counted(known[0]['images'], 'train photo')} set apart.")
    return lines + [warning for run in runs for warning in run["warnings"]]


def cost(runs):
    """A line on the time of the slowest run, and the memory of the largest process of any.

    Parameters
    ----------
    runs : list of dict
        As from dsrg.report.run_results.read_run.

    Returns
    -------
    str or None
        None where no stage has a stamp.
    """
    costs = [(sum(s["seconds"] for s in run["stages"].values()), max(s["peak_mib"] for s in run["stages"].values()))
             for run in runs if run["stages"]]
    if not costs:
        return None
    seconds, peak = max(c[0] for c in costs), max(c[1] for c in costs)
    return f"Stages took {seconds / 60:.1f} min in all, at most {peak} MiB of memory a process."


def report_lines(runs):
    """The table, and below it the commits, the cost and the remarks.

    Parameters
    ----------
    runs : list of dict
        At least one, as from dsrg.report.run_results.read_run.

    Returns
    -------
    list of str
        Lines of Markdown.
    """
    commits = ", ".join(sorted(set.union(*(r["commits"] for r in runs))))
    count = f"{len(runs)} runs; mean ± standard deviation. " if len(runs) > 1 else ""
    lines = [*table(runs), "", f"{count}Evaluated at commit {commits}; this report at {git_commit()}."]
    return [*lines, *filter(None, [cost(runs)]), *remarks(runs)]


def write_table(runs, lines, results):
    """Write report.md and, with all numbers of the runs, report.json.

    Parameters
    ----------
    runs : list of dict
        As from dsrg.report.run_results.read_run.
    lines : list of str
        As from `report_lines`.
    results : Path
        Folder to write into.

    Raises
    ------
    UserError
        A file that cannot be written.
    """
    write_text(results / "report.md", "\n".join(lines) + "\n")
    records = [{**run, "commits": sorted(run["commits"])} for run in runs]
    write_text(results / "report.json", json.dumps(records, indent=1) + "\n")


def nothing_measured(run):
    """Why there is no table of a run that has no results.

    Parameters
    ----------
    run : Path
        Folder of the run.

    Returns
    -------
    str
        One line.
    """
    if (run / "data").is_dir() and not (run / "data/SegmentationClass").is_dir():
        return f"Nothing measured: {run / 'data'} has no SegmentationClass."
    return f"{run / 'results'}: nothing measured yet; the stages segment and evaluate do it."
