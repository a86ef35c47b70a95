"""Make the cue file from photos, image-level labels and a trained classifier.

    python -m localization_cues.make_cues --net cam-deploy.prototxt --weights models/cam_iter_300.caffemodel \\
        --list lists/input_list.txt --images data/JPEGImages --labels lists/image_labels.txt \\
        --out cues/localization_cues.pickle

No mask is read. Beside the cue file a .json of the same name tells the settings, the coverage, and the images
in which a class had to fall back to its largest cell or lost every cell to smaller ones.
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from localization_cues.background import Evidence, background_cells, parse_rule
from localization_cues.cam import CamNet
from localization_cues.format import PICKLE_SUFFIXES, cues_from_map
from localization_cues.inputs import labels_of, read_photos
from localization_cues.merge import merge
from localization_cues.saliency import photo_saliency
from localization_cues.writer import CueWriter
from tools import voc
from tools.common import UserError, available_cpus, git_commit, load_image_bgr, progress, run_main, write_text
from tools.score_net import open_net
from training.machine import add_flags


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m localization_cues.make_cues",
                                     description=__doc__.split("\n")[0])
    files = parser.add_argument_group("files")
    files.add_argument("--net", type=Path, required=True, help="deploy prototxt of the classifier")
    files.add_argument("--weights", type=Path, required=True, help="its caffemodel")
    files.add_argument("--list", type=Path, required=True, help='photos, "<name>.jpg <number>" a line')
    files.add_argument("--images", type=Path, required=True, help="folder of the photos")
    files.add_argument("--labels", type=Path, required=True, help='image labels, "<id> <class> ..." a line')
    files.add_argument("--out", type=Path, required=True, help="cue file to write, .pickle or .npz")
    files.add_argument("--saliency-maps", type=Path, metavar="DIR",
                       help="read saliency from <id>.png (gray, 255 = salient, of the photo's size) instead of "
                            "computing it")

    maps = parser.add_argument_group("class maps")
    maps.add_argument("--maps-blob", metavar="NAME",
                      help="blob of the class maps (default: the net's only output)")
    maps.add_argument("--features-blob", metavar="NAME", help="with --classifier: blob of the features f_k")
    maps.add_argument("--classifier", metavar="LAYER", help="layer whose weights w_ck make the maps from features")
    maps.add_argument("--sizes", type=int, nargs="+", metavar="N",
                      help="sides of square inputs whose maps are averaged (default: the net's own input)")
    maps.add_argument("--flip", action="store_true", help="average with the mirrored photo")
    maps.add_argument("--mean", type=float, nargs=3, default=voc.MEAN_BGR, metavar=("B", "G", "R"),
                      help="mean pixel to subtract (default: %(default)s)")
    maps.add_argument("--size", type=int, nargs=2, metavar=("H", "W"),
                      help="size of the cue map (default: of the net's maps at its own input)")

    rules = parser.add_argument_group("rules")
    rules.add_argument("--threshold", type=float, default=0.2,
                       help="a cell is of a class above this fraction of its maximum (default 0.2: SEC's "
                            "foreground cues)")
    rules.add_argument("--background", type=_rule(None), nargs="+", metavar="RULE",
                       default=[parse_rule("saliency:0.06")],
                       help="cam-low:T or saliency:T; of several every one must hold (default saliency:0.06: "
                            "DSRG's threshold of its saliency map)")
    rules.add_argument("--gate", type=_rule(("saliency",)), metavar="saliency:T",
                       help="no class may claim a cell of saliency below T (default: no gate, as SEC and DSRG)")

    machine = parser.add_argument_group("machine")
    add_flags(machine)
    machine.add_argument("--workers", type=int, default=available_cpus(), metavar="N",
                         help="processes for the saliency (default: the number of cores)")
    args = parser.parse_args(argv)
    if not 0 <= args.threshold < 1:
        parser.error("--threshold is a fraction of the maximum, from 0 to below 1")
    if args.out.suffix not in (*PICKLE_SUFFIXES, ".npz"):
        parser.error("--out ends in .pickle, .pkl or .npz")
    if min([*(args.sizes or [1]), *(args.size or [1]), args.workers]) < 1:
        parser.error("--sizes, --size and --workers must be positive")
    return args


def _rule(names):
    def parse(text):
        try:
            return parse_rule(text, names) if names else parse_rule(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
    return parse


def main(argv=None):
    args = parse_args(argv)
    photos = read_photos(args.list, args.images)
    labels = labels_of(photos, args.labels)
    net = CamNet(open_net(args.net, args.weights, args.device, args.precision),
                 args.maps_blob, args.classifier, args.features_blob)
    cue_size = tuple(args.size or map_size(net))
    with CueWriter(args.out) as writer:
        merged = written(progress(make(net, photos, labels, cue_size, args), "cues", len(photos)), labels, writer)
        report = summary(merged, {number: path.stem for number, path in photos.items()}, cue_size)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    settings["background"] = [str(rule) for rule in args.background]
    settings["gate"] = args.gate and str(args.gate)
    text = json.dumps({**report, "settings": settings, "commit": git_commit()}, indent=1)
    write_text(args.out.with_suffix(".json"), text + "\n")
    print_summary(args.out, report)


def map_size(net):
    """Height and width of the net's maps at the input size its prototxt names."""
    return net.maps(np.zeros((3, *net.native_size), np.float32)).shape[1:]


def make(net, photos, labels, cue_size, args):
    """Yield (image number, Merged) for every photo; saliency runs ahead of the net on all cores."""
    sizes = [(side, side) for side in args.sizes] if args.sizes else [net.native_size]
    wanted = any(rule.needs_saliency for rule in [*args.background, *([args.gate] if args.gate else [])])
    with SaliencySource(photos.values(), cue_size, args.saliency_maps, args.workers, wanted) as saliency_of:
        for number, path in photos.items():
            maps = net.image_maps(load_image_bgr(path), labels[number], sizes, cue_size, args.flip, args.mean)
            if not np.isfinite(maps).all():
                raise UserError(f"the class maps of {path} are not finite; the training of {args.weights} diverged, "
                                "lower its learning rate")
            evidence = Evidence(maps, saliency_of(path))
            gate = ~args.gate.below(evidence) if args.gate else None
            background = background_cells(args.background, evidence)
            yield number, merge(maps, labels[number], background, args.threshold, gate)


class SaliencySource:
    """Saliency maps at the cue size, computed ahead by a pool of processes; None for all when not wanted."""

    def __init__(self, paths, size, folder, workers, wanted):
        self._pool, self._futures = None, {}
        if wanted:
            # The net's threads do not survive a fork, so the processes start afresh.
            self._pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"))
            self._futures = {path: self._pool.submit(photo_saliency, path, size, folder) for path in paths}

    def __call__(self, path):
        return self._futures.pop(path).result() if self._pool else None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self._pool:
            self._pool.shutdown(wait=True, cancel_futures=True)


def written(merged, labels, writer):
    """Yield the (image number, Merged) pairs on, each after its cues went into the file."""
    for number, result in merged:
        writer.add(number, labels[number], cues_from_map(result.label_map))
        yield number, result


def summary(merged, names, cue_size):
    """Counts over (image number, Merged) pairs, ready for JSON; images by name. Keeps no map."""
    images = foreground = background = 0
    notes = {"fallback": {}, "lost": {}, "without_background": []}
    for number, result in merged:
        images += 1
        foreground += (result.label_map > 0).mean()
        background += (result.label_map == 0).mean()
        for key in ("fallback", "lost"):
            if getattr(result, key):
                notes[key][names[number]] = list(getattr(result, key))
        if not (result.label_map == 0).any():
            notes["without_background"].append(names[number])
    return {"images": images, "cue_size": list(cue_size), "foreground": float(foreground / images),
            "background": float(background / images), **notes}


def print_summary(path, report):
    size = "x".join(map(str, report["cue_size"]))
    print(f"{path}: {report['images']} images, {size} cells, foreground {report['foreground']:.1%}, "
          f"background {report['background']:.1%}")
    for key, text in (("fallback", "with a class below threshold or gate everywhere, kept by its largest cell"),
                      ("lost", "with a class that lost every cell to smaller ones"),
                      ("without_background", "without a background cell")):
        names = list(report[key])
        if names:
            shown = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
            print(f"  {len(names)} images {text}: {shown}")


if __name__ == "__main__":
    run_main(main)
