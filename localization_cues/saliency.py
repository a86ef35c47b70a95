"""Saliency maps of a folder of photos, without any training (robust background detection).

    python -m localization_cues.saliency --images DIR --out DIR      # 8-bit PNGs, all cores
"""

import argparse
from functools import partial
from pathlib import Path

from dsrg.io.errors import UserError, run_main
from dsrg.io.photos import PHOTO_SUFFIXES
from dsrg.io.progress_bar import progress
from dsrg.io.workers import available_cpus, in_order
from dsrg.saliency.background_detection import write_saliency


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m localization_cues.saliency",
                                     description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=Path, required=True, help="folder of photos")
    parser.add_argument("--out", type=Path, required=True, help="folder for the maps, <name>.png, 255 = salient")
    parser.add_argument("--workers", type=int, default=available_cpus(), help="processes (default: all cores)")
    args = parser.parse_args(argv)
    if not args.images.is_dir():
        raise UserError(f"no folder {args.images}")
    photos = sorted(path for path in args.images.iterdir() if path.suffix in PHOTO_SUFFIXES)
    if not photos:
        raise UserError(f"no photo in {args.images} ({', '.join(PHOTO_SUFFIXES[:3])})")
    done = in_order(partial(write_saliency, out=args.out), photos, args.workers)
    for _ in progress(done, "saliency", len(photos)):
        pass


if __name__ == "__main__":
    run_main(main)
