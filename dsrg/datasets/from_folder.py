"""A data root in VOC layout from a folder of photos and a file of labels.

Everything is read and checked first and all faults are reported together; then the data root is written beside its
place and renamed.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from dsrg.datasets.class_photos import class_warnings, photos_of_classes
from dsrg.datasets.folder_data_root import write_root
from dsrg.datasets.folder_labels import (
    folder_table,
    id_of_photo,
    ids_of,
    index_labels,
    names_used,
    one_spelling,
    with_labels,
)
from dsrg.datasets.folder_notes import TINY, copy_notes, notes_on_others, orientation_notes, photo_notes
from dsrg.datasets.label_table import read_label_table
from dsrg.datasets.mask_checks import MaskCounts, check_mask, judge
from dsrg.datasets.val_split import choose_val, classes_without_val, listed_val
from dsrg.io.class_names import read_classes
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_ids import file_of
from dsrg.io.orientation import exif_orientation
from dsrg.io.output_folders import refuse_inputs_as_output
from dsrg.io.photo_folder import BROKEN_LINK, photo_names
from dsrg.io.photos import load_image_bgr
from dsrg.io.progress_bar import progress
from dsrg.io.whole_folders import whole_folder


@dataclass(frozen=True)
class FolderOptions:
    """Where the photos, labels and masks are, and what to make of them; `tools.make_dataset --help` says more.

    Without `labels`, the folders in `photos` are the classes.
    """

    photos: Path
    labels: Path | None
    out: Path
    classes: Path | None = None
    val: float = 0.2
    val_list: Path | None = None
    seed: int = 0
    masks: Path | None = None
    masks_stored: bool = False
    trust_masks: bool = False
    skip_unlabelled: bool = False
    unused_classes: bool = False
    copy: bool = False


@dataclass
class PhotoSet:
    """What was found: all that is written follows from it.

    Attributes
    ----------
    labels : dict of str to list of int
        Photo (its path below the photo folder) -> sorted classes, at least one; in the order of the names.
    classes : list of str
        With background.
    ids : dict of str to str
        Photo -> id in the data root.
    masks : dict of str to Path
        Of the photos that have one.
    counts : MaskCounts
        What these masks hold.
    turned : dict of str to int
        Photo -> EXIF orientation, of those that are not stored upright.
    tiny : list of str
        Photos with a side under TINY pixels.
    left_out : Counter
        Reason, for one -> number of files.
    notes : list of str
        What the user should know and that stops nothing.
    val : set of str
        Photos that are set apart.
    """

    labels: dict
    classes: list
    ids: dict
    masks: dict = field(default_factory=dict)
    counts: MaskCounts = field(default_factory=MaskCounts)
    turned: dict = field(default_factory=dict)
    tiny: list = field(default_factory=list)
    left_out: Counter = field(default_factory=Counter)
    notes: list = field(default_factory=list)
    val: set = field(default_factory=set)


def make_data_root(options):
    """Make the data root, whole or not at all.

    Parameters
    ----------
    options : FolderOptions

    Returns
    -------
    PhotoSet

    Raises
    ------
    UserError
        All faults, when something does not fit; nothing is written then.
    """
    out = options.out
    if out.exists():
        raise UserError(f"{out} exists; choose another --out, or remove it first")
    refuse_inputs_as_output(out, options.photos, options.masks)
    found = read_folder(options)
    found.val = (listed_val(options.val_list, found.labels) if options.val_list
                 else choose_val(found.labels, options.val, options.seed, found.masks))
    train = (classes for name, classes in found.labels.items() if name not in found.val)
    found.notes += class_warnings(found.classes, *photos_of_classes(train))
    found.notes += filter(None, [classes_without_val(found.labels, found.val, found.classes)])
    with whole_folder(out) as partial:
        write_root(partial, options, found)
    return found


def read_folder(options):
    """The PhotoSet of a folder, every photo and mask opened once.

    Parameters
    ----------
    options : FolderOptions

    Returns
    -------
    PhotoSet
        Without val.

    Raises
    ------
    UserError
        All faults of photos, masks and labels together.
    """
    for what, place in (("photo", options.photos), ("mask", options.masks)):
        if place and not place.is_dir():
            raise UserError(f"{what} folder {place} does not exist")
    names, others = photo_names(options.photos)
    faults, notes = Faults(f"{options.photos} and {options.labels}" if options.labels else options.photos), []
    source = options.labels or options.photos
    given = read_classes(options.classes) if options.classes else []
    table = (read_label_table(options.labels, options.photos, names, faults, given[1:]) if options.labels
             else folder_table(options.photos, names))
    if not table.words:
        faults.refuse()
    words = one_spelling(table.words, given, notes)
    classes = given or names_used(words, source)
    labels = index_labels(words, classes, source, faults)
    left_out = Counter({kind if kind == BROKEN_LINK else f"{kind} file": number for kind, number in others.items()})
    labels = with_labels(labels, words, names, options, faults, left_out, table.unclear)
    ids = ids_of(labels, faults)
    found = PhotoSet(labels, classes, ids, left_out=left_out, notes=notes)
    for name in progress(labels, "photos", len(labels)):
        check_photo(name, options, found, faults)
    faults.refuse()
    if not labels:
        raise UserError(f"{source} gives no photo a label; write '<photo> <class> ..' lines")
    refuse_unused(found, options)
    if options.masks:
        notes += unused_masks(found, options)
        notes += judge(found.counts, labels, classes, options.trust_masks)
    notes += [*orientation_notes(found, options), *photo_notes(found),
              *copy_notes(found, options.photos), *notes_on_others(others)]
    return found


def mask_of(folder, name):
    """File of the mask of a photo, .png or .PNG.

    Parameters
    ----------
    folder : Path
    name : str
        Of the photo, below the photo folder.

    Returns
    -------
    Path
        That of .png where neither is there.
    """
    path = file_of(folder, id_of_photo(name))
    other = path.with_name(path.name.removesuffix(".png") + ".PNG")
    return other if other.exists() and not path.exists() else path


def check_photo(name, options, found, faults):
    """Open a photo and its mask, and note what they are.

    Parameters
    ----------
    name : str
    options : FolderOptions
    found : PhotoSet
        Gets size, orientation and mask.
    faults : Faults
    """
    path = options.photos / name
    try:
        shape, orientation = load_image_bgr(path).shape[:2], exif_orientation(path)
    except UserError as error:
        faults.add("photos that cannot be read", error)
        return
    if min(shape) < TINY:
        found.tiny.append(name)
    if orientation != 1:
        found.turned[name] = orientation
    if not options.masks or not os.path.lexists(mask_of(options.masks, name)):  # a broken link is a fault
        return
    try:
        mask = check_mask(mask_of(options.masks, name), shape, orientation, len(found.classes), options.masks_stored)
    except UserError as error:
        faults.add("masks that do not fit", error)
        return
    found.masks[name] = mask_of(options.masks, name)
    found.counts.add(name, mask)


def unused_masks(found, options):
    """One line, in a list, on masks that no photo took.

    Parameters
    ----------
    found : PhotoSet
    options : FolderOptions

    Returns
    -------
    list of str

    Raises
    ------
    UserError
        No photo took any.
    """
    there = sorted(path for path in options.masks.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found.masks:
        holds = f", which begins with {there[0]}" if there else ", which is empty"
        raise UserError(f"no mask in {options.masks}{holds}, is named as a photo; the first would be "
                        f"{mask_of(options.masks, next(iter(found.labels)))}")
    rest = sorted(set(there) - set(found.masks.values()))
    if not rest:
        return []
    return [f"{counted(len(rest), 'file')} of {options.masks} without a photo that was taken, the first is {rest[0]}"]


def refuse_unused(found, options):
    """Classes of --classes that no photo shows: a net cannot learn them.

    Parameters
    ----------
    found : PhotoSet
    options : FolderOptions
    """
    used = {c for classes in found.labels.values() for c in classes}
    unused = [name for index, name in enumerate(found.classes) if index and index not in used]
    if unused and not options.unused_classes:
        raise UserError(f"no photo is labelled with {len(unused)} of the classes of {options.classes} "
                        f"({', '.join(unused[:10])}), so nothing can be learned of them; take them out, label photos, "
                        "or pass --unused-classes")
