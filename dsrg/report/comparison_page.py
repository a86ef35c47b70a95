"""The page of several runs: their table, IoU by class, losses on one axis, and the photos they segment differently."""

import statistics
import time
from pathlib import Path

import numpy as np

from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of
from dsrg.io.label_png import load_label_png
from dsrg.io.versions import git_commit
from dsrg.report import curves, page_pictures
from dsrg.report.comparison import HEADS, brief, group_name, rows
from dsrg.report.gallery import MEASURED
from dsrg.report.page import LARGEST, MODELS, template
from dsrg.report.paired_differences import difference_rows
from dsrg.report.run_contents import TRAININGS, read_data_set, read_logs, read_results, spread

PHOTOS = 18             # that differ most; fewer where the page would be larger than LARGEST


def comparison_page(folders, found):
    """The HTML text.

    Parameters
    ----------
    folders : sequence of path
        Of the runs.
    found : dict
        What dsrg.report.comparison.groups says of them.
    """
    folders = [Path(folder) for folder in folders]
    columns, lines = rows(found)
    first = {}
    for folder in folders:
        first.setdefault(group_name(folder), folder)
    said = {"title": " / ".join(found), "made": time.strftime("%Y-%m-%d %H:%M"), "commit": git_commit(),
            "lines": [{**line, "differs": brief(line["differs"])} for line in lines],
            "heads": [HEADS[c] for c in columns], "curves": _curves(folders),
            "classes": _class_chart(folders, found), "of": list(found)[0], "differences": _differences(found)}
    photos = PHOTOS
    while True:
        shown, note, legend = differing_photos(first, photos)
        text = template("compare.html").render(said, photos=shown, note=note, legend=legend)
        if len(text.encode()) < LARGEST or not photos:
            return text
        photos //= 2


def is_comparison(path):
    """Whether a file is a page of `comparison_page`."""
    with open(path, "rb") as file:
        return b"DSRG runs compared</title>" in file.read(4096)


def _differences(found):
    """The table of paired differences, or None of a single group."""
    columns, rows_of, notes = difference_rows(found)
    return {"heads": [HEADS[c] for c in columns], "rows": rows_of, "notes": notes} if columns else None


def _curves(folders):
    """For each training the sum of its losses, a curve a run."""
    logs = {folder.resolve().name: read_logs(folder) for folder in folders}
    charts = []
    for name, title in TRAININGS.items():
        lines = {run: (log[name]["iteration"], np.sum(list(log[name]["losses"].values()), axis=0))
                 for run, log in logs.items() if name in log and log[name]["losses"]}
        if lines:
            charts.append(curves.several_curves(name, f"{title.capitalize()}: sum of the losses", lines))
    return charts


def _class_chart(folders, found):
    """Mean IoU by class of each group, of the last model of the weak pipeline that all groups have measured."""
    results = {}
    for folder in folders:
        results.setdefault(group_name(folder), []).append(read_results(folder))
    for model in ("f", "s", "static", "full"):
        of_model = {name: [one[model]["classes"] for one in some if one.get(model, {}).get("classes")]
                    for name, some in results.items()}
        names = {tuple(row["name"] for row in one) for some in of_model.values() for one in some}
        if len(names) == 1 and all(of_model.values()):
            classes = list(names.pop())
            series = {name: [_percent_mean([one[c]["iou"] for one in some]) for c in range(len(classes))]
                      for name, some in of_model.items()}
            return {"model": MODELS[model],
                    "svg": curves.class_bars("iou", f"IoU by class, {MODELS[model]}", classes, series)}
    return None


def _percent_mean(values):
    known = [100 * value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def differing_photos(first, most):
    """The val photos that runs segment most differently.

    Parameters
    ----------
    first : dict of str to Path
        A run of each group.
    most : int

    Returns
    -------
    list of dict
        "id", "share" (of the pixels on which the runs do not all agree), "classes" and "pictures" as in
        dsrg.report.gallery.
    str
        What was compared, or why nothing was.
    list of dict
        The legend of the classes.
    """
    data = {name: read_data_set(folder) for name, folder in first.items()}
    if len(first) < 2 or any(one is None for one in data.values()):
        return [], "Photos are compared of two runs or more whose stage lists has run.", []
    classes, base = next(iter(data.values()))["classes"], next(iter(first.values()))
    if any(one["classes"] != classes for one in data.values()):
        return [], "The runs have other classes, so their photos are not compared.", []
    common = set.intersection(*(set(one["val"]) for one in data.values()))
    ids = spread([i for i in next(iter(data.values()))["val"] if i in common], MEASURED)
    model = next((m for m in ("f", "s", "static", "full") if all((f / "segmentations" / m).is_dir()
                                                                 for f in first.values())), None)
    if model is None or not ids:
        return [], "No model has segmented val photos of all these runs.", []
    shares = {i: share for i in ids if (share := _disagreement(first, model, i)) is not None}
    worst = sorted((i for i in shares if shares[i]), key=lambda i: -shares[i])[:most]
    entries = [entry for i in worst if (entry := _entry(first, base, model, i, shares[i], classes))]
    mean = statistics.fmean(shares.values()) if shares else 0
    note = (f"Segmentations of {MODELS[model]}, one run of each row of the table: over {len(shares)} val photos they "
            f"differ in {mean:.1%} of the pixels.")
    return entries, note, page_pictures.legend(classes)


def _disagreement(first, model, image_id):
    """Share of the pixels on which not all agree; None where a map is missing or of another size."""
    try:
        maps = [load_label_png(file_of(folder / "segmentations" / model, image_id)) for folder in first.values()]
    except UserError:
        return None
    if len({one.shape for one in maps}) > 1:
        return None
    return float(np.any([one != maps[0] for one in maps[1:]], axis=0).mean())


def _entry(first, base, model, image_id, share, classes):
    try:
        pictures = [page_pictures.photo_picture(base, image_id)]
        truth = page_pictures.mask_path(base, image_id)
        for name, folder in first.items():
            path = file_of(folder / "segmentations" / model, image_id)
            pictures.append(page_pictures.judged_picture(path, name, truth, classes))
        pictures.append(page_pictures.map_picture(truth, "truth", classes))
        _, shown = page_pictures.photo_iou(path, truth, len(classes))
    except UserError:
        return None
    return {"id": image_id, "share": share, "classes": [classes[c] for c in shown if c],
            "pictures": [one for one in pictures if one]}
