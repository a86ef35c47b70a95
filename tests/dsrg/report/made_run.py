"""A run folder as the pipeline leaves it, without any training: four train and six val photos, three classes."""

import json
import math
import shutil

import cv2
import numpy as np

from dsrg.calibration.record import write_record
from dsrg.calibration.temperature import measured
from dsrg.cuefile.format import save_cues
from dsrg.cuefile.label_map import cues_from_map
from dsrg.io.atomic_files import write_text
from dsrg.io.label_png import save_label_png
from tests.conftest import ROOT
from tools.evaluate import evaluate

CLASSES = ("background", "cow", "sheep <b>&")    # a name that has to be escaped
TRAIN, VAL = tuple("abcd"), tuple("uvwxyz")
SIZE = (24, 32)
#: of the val photos' objects, how many of the 8 columns each model finds; u best, z worst
FOUND = {"static": (4, 4, 3, 2, 1, 0), "s": (6, 6, 5, 4, 2, 1), "f": (8, 7, 6, 4, 2, 1), "full": (8, 8, 8, 8, 8, 7)}


def object_of(place):
    """Class of the object in the photo at a place of its list: they take turns."""
    return 1 + place % 2


def truth(place):
    labels = np.zeros(SIZE, np.uint8)
    labels[4:20, 8:16] = object_of(place)
    return labels


def predicted(place, columns):
    labels = np.zeros(SIZE, np.uint8)
    labels[4:20, 8:8 + columns] = object_of(place)
    return labels


def make_run(folder):
    """Make the whole run; returns its folder."""
    folder.mkdir(parents=True)
    for path in (ROOT / "prototxts/demo").glob("*.prototxt"):
        shutil.copy(path, folder)
    rng = np.random.default_rng(7)
    for list_name, ids in (("train", TRAIN), ("val", VAL)):
        write_text(folder / f"lists/{list_name}_id.txt", "".join(f"{i}\n" for i in ids))
        for place, image_id in enumerate(ids):
            photo = rng.integers(0, 60, (*SIZE, 3), np.uint8)
            photo[truth(place) > 0] += 150
            (folder / "data/JPEGImages").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / f"data/JPEGImages/{image_id}.png"), photo)
            save_label_png(folder / f"data/SegmentationClass/{image_id}.png", truth(place))
    (folder / "masks").symlink_to("data/SegmentationClass")
    write_text(folder / "lists/classes.txt", "".join(f"{c}\n" for c in CLASSES))
    write_text(folder / "lists/input_list.txt", "".join(f"{i}.png {k}\n" for k, i in enumerate(TRAIN)))
    write_text(folder / "lists/image_labels.txt",
               "".join(f"{i} {object_of(k)}\n" for ids in (TRAIN, VAL) for k, i in enumerate(ids)))
    cue_map = np.full((6, 8), -1)
    cue_map[:, 0] = 0
    items = {}
    for k in range(len(TRAIN)):
        cue_map[2, 3] = object_of(k)
        items[k] = ([object_of(k)], cues_from_map(cue_map))
    save_cues(folder / "cues/localization_cues.pickle", items)
    write_text(folder / "cues/localization_cues.json", json.dumps({"cue_size": [6, 8]}))
    make_maps(folder)
    make_records(folder)
    make_calibration(folder)
    return folder


def make_maps(folder):
    for k, image_id in enumerate(TRAIN):
        save_label_png(folder / f"labels/{image_id}.png", predicted(k, 8 - 2 * k))
    for model, columns in FOUND.items():
        for k, image_id in enumerate(VAL):
            save_label_png(folder / f"segmentations/{model}/{image_id}.png", predicted(k, columns[k]))
        measure(folder, model, folder / "segmentations" / model, VAL)
    measure(folder, "labels", folder / "labels", TRAIN)


def make_calibration(folder):
    """A record of tools.calibrate, of labels drawn at temperature 2."""
    rng = np.random.default_rng(3)
    scores = 5 * rng.standard_normal((3000, len(CLASSES)))
    labels = (scores + 2 * rng.gumbel(size=scores.shape)).argmax(axis=1)
    rows = [{"name": name, "labels": says, "photos": 2, "pixels": 3000, "left_out": share,
             "before": measured(scores, labels), "after": measured(scores, labels, 2.0)}
            for name, says, share in (("photos apart", "pseudo-labels", 0.25), ("val photos", "true masks", 0.0))]
    write_record(folder / "calibration/f.json", {
        "parts": {name: {"temperature": 2.0, "at_bound": False, "settings": {}, "measured": rows}
                  for name in ("net", "crf")}, "class_names": CLASSES,
        "fitted_on": {"photos": 2, "labels": "pseudo-labels", "learned_from": 0}})


def measure(folder, name, maps, ids):
    result = evaluate(maps, folder / "masks", ids, len(CLASSES))
    write_text(folder / f"results/{name}.json", json.dumps({"commit": "abc", **result.as_dict(CLASSES)}))


def make_records(folder):
    for name, losses in {"cam": ("loss",), "static": ("loss-Seed", "loss-Constrain"),
                         "train-s": ("loss-Seed", "loss-Constrain"), "train-f": ("loss",), "full": ("loss",)}.items():
        lines = [{"iteration": k, "lr": 0.01 * (1 - k / 300), "seconds": 0.25,
                  "losses": {loss: 1 + 2 * math.exp(-k / 60) for loss in losses}} for k in range(300)]
        write_text(folder / f"logs/{name}.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        stamp = {"seconds": 95.0, "peak_mib": 400, "finished": "2026-01-02 03:04:05", "resumed": name == "train-s",
                 "command": ["python", "-m", "training.train", "--solver", f"solver-{name}.prototxt"]}
        write_text(folder / f"stamps/{name}.json", json.dumps(stamp))
