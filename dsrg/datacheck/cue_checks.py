"""A cue file compared with the photos, labels and classes that it is for."""

import numpy as np

from dsrg.cuefile.format import load_cues
from dsrg.cuefile.scarce_classes import cells_of_classes
from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.image_ids import id_of
from dsrg.io.lists import read_input_list


def photo_numbers(content, numbers, found):
    """Id -> number, the key of a photo in the cue file: from a list "<photo> <number>", else the train list's order.

    Parameters
    ----------
    content : DataSet
    numbers : Path or None
        The list; None for the order of the train list.
    found : Findings
        Gets a "file-unusable" where the list cannot be read.

    Returns
    -------
    dict of str to int, or None
        None where the list cannot be read.
    """
    if numbers is None:
        return {image_id: number for number, image_id in enumerate(content.train)}
    try:
        return {id_of(name): number for number, name in read_input_list(numbers).items()}
    except UserError as error:
        found.add("file-unusable", error)
        return None


def check_cues(path, content, numbers, size, found):
    """Check a cue file.

    Parameters
    ----------
    path : Path
    content : DataSet
    numbers : dict of str to int or None
        As from photo_numbers.
    size : (int, int) or None
        Height and width of the map that the cues are for; None where that is not known.
    found : Findings

    Returns
    -------
    int
        Entries of the file; 0 where it cannot be read.
    """
    try:
        cues = load_cues(path)
    except UserError as error:
        found.add("file-unusable", error)
        return 0
    id_of_number = {} if numbers is None else {numbers[i]: i for i in content.train if i in numbers}
    _check_ranges(cues, len(content.classes), size, id_of_number, found)
    if numbers is not None:
        _check_entries(path, cues, content, numbers, id_of_number, found)
    if content.classes:
        cells = cells_of_classes(cues, len(content.classes))
        shown = {c for classes in content.labels.classes.values() for c in classes or ()}
        for index, name in enumerate(content.classes):
            if not cells[index] and (index == 0 or index in shown):
                found.add("class-no-cue", f"{name} (class {index})")
    return len(cues)


def _check_ranges(cues, count, size, id_of_number, found):
    """Images with a class, row or column that the net does not have."""
    arrays = cues.arrays()
    images = cues.image_of_cue()
    limits = [("class", arrays["cues"][0], images, count)] if count else []
    if count:
        owners = np.repeat(arrays["indices"], np.diff(arrays["label_offsets"]))
        limits.append(("label", arrays["labels"], owners, count))
    if size is not None:
        limits += [("row", arrays["cues"][1], images, size[0]), ("column", arrays["cues"][2], images, size[1])]
    for name, values, owners, limit in limits:
        bad = np.flatnonzero(values >= limit)
        for number in np.unique(owners[bad]).tolist():
            worst = int(values[bad][owners[bad] == number].max())
            found.add("cue-out-of-range", f"image {number}{_named(id_of_number, number)} has {name} {worst}, expected "
                      f"0 to {limit - 1}", id_of_number.get(number))


def _check_entries(path, cues, content, numbers, id_of_number, found):
    """Train photos without a cue, entries without a photo, entries with other labels than the photo's."""
    empty = set(cues.without_cues())
    for image_id in content.train:
        number = numbers.get(image_id)
        if number is None or number not in cues:
            what = "has no number" if number is None else f"has number {number}, which {path} has no entry of"
            found.add("photo-no-cue", f"'{image_id}' {what}", image_id)
        elif number in empty:
            found.add("photo-no-cue", f"'{image_id}', image {number} of {path}: its entry is empty", image_id)
        elif labels := content.labels.classes.get(image_id):
            given = sorted(int(c) for c in cues[number][0])
            if given != labels:
                found.add("cue-other-labels", f"'{image_id}', image {number}: {given} there, {labels} in "
                          f"{content.labels.source}", image_id)
    known = set(id_of_number)
    for number in cues:
        if number not in known:
            found.add("cue-no-photo", f"image {number} of {path} ({counted(cues[number][1].shape[1], 'cell')})")


def _named(id_of_number, number):
    return f" ('{id_of_number[number]}')" if number in id_of_number else ""
