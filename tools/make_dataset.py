"""Make a data root in VOC layout from a folder of photos and a text file of their labels.

    python -m tools.make_dataset --photos ~/photos --labels ~/labels.txt --out my-data
    python -m tools.make_dataset --photos ~/photos --labels ~/labels.csv --classes names.txt --val 0.25 --out my-data

The labels file names a photo and its classes on each line, apart by spaces, or by commas, semicolons or tabs where
names hold spaces; a photo may stand on several lines. Classes are names, or numbers from 1 with --classes. Photos are
named as files below --photos, with or without suffix; each is opened once, so that a broken one is found now.

Writes JPEGImages/ (links to the photos, or copies), ImageSets/Segmentation/{train,val}.txt, image_labels.txt,
classes.txt, and SegmentationClass/ with --masks.
"""

import argparse
import os
import re
import shutil
from collections import Counter
from pathlib import Path

import numpy as np

from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import class_index, read_classes
from dsrg.io.errors import UserError, run_main
from dsrg.io.label_png import load_label_png
from dsrg.io.lists import read_ids, read_lines
from dsrg.io.photos import PHOTO_SUFFIXES, load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.io.voc import IGNORE_LABEL


def parse_args(argv):
    parser = argparse.ArgumentParser(prog="python -m tools.make_dataset", description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR", help="folder of photos, searched with its "
                        "folders")
    parser.add_argument("--labels", type=Path, required=True, metavar="FILE", help="photo and its classes on each line")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="data root to make; must not exist")
    parser.add_argument("--classes", type=Path, metavar="FILE", help="class names in index order, first line "
                        "background (default: the names in the labels, in alphabetical order)")
    parser.add_argument("--val", type=float, default=0.2, metavar="SHARE",
                        help="share of the photos set apart for evaluation (default: %(default)s); every class keeps "
                        "a photo to learn from")
    parser.add_argument("--val-list", type=Path, metavar="FILE", help="the photos to set apart, one a line, instead")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of --val (default: %(default)s)")
    parser.add_argument("--masks", type=Path, metavar="DIR", help="index PNGs <photo>.png (255 = ignored), one a "
                        "photo, for evaluation and the fully supervised reference")
    parser.add_argument("--skip-unlabelled", action="store_true", help="leave photos without a label out")
    parser.add_argument("--copy", action="store_true", help="copy photos and masks instead of linking them")
    args = parser.parse_args(argv)
    if not 0 <= args.val < 1:
        parser.error("--val is a share, from 0 to below 1")
    return args


def main(argv=None):
    args = parse_args(argv)
    if args.out.exists():
        raise UserError(f"{args.out} exists; choose another --out, or remove it first")
    photos = find_photos(args.photos)
    words = read_labels(args.labels, photos)
    classes = read_classes(args.classes) if args.classes else names_used(words, args.labels)
    labels = index_labels(words, classes, args.labels)
    labels = check_labels(labels, photos, args)
    ids = ids_of(labels)
    for name in progress(labels, "photos", len(labels)):
        shape = load_image_bgr(photos[name]).shape[:2]
        if args.masks:
            check_mask(mask_of(args.masks, name), shape, len(classes))
    val = listed(args.val_list, photos, labels) if args.val_list else choose_val(labels, args.val, args.seed)
    partial = args.out.with_name(f".{args.out.name}.{os.getpid()}")
    try:
        write_root(partial, args, photos, labels, ids, classes, val)
        partial.rename(args.out)
    except OSError as error:
        raise UserError(f"cannot write {args.out}: {error.strerror or error}; free space or choose another "
                        "folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    print(f"{args.out}: {len(labels) - len(val)} train and {len(val)} val photos, {len(classes)} classes with "
          f"background ({', '.join(classes[1:])})")


def find_photos(folder):
    """Path below the folder -> file of every photo, in order of the names."""
    if not folder.is_dir():
        raise UserError(f"photo folder {folder} does not exist")
    found = sorted(path for path in folder.rglob("*") if path.suffix in PHOTO_SUFFIXES and path.is_file())
    if not found:
        raise UserError(f"no photo in {folder} ({', '.join(PHOTO_SUFFIXES[:3])})")
    return {path.relative_to(folder).as_posix(): path for path in found}


def read_labels(path, photos):
    """Photo -> (line number, label) pairs, as written; every name must be one photo."""
    by_stem = {}
    for name in photos:
        by_stem.setdefault(str(Path(name).with_suffix("")), []).append(name)
    words = {}
    for number, line in read_lines(path, "labels"):
        name, *fields = (word.strip() for word in (re.split(r"[,;\t]", line) if re.search(r"[,;\t]", line)
                                                   else line.split()))
        matches = [name] if name in photos else by_stem.get(name, [])
        if len(matches) != 1:
            which = "are several photos" if matches else "is no photo"
            raise UserError(f"{path}:{number}: '{name}' {which} below the photo folder; name a .jpg or .png file there")
        words.setdefault(matches[0], []).extend((number, word) for word in fields if word)
    return words


def names_used(words, path):
    """Background and the names of a labels file in alphabetical order; numbers name nothing and are refused."""
    names = sorted({word for fields in words.values() for _, word in fields} - {"background"})
    numbers = [name for name in names if name.lstrip("+-").isdecimal()]
    if numbers:
        raise UserError(f"{path} labels photos with numbers ({numbers[0]}); give their names with --classes")
    if not names:
        raise UserError(f"{path} gives no photo a label; write '<photo> <class> ..' lines")
    if len(names) >= IGNORE_LABEL:
        raise UserError(f"{path} has {len(names)} different labels, expected 1 to {IGNORE_LABEL - 1}")
    return ["background", *names]


def index_labels(words, classes, path):
    """Photo -> sorted class indices."""
    labels = {}
    for name, fields in words.items():
        found = set()
        for number, word in fields:
            try:
                found.add(class_index(word, classes))
            except ValueError as error:
                raise UserError(f"{path}:{number}: photo '{name}' has label {word}; {error}") from None
        labels[name] = sorted(found)
    return labels


def check_labels(labels, photos, args):
    """The labels of photos that have some, in the order of the photos; photos without are refused or left out."""
    bare = [name for name in photos if not labels.get(name)]
    if bare and not args.skip_unlabelled:
        raise UserError(f"{len(bare)} of {len(photos)} photos have no label in {args.labels}, the first is "
                        f"'{bare[0]}'; label them, or pass --skip-unlabelled to leave them out")
    return {name: labels[name] for name in photos if labels.get(name)}


def ids_of(names):
    """Photo -> id: no suffix, no folder, no space, for lists that go by spaces."""
    ids = {}
    for name in names:
        ids[name] = re.sub(r"\s+", "_", str(Path(name).with_suffix("")).replace("/", "_"))
    count = Counter(ids.values())
    clash = [name for name, image_id in ids.items() if count[image_id] > 1]
    if clash:
        raise UserError(f"photos '{clash[0]}' and '{clash[1]}' would both be called '{ids[clash[0]]}'; rename one")
    return ids


def mask_of(folder, name):
    """File of the mask of a photo."""
    return folder / Path(name).with_suffix(".png")


def check_mask(path, shape, count):
    """A mask must fit its photo and hold class indices."""
    if not path.is_file():
        raise UserError(f"no mask {path}; with --masks every photo needs one")
    mask = load_label_png(path)
    if mask.shape != tuple(shape):
        raise UserError(f"mask {path} is {mask.shape[0]}x{mask.shape[1]}, its photo {shape[0]}x{shape[1]} (height x "
                        "width); make it from this photo")
    bad = np.setdiff1d(mask, [*range(count), IGNORE_LABEL])
    if len(bad):
        raise UserError(f"mask {path} has class {bad[0]}, expected 0 to {count - 1} or {IGNORE_LABEL}; "
                        "check the classes")


def listed(path, photos, labels):
    """The photos of --val-list as a set."""
    by_id = {**{str(Path(name).with_suffix("")): name for name in photos}, **{name: name for name in photos}}
    val = set()
    for name in read_ids(path):
        if by_id.get(name) not in labels:
            raise UserError(f"{path}: '{name}' is no photo with a label")
        val.add(by_id[name])
    if len(val) == len(labels):
        raise UserError(f"{path} names every photo; leave some to learn from")
    return val


def choose_val(labels, share, seed):
    """A random share of the photos, leaving every class at least one; drawn from the sorted names."""
    left = {}
    for classes in labels.values():
        for c in classes:
            left[c] = left.get(c, 0) + 1
    names, wanted, val = sorted(labels), round(share * len(labels)), set()
    for k in np.random.default_rng(seed).permutation(len(names)):
        name = names[k]
        if len(val) < wanted and all(left[c] > 1 for c in labels[name]):
            val.add(name)
            for c in labels[name]:
                left[c] -= 1
    if not val:
        raise UserError(f"{len(names)} photos with --val {share:g} leave none to set apart; bring more photos, or name "
                        "some with --val-list")
    return val


def write_root(root, args, photos, labels, ids, classes, val):
    """Write the data root; photos keep their suffix."""
    place = shutil.copyfile if args.copy else lambda source, target: os.symlink(source.resolve(), target)
    (root / "JPEGImages").mkdir(parents=True)
    for name in labels:
        place(photos[name], root / "JPEGImages" / (ids[name] + photos[name].suffix))
    if args.masks:
        (root / "SegmentationClass").mkdir()
        for name in labels:
            place(mask_of(args.masks, name), root / "SegmentationClass" / f"{ids[name]}.png")
    sets = root / "ImageSets" / "Segmentation"
    write_text(sets / "train.txt", "".join(f"{ids[name]}\n" for name in labels if name not in val))
    write_text(sets / "val.txt", "".join(f"{ids[name]}\n" for name in labels if name in val))
    write_text(root / "image_labels.txt",
               "".join(" ".join([ids[name], *map(str, found)]) + "\n" for name, found in labels.items()))
    write_text(root / "classes.txt", "".join(f"{name}\n" for name in classes))


if __name__ == "__main__":
    run_main(main)
