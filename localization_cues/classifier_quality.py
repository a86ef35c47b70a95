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
from dsrg.io.errors import UserError, run_main, warn
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photo_lists import labels_of, read_photos
from dsrg.io.photos import load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.io.versions import git_commit
from dsrg.scoring.average_precision import mean_average_precision, rank_classes
from dsrg.scoring.resizing import to_input
from dsrg.scoring.score_net import open_net
from localization_cues.class_scores import score_layer
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


def class_scores(net, image_bgr, mean_bgr, count):
    """Score of each class of one photo, float64 (count,): maps are averaged, as the classifier's pooling does.

    Parameters
    ----------
    net : caffe.Net
    image_bgr : uint8 array (H, W, 3)
    mean_bgr : three floats
    count : int
        Classes without background.

    Returns
    -------
    float64 array (count,)

    Raises
    ------
    UserError
        Scores of another number of classes, or that are not finite.
    """
    data = net.blobs[net.inputs[0]]
    data.reshape(1, *data.shape[1:])
    data.data[0] = to_input(image_bgr, *data.shape[2:], mean_bgr)
    net.forward()
    blob = score_layer(net).blob
    values = np.array(net.blobs[blob].data[0], np.float64)
    if len(values) != count:
        raise UserError(f"blob '{blob}' scores {len(values)} classes, but the data has {count} besides background; the "
                        "net belongs to other data")
    values = values.reshape(count, -1).mean(axis=1)
    if not np.isfinite(values).all():
        raise UserError("the classifier's scores are not finite: its training diverged; lower its base_lr")
    return values


def table(rankings, mean, chance, images, path):
    """Lines for people, in percent.

    Parameters
    ----------
    rankings : list of Ranking
    mean, chance : float or None
    images : int
    path : path
        Of the list of photos.

    Returns
    -------
    str
    """
    if mean is None:
        why = "it is empty" if not images else "its photos show every class or none"
        return f"classifier quality: not measured, {path} has no class to rank: {why}\n"
    width = max(len(one.name) for one in rankings)
    lines = [f"{'class':{width}}  photos  average precision  chance"]
    for one in rankings:
        value = "-" if one.average_precision is None else f"{100 * one.average_precision:.1f}"
        lines.append(f"{one.name:{width}}  {one.photos:6d}  {value:>17}  {100 * one.chance:6.1f}")
    lines.append(f"mean average precision {100 * mean:.1f} % (chance {100 * chance:.1f} %) on {images} photos set "
                 "apart")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run_main(main)
