"""Puts what a run measured into one table, and its pictures into one sheet.

    python -m tools.report work/demo                                   one run
    python -m tools.report work/demo work/demo-seed1 work/demo-seed2   mean and spread over several seeds

Prints the table and writes results/report.md, report.json and report.png (photo, cues, pseudo-label, segmentation,
ground truth of a few photos) into the first folder.
"""

import argparse
import json
import statistics
from pathlib import Path

from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.versions import git_commit
from dsrg.report.montage import draw_montage

#: (name of results/<name>.json, what the row says, on which photos)
ROWS = (
    ("cues", "localisation cues", "train"),
    ("static", "static seeds (growing off)", "val"),
    ("s", "DSRG, stage s", "val"),
    ("labels", "pseudo-labels", "train"),
    ("f", "retrained, stage f", "val"),
    ("full", "fully supervised", "val"),
)


def read_run(folder):
    """What a run has measured.

    Returns
    -------
    dict
        "miou": {row name: mean IoU in 0..1}, "stages": {stage: {"seconds", "peak_mib"}}, "commits": set of str.

    Raises
    ------
    UserError
        A folder that is no run, or a result file that cannot be read.
    """
    folder = Path(folder)
    if not (folder / "results").is_dir():
        raise UserError(f"{folder}: has no results/; give the folder of a run, such as work/demo")
    miou, commits = {}, set()
    for name, *_ in ROWS:
        path = folder / "results" / f"{name}.json"
        if not path.exists():
            continue
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            miou[name] = float(record["miou"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}: not a result file ({error!r}); delete it and evaluate again") from None
        commits.add(record.get("commit", "unknown"))
    stages = {p.stem: json.loads(p.read_text()) for p in sorted((folder / "stamps").glob("*.json"))}
    return {"miou": miou, "stages": stages, "commits": commits}


def mean_and_spread(values):
    """Text of a list of fractions in percent: '52.6' or '52.6 ± 0.8' (sample standard deviation)."""
    mean = 100 * statistics.fmean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def table(runs):
    """Lines of a Markdown table of the runs' mean IoU, then the ratio and the gain of growing."""
    lines = ["| | photos | mIoU (%) |", "|---|---|---|"]
    for name, says, photos in ROWS:
        values = [run["miou"][name] for run in runs if name in run["miou"]]
        if values:
            lines.append(f"| {says} | {photos} | {mean_and_spread(values)} |")
    both = [r["miou"] for r in runs if {"f", "full"} <= r["miou"].keys()]
    if both:
        ratio = statistics.fmean(m["f"] / m["full"] for m in both)
        lines.append(f"| retrained / fully supervised | val | {ratio:.3f} (ratio) |")
    both = [r["miou"] for r in runs if {"s", "static"} <= r["miou"].keys()]
    if both:
        gain = 100 * statistics.fmean(m["s"] - m["static"] for m in both)
        lines.append(f"| DSRG − static seeds | val | {gain:+.1f} (points) |")
    return lines


def cost(runs):
    """One line on time and memory of the slowest run, or None where no stage has a stamp."""
    costs = [(sum(s["seconds"] for s in run["stages"].values()), max(s["peak_mib"] for s in run["stages"].values()))
             for run in runs if run["stages"]]
    if not costs:
        return None
    seconds, peak = max(c[0] for c in costs), max(c[1] for c in costs)
    return f"Stages took {seconds / 60:.1f} min in all, at most {peak} MiB of memory a process."


def parse_args(argv=None):
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs (same experiment, different seeds)")
    parser.add_argument("--photos", type=int, default=6, help="photos on the sheet; 0 leaves it out (default 6)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    runs = [read_run(folder) for folder in args.runs]
    lines = table(runs)
    if len(lines) == 2:
        return report_pictures(args.runs[0], args.photos)
    commits = ", ".join(sorted(set.union(*(r["commits"] for r in runs))))
    count = f"{len(runs)} runs; mean ± standard deviation. " if len(runs) > 1 else ""
    lines += ["", f"{count}Evaluated at commit {commits}; this report at {git_commit()}."]
    if line := cost(runs):
        lines.append(line)
    text = "\n".join(lines)
    print(text)
    results = args.runs[0] / "results"
    write_text(results / "report.md", text + "\n")
    records = [{**run, "commits": sorted(run["commits"])} for run in runs]
    write_text(results / "report.json", json.dumps(records, indent=1) + "\n")
    if args.photos > 0 and draw_montage(args.runs[0], results / "report.png", args.photos):
        print(f"Pictures: {results / 'report.png'}")


def report_pictures(run, photos):
    """All there is to show of a run on data without masks; UserError where masks or segmentations are missing."""
    without_masks = (run / "data").is_dir() and not (run / "data/SegmentationClass").is_dir()
    if not without_masks or photos < 1 or not draw_montage(run, run / "results/report.png", photos):
        raise UserError(f"{run}/results: nothing measured yet; run the stages segment and evaluate")
    print(f"Nothing measured: {run / 'data'} has no SegmentationClass. Pictures: {run / 'results/report.png'}")


if __name__ == "__main__":
    run_main(main)
