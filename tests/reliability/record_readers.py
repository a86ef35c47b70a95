"""Readers of records: COCO's annotations, stamps, results, logs, settings of segmentations, whatever JSON holds."""

import contextlib
import functools
import io
import json
import pickle
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from caffe.proto import caffe_pb2
from PIL import Image

from dsrg.calibration.record import Calibration, read_record
from dsrg.datasets.from_coco import make_data_root
from dsrg.io.errors import UserError
from dsrg.pipeline.digests import DigestCache, Manifests
from dsrg.pipeline.locks import Lock
from dsrg.report import curves, reliability
from dsrg.report.comparison import groups, rows
from dsrg.report.page import page
from dsrg.report.reliability import read_reliability
from dsrg.report.run_contents import read_log, read_logs, read_results, read_stages
from dsrg.report.run_results import read_run
from dsrg.report.run_table import remarks, table
from dsrg.report.run_warnings import loss_warning, run_warnings
from dsrg.report.sheets import read_sheets, write_sheets
from dsrg.scoring.label_map_folder import LabelMapFolder
from dsrg.scoring.recipe import Recipe
from dsrg.scoring.run_model import find_model
from tests.dsrg.report.made_run import make_run
from tests.reliability.damaged_values import json_lines, json_value
from tests.reliability.readers import reader
from training.loss_log import LossLog

COCO = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "height": 9, "width": 7},
        {"id": 2, "file_name": "b.jpg", "height": 9, "width": 7},
    ],
    "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": 9,
            "bbox": [1, 1, 3, 3],
            "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]],
        },
        {
            "id": 2,
            "image_id": 2,
            "category_id": 3,
            "iscrowd": 1,
            "segmentation": {"size": [9, 7], "counts": [10, 5, 48]},
        },
        {"id": 3, "image_id": 2, "category_id": 1, "segmentation": {"size": [9, 7], "counts": ":5`1"}},
        {"id": 4, "image_id": 1, "category_id": 3, "segmentation": [[0, 0, 6.5, 0, 6.5, 8.5, 3, 4], [1, 1, 2, 2]]},
    ],
}
OTHER = {**COCO, "images": [{"id": 5, "file_name": "c.jpg", "height": 9, "width": 7}], "annotations": []}


@contextlib.contextmanager
def quiet():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@reader(lambda: [json.dumps(COCO).encode(), json.dumps(COCO, indent=1).encode()], UserError, ".json", [json_value])
def coco(path):
    folder = path.parent / "photos"
    folder.mkdir()
    for name in "abc":
        Image.fromarray(np.zeros((9, 7, 3), np.uint8)).save(folder / f"{name}.jpg")
    (path.parent / "val.json").write_text(json.dumps(OTHER))
    with quiet():
        make_data_root({"train": (path, folder), "val": (path.parent / "val.json", folder)}, path.parent / "out")


# ---- what lies in the folder of a run ----------------------------------------------------------------------


@functools.cache
def _run():
    """A made run without its pictures, as files by name."""
    with tempfile.TemporaryDirectory() as folder:
        made = make_run(Path(folder, "demo"))
        write_sheets(made, 1)
        return {
            str(path.relative_to(made)): path.read_bytes()
            for path in sorted(made.rglob("*"))
            if path.is_file() and path.suffix not in (".png", ".prototxt")
        }


def _run_with(path, name):
    """The folder of a run in which the file `name` is damaged."""
    folder = path.parent / "demo"
    for other, data in _run().items():
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        (folder / other).write_bytes(data)
    shutil.move(path, folder / name)
    return folder


@reader(lambda: [_run()["results/s.json"], _run()["results/labels.json"]], UserError, ".json", [json_value])
def result(path):
    folder = _run_with(path, "results/s.json")
    refused = None
    for way in (
        lambda: (table([read_run(folder)]), remarks([read_run(folder)])),
        lambda: run_warnings(read_run(folder), read_results(folder), {}, None, None),
        lambda: rows(groups([folder], caffe_pb2)),
    ):
        try:
            way()
        except UserError as error:
            refused = error
    if refused is not None:
        raise refused


@reader(lambda: [_run()["stamps/train-s.json"]], (), ".json", [json_value])
def stamp(path):
    folder = _run_with(path, "stamps/train-s.json")
    stages = read_stages(folder)
    json.dumps(stages)
    rows(groups([folder], caffe_pb2))


@reader(lambda: [b'{"key": "12ab", "seconds": 3.5, "peak_mib": 200}'], (), ".json", [json_value])
def begun(path):
    folder = _run_with(path, "stamps/train-s.begun")
    (folder / "stamps/train-s.json").unlink()
    read_stages(folder)
    read_run(folder)


@reader(
    lambda: [
        b'{"mean_average_precision": 0.83, "images": 12, "classes": []}',
        b'{"mean_average_precision": null, "images": 0}',
    ],
    (),
    ".json",
    [json_value],
)
def classifier_quality(path):
    remarks([read_run(_run_with(path, "results/cam-quality.json"))])


@reader(lambda: [_run()["calibration/f.json"]], UserError, ".json", [json_value])
def calibration(path):
    folder = _run_with(path, "calibration/f.json")
    read_reliability(folder)
    record = Calibration(read_record(folder / "calibration/f.json"), folder, {"weights": "x"})
    assert record.temperature(Recipe()).line()


@reader(lambda: [_run()["results/sheets/sheets.json"]], (), ".json", [json_value])
def sheets(path):
    json.dumps(read_sheets(_run_with(path, "results/sheets/sheets.json")))


PAGE_PARTS = (
    "results/s.json",
    "results/f.json",
    "stamps/train-s.json",
    "logs/train-s.jsonl",
    "lists/image_labels.txt",
    "lists/classes.txt",
    "lists/input_list.txt",
    "calibration/f.json",
    "results/sheets/sheets.json",
    "cues/localization_cues.json",
)


CHARTS = ((curves, "training_curves"), (curves, "several_curves"), (curves, "class_bars"), (curves, "confusion_chart"),
          (reliability, "reliability_chart"))


@functools.cache
def _charts():
    """The functions of charts, each of which draws the same chart once: of what is not damaged it is drawn before."""
    def once(draw):
        drawn = {}

        @functools.wraps(draw)
        def look_up(*values, **options):
            key = pickle.dumps((values, options))
            if key not in drawn:
                drawn[key] = draw(*values, **options)
            return drawn[key]

        return look_up

    charts = [(module, name, once(getattr(module, name))) for module, name in CHARTS]
    with tempfile.TemporaryDirectory() as folder, _patched(charts):
        other = Path(folder, "other")
        other.write_bytes(b"")
        page(_run_with(other, "other"), caffe_pb2, photos=0)
    return charts


@contextlib.contextmanager
def _patched(charts):
    with contextlib.ExitStack() as patches:
        for chart in charts:
            patches.enter_context(mock.patch.object(*chart))
        yield


def _page_parts():
    _charts()       # here, for the processes that read: they are children of this one
    return [name.encode() + b"\n" + _run()[name] for name in PAGE_PARTS]


@reader(
    _page_parts,
    UserError,
    ".txt",
    [
        lambda data, rng: data.partition(b"\n")[0] + b"\n" + json_value(data.partition(b"\n")[2], rng),
        lambda data, rng: data.partition(b"\n")[0] + b"\n" + json_lines(data.partition(b"\n")[2], rng),
    ],
)
def report_page(path):
    """The page of a run, one file of which is damaged: its first line names which."""
    name, _, data = path.read_bytes().partition(b"\n")
    name = name.decode(errors="replace")
    if name not in PAGE_PARTS:
        raise UserError("no part of a page")
    path.write_bytes(data)
    with _patched(_charts()):
        page(_run_with(path, name), caffe_pb2, photos=0)


@reader(lambda: [_run()["logs/train-s.jsonl"][:2000]], (), ".jsonl", [json_lines, json_lines])
def training_log(path):
    log = read_log(path)
    if len(log["iteration"]):
        loss_warning("stage s", log)
        for values in (*log["losses"].values(), log["lr"]):
            curves.smoothed(log["iteration"], values)
            curves.thinned(log["iteration"], values)
    folder = path.parent / "run"
    (folder / "logs").mkdir(parents=True)
    shutil.copy(path, folder / "logs/train-s.jsonl")
    read_logs(folder)
    try:
        resumed = LossLog(path, start=3)
    except UserError:       # no log of losses: the file is somebody's, and stays
        return
    resumed.write(3, 0.1, {"loss": 1.0}, 0.2)
    resumed.close()


@reader(lambda: [_run()["logs/train-s.jsonl"][:2000]], (), ".jsonl", [json_lines, json_lines])
def drawn_log(path):
    log = read_log(path)
    if len(log["iteration"]):
        text = curves.training_curves("s", "stage s", log)
        assert text.startswith("<svg") and "\0" not in text


SEGMENTED = {
    "settings": {
        **Recipe().settings(),
        "net": "12ab",
        "weights": "34cd",
        "precision": "fp32",
        "engine": "embedded",
        "device": "cpu",
        "crf_backend": "own",
    },
    "net": "deploy.prototxt",
    "weights": "models/s_iter_10.caffemodel",
    "commit": "abc",
}


@reader(lambda: [json.dumps(SEGMENTED, indent=1).encode()], UserError, ".json", [json_value])
def segmentation_settings(path):
    folder = path.parent / "run"
    for part in ("segmentations/s", "models", "lists"):
        (folder / part).mkdir(parents=True)
    (folder / "lists/classes.txt").write_text("background\ncow\n")
    (folder / "models/s_iter_10.caffemodel").touch()
    shutil.copy(path, folder / "segmentations/s/settings.json")
    shutil.copy(path, folder / "segmentations/settings.json")
    with quiet():
        maps = LabelMapFolder(folder / "segmentations", {"precision": "fp32", "max_side": 1}, {})
        (folder / "segmentations/a.png").touch()
        maps.pending(["a", "b"])
        maps.start_or_resume(["a", "b"], overwrite=True)
    found = find_model(folder, "s")
    assert found.weights.is_file() and isinstance(found.recipe, Recipe)


@reader(
    lambda: [json.dumps({"/etc/hostname": [9, 1, 1, 1, 1, "ab"], "other": [1, 2, 3, 4, 5, "cd"]}).encode()],
    (),
    ".json",
    [json_value],
)
def digest_cache(path):
    cache = DigestCache(path)
    cache.digest("/etc/hostname")
    cache.digest(path)
    cache.save()


@reader(lambda: [b"12ab photos/a.jpg\n34cd photos/b c.jpg\n"], (), ".txt")
def manifest(path):
    Manifests(path.parent).read(path.stem)


@reader(lambda: [b'{"process": 12, "host": "h", "since": "2026-01-01 10:00:00"}'], (), ".lock", [json_value])
def lock_note(path):
    """The note of whoever held a lock last."""
    holder = Lock(path.with_suffix(".other"), "x")
    holder._path = path
    assert len(holder.holder()) < 2000
