"""A data root in VOC layout from COCO's photos and instance annotations.

Where regions overlap the smaller one wins, since COCO knows no depth and a large region would swallow what stands
before it. Crowd regions are ignored (255), as in COCO's evaluation, except where an object lies on them; they count as
image-level labels.
"""

import contextlib
import json
import sqlite3
from pathlib import Path

import ijson
import numpy as np

from dsrg.datasets.coco_classes import class_map
from dsrg.datasets.coco_masks import region_counts, region_mask, run_lengths
from dsrg.io import voc
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of, id_of
from dsrg.io.json_files import read_mapping
from dsrg.io.label_png import save_label_png
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.picture_files import most_megapixels, too_large
from dsrg.io.progress_bar import progress
from dsrg.io.regular_files import open_regular

SETS = ("train", "val")
RECORD = "made-from.json"


def make_data_root(files, out, masks="all"):
    """Make a data root in VOC layout from COCO's photos and instance annotations; a run that was cut off goes on.

    Parameters
    ----------
    files : dict of str to (Path, Path)
        "train" and "val" -> annotation file and folder of photos.
    out : Path
        Data root to make.
    masks : str
        "all", or "val" for the label maps of val alone.

    Returns
    -------
    str
        One line for the user: what was made.

    Raises
    ------
    UserError
        Damaged or contradictory annotations, a missing photo, or a folder begun from other files.
    """
    for folder in (out / "JPEGImages", out / "SegmentationClass"):
        refuse_inputs_as_output(folder, *(photos for _, photos in files.values()))
    classes, names = class_map(common_categories(*(path for path, _ in files.values())))
    images = {name: read_images(*files[name]) for name in SETS}
    refuse_shared_names(images)
    begin(out, {name: record(path) for name, (path, _) in files.items()} | {"masks": masks})
    labels, ids = {}, {}
    for name in SETS:
        folder = files[name][1].resolve()
        with Regions(out / f".{name}.sqlite") as regions:
            labels[name] = regions.read(files[name][0], images[name], classes)
            link_photos(images[name], folder, out / "JPEGImages")
            if name == "val" or masks == "all":
                write_masks(regions, images[name], out / "SegmentationClass", name)
        ids[name] = [id_of(image[0]) for i, image in images[name].items() if name == "val" or labels[name][i]]
    write_lists(out, images, labels, ids, names)
    bare = len(images["train"]) - len(ids["train"])
    return (f"{out}: {len(ids['train'])} train photos ({bare} without objects left out), {len(ids['val'])} val "
            f"photos, {len(names)} classes")


def items(path, prefix):
    """Yield the members of one list of a JSON file without holding the file."""
    try:
        with open_regular(path, "annotations") as file:
            yield from ijson.items(file, prefix, use_float=True)
    except ijson.JSONError as error:
        raise UserError(f"{path}: truncated, or not JSON ({error}); download it again") from None


def common_categories(*paths):
    """{id: name} of the categories, which the files must share."""
    found = []
    for path in paths:
        try:
            found.append({int(category["id"]): str(category["name"]) for category in items(path, "categories.item")})
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: a category without id and name ({error!r})") from None
    if found[0] != found[1]:
        raise UserError(f"{paths[0]} and {paths[1]} differ in their categories; give two sets of one data set")
    return found[0]


def read_images(path, folder):
    """Image id -> (file name, height, width); every photo must lie in `folder`."""
    there = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    images = {}
    for image in items(path, "images.item"):
        try:
            number, name = int(image["id"]), str(image["file_name"])
            height, width = int(image["height"]), int(image["width"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise UserError(f"{path}: an image without id, file_name, height or width ({error!r})") from None
        plain = Path(name).name == name and len(name.split()) == 1
        if number in images or abs(number) >= 2**63 or not plain or min(height, width) < 1:
            raise UserError(f"{path}: image {number}, '{name}', {height}x{width}: expected an id given once, a plain "
                            "file name and a size")
        if height * width > most_megapixels() * 1e6:
            raise UserError(too_large(name, f"{path}: image", f"{height}x{width} pixels", most_megapixels()))
        if name not in there:
            raise UserError(f"{path}: photo '{name}' is not in {folder}; give the folder of this set's photos")
        images[number] = (name, height, width)
    if not images:
        raise UserError(f"{path}: names no images; give an instances file of COCO's format")
    return images


def refuse_shared_names(images):
    stems = [{id_of(name) for name, _, _ in images[part].values()} for part in SETS]
    for stem, part in zip(stems, SETS, strict=True):
        if len(stem) < len(images[part]):
            raise UserError(f"two images of {part} have one file name; label maps are named after the photos")
    if shared := sorted(stems[0] & stems[1]):
        raise UserError(f"train and val share the photo name '{shared[0]}'; label maps are named after the photos")


def record(path):
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, int(stat.st_mtime)]


def begin(out, settings):
    """Note in `out` what it is made from; refuse a folder that holds something else."""
    path = out / RECORD
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if read_mapping(path) != settings:
            raise UserError(f"{out} is not empty, and not begun from these files; choose another --out")
        return
    write_text(path, json.dumps(settings, indent=1) + "\n")


class Regions:
    """The regions of one set in a file of their own, so that memory stays flat: a context manager."""

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        self._path.unlink(missing_ok=True)  # of a run that was cut off
        self._base = sqlite3.connect(self._path)
        self._base.execute("PRAGMA synchronous = OFF")
        columns = "image INTEGER, crowd INTEGER, area INTEGER, class INTEGER, counts BLOB"
        self._base.execute(f"CREATE TABLE regions ({columns})")
        return self

    def __exit__(self, *exception):
        self._base.close()
        self._path.unlink(missing_ok=True)

    def read(self, path, images, classes):
        """Store the regions of a file's annotations; returns {image id: set of classes}."""
        labels = {number: set() for number in images}
        for annotation in progress(items(path, "annotations.item"), f"annotations of {path.name}"):
            try:
                number, category = int(annotation["image_id"]), int(annotation["category_id"])
                segmentation, crowd = annotation["segmentation"], int(annotation.get("iscrowd", 0))
            except (KeyError, TypeError, ValueError, OverflowError) as error:
                raise UserError(f"{path}: annotation {annotation.get('id')} lacks a field ({error!r})") from None
            if crowd not in (0, 1):
                raise UserError(f"{path}: annotation {annotation.get('id')} has iscrowd {str(crowd)[:20]}, expected 0 "
                                "or 1")
            if number not in images or category not in classes:
                raise UserError(f"{path}: annotation {annotation.get('id')} is of image {number} and category "
                                f"{category}, which the file does not list")
            labels[number].add(classes[category])
            _, height, width = images[number]
            try:
                counts = region_counts(segmentation, height, width)
            except ValueError as error:
                raise UserError(f"{path}: annotation {annotation.get('id')} of image {number}: {error}") from None
            if counts is not None:
                row = (number, crowd, int(run_lengths(counts)[1::2].sum()), classes[category], counts)
                self._base.execute("INSERT INTO regions VALUES (?, ?, ?, ?, ?)", row)
        self._base.execute("CREATE INDEX of_image ON regions (image)")
        self._base.commit()
        return labels

    def label_map(self, number, height, width):
        """Label map uint8 (height, width) of one image: crowds first, then objects from large to small."""
        labels = np.zeros((height, width), np.uint8)
        order = "SELECT crowd, class, counts FROM regions WHERE image = ? ORDER BY crowd DESC, area DESC, rowid"
        for crowd, label, counts in self._base.execute(order, (number,)):
            labels[region_mask(counts, height, width)] = voc.IGNORE_LABEL if crowd else label
        return labels


def link_photos(images, folder, target):
    target.mkdir(exist_ok=True)
    for name, _, _ in images.values():
        with contextlib.suppress(FileExistsError):
            (target / name).symlink_to(folder / name)


def write_masks(regions, images, folder, what):
    for number, (name, height, width) in progress(images.items(), f"label maps of {what}", len(images)):
        path = file_of(folder, id_of(name))
        if not path.exists():
            save_label_png(path, regions.label_map(number, height, width))


def write_lists(out, images, labels, ids, names):
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in names))
    lines = (" ".join([id_of(name), *map(str, sorted(labels[part][number]))])
             for part in SETS for number, (name, _, _) in images[part].items() if labels[part][number])
    write_text(out / "image_labels.txt", "".join(f"{line}\n" for line in lines))
    numbers = (f"{name} {number}\n" for number, (name, _, _) in images["train"].items())
    write_text(out / "image_ids.txt", "".join(numbers))
    for part in SETS:
        write_text(out / "ImageSets" / "Segmentation" / f"{part}.txt", "".join(f"{i}\n" for i in ids[part]))
