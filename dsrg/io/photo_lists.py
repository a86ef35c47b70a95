"""The photos of a list with their labels: each photo there, each with at least one class."""

from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_input_list


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
