"""The photos of a list with their labels: each photo there, each with at least one class."""

from pathlib import Path
from typing import NamedTuple

from dsrg.io.counts import counted
from dsrg.io.errors import UserError
from dsrg.io.image_ids import id_of, photo_file
from dsrg.io.image_labels import read_image_labels
from dsrg.io.lists import read_input_list


class ListedPhoto(NamedTuple):
    """A photo of an input list: its id, which masks, maps and labels go by, and its file."""

    id: str
    path: Path


def read_photos(list_path, folder):
    """Image number -> ListedPhoto, for every line of the input list; each photo must be there.

    Parameters
    ----------
    list_path : path
        As of read_input_list.
    folder : path

    Returns
    -------
    dict of int to ListedPhoto

    Raises
    ------
    UserError
        A list that cannot be read, or photos that are missing.
    """
    photos = {number: ListedPhoto(id_of(name), photo_file(folder, name))
              for number, name in read_input_list(list_path).items()}
    missing = [photo.path for photo in photos.values() if not photo.path.is_file()]
    if missing:
        raise UserError(f"{counted(len(missing), 'photo is', 'photos are')} missing of those in {list_path}, the "
                        f"first is {missing[0]}; add photos or make the lists again")
    return photos


def labels_of(photos, labels_path):
    """Image number -> its classes; every photo must have at least one.

    Parameters
    ----------
    photos : dict of int to ListedPhoto
    labels_path : path
        An image_labels.txt.

    Returns
    -------
    dict of int to list of int
        Class indices, 1 and up, ascending.

    Raises
    ------
    UserError
        A file that cannot be read, or photos without a label.
    """
    labels = read_image_labels(labels_path)
    bare = [photo.id for photo in photos.values() if not labels.get(photo.id)]
    if bare:
        raise UserError(f"{counted(len(bare), 'photo has', 'photos have')} no label in {labels_path}, the first is "
                        f"'{bare[0]}'; name the classes there, or take them out of the list")
    return {number: labels[photo.id] for number, photo in photos.items()}
