"""The lists that nets and commands read, from a data root in VOC layout. Photos are not opened."""

import os
from pathlib import Path, PurePosixPath

from dsrg.datasets.left_out import read_left_out, write_left_out
from dsrg.datasets.set_apart import set_apart
from dsrg.datasets.voc_annotations import labels_from_annotations
from dsrg.io import voc
from dsrg.io.atomic_files import write_text
from dsrg.io.class_names import read_classes
from dsrg.io.counts import counted, few_of
from dsrg.io.errors import UserError, note
from dsrg.io.image_ids import file_of, id_of
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_ids, read_input_list, read_lines
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.overwriting import refuse_written_over
from dsrg.io.photos import find_images

SETS = Path("ImageSets", "Segmentation")
# VOC's train.txt has 1464 images; with those of SBD, the 10582 of the paper, the list is named as it likes.
TRAIN_SETS = ("trainaug", "train_aug", "train")
MAX_NUMBER = 1 << 24
#: what make_lists writes, or removes where there is none now
WRITTEN = ("train_id.txt", "val_id.txt", "input_list.txt", "train_f.txt", "train_full.txt", "cam_train.txt",
           "cam_quality.txt", "calibration_id.txt", "classes.txt", "image_labels.txt", "left_out.txt")


def make_lists(data, out, train_set=None, val_set="val", labels_from="auto", numbers=None, masks=None, leave_out=None,
               calibrate=False):
    """Write the lists of a data root.

    Parameters
    ----------
    data, out : Path
        The data root and the folder for the lists.
    train_set, val_set : str, optional
        Names of lists in ImageSets/Segmentation; by default the first of TRAIN_SETS that exists.
    labels_from : str
        "file", "xml", "none", or "auto" for the first of the first two that exists.
    numbers : Path, optional
        "<photo> <number>" lines; by default image_ids.txt of the data root, else photos count from 0.
    masks : Path, optional
        Folder of masks that train_full.txt names; by default SegmentationClass of the data root. Without such a folder
        there is no train_full.txt.
    leave_out : Path, optional
        Photos that no list is to name (dsrg.datasets.left_out); the others keep their numbers.
    calibrate : bool
        Keep the photos that the classifier does not learn from out of train_f.txt, too, and name them in
        calibration_id.txt: the probabilities of stage f are calibrated on them.

    Returns
    -------
    str
        One line for the user: what was made.
    """
    check_data_root(data)
    masks = masks or data / "SegmentationClass"
    refuse_inputs_as_output(out, data / "JPEGImages", masks)
    read = [*data.glob("*.txt"), *(data / SETS).glob("*.txt"), numbers, leave_out]
    refuse_written_over({"--out": [out / name for name in WRITTEN]}, filter(None, read))
    train_set = train_set or first_train_set(data)
    bad = read_left_out(leave_out) if leave_out else {}
    train, val = _ids(data, train_set, bad), _ids(data, val_set, bad, may_miss=val_set == "val")
    files = find_images(data / "JPEGImages", [*train, *val])
    photos = {image_id: path.relative_to(data / "JPEGImages").as_posix() for image_id, path in files.items()}
    source, classes = label_source(data, labels_from)
    labels = collect_labels(data, source, classes, train, val, bad)
    numbers = numbers or (data / "image_ids.txt" if (data / "image_ids.txt").is_file() else None)
    number_of = photo_numbers(numbers, train, photos) if numbers else _positions(data / SETS / f"{train_set}.txt")
    apart = set_apart({i: labels[i] for i in train} if labels else {})
    write_lists(out, data, train, val, photos, number_of, masks, apart if calibrate else ())
    for name, ids in (("cam_train.txt", [i for i in train if i not in apart]),
                      ("cam_quality.txt", [i for i in train if i in apart])):
        write_text(out / name, "".join(f"{photos[i]} {number_of[i]}\n" for i in ids))
    if calibrate:
        write_text(out / "calibration_id.txt", "".join(f"{i}\n" for i in train if i in apart))
    else:
        (out / "calibration_id.txt").unlink(missing_ok=True)
    write_text(out / "classes.txt", "".join(f"{name}\n" for name in classes))
    if labels:
        lines = (" ".join([image_id, *map(str, labels[image_id])]) for image_id in labels)
        write_text(out / "image_labels.txt", "".join(f"{line}\n" for line in lines))
    if bad:
        write_left_out(out / "left_out.txt", bad)
        note(f"note: {counted(len(bad), 'photo')} left out of the lists as {leave_out} says")
    if shared := len(set(train) & set(val)):
        note(f"note: {counted(shared, 'image is', 'images are')} "
             f"both in {train_set}.txt and in {val_set}.txt: the result on val will flatter")
    return (f"{out}: {counted(len(train), 'train image')} ({train_set}.txt), {counted(len(val), 'val image')} "
            f"({val_set}.txt), {len(classes)} classes, labels from {source}")


def _ids(data, name, bad, may_miss=False):
    """Ids of a list of the data root but for those left out; [] for a list of val photos that is not there."""
    path = data / SETS / f"{name}.txt"
    if may_miss and not path.is_file():
        note(f"note: {path} does not exist: no photo is segmented or measured at the end")
        return []
    ids = read_ids(path, bad)
    if not ids:
        raise UserError(f"{path}: every photo of it is left out for its faults; mend some")
    return ids


def _positions(path):
    """Id -> place in a list, also counting photos that are left out: the numbers of a cue file stay theirs."""
    return {image_id: n for n, image_id in enumerate(dict.fromkeys(line for _, line in read_lines(path, "image list")))}


def check_data_root(data):
    """Refuse a data root that is missing, empty or of another layout.

    Parameters
    ----------
    data : Path

    Raises
    ------
    UserError
        Says what is missing.
    """
    if not data.exists():
        raise UserError(f"data root {data} does not exist; "
                        "set DATA_ROOT to a folder in VOC layout (see README.md)")
    if not data.is_dir() or not any(data.iterdir()):
        raise UserError(f"data root {data} is empty; set DATA_ROOT to a folder in VOC layout (see README.md)")
    for part in (Path("JPEGImages"), SETS):
        if not (data / part).is_dir():
            raise UserError(f"data root {data} has no folder {part}; expected the VOC layout (see README.md)")


def first_train_set(data):
    """Name of the training list to take when none was asked for.

    Parameters
    ----------
    data : Path

    Returns
    -------
    str
        Of TRAIN_SETS.

    Raises
    ------
    UserError
        None of them is there.
    """
    for name in TRAIN_SETS:
        if (data / SETS / f"{name}.txt").is_file():
            return name
    raise UserError(f"{data / SETS} has no train.txt; write the ids of the training photos there, one a line")


def label_source(data, wanted):
    """Decide where labels and class names come from.

    Parameters
    ----------
    data : Path
    wanted : str
        "auto", "file", "xml" or "none".

    Returns
    -------
    source : str
        'image_labels.txt', 'Annotations' or 'nowhere'.
    classes : list of str
        From classes.txt; VOC's own where there are annotations but no classes.txt, and no image_labels.txt
        is read.

    Raises
    ------
    UserError
        What is wanted is not there.
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


def collect_labels(data, source, classes, train, val, bad=()):
    """Labels of the train images, each of which must have some, and of the val images where known.

    Parameters
    ----------
    data : Path
    source : str
        As of `label_source`.
    classes : list of str
        With background.
    train, val : list of str
        Ids.
    bad : container of str
        Ids whose line in image_labels.txt may be wrong.

    Returns
    -------
    dict of str to list of int
        Id -> class indices; {} from "nowhere".

    Raises
    ------
    UserError
        A train image without labels, or labels that cannot be read.
    """
    if source == "nowhere":
        return {}
    if source == "Annotations":
        wanted = train + [i for i in val if file_of(data / source, i, ".xml").is_file()]
        labels = labels_from_annotations(data / source, dict.fromkeys(wanted), classes)
    else:
        given = read_image_labels(data / source, classes=classes, without=bad)
        labels = {i: given[i] for i in [*train, *val] if i in given}
    without = [i for i in train if not labels.get(i)]
    if without:
        raise UserError(f"{few_of(without, train, 'train image')} no label in {data / source}, the "
                        f"first is '{without[0]}'; add its classes or take it out of the train list")
    return labels


def photo_numbers(path, train, photos):
    """Number of each train photo from a list "<photo> <number>"; photos of other sets may stand there too.

    Parameters
    ----------
    path : Path
    train : list of str
        Ids.
    photos : dict of str to str
        Id -> file name.

    Returns
    -------
    dict of str to int

    Raises
    ------
    UserError
        A photo without a number, or with one above MAX_NUMBER.
    """
    number_of_id = {id_of(name): number for number, name in read_input_list(path).items()}
    numbers = {i: number_of_id.get(i) for i in train}
    missing = [photos[i] for i, number in numbers.items() if number is None]
    if missing:
        raise UserError(f"{few_of(missing, train, 'train photo')} no number in {path}, the first is "
                        f"'{missing[0]}'; give the list that came with the cues, or take them out of the train list")
    largest = max(train, key=numbers.get)
    if numbers[largest] > MAX_NUMBER:
        raise UserError(f"{path}: '{photos[largest]}' has number {numbers[largest]}; nets carry numbers as float32, "
                        f"which are whole up to {MAX_NUMBER}: number the photos again")
    return numbers


def write_lists(out, data, train, val, photos, number_of, masks, apart=()):
    """Write the lists of ids and of files.

    Paths in train_f.txt and train_full.txt begin with '/' and are joined to root_folder '.' (as in the
    original), so they are relative to the folder that the command runs in.

    Parameters
    ----------
    out : Path
    data : Path
        The data root.
    train, val : list of str
        Ids.
    photos : dict of str to str
        Id -> file name.
    number_of : dict of str to int
        Numbers of the train photos.
    masks : Path
        Folder of the true masks; without it there is no train_full.txt.
    apart : container of str
        Ids of train photos that stage f does not learn from.

    Raises
    ------
    UserError
        A space in a path, which lists cannot hold.
    """
    with_masks = masks.is_dir()
    root, masks = _from_here(data), _from_here(masks)
    if len(f"{root}{masks}".split()) != 1:
        raise UserError(f"{data} or {masks} has a space in its name, and lists go by spaces; give a link without one")
    photo = {i: root / "JPEGImages" / photos[i] for i in train}
    write_text(out / "train_id.txt", "".join(f"{i}\n" for i in train))
    write_text(out / "val_id.txt", "".join(f"{i}\n" for i in val))
    write_text(out / "input_list.txt", "".join(f"{photos[i]} {number_of[i]}\n" for i in train))
    write_text(out / "train_f.txt", "".join(f"{photo[i]} {file_of('/labels', i).as_posix()}\n"
                                            for i in train if i not in apart))
    if with_masks:
        write_text(out / "train_full.txt", "".join(f"{photo[i]} {file_of(masks, i).as_posix()}\n" for i in train))
    else:
        (out / "train_full.txt").unlink(missing_ok=True)


def _from_here(folder):
    return PurePosixPath("/", Path(os.path.relpath(folder)).as_posix())
