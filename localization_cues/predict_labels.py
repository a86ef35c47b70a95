# PYTHON_ARGCOMPLETE_OK
"""Say which classes photos without labels may show, by the classifier of the cues: an image_labels.txt for any list.

    python -m localization_cues.predict_labels --net cam-deploy.prototxt --weights models/cam_iter_160.caffemodel \\
        --list lists/val_id.txt --images data/JPEGImages --classes lists/classes.txt --out predicted_labels.txt
    python -m tools.segment --labels predicted_labels.txt ..

A segmentation net judges each pixel, and calls patches of a photo by classes that the photo as a whole does not show;
the classifier judges the whole. A class stays unless the classifier is nearly sure that it is not there: its
probability, the sigmoid of its score, is at most --above. A photo always keeps its likeliest class.
"""

from pathlib import Path

import numpy as np
from scipy.special import expit

from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.command_line import command_parser
from dsrg.io.errors import run_main
from dsrg.io.lists import read_ids
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_overwriting
from dsrg.io.photos import find_images, load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.scoring.score_net import open_net
from localization_cues.classifier_ranking import class_scores
from training.device_flags import add_flags
from training.shared_flags import add_classifier_net, add_mean, fraction

#: low: a class that is kept in vain costs little, one that is lost costs all its pixels
ABOVE = 0.005


def parse_args(argv):
    parser = command_parser("localization_cues.predict_labels", __doc__)
    add_classifier_net(parser)
    parser.add_argument("--list", type=Path, required=True, help="image ids, one a line")
    parser.add_argument("--images", type=Path, required=True, help="folder of the photos, <id>.jpg or .png")
    parser.add_argument("--classes", type=Path, required=True, help="class names in index order, background first")
    parser.add_argument("--above", type=fraction, default=ABOVE, metavar="P",
                        help=f"classes of a larger probability stay (default: {ABOVE})")
    parser.add_argument("--out", type=Path, required=True, help='file to write, "<id> <class> ..." a line')
    add_mean(parser)
    add_flags(parser)
    return parser.parse_args(argv)


def likely_classes(scores, above):
    """Classes that a photo may show.

    Parameters
    ----------
    scores : float array (C,)
        The classifier's, before the sigmoid, without background.
    above : float
        0 to 1: the probability that a class must exceed.

    Returns
    -------
    list of int
        Class indices, 1 and up, ascending; never empty.
    """
    likely = expit(np.asarray(scores, np.float64)) > above
    likely[np.argmax(scores)] = True
    return (np.flatnonzero(likely) + 1).tolist()


def main(argv=None):
    args = parse_args(argv)
    refuse_inputs_as_output(args.out, args.images)
    refuse_overwriting(args, {"--out": [args.out]})
    count = len(read_classes(args.classes)) - 1
    photos = find_images(args.images, read_ids(args.list))
    from training.findcaffe import caffe  # not before the files are known to be good

    net = open_net(caffe, args.net, args.weights, args.device, args.precision)
    kept = {image_id: likely_classes(class_scores(net, load_image_bgr(path), args.mean, count), args.above)
            for image_id, path in progress(photos.items(), "predict labels", len(photos))}
    write_text(args.out, "".join(f"{image_id} {' '.join(map(str, classes))}\n" for image_id, classes in kept.items()))
    mean = sum(map(len, kept.values())) / len(kept)
    print(f"{args.out}: {mean:.2f} classes a photo stay, of {len(kept)} photos")


if __name__ == "__main__":
    run_main(main)
