"""What the commands of this folder read: the list of photos with their numbers, and the photos' labels."""

import json
from pathlib import Path

from training.common import UserError, read_lines
from training.dataset import read_image_labels


def read_input_list(path):
    """Read ``input_list.txt``: photo and number, the key of the photo in the cue file, on each line.

    Returns
    -------
    dict of int to str
        Image number -> file name, in file order. UserError for a malformed line or a number given twice.
    """
    names = {}
    for line_number, line in read_lines(path, "list of photos"):
        words = line.split()
        if len(words) != 2 or not words[1].isdecimal():
            raise UserError(f"{path}:{line_number}: expected '<photo> <number>', got '{line}'")
        if int(words[1]) in names:
            raise UserError(f"{path}:{line_number}: number {words[1]} is given twice; each photo needs its own")
        names[int(words[1])] = words[0]
    return names


def size_of_map(path, cues):
    """Height and width of the map a cue file is for, as the .json beside it says, which make_cues writes.

    A cue file holds no size: without that .json, or where it says less than the cues need, the map is taken to end with
    the last row and column that carry a cue.
    """
    least = cues.least_size()
    try:
        height, width = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["cue_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return least
    return (height, width) if height >= least[0] and width >= least[1] else least


def read_photos(list_path, folder):
    """Image number -> path of its photo, for every line of the input list; each photo must be there."""
    photos = {number: Path(folder) / name for number, name in read_input_list(list_path).items()}
    missing = [path for path in photos.values() if not path.is_file()]
    if missing:
        raise UserError(f"{len(missing)} photos of {list_path} are missing, the first is {missing[0]}; "
                        "add them or make the lists again")
    return photos


def labels_of(photos, labels_path):
    """Image number -> its classes; every photo must have at least one."""
    labels = read_image_labels(labels_path)
    bare = [path.stem for path in photos.values() if not labels.get(path.stem)]
    if bare:
        raise UserError(f"{len(bare)} photos have no label in {labels_path}, the first is '{bare[0]}'; name their "
                        "classes there, or take them out of the list")
    return {number: labels[path.stem] for number, path in photos.items()}
