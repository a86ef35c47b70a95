"""The data set of the experiment demo, in the layout of VOC."""

import functools

import cv2
import numpy as np

from dsrg.datasets.demo_scenes import CLASSES, VOID, draw_scene
from dsrg.io.errors import UserError
from dsrg.io.label_png import save_label_png
from dsrg.io.photos import write_picture
from dsrg.io.progress_bar import progress
from dsrg.io.whole_folders import whole_folder
from dsrg.io.workers import in_order

SHAPES = ((128, 160), (160, 128), (120, 160), (144, 144))   # heights and widths of the photos
SPLITS = ("train", "val")
MARKER = "Demo data set of DSRG, made by tools.make_demo_data"


def make_demo_data(out, train, val, seed, workers=1):
    """Make the data root `out`, whole or not at all: it is written beside and renamed.

    Parameters
    ----------
    out : Path
        Replaced if this function made it.
    train, val : int
        Number of photos of each split, at least 1.
    seed : int
        Of everything drawn; the same seed makes the same bytes, with any number of processes.
    workers : int
        Processes that draw.

    Raises
    ------
    UserError
        `out` is something else, or cannot be written.
    """
    _check_replaceable(out)
    with whole_folder(out, replace=True) as partial:
        _write(partial, dict(zip(SPLITS, (train, val), strict=True)), seed, workers)


def _check_replaceable(out):
    """Refuse to replace a folder this command did not make."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    readme = out / "README.txt"
    if not (readme.is_file() and readme.read_text(errors="replace").startswith(MARKER)):
        raise UserError(f"{out} is there and was not made by this command; choose another --out")


def _write(root, counts, seed, workers):
    """Draw all photos of both splits into `root`, with lists, labels and classes; `counts` of each split."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    ids = {split: [f"{split}_{k:04d}" for k in range(counts[split])] for split in SPLITS}
    jobs = [(image_id, [seed, s, k]) for s, split in enumerate(SPLITS) for k, image_id in enumerate(ids[split])]
    labels = list(progress(in_order(functools.partial(_draw, root), jobs, workers), "photos", len(jobs)))
    for split in SPLITS:
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids[split]))
    (root / "image_labels.txt").write_text("".join(f"{line}\n" for line in labels))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (root / "README.txt").write_text(f"{MARKER} --train {counts['train']} --val {counts['val']} --seed {seed}\n")


def _draw(root, job):
    """Write one photo and its mask; its line of image_labels.txt. A photo depends on its own numbers only."""
    image_id, numbers = job
    rng = np.random.default_rng(numbers)
    image_bgr, mask, _ = draw_scene(rng, *SHAPES[rng.integers(len(SHAPES))])
    write_picture(root / "JPEGImages" / f"{image_id}.jpg", image_bgr, cv2.IMWRITE_JPEG_QUALITY, 95)
    save_label_png(root / "SegmentationClass" / f"{image_id}.png", mask)
    return " ".join([image_id, *(str(c) for c in np.unique(mask) if 0 < c < VOID)])
