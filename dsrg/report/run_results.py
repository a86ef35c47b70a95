"""What a run has measured."""

import statistics
from pathlib import Path

from dsrg.datacheck.kinds import KINDS
from dsrg.datasets.left_out import read_left_out
from dsrg.io.class_names import read_classes
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.json_files import is_number, read_mapping
from dsrg.report.run_records import read_result, read_stamp
from dsrg.scoring.collapse import collapse_warning

#: (name of results/<name>.json, what the row says, on which photos)
ROWS = (
    ("cues", "localisation cues", "train"),
    ("static", "static seeds (growing off)", "val"),
    ("s", "DSRG, stage s", "val"),
    ("labels", "pseudo-labels", "train"),
    ("f", "retrained, stage f", "val"),
    ("full", "fully supervised", "val"),
)
SHOWN = 10      # photos left out that a warning names


def read_run(folder):
    """What a run has measured.

    Returns
    -------
    dict
        "miou": {row name: mean IoU in 0..1}, "stages": {stage: {"seconds", "peak_mib"}}, "commits": set of str,
        "warnings": list of str, "classifier": {"mean_average_precision", "mean_chance" (None where not
        known), "images"} or None.

    Raises
    ------
    UserError
        A folder that is no run, or a result file that cannot be read.
    """
    folder = Path(folder)
    if not (folder / "results").is_dir():
        raise UserError(f"{folder}: has no results/; give the folder of a run, such as work/demo")
    miou, commits, collapsed = {}, set(), {}
    shown = folder.resolve().name if folder == Path() else folder
    for name, says, _ in ROWS:
        path = folder / "results" / f"{name}.json"
        if not path.exists():
            _add(collapsed, _collapse_unmeasured(folder, name, shown), says)
            continue
        record = read_result(path)
        miou[name] = float(record["miou"])
        commits.add(record["commit"])
        _add(collapsed, _collapse(record, shown), says)
    stages = {p.stem: {"seconds": 0.0, "peak_mib": 0, **read_stamp(p)}
              for p in sorted((folder / "stamps").glob("*.json"))}
    warnings = [line.replace(f"{shown}: ", f"{shown}: {'; '.join(rows)}: ", 1) for line, rows in collapsed.items()]
    warnings += [f"warning: {shown}: {line}" for line in left_out_lines(folder)]
    return {"miou": miou, "stages": stages, "commits": commits, "warnings": warnings,
            "classifier": _classifier(folder / "results/cam-quality.json")}


def _add(collapsed, warning, says):
    """Note the row of a warning; what several rows have in common is said once."""
    if warning:
        collapsed.setdefault(warning, []).append(says)


def left_out_lines(folder):
    """A line on each kind of fault whose photos the run left out of its lists (--skip-bad), with the first of them."""
    photos = {}
    for image_id, kinds in read_left_out(Path(folder, "lists/left_out.txt")).items():
        photos.setdefault(kinds[0] if kinds else "", []).append(image_id)
    return [f"left out of the run: {counted(len(ids), *_words_of(kind))} ({', '.join(ids[:SHOWN])}"
            + (", ..)" if len(ids) > SHOWN else ")") for kind, ids in photos.items()]


def _words_of(kind):
    """What follows a count of photos with a kind of fault."""
    return (KINDS[kind].one, KINDS[kind].many) if kind in KINDS else ("photo", "photos")


def _collapse(record, what):
    """The warning where the maps of a result have one class everywhere, else None; cues may lack any."""
    classes = record["classes"]
    if not all("pred_pixels" in one for one in classes):
        return None
    counts, names = [one["pred_pixels"] for one in classes], [one["name"] for one in classes]
    return collapse_warning(counts, record["images"], what, names)


def _collapse_unmeasured(folder, name, what):
    """The same of a stage without result, as in data sets without masks, by what is kept beside its label maps."""
    record = read_mapping(folder / ("labels" if name == "labels" else f"segmentations/{name}") / "settings.json")
    pixels, images = record.get("pixels"), record.get("images")
    if not isinstance(pixels, dict) or not is_number(images):
        return None
    counts = [pixels.get(str(index), 0) for index in range(256)]
    try:
        names = read_classes(folder / "lists/classes.txt")
    except UserError:
        names = None
    return collapse_warning(counts, images, what, names)


def _classifier(path):
    """What localization_cues.classifier_quality wrote, or None; a file of another kind is left alone.

    The precision is null where few photos were set apart: every class is shown by all of them, or by none.
    """
    record = read_mapping(path)
    found = {name: record.get(name) for name in ("mean_average_precision", "images")}
    if not all(map(is_number, found.values())):
        return None
    chance = record.get("mean_chance")
    return {**found, "mean_chance": chance if is_number(chance) else None}


def mean_and_spread(values):
    """Text of a list of fractions in percent: '52.6' or '52.6 ± 0.8' (sample standard deviation)."""
    mean = 100 * statistics.fmean(values)
    return f"{mean:.1f}" if len(values) == 1 else f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"
