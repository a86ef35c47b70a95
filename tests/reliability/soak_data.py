"""Made data of the soak: a run of stage s on made photos with cues from their masks, and photos of many sizes."""

import os

import cv2
import numpy as np

from dsrg.cuefile.format import save_cues
from dsrg.cuefile.label_map import cues_from_map
from dsrg.datasets.demo_data import make_demo_data
from dsrg.datasets.demo_scenes import CLASSES, VOID, draw_scene
from dsrg.experiments import prototxt_files
from dsrg.experiments.description import read_nets
from dsrg.io.label_png import load_label_png
from dsrg.io.photos import write_picture
from dsrg.io.workers import in_order

#: a net of the demo's kind on small inputs, learning at one rate for ever: an iteration costs the same for hours
SOLVER = {"lr_policy": "fixed", "base_lr": 1e-3, "max_iter": 10**8, "snapshot": 500, "clip_gradients": 5}
NETS = {"classes": len(CLASSES), "size": 65, "backbone": "small", "head": "small", "classifier": "small",
        "crf_scale": 24, "batch": {"cam": 4, "s": 4}, "solvers": {"cam": SOLVER, "s": SOLVER}}
SHAPES = ((96, 128), (128, 96), (100, 75), (120, 160), (61, 143), (144, 144), (88, 88), (160, 107), (131, 99),
          (72, 150))                # heights and widths
SCENE, CUTS = (200, 200), 20
SEED = 17


def make_run(folder, photos=64):
    """Prototxts, photos, list and cues of a training below a folder, unless they are there."""
    if (folder / "solver-s.prototxt").exists():
        return
    for name in ("models", "logs", "lists", "cues"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    make_demo_data(folder / "data", photos, 1, SEED)
    nets = read_nets(NETS, "soak")
    rng, cues, names = np.random.default_rng(SEED), {}, []
    for number in range(photos):
        names.append(f"train_{number:04d}")
        cues[number] = seeds(load_label_png(folder / f"data/SegmentationClass/{names[-1]}.png"), nets.cells, rng)
    save_cues(folder / "cues/localization_cues.pickle", cues)
    (folder / "lists/input_list.txt").write_text("".join(f"{name}.jpg {k}\n" for k, name in enumerate(names)))
    messages = prototxt_files.prototxts(nets, "cues/localization_cues.pickle")
    prototxt_files.write(folder, prototxt_files.texts(messages, "soak"))


def seeds(mask, cells, rng):
    """(classes of the image, cues): a fifth of the cells of a mask."""
    small = cv2.resize(mask, (cells, cells), interpolation=cv2.INTER_NEAREST).astype(int)
    classes = np.setdiff1d(np.unique(mask), (0, VOID)).astype(int)
    small[(small == VOID) | (rng.random(small.shape) > 0.2)] = -1
    return classes, cues_from_map(small)


def make_photos(folder, count):
    """So many photos of ten sizes in `photos`, and their list; those that are there are kept.

    Twenty are cut from one drawn scene, each elsewhere.
    """
    (folder / "photos").mkdir(exist_ok=True)
    names = [f"photo_{number:05d}" for number in range(count)]
    jobs = [(str(folder / "photos"), number, names[number : number + CUTS]) for number in range(0, count, CUTS)]
    for _ in in_order(_draw, jobs, len(os.sched_getaffinity(0))):
        pass
    (folder / "lists/photos.txt").write_text("".join(f"{name}\n" for name in names))


def _draw(job):
    folder, number, names = job
    paths = [f"{folder}/{name}.jpg" for name in names]
    if all(map(os.path.exists, paths)):
        return
    rng = np.random.default_rng([SEED, number])
    scene_bgr, _, _ = draw_scene(rng, *SCENE)
    for k, path in enumerate(paths):
        height, width = SHAPES[k % len(SHAPES)]
        y, x = rng.integers(SCENE[0] - height + 1), rng.integers(SCENE[1] - width + 1)
        cut = scene_bgr[y : y + height, x : x + width]
        write_picture(path, cut[:, ::-1] if rng.random() < 0.5 else cut, cv2.IMWRITE_JPEG_QUALITY, 90)
