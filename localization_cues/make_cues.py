"""Make the cue file from photos, image-level labels and a trained classifier.

    python -m localization_cues.make_cues --net cam-deploy.prototxt --weights models/cam_iter_300.caffemodel \\
        --list lists/input_list.txt --images data/JPEGImages --labels lists/image_labels.txt \\
        --out cues/localization_cues.pickle

No mask is read. Beside the cue file a .json of the same name records the settings, the coverage, and the images
in which a class fell back to its largest cell, stayed empty, or lost every cell to others.
"""

import argparse
import json
from pathlib import Path

from dsrg.caffe_device import use_machine
from dsrg.cuefile.format import PICKLE_SUFFIXES
from dsrg.cuefile.writer import CueWriter
from dsrg.io import voc
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.errors import run_main
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photo_lists import labels_of, read_photos
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.io.workers import available_cpus
from dsrg.report.cue_summary import print_summary, summary
from dsrg.scoring.score_net import open_net
from localization_cues.background_rules import parse_rule
from localization_cues.cam import CamNet
from localization_cues.cues_of_photos import Rules, cues_of_photos, map_size, written
from localization_cues.gradient import BLOB, GradientNet
from localization_cues.merge import OVERLAP_RULES
from training.device_flags import add_flags


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
                      help="blob of the class maps (default: found from the net's output upwards, as are features "
                           "and classifier where the classes are scored behind the global pooling)")
    maps.add_argument("--features-blob", metavar="NAME", help="with --classifier: blob of the features f_k")
    maps.add_argument("--classifier", metavar="LAYER", help="layer whose weights w_ck make the maps from features")
    maps.add_argument("--allow-random", metavar="LAYER", action="append", default=[],
                      help="a layer of --net with parameters that may lack weights; without it such a net is refused")
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
                       help="cam-low:T, saliency:T, sec-gradient:F or none; of several every one must hold "
                            "(default saliency:0.06: DSRG's threshold of its saliency map; SEC: sec-gradient:0.1)")
    rules.add_argument("--background-net", type=Path, metavar="FILE",
                       help="deploy prototxt of the classifier of sec-gradient (default: the one of --net)")
    rules.add_argument("--background-weights", type=Path, metavar="FILE", help="its caffemodel")
    rules.add_argument("--background-blob", default=BLOB, metavar="NAME",
                       help="where sec-gradient reads the gradient; resized to the cue size (default %(default)s: "
                            "SEC's)")
    rules.add_argument("--gate", type=_rule(("saliency",)), metavar="saliency:T",
                       help="no class may claim a cell of saliency below T (default: no gate, as SEC and DSRG)")
    rules.add_argument("--overlap", choices=OVERLAP_RULES, default=OVERLAP_RULES[0],
                       help="who gets a cell that several classes claim: the class of the smaller area (default: "
                            "SEC), the one whose relative map is higher there, or nobody")
    rules.add_argument("--leave-empty", action="store_true",
                       help="a class that nowhere passes threshold and gate gets no cue (default: its largest cell)")

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
    if (args.background_net is None) != (args.background_weights is None):
        parser.error("--background-net and --background-weights go together")
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
    refuse_inputs_as_output(args.out, args.images, args.saliency_maps)
    photos = read_photos(args.list, args.images)
    labels = labels_of(photos, args.labels)
    from training.findcaffe import caffe  # not before the arguments are known to be good

    args.precision = use_machine(caffe, args.device, args.precision)  # the settings say what 'auto' stood for
    rules = Rules(args.threshold, args.background, args.gate, args.overlap, not args.leave_empty)
    caffe_net = open_net(caffe, args.net, args.weights, args.device, args.precision,
                         backward="gradient" in rules.needs, allow_random=args.allow_random)
    net = CamNet(caffe_net, args.maps_blob, args.classifier, args.features_blob)
    gradients = None
    if "gradient" in rules.needs:
        of_background = caffe_net if args.background_net is None else open_net(
            caffe, args.background_net, args.background_weights, args.device, args.precision, backward=True)
        gradients = GradientNet(of_background, args.background_blob)
    cue_size = tuple(args.size or map_size(net))
    merged = cues_of_photos(net, gradients, photos, labels, cue_size, rules, args.sizes, args.flip, args.mean,
                            args.saliency_maps, args.workers)
    with CueWriter(args.out) as writer:
        names = {number: photo.id for number, photo in photos.items()}
        classes = sorted({c for image_labels in labels.values() for c in image_labels})
        report = summary(written(progress(merged, "cues", len(photos)), labels, writer), names, cue_size, classes)
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(args).items()}
    settings["background"] = [str(rule) for rule in args.background]
    settings["gate"] = args.gate and str(args.gate)
    text = json.dumps({**report, "settings": settings, "commit": git_commit()}, indent=1)
    write_text(args.out.with_suffix(".json"), text + "\n")
    print_summary(args.out, report, class_names(args.labels.with_name("classes.txt")))


def class_names(path):
    """The names in a classes.txt, or None where there is none."""
    return read_classes(path) if path.is_file() else None


if __name__ == "__main__":
    run_main(main)
