"""A data root in VOC layout from COCO's photos and instance annotations.

Where regions overlap the smaller one wins, since COCO knows no depth and a large region would swallow what stands
before it. Crowd regions are ignored (255), as in COCO's evaluation, except where an object lies on them; they count as
image-level labels.
"""

import contextlib
import json
from pathlib import Path

from dsrg.datasets.coco_classes import class_map
from dsrg.datasets.coco_regions import Regions, items
from dsrg.io.atomic_files import write_text
from dsrg.io.errors import UserError
from dsrg.io.image_ids import file_of, id_of
from dsrg.io.json_files import read_mapping
from dsrg.io.label_png import save_label_png
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_written_over
from dsrg.io.picture_files import most_megapixels, too_large
from dsrg.io.progress_bar import progress

SETS = ("train", "val")
RECORD = "made-from.json"
WRITTEN = ("classes.txt", "image_labels.txt", "image_ids.txt", RECORD,
           *(f"ImageSets/Segmentation/{name}.txt" for name in SETS))


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
    refuse_written_over({"--out": [out / name for name in WRITTEN]}, [path for path, _ in files.values()])
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
    """Image id -> (file name, height, width); every photo must lie in `folder`.

    Parameters
    ----------
    path : Path
        The annotation file.
    folder : Path
        Of the photos.

    Returns
    -------
    dict of int to (str, int, int)

    Raises
    ------
    UserError
        No images, one that lacks a field or is given twice, or a photo that is not there.
    """
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
    """Refuse two photos that label maps, which are named after them, could not tell apart.

    Parameters
    ----------
    images : dict of str to dict
        "train" and "val" -> as of `read_images`.

    Raises
    ------
    UserError
        Names the photo.
    """
    stems = [{id_of(name) for name, _, _ in images[part].values()} for part in SETS]
    for stem, part in zip(stems, SETS, strict=True):
        if len(stem) < len(images[part]):
            raise UserError(f"two images of {part} have one file name; label maps are named after the photos")
    if shared := sorted(stems[0] & stems[1]):
        raise UserError(f"train and val share the photo name '{shared[0]}'; label maps are named after the photos")


def record(path):
    """What tells that a file is the same: its path, size in bytes and time of change in seconds.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of (str, int, int)
    """
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, int(stat.st_mtime)]


def begin(out, settings):
    """Note in `out` what it is made from; refuse a folder that holds something else.

    Parameters
    ----------
    out : Path
    settings : dict
        For JSON.

    Raises
    ------
    UserError
        A folder that is not empty and was not begun with these settings.
    """
    path = out / RECORD
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        if read_mapping(path) != settings:
            raise UserError(f"{out} is not empty, and not begun from these files; choose another --out")
        return
    write_text(path, json.dumps(settings, indent=1) + "\n")


def link_photos(images, folder, target):
    """Links to the photos of a set, beside those that are there.

    Parameters
    ----------
    images : dict of int to (str, int, int)
        As of `read_images`.
    folder : Path
        Of the photos.
    target : Path
        Made where it is missing.
    """
    target.mkdir(exist_ok=True)
    for name, _, _ in images.values():
        with contextlib.suppress(FileExistsError):
            (target / name).symlink_to(folder / name)


def write_masks(regions, images, folder, what):
    """Write the label maps that are not there yet.

    Parameters
    ----------
    regions : Regions
    images : dict of int to (str, int, int)
        As of `read_images`.
    folder : Path
    what : str
        The set's name, for the progress.
    """
    for number, (name, height, width) in progress(images.items(), f"label maps of {what}", len(images)):
        path = file_of(folder, id_of(name))
        if not path.exists():
            save_label_png(path, regions.label_map(number, height, width))


def write_lists(out, images, labels, ids, names):
    """Write classes.txt, image_labels.txt, image_ids.txt and the lists of the sets.

    Parameters
    ----------
    out : Path
        The data root.
    images : dict of str to dict
        "train" and "val" -> as of `read_images`.
    labels : dict of str to dict of int to set of int
        By set and image id.
    ids : dict of str to list of str
        Of the photos in each list.
    names : list of str
        Of the classes, with background.
    """
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in names))
    lines = (" ".join([id_of(name), *map(str, sorted(labels[part][number]))])
             for part in SETS for number, (name, _, _) in images[part].items() if labels[part][number])
    write_text(out / "image_labels.txt", "".join(f"{line}\n" for line in lines))
    numbers = (f"{name} {number}\n" for number, (name, _, _) in images["train"].items())
    write_text(out / "image_ids.txt", "".join(numbers))
    for part in SETS:
        write_text(out / "ImageSets" / "Segmentation" / f"{part}.txt", "".join(f"{i}\n" for i in ids[part]))
