"""Segment photos at several sizes with a trained net, refine with the dense CRF, write index PNGs.

    python -m tools.segment --net deploy.prototxt --weights models/model-s_iter_8000.caffemodel \\
        --list lists/val_id.txt --images data/JPEGImages --out segmentations/val

With --labels lists/image_labels.txt an image holds only background and its own labels: so pseudo-labels are
made. A stopped run goes on where it was; OUT/settings.json tells what made the maps, and those of other
settings are redone.
"""

import argparse
import contextlib
import hashlib
import json
from pathlib import Path

import numpy as np

from dsrg.crf_backend import CRF_BACKENDS, OWN, use_crf_backend
from dsrg.io import voc
from dsrg.io.atomic_files import atomic_write, write_text
from dsrg.io.errors import UserError, run_main
from dsrg.io.image_ids import file_of
from dsrg.io.image_labels import read_image_labels
from dsrg.io.label_png import save_label_png
from dsrg.io.lists import read_ids
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photos import find_images
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.io.workers import available_cpus
from dsrg.scoring.multiscale import CRF_SCALE, fuse_scores, label_map
from dsrg.scoring.photo_pipeline import score_photos
from dsrg.scoring.score_net import ScoreNet, open_net
from training.device_flags import add_flags

SIZES = (241, 321, 401)  # squares of the original's test-ms.py


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.segment", description=__doc__.split("\n")[0])
    files = parser.add_argument_group("files")
    files.add_argument("--net", type=Path, required=True, help="deploy prototxt")
    files.add_argument("--weights", type=Path, required=True, help="caffemodel")
    files.add_argument("--list", type=Path, required=True, help="image ids, one a line")
    files.add_argument("--images", type=Path, required=True, help="folder of the photos, <id>.jpg or .png")
    files.add_argument("--out", type=Path, required=True, help="folder for the label maps, <id>.png")
    files.add_argument("--scores", type=Path, metavar="DIR",
                       help="also write <id>.npz with 'scores', float16 (C, H, W), summed over sizes")
    files.add_argument("--labels", type=Path, metavar="FILE",
                       help="image_labels.txt: allow only background and the image's labels (pseudo-labels)")
    files.add_argument("--overwrite", action="store_true", help="redo maps that are already there")

    method = parser.add_argument_group("method")
    scale = method.add_mutually_exclusive_group()
    scale.add_argument("--sizes", type=int, nargs="+", default=None, metavar="N",
                       help=f"sides of square inputs (default: {' '.join(map(str, SIZES))})")
    scale.add_argument("--scales", type=float, nargs="+", metavar="F",
                       help="instead, factors of the photo's own size, e.g. 0.75 1 1.25")
    method.add_argument("--flip", action="store_true", help="average with the mirrored photo")
    method.add_argument("--crf", action=argparse.BooleanOptionalAction, default=True,
                        help="refine with the dense CRF")
    method.add_argument("--crf-scale", type=float, default=CRF_SCALE, metavar="S",
                        help="divide the CRF's spatial widths, 80 and 3 pixels, by S: about 500 / the photo's longer "
                             "side (default: %(default)s)")
    method.add_argument("--crf-backend", choices=CRF_BACKENDS,
                        help="what computes the dense CRF (default: the variable CRF_BACKEND, or own)")
    method.add_argument("--mean", type=float, nargs=3, default=voc.MEAN_BGR, metavar=("B", "G", "R"),
                        help="mean pixel to subtract (default: %(default)s)")
    method.add_argument("--output-blob", metavar="NAME",
                        help="blob of the scores (default: the net's only output)")

    machine = parser.add_argument_group("machine")
    add_flags(machine)
    machine.add_argument("--workers", type=int, default=available_cpus(), metavar="N",
                         help="images whose CRF runs at a time (default: the number of cores)")
    args = parser.parse_args(argv)
    if min(*(args.sizes or args.scales or SIZES), args.crf_scale, args.workers) <= 0:
        parser.error("--sizes, --scales, --crf-scale and --workers must be positive")
    if args.sizes is None and args.scales is None:
        args.sizes = list(SIZES)
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.images)
    refuse_inputs_as_output(args.scores, args.images, what="--scores")
    ids = read_ids(args.list)
    labels = read_labels(args.labels, ids) if args.labels else None
    if args.crf:
        require_crf()
        args.crf_backend = use_crf_backend(args.crf_backend)
    todo = start_or_resume(args, ids)
    if not todo:
        print(f"{args.out}: all {len(ids)} label maps are there")
        return
    photos = find_images(args.images, todo)
    from training.findcaffe import caffe  # not before the photos are known to be there

    net = ScoreNet(open_net(caffe, args.net, args.weights, args.device, args.precision), args.output_blob)

    def finish(image_id, image_bgr, maps):
        classes = allowed_classes(image_id, labels, len(maps[0])) if labels else None
        scores = fuse_scores(maps, *image_bgr.shape[:2])
        if args.scores:
            with atomic_write(file_of(args.scores, image_id, ".npz")) as temporary:
                np.savez_compressed(temporary, scores=scores.transpose(2, 0, 1).astype(np.float16))
        result = label_map(scores, image_bgr if args.crf else None, classes, args.crf_scale, args.crf_backend)
        save_label_png(file_of(args.out, image_id), result)

    done = score_photos(net, photos, finish, args, args.workers)
    for _ in progress(done, f"segment into {args.out}", len(todo)):
        pass


def read_labels(path, ids):
    """Labels of each image; every image needs a line in the file."""
    labels = read_image_labels(path)
    without = [image_id for image_id in ids if image_id not in labels]
    if without:
        raise UserError(f"{len(without)} of {len(ids)} images have no labels in {path}, the first is "
                        f"'{without[0]}'; add a line for it or take it out of the list")
    return labels


def allowed_classes(image_id, labels, num_classes):
    """Classes that an image may hold: background and its labels."""
    if max(labels[image_id], default=0) >= num_classes:
        raise UserError(f"image '{image_id}' has label {max(labels[image_id])}, but the net scores "
                        f"{num_classes} classes; the labels and the net belong to different data")
    return [0, *labels[image_id]]


def require_crf():
    """Say at once, not after the first image, that the CRF is not installed."""
    try:
        import krahenbuhl2013  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UserError(f"the dense CRF is missing ({error}); run bash setup.sh or pass --no-crf") from None


def start_or_resume(args, ids):
    """Ids that have no map of these settings yet; maps of other settings are removed first."""
    settings = {
        "net": _sha256(args.net), "weights": _sha256(args.weights),
        "labels": _sha256(args.labels) if args.labels else None,
        "images": str(args.images), "sizes": args.sizes, "scales": args.scales, "flip": args.flip,
        "crf": args.crf and args.crf_scale, "mean": list(args.mean), "output_blob": args.output_blob,
        "precision": args.precision,
    }
    if args.crf and args.crf_backend != OWN:
        settings["crf_backend"] = args.crf_backend
    path = args.out / "settings.json"
    earlier = None
    with contextlib.suppress(FileNotFoundError, ValueError):
        earlier = json.loads(path.read_text())["settings"]
    there = [image_id for image_id in ids if _outputs(args, image_id)[-1].is_file()]
    if there and earlier is None and not args.overwrite:
        raise UserError(f"{args.out} holds label maps but no settings.json that says how they were made; "
                        "pass --overwrite or choose another --out")
    if there and (args.overwrite or earlier != settings):
        changed = [] if earlier is None else [key for key in settings if earlier.get(key) != settings[key]]
        print(f"{args.out}: redoing {len(there)} label maps ({', '.join(changed) or 'as asked'})")
        for image_id in there:
            for file in reversed(_outputs(args, image_id)):
                file.unlink(missing_ok=True)
    if earlier != settings:
        about = {"net": str(args.net), "weights": str(args.weights), "commit": git_commit()}
        write_text(path, json.dumps({"settings": settings, **about}, indent=1) + "\n")
    return [image_id for image_id in ids if not all(file.is_file() for file in _outputs(args, image_id))]


def _outputs(args, image_id):
    """Files of one image in the order they are written: the label map is last and tells that it is done."""
    scores = [file_of(args.scores, image_id, ".npz")] if args.scores else []
    return [*scores, file_of(args.out, image_id)]


def _sha256(path):
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None


if __name__ == "__main__":
    run_main(main)
