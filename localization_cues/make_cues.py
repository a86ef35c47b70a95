# PYTHON_ARGCOMPLETE_OK
"""Make the cue file from photos, image-level labels and a trained classifier.

    python -m localization_cues.make_cues --net cam-deploy.prototxt --weights models/cam_iter_300.caffemodel \\
        --list lists/input_list.txt --images data/JPEGImages --labels lists/image_labels.txt \\
        --out cues/localization_cues.pickle

No mask is read. Beside the cue file a .json of the same name records the settings, the coverage, and the images
in which a class fell back to its largest cell, stayed empty, or lost every cell to others.
"""

import json
from pathlib import Path

from dsrg.caffe_device import use_machine
from dsrg.cuefile.format import PICKLE_SUFFIXES
from dsrg.cuefile.writer import CueWriter
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser, sharing_ranks
from dsrg.io.errors import run_main
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import beside, refuse_overwriting
from dsrg.io.photo_lists import labels_of, read_photos
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.report.cue_summary import print_summary, summary
from dsrg.scoring.score_net import open_net
from localization_cues.cam import CamNet
from localization_cues.cue_flags import add_class_maps, add_rules, refuse_unused_rules, rules_of
from localization_cues.cues_of_photos import cues_of_photos, map_size, written
from localization_cues.gradient import GradientNet
from training.device_flags import add_flags
from training.shared_flags import add_classifier, add_workers


def parse_args(argv):
    parser = command_parser("localization_cues.make_cues", __doc__)
    files = parser.add_argument_group("files")
    add_classifier(files)
    files.add_argument("--out", type=Path, required=True, help="cue file to write, .pickle or .npz")
    files.add_argument("--saliency-maps", type=Path, metavar="DIR",
                       help="read saliency from <id>.png (gray, 255 = salient, of the photo's size) instead of "
                            "computing it")
    add_class_maps(parser.add_argument_group("class maps"))
    add_rules(parser.add_argument_group("rules"))
    machine = parser.add_argument_group("machine")
    add_flags(machine)
    add_workers(machine, "processes for the saliency (default: the number of cores)")
    args = parser.parse_args(argv)
    if args.out.suffix not in (*PICKLE_SUFFIXES, ".npz"):
        parser.error("--out ends in .pickle, .pkl or .npz")
    refuse_unused_rules(parser, args)
    return args


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.images, args.saliency_maps)
    refuse_overwriting(args, {"--out": beside(args.out, args.out.suffix, ".json")},
                       [args.labels.with_name("classes.txt")])
    photos = read_photos(args.list, args.images)
    labels = labels_of(photos, args.labels)
    from training.findcaffe import caffe  # not before the arguments are known to be good

    ranks = sharing_ranks()
    args.device = ranks.device(args.device)
    args.precision = use_machine(caffe, args.device, args.precision)  # the settings say what 'auto' stood for
    rules = rules_of(args)
    caffe_net = open_net(caffe, args.net, args.weights, args.device, args.precision,
                         backward="gradient" in rules.needs, allow_random=args.allow_random)
    net = CamNet(caffe_net, args.maps_blob, args.classifier, args.features_blob)
    gradients = None
    if "gradient" in rules.needs:
        of_background = caffe_net if args.background_net is None else open_net(
            caffe, args.background_net, args.background_weights, args.device, args.precision, backward=True)
        gradients = GradientNet(of_background, args.background_blob)
    cue_size = tuple(args.size or map_size(net))
    merged = ranks.gathered(cues_of_photos(
        net, gradients, ranks.share(photos), labels, cue_size, rules, args.sizes, args.flip, args.mean,
        args.saliency_maps, ranks.part_of(args.workers)))
    if not ranks.is_first:
        for _ in merged:                # until the first process has everything
            pass
        return
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
    """The names in a classes.txt, or None where there is none.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of str or None
    """
    return read_classes(path) if path.is_file() else None


if __name__ == "__main__":
    run_main(main)
