"""How the seeds of a few fixed train photos grew while stage s was trained: the figure of the paper.

A training keeps no picture of its seeds. It keeps snapshots, and from each of them the seeds of a photo follow as the
training computes them (scores, softmax, CRF, region growing; without dropout and mirroring).
"""

import json
import re
from pathlib import Path

import numpy as np

from dsrg.cuefile.label_map import map_from_cues
from dsrg.cuefile.map_size import size_of_map
from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write
from dsrg.io.errors import UserError
from dsrg.io.npz_files import read_npz
from dsrg.io.photos import find_image, load_image_bgr
from dsrg.io.prototxt_text import params_of, read_prototxt
from dsrg.report.run_contents import photo_numbers, spread
from dsrg.scoring.resizing import to_input
from dsrg.scoring.score_net import ScoreNet, open_net
from dsrg.supervision import grow_seeds, refine
from dsrg.supervision.annotation import dense_annotation
from dsrg.supervision.refinement import ITERATIONS, TRAINING_SCALE

PHOTOS = 6          # that are followed
SNAPSHOTS = 8       # that are looked at, at even distances
STORE = "results/seed-growth.npz"


def seed_growth(run, caffe, cues, data_set, device="cpu", precision="fp32"):
    """Seeds of fixed train photos at every snapshot of stage s.

    Stored in results/seed-growth.npz and taken from there as long as the snapshots are the same.

    Parameters
    ----------
    run : Path
    caffe : module
        pycaffe or the embedded engine.
    cues : Cues
    data_set : dict
        As from dsrg.report.run_contents.read_data_set.

    Returns
    -------
    dict or None
        "iterations": list of int, 0 for the cues themselves; "maps": {image id: int16 (T, h, w)}, -1 without a seed.
        None where stage s has no snapshot, or its net grows no seeds.

    Raises
    ------
    UserError
        A net or weights that cannot be opened.
    """
    run = Path(run)
    snapshots = _snapshots(run, caffe)
    settings = _settings(run, caffe) if snapshots and (run / "deploy.prototxt").is_file() else None
    photos = _photos(run, cues, data_set)
    if settings is None or not photos:
        return None
    key = json.dumps([[[str(path.name), path.stat().st_size, path.stat().st_mtime_ns] for _, path in snapshots],
                      settings, sorted(photos.items()), str(cues.source)])
    stored = read_stored(run)
    if stored is not None and stored["key"] == key:
        return stored
    maps = _grown(run, caffe, cues, len(data_set["classes"]), photos, snapshots, settings, device, precision)
    iterations = [0, *(iteration for iteration, _ in snapshots)]
    with atomic_write(run / STORE) as temporary:
        np.savez_compressed(temporary, key=key, iterations=iterations, ids=list(photos),
                            maps=np.stack(list(maps.values())))
    return {"key": key, "iterations": iterations, "maps": maps}


def read_stored(run):
    """What an earlier call of `seed_growth` stored, or None."""
    try:
        arrays = read_npz(Path(run, STORE), "stored seeds")
        iterations, ids, maps = arrays["iterations"], arrays["ids"], arrays["maps"]
        key = str(arrays["key"])
    except (UserError, KeyError):
        return None
    fits = (iterations.ndim == ids.ndim == 1 and iterations.dtype.kind == "i" and ids.dtype.kind == "U"
            and maps.dtype == np.int16 and maps.ndim == 4 and maps.shape[:2] == (len(ids), len(iterations)))
    if not fits:
        return None
    return {"key": key, "iterations": iterations.tolist(), "maps": dict(zip(ids.tolist(), maps, strict=True))}


def shares(growth):
    """Share of the map that carries a seed, mean over the photos: {"object" and "background": float64 (T,)}."""
    maps = np.stack(list(growth["maps"].values()))                              # (photos, T, h, w)
    return {"object": (maps > 0).mean(axis=(0, 2, 3)), "background": (maps == 0).mean(axis=(0, 2, 3))}


def _grown(run, caffe, cues, classes, photos, snapshots, settings, device, precision):
    """{image id: int16 (T, h, w)}; the cues first, then the seeds of each snapshot."""
    net = ScoreNet(open_net(caffe, run / "deploy.prototxt", snapshots[0][1], device, precision))
    inputs = {image_id: to_input(load_image_bgr(find_image(run / "data/JPEGImages", image_id)), *settings["input"],
                                 settings["mean"])
              for image_id in photos}
    size = _map_size(net.scores(next(iter(inputs.values()))), cues, classes)
    maps = {image_id: [map_from_cues(cues[number][1], size)] for image_id, number in photos.items()}
    for _, weights in snapshots:
        net.net.copy_from(str(weights))
        for image_id, number in photos.items():
            maps[image_id].append(_seeds(net.scores(inputs[image_id]), cues[number], inputs[image_id], settings))
    return {image_id: np.stack(of_photo).astype(np.int16) for image_id, of_photo in maps.items()}


def _map_size(scores, cues, classes):
    """Height and width of the net's map, (C, h, w), which the cues have to fit."""
    size = scores.shape[1:]
    asked = size_of_map(cues.source, cues)      # a file with nothing beside it says the least that it can be
    if len(scores) != classes or asked[0] > size[0] or asked[1] > size[1]:
        raise UserError(f"deploy.prototxt scores {len(scores)} classes on a map of {size[0]}x{size[1]}, the cues are "
                        f"for {classes} classes and {asked[0]}x{asked[1]}")
    return size


def _seeds(scores, annotation, image, settings):
    """Class of each cell that carries a seed, else -1, int (h, w): what the DSRGLayer of train-s.prototxt grows."""
    labels, cues = dense_annotation([annotation], len(scores), scores.shape[1:])
    values = np.exp(scores - scores.max(axis=0))[None]                          # (1, C, h, w)
    values /= values.sum(axis=1, keepdims=True)
    refined = refine(values, image[None], settings["mean"], settings["iters"], settings["scale"], settings["textbook"])
    grown = grow_seeds(labels, cues, refined, settings["th1"], settings["th2"])[0]
    return np.where(grown.any(axis=0), grown.argmax(axis=0), -1)


def _snapshots(run, caffe):
    """[(iteration, path)] of stage s, ascending, at most SNAPSHOTS; the first and the last among them."""
    solver = _read(run / "solver-s.prototxt", caffe.proto.caffe_pb2.SolverParameter())
    prefix = run / ((solver.snapshot_prefix if solver else "") or "models/s")
    found = {}
    for path in prefix.parent.glob(f"{prefix.name}_iter_*.caffemodel*"):
        match = re.fullmatch(r"_iter_(\d+)\.caffemodel(\.h5)?", path.name.removeprefix(prefix.name))
        if match:
            found[int(match[1])] = path
    return spread(sorted(found.items()), SNAPSHOTS)


def _settings(run, caffe):
    """What train-s.prototxt says of input and growing; None where it has no DSRGLayer that grows."""
    path = next((p for p in (run / "train-s.prototxt", run / "s-train.prototxt") if p.is_file()), None)
    message = path and _read(path, caffe.proto.caffe_pb2.NetParameter())
    if not message:
        return None
    growing = next((one for one in message.layer if one.python_param.layer == "DSRGLayer"), None)
    data = next((one for one in message.layer if one.type == "ImageData"), None)
    if growing is None or data is None or not data.image_data_param.new_height:
        return None
    params = params_of(growing, path)
    if params.get("grow") is False or not {"th1", "th2"} <= params.keys():
        return None
    return {"input": [data.image_data_param.new_height, data.image_data_param.new_width],
            "mean": list(params.get("mean", voc.MEAN_BGR)), "iters": params.get("iters", ITERATIONS),
            "scale": params.get("scale", TRAINING_SCALE), "textbook": params.get("textbook", False),
            "th1": params["th1"], "th2": params["th2"]}


def _read(path, message):
    """`message` filled from a prototxt; None where there is none."""
    return read_prototxt(path, message, "prototxt")[0] if path.is_file() else None


def _photos(run, cues, data_set):
    """{image id: number} of PHOTOS train photos with cues, at even distances over the list."""
    numbers = photo_numbers(run)
    able = [i for i in data_set["train"] if numbers.get(i) in cues]
    return {i: numbers[i] for i in spread(able, PHOTOS)}
