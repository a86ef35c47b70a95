"""The page of a run: one HTML file with tables, curves and photos, opened without a network and without other files."""

import platform
import time
from importlib import metadata
from pathlib import Path

import jinja2
import numpy as np

from dsrg.cuefile.scarce_classes import cells_of_classes
from dsrg.io.errors import UserError
from dsrg.io.versions import git_commit
from dsrg.pipeline.run_record import read_record
from dsrg.report import curves, gallery, page_pictures, seed_growth
from dsrg.report.comparison import settings
from dsrg.report.paper_numbers import paper_miou
from dsrg.report.reliability import LEAST_PIXELS, read_reliability
from dsrg.report.run_contents import (
    TRAININGS,
    open_cues,
    read_data_set,
    read_logs,
    read_results,
    read_stages,
)
from dsrg.report.run_results import ROWS, read_run
from dsrg.report.run_state import read_state
from dsrg.report.run_warnings import cut_short, run_warnings
from dsrg.report.sheets import read_sheets
from dsrg.report.state_text import progress_words, stage_words

LARGEST = 15_000_000    # bytes of the page
PHOTOS = 24             # of each gallery; fewer where the page would be larger than LARGEST
#: of a page made quickly: photos of each gallery, photos measured to choose them, models whose confusion is drawn
QUICK = {"photos": 12, "measured": 60, "confusions": 1}
REFRESH = 30            # seconds between two looks of a page at a run that goes on
MODELS = {"static": "static seeds", "s": "stage s", "f": "stage f", "full": "supervised"}
PACKAGES = ("torch", "numpy", "scipy", "opencv-python-headless", "pillow", "krahenbuhl2013")


def page(folder, pb, growth=None, notes=(), photos=PHOTOS, quick=False):
    """The HTML text of a run's page.

    Parameters
    ----------
    folder : path
        Of a run, after any of its stages.
    pb : module
        caffe_pb2, to read the prototxts with.
    growth : dict, optional
        As from dsrg.report.seed_growth.seed_growth.
    notes : sequence of str
        What the page could not be given, and why.
    photos : int
        Of each gallery, at most; fewer are taken until the page has less than LARGEST bytes.
    quick : bool
        Take a second or two whatever the size of the data set: QUICK.

    Raises
    ------
    UserError
        The folder is no run, or holds a result or a prototxt that cannot be read.
    """
    folder = Path(folder)
    measured = QUICK["measured"] if quick else gallery.MEASURED
    photos = min(photos, QUICK["photos"]) if quick else photos
    said = {**_measured(folder, QUICK["confusions"] if quick else len(MODELS)), **_described(folder, pb),
            "sheets": [] if quick else read_sheets(folder), "notes": list(notes),
            "live": _live(folder), "without_masks": _without_masks(folder)}
    said["growth"] = _growth(folder, growth, said["data_set"])
    while True:
        text = template("page.html").render(said, **_galleries(folder, said, growth, photos, measured))
        if len(text.encode()) < LARGEST or not photos:
            return text
        photos //= 2


def template(name):
    """A template of the folder templates/; what is put in is escaped, drawings of dsrg.report.curves are not."""
    environment = jinja2.Environment(loader=jinja2.PackageLoader("dsrg.report"), autoescape=True,
                                     undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "minutes": _minutes}
    return environment.get_template(name)


def _without_masks(folder):
    """Whether a run's data is there and has no true masks, so that nothing will ever be measured."""
    masks = ("data/SegmentationClass", "masks")
    return (folder / "data").is_dir() and not any((folder / name).is_dir() for name in masks)


def _live(folder):
    """Where a run stands that goes on; None of one that does not, or is at its last stage, report."""
    record = read_record(folder)
    if record.get("state") != "running" or record.get("stage") == "report":
        return None
    state = read_state(folder, warnings=False)
    words = ": ".join(filter(None, (stage_words(state), progress_words(state))))
    return {"words": words, "made": int(time.time()), "refresh": REFRESH}


def _measured(folder, confusions):
    """Results, curves and warnings."""
    run, results, logs = read_run(folder), read_results(folder), read_logs(folder)
    stages = _stages(folder)
    data_set, cues = read_data_set(folder), open_cues(folder)
    cells = cells_of_classes(cues, len(data_set["classes"])) if cues is not None and data_set else None
    warnings = [*cut_short(stages), *run_warnings(run, results, logs, data_set, cells)]
    drawn = [{"svg": curves.training_curves(name, TRAININGS[name].capitalize(), log),
              "iterations": len(log["iteration"]), "seconds": _mean(log["seconds"])} for name, log in logs.items()]
    return {"rows": _rows(folder, run), "ratio": _share(run["miou"], "f"), "results": _classes(results, confusions),
            "warnings": warnings, "classifier": run["classifier"], "curves": drawn,
            "reliability": read_reliability(folder), "least_pixels": LEAST_PIXELS, "data_set": data_set, "cues": cues,
            "cue_chart": _cue_chart(data_set, cells),
            "commits": sorted(run["commits"]), "stages": stages}


def _stages(folder):
    """The stages that have begun; the one in work is said to run."""
    stages, record = read_stages(folder), read_record(folder)
    for stage in stages:
        if record.get("state") == "running" and stage["name"] == record.get("stage"):
            began = record.get("stage_began")
            stage |= {"state": "running", "seconds": max(0.0, time.time() - began) if began else None}
    return stages


def _rows(folder, run):
    """The table of mean IoU: what was measured, beside what papers report."""
    paper = paper_miou(folder)
    return [{"name": name, "says": says, "photos": photos, "miou": run["miou"].get(name), "paper": paper.get(name),
             "of_reference": _share(run["miou"], name) if photos == "val" and name != "full" else None}
            for name, says, photos in ROWS if name in run["miou"] or name in paper]


def _share(miou, name):
    """mIoU over the reference's; None where one is missing or the reference is worse, and then bounds nothing."""
    if not {name, "full"} <= miou.keys() or not miou["full"] or miou["full"] < miou[name]:
        return None
    return miou[name] / miou["full"]


def _classes(results, confusions):
    """IoU by class of each model evaluated, and confusion of the last `confusions` of the weak pipeline."""
    models = {name: results[name] for name in MODELS
              if (rows := results.get(name, {}).get("classes")) and all("iou" in row for row in rows)}
    if not models:
        return None
    classes = [row["name"] for row in next(iter(models.values()))["classes"]]
    series = {MODELS[name]: [row["iou"] for row in result["classes"]] for name, result in models.items()
              if [row["name"] for row in result["classes"]] == classes}
    bars = {name: [None if v is None else 100 * v for v in row] for name, row in series.items()}
    drawn = [name for name in ("f", "s", "static", "full") if models.get(name, {}).get("confusion")][:confusions]
    charts = [{"title": MODELS[name], "svg": curves.confusion_chart(name, f"Confusion of {MODELS[name]}", classes,
                                                                    models[name]["confusion"])} for name in drawn]
    return {"classes": classes, "series": series, "confusion": charts,
            "svg": curves.class_bars("iou", "IoU by class", classes, bars)}


def _cue_chart(data_set, cells):
    if cells is None:
        return None
    classes = data_set["classes"]
    return {"svg": curves.class_bars("cues", "Cells with a cue", classes, {"cues": cells.tolist()}, "cells with a cue",
                                     log=True),
            "cells": dict(zip(classes, cells.tolist(), strict=True))}


def _described(folder, pb):
    """Name, settings, versions."""
    versions = {"Python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    found = [(key, value) for key, value in settings(folder, pb).items()
             if key.startswith("solver") or ".param_str" in key or key.startswith("stage ") and key.count(" ") > 1]
    ablation = folder / "ablation.txt"
    return {"name": folder.resolve().name, "made": time.strftime("%Y-%m-%d %H:%M"), "commit": git_commit(),
            "versions": versions, "settings": found,
            "ablation": ablation.read_text(encoding="utf-8", errors="replace").strip() if ablation.is_file() else ""}


def _growth(folder, growth, data_set):
    """The pictures of growing seeds, a row a photo, and the share of the map over the iterations."""
    if growth is None or data_set is None:
        return None
    rows = []
    for image_id, maps in growth["maps"].items():
        try:
            pictures = [page_pictures.cell_picture(folder, image_id, label_map,
                                                   f"iteration {iteration}" if iteration else "cues",
                                                   data_set["classes"])
                        for iteration, label_map in zip(growth["iterations"], maps, strict=True)]
        except UserError:
            continue                # a photo that is gone since
        rows.append({"id": image_id, "pictures": pictures})
    shares = seed_growth.shares(growth)
    lines = {name: (growth["iterations"], 100 * share) for name, share in shares.items()}
    return {"rows": rows, "snapshots": len(growth["iterations"]) - 1,
            "svg": curves.several_curves("growth", "Share of the map with a seed", lines, "%")}


def _galleries(folder, said, growth, photos, measured):
    data_set = said["data_set"]
    if data_set is None or not photos:
        return {"galleries": [], "legend": []}
    train = data_set["counts"].get("train")
    groups = (("val", "Val photos", gallery.val_rows(folder, data_set, photos, measured), len(data_set["val"])),
              ("train", "Train photos", gallery.train_rows(folder, data_set, said["cues"], growth, photos // 2,
                                                          measured),
               len(data_set["train"])))
    found = [{"key": key, "title": title, "rows": rows, "of": of} for key, title, rows, of in groups if rows]
    return {"galleries": found,
            "legend": page_pictures.legend(data_set["classes"], train)}


def _mean(values):
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def _percent(value):
    return "–" if value is None else f"{100 * value:.1f}"


def _minutes(seconds):
    if seconds is None:
        return "–"
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min" if seconds < 5400 else \
        f"{seconds / 3600:.1f} h"
