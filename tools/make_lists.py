"""Write the lists that the nets and the other commands read, from a data root in VOC layout.

    python -m tools.make_lists --data data --out lists

Reads ImageSets/Segmentation/*.txt, classes.txt, image_labels.txt or Annotations/*.xml, and the names of the
photos. Photos are not opened, and masks are not even looked for: image-level labels are all the supervision
there is.

Files written (the format of the original's lists): input_list.txt, train_id.txt, val_id.txt, train_f.txt,
train_full.txt, image_labels.txt, classes.txt. Photos are numbered from 0 in the order of the train set, unless
--numbers, or the data root's image_ids.txt, gives each its own: that of a cue file made elsewhere, or COCO's.
"""

import argparse
import os
import sys
from pathlib import Path, PurePosixPath

from dsrg.datasets.voc_annotations import labels_from_annotations
from dsrg.io import voc
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.errors import UserError, run_main
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_ids, read_input_list
from dsrg.io.photos import PHOTO_SUFFIXES

SETS = Path("ImageSets", "Segmentation")
# VOC's train.txt has 1464 images; with those of SBD, the 10582 of the paper, the list is named as it likes.
TRAIN_SETS = ("trainaug", "train_aug", "train")
MAX_NUMBER = 1 << 24


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.make_lists", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("data"),
                        help="data root in VOC layout (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("lists"),
                        help="folder for the lists (default: %(default)s)")
    parser.add_argument("--train-set", metavar="NAME",
                        help="list of ImageSets/Segmentation to train on (default: the first that exists of "
                        f"{', '.join(TRAIN_SETS)})")
    parser.add_argument("--val-set", metavar="NAME", default="val",
                        help="list to evaluate on (default: %(default)s)")
    parser.add_argument("--labels", choices=("auto", "file", "xml", "none"), default="auto",
                        help="image-level labels from image_labels.txt (file), from Annotations/*.xml (xml), "
                        "the first of these that exists (auto, the default), or no labels at all (none)")
    parser.add_argument("--numbers", type=Path, metavar="FILE",
                        help='"<photo> <number>" a line, as in the input_list.txt that came with a cue file: the '
                        "numbers of input_list.txt (default: image_ids.txt of the data root, where there is one)")
    parser.add_argument("--masks", type=Path, metavar="DIR",
                        help="folder of true masks that train_full.txt names (default: SegmentationClass of the "
                        "data root)")
    return parser.parse_args(argv)


def main(argv=None):
    args = parse_args(argv)
    check_data_root(args.data)
    train_set = args.train_set or first_train_set(args.data)
    train = read_ids(args.data / SETS / f"{train_set}.txt")
    val = read_ids(args.data / SETS / f"{args.val_set}.txt")
    photos = find_photos(args.data / "JPEGImages", [*train, *val])
    source, classes = label_source(args.data, args.labels)
    labels = collect_labels(args.data, source, classes, train, val)
    numbers = args.numbers or args.data / "image_ids.txt"
    if args.numbers or numbers.is_file():
        number_of = photo_numbers(numbers, train, photos)
    else:
        number_of = {image_id: number for number, image_id in enumerate(train)}

    write_lists(args.out, args.data, train, val, photos, number_of, args.masks or args.data / "SegmentationClass")
    write_text(args.out / "classes.txt", "".join(f"{name}\n" for name in classes))
    if labels:
        lines = (" ".join([image_id, *map(str, labels[image_id])]) for image_id in labels)
        write_text(args.out / "image_labels.txt", "".join(f"{line}\n" for line in lines))
    shared = len(set(train) & set(val))
    if shared:
        print(f"note: {shared} images are both in {train_set}.txt and in {args.val_set}.txt: "
              "the result on val will flatter", file=sys.stderr)
    print(f"{args.out}: {len(train)} train images ({train_set}.txt), {len(val)} val images "
          f"({args.val_set}.txt), {len(classes)} classes, labels from {source}")


def check_data_root(data):
    """Refuse a data root that is missing, empty or of another layout."""
    if not data.exists():
        raise UserError(f"data root {data} does not exist; "
                        "set DATA_ROOT to a folder in VOC layout (see README.md)")
    if not data.is_dir() or not any(data.iterdir()):
        raise UserError(f"data root {data} is empty; set DATA_ROOT to a folder in VOC layout (see README.md)")
    for part in (Path("JPEGImages"), SETS):
        if not (data / part).is_dir():
            raise UserError(f"data root {data} has no folder {part}; expected the VOC layout (see README.md)")


def first_train_set(data):
    """Name of the training list to take when none was asked for."""
    for name in TRAIN_SETS:
        if (data / SETS / f"{name}.txt").is_file():
            return name
    raise UserError(f"{data / SETS} has no train.txt; write the ids of the training photos there, one a line")


def find_photos(folder, ids):
    """File name (with suffix) of each id; folders are listed once, whatever the number of photos.

    Returns
    -------
    dict of str to str
        E.g. {"2007_000032": "2007_000032.jpg"}; of several suffixes the first of PHOTO_SUFFIXES counts.
    """
    names = {}
    for part in {str(PurePosixPath(image_id).parent) for image_id in ids}:
        try:
            with os.scandir(folder / part) as entries:
                names[part] = {entry.name for entry in entries}
        except OSError:
            names[part] = set()
    found, missing = {}, []
    for image_id in ids:
        path = PurePosixPath(image_id)
        suffix = next((s for s in PHOTO_SUFFIXES if path.name + s in names[str(path.parent)]), None)
        if suffix is None:
            missing.append(image_id)
        else:
            found[image_id] = image_id + suffix
    if missing:
        raise UserError(f"{len(missing)} of {len(ids)} ids have no photo in {folder}, the first is "
                        f"'{missing[0]}'; add the photos or take the ids out of ImageSets/Segmentation")
    return found


def label_source(data, wanted):
    """Decide where labels and class names come from.

    Returns
    -------
    source : str
        'image_labels.txt', 'Annotations' or 'nowhere'.
    classes : list of str
        From classes.txt; VOC's own where there are annotations but no classes.txt, and no image_labels.txt
        is read.
    """
    has = {"file": (data / "image_labels.txt").is_file(), "xml": (data / "Annotations").is_dir()}
    if wanted == "auto":
        wanted = next((kind for kind in ("file", "xml") if has[kind]), None)
        if wanted is None:
            raise UserError(f"{data} has neither image_labels.txt nor Annotations; write image_labels.txt "
                            "('<id> <class> ...' a line) or pass --labels none")
    if not has.get(wanted, True):
        raise UserError(f"{data} has no {'image_labels.txt' if wanted == 'file' else 'folder Annotations'}, "
                        f"which --labels {wanted} asks for")
    source = {"file": "image_labels.txt", "xml": "Annotations", "none": "nowhere"}[wanted]
    if has["xml"] and wanted != "file" and not (data / "classes.txt").is_file():
        return source, list(voc.CLASSES)
    return source, read_classes(data / "classes.txt")


def collect_labels(data, source, classes, train, val):
    """Labels of the train images, each of which must have some, and of the val images where known."""
    if source == "nowhere":
        return {}
    if source == "Annotations":
        wanted = train + [i for i in val if (data / source / f"{i}.xml").is_file()]
        labels = labels_from_annotations(data / source, dict.fromkeys(wanted), classes)
    else:
        given = read_image_labels(data / source, classes=classes)
        labels = {i: given[i] for i in [*train, *val] if i in given}
    without = [i for i in train if not labels.get(i)]
    if without:
        raise UserError(f"{len(without)} of {len(train)} train images have no label in {data / source}, the "
                        f"first is '{without[0]}'; add its classes or take it out of the train list")
    return labels


def photo_numbers(path, train, photos):
    """Number of each train photo from a list "<photo> <number>"; photos of other sets may stand there too."""
    number_of_name = {name.lstrip("/"): number for number, name in read_input_list(path).items()}
    numbers = {i: number_of_name.get(photos[i]) for i in train}
    missing = [photos[i] for i, number in numbers.items() if number is None]
    if missing:
        raise UserError(f"{len(missing)} of {len(train)} train photos have no number in {path}, the first is "
                        f"'{missing[0]}'; give the list that came with the cues, or take them out of the train list")
    largest = max(train, key=numbers.get)
    if numbers[largest] > MAX_NUMBER:
        raise UserError(f"{path}: '{photos[largest]}' has number {numbers[largest]}; nets carry numbers as float32, "
                        f"which are whole up to {MAX_NUMBER}: number the photos anew")
    return numbers


def write_lists(out, data, train, val, photos, number_of, masks):
    """Write the lists of ids and of files.

    Paths in train_f.txt and train_full.txt begin with '/' and are joined to root_folder '.' (as in the
    original), so they are relative to the folder that the command runs in.
    """
    root = _from_here(data)
    photo = {i: root / "JPEGImages" / photos[i] for i in train}
    write_text(out / "train_id.txt", "".join(f"{i}\n" for i in train))
    write_text(out / "val_id.txt", "".join(f"{i}\n" for i in val))
    write_text(out / "input_list.txt", "".join(f"{photos[i]} {number_of[i]}\n" for i in train))
    write_text(out / "train_f.txt", "".join(f"{photo[i]} /labels/{i}.png\n" for i in train))
    masks = _from_here(masks)
    write_text(out / "train_full.txt", "".join(f"{photo[i]} {masks / i}.png\n" for i in train))


def _from_here(folder):
    return PurePosixPath("/", Path(os.path.relpath(folder)).as_posix())


if __name__ == "__main__":
    run_main(main)
