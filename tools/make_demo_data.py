"""Make the data set of the experiment demo, in the layout of VOC.

    python -m tools.make_demo_data --out work/demo-data --seed 0

Photos of textured creatures of six classes on textured grounds, each with its class written mostly on its head, so
that image-level labels show a part and growing has to find the whole; dsrg/datasets/demo_scenes.py tells the rules. The
same seed makes the same bytes. The folder appears whole or not at all: it is written beside and renamed.
"""

import argparse
import shutil
from pathlib import Path

import cv2
import numpy as np

from dsrg.datasets.demo_scenes import CLASSES, VOID, draw_scene
from dsrg.io.errors import UserError, run_main
from dsrg.io.label_png import save_label_png
from dsrg.io.progress_bar import progress

SHAPES = ((128, 160), (160, 128), (120, 160), (144, 144))   # heights and widths of the photos
SPLITS = ("train", "val")
MARKER = "Demo data set of DSRG, made by tools.make_demo_data"


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.make_demo_data", description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to make; replaced if this command made it")
    parser.add_argument("--train", type=int, default=240, metavar="N", help="photos to train on (default: %(default)s)")
    parser.add_argument("--val", type=int, default=80, metavar="N", help="photos to evaluate on (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of everything drawn (default: %(default)s)")
    args = parser.parse_args(argv)
    if args.train < 1 or args.val < 1 or args.seed < 0:
        parser.error("--train and --val must be at least 1, --seed 0 or more")
    return args


def main(argv=None):
    args = parse_args(argv)
    check_replaceable(args.out)
    partial = args.out.with_name(f".{args.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write_data_set(partial, args)
        if args.out.exists():
            shutil.rmtree(args.out)
        partial.rename(args.out)
    except OSError as error:
        raise UserError(f"cannot write {args.out}: {error.strerror or error}; choose another --out") from None
    print(f"{args.out}: {args.train} photos in train, {args.val} in val, {len(CLASSES) - 1} classes and background")


def check_replaceable(out):
    """Refuse to replace a folder this command did not make."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    readme = out / "README.txt"
    if not (readme.is_file() and readme.read_text(errors="replace").startswith(MARKER)):
        raise UserError(f"{out} is there and was not made by this command; choose another --out")


def write_data_set(root, args):
    """Draw all photos of both splits into `root`, with lists, labels and classes."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    counts = dict(zip(SPLITS, (args.train, args.val), strict=True))
    ids = {split: [f"{split}_{k:04d}" for k in range(counts[split])] for split in SPLITS}
    labels = []
    todo = [(s, k) for s, split in enumerate(SPLITS) for k in range(counts[split])]
    for s, k in progress(todo, "photos", len(todo)):
        rng = np.random.default_rng([args.seed, s, k])      # a photo depends on its own numbers only
        image_id = ids[SPLITS[s]][k]
        image_bgr, mask, _ = draw_scene(rng, *SHAPES[rng.integers(len(SHAPES))])
        write_photo(root / "JPEGImages" / f"{image_id}.jpg", image_bgr)
        save_label_png(root / "SegmentationClass" / f"{image_id}.png", mask)
        labels.append(" ".join([image_id, *(str(c) for c in np.unique(mask) if 0 < c < VOID)]))
    for split in SPLITS:
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("".join(f"{i}\n" for i in ids[split]))
    (root / "image_labels.txt").write_text("".join(f"{line}\n" for line in labels))
    (root / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    (root / "README.txt").write_text(f"{MARKER} --train {args.train} --val {args.val} --seed {args.seed}\n")


def write_photo(path, image_bgr):
    """Write a JPEG of quality 95."""
    if not cv2.imwrite(str(path), image_bgr, [cv2.IMWRITE_JPEG_QUALITY, 95]):
        raise UserError(f"cannot write {path}; free space or choose another --out")


if __name__ == "__main__":
    run_main(main)
