# PYTHON_ARGCOMPLETE_OK
"""Say how well the classifier of the cues knows its classes, on train photos that were set apart; no mask is read.

    python -m localization_cues.classifier_quality --net cam-deploy.prototxt --weights models/cam_iter_480.caffemodel \\
        --list lists/cam_quality.txt --images data/JPEGImages --labels lists/image_labels.txt \\
        --classes lists/classes.txt --out results/cam-quality.json

Average precision of each class: 100 % where every photo that shows it scores above every one that does not; chance is
the share of photos that show it. A class that the classifier does not know has cues on the wrong things.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser, print_json
from dsrg.io.errors import run_main, warn
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import beside, refuse_overwriting
from dsrg.io.photo_lists import labels_of, read_photos
from dsrg.io.photos import load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.scoring.average_precision import mean_average_precision, rank_classes
from dsrg.scoring.score_net import open_net
from localization_cues.classifier_ranking import class_scores, table
from training.device_flags import add_flags
from training.shared_flags import add_classifier, add_mean

LITTLE = 0.1  # mean average precision above chance below which cues are hardly worth training on


def parse_args(argv):
    parser = command_parser("localization_cues.classifier_quality", __doc__, json=True)
    add_classifier(parser)
    parser.add_argument("--classes", type=Path, required=True, help="class names in index order, background first")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write; the table goes beside it as .txt")
    add_mean(parser)
    add_flags(parser)
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.images)
    refuse_overwriting(args, {"--out": beside(args.out, ".json", ".txt")})
    classes = read_classes(args.classes)[1:]
    nothing = args.list.is_file() and not args.list.stat().st_size     # of few photos none is set apart
    photos = {} if nothing else read_photos(args.list, args.images)
    scores, targets = np.zeros((0, len(classes))), np.zeros((0, len(classes)), bool)
    if photos:
        labels = labels_of(photos, args.labels)
        targets = np.array([[index in labels[number] for index in range(1, len(classes) + 1)] for number in photos])
        from training.findcaffe import caffe  # not before the files are known to be good

        net = open_net(caffe, args.net, args.weights, args.device, args.precision)
        shown = progress(photos.values(), "classifier quality", len(photos))
        scores = np.stack([class_scores(net, load_image_bgr(photo.path), args.mean, len(classes))
                           for photo in shown])
    rankings = rank_classes(scores, targets, classes)
    mean, chance = mean_average_precision(rankings)
    text = table(rankings, mean, chance, len(photos), args.list)
    if not args.json:
        print(text, end="")
    if mean is not None and mean - chance < LITTLE:
        warn("the classifier hardly knows its classes, so its cues will lie on the wrong things; train it longer "
             "(max_iter of solver-cam.prototxt), start it from ImageNet's weights (WEIGHTS), or give it more photos")
    record = {"mean_average_precision": mean, "mean_chance": chance, "images": len(photos),
              "classes": [asdict(one) for one in rankings], "net": str(args.net), "weights": str(args.weights),
              "list": str(args.list), "commit": git_commit()}
    if args.json:
        print_json(record)
    write_text(args.out.with_suffix(".txt"), text)
    write_text(args.out.with_suffix(".json"), json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    run_main(main)
