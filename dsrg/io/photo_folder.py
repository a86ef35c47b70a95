"""The photos of a folder and of the folders in it, by id; whatever else lies there is counted, never dropped unsaid."""

import os
from collections import Counter
from pathlib import Path, PurePosixPath

from dsrg.io.errors import UserError, note
from dsrg.io.image_ids import by_id
from dsrg.io.lists import read_ids
from dsrg.io.photos import SUFFIXES_TEXT, find_images, is_photo

BROKEN_LINK = "link to a photo that is not there"


def photos_of(folder, id_list=None):
    """Photos by id: those of a list in its order, or all of the folder and the folders in it, sorted.

    Parameters
    ----------
    folder : path
    id_list : path, optional
        A list of ids, one a line.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    UserError
        No folder, no photo, an id of the list without one, or two photos of one id (a.jpg and a.png).
    """
    if not Path(folder).is_dir():
        raise UserError(f"no folder {folder}")
    if id_list is not None:
        return find_images(folder, read_ids(id_list))
    names, others = photo_names(folder)
    if others:
        note(f"note: {folder}: {sum(others.values())} other files left out ({kinds_text(others)})")
    return by_id((name, Path(folder) / name) for name in names)


def photo_names(folder):
    """Paths of all photos below a folder, and what else there is.

    Parameters
    ----------
    folder : path

    Returns
    -------
    list of str
        Paths from the folder, with slashes, sorted; at least one.
    Counter
        As of `files_below`.
    """
    names, others = files_below(folder, is_photo)
    if not names:
        there = f"; it holds {kinds_text(others)}" if others else ""
        raise UserError(f"no photo in {folder} ({SUFFIXES_TEXT}){there}")
    return names, others


def files_below(folder, wanted):
    """Files below a folder whose name fits, and what else there is; hidden files and folders are not looked at.

    Parameters
    ----------
    folder : path
    wanted : callable
        Whether a name fits.

    Returns
    -------
    list of str
        Paths from the folder, with slashes, sorted.
    Counter
        Suffix in lower case -> number of other files; hidden ones (macOS's `._a.jpg`) count as "hidden", links
        that lead nowhere and are called as what is wanted as BROKEN_LINK.
    """
    names, others = [], Counter()
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and not _leads_back(place, name))
        below = PurePosixPath(Path(place).relative_to(folder).as_posix())
        for name in files:
            if name.startswith("."):
                others["hidden"] += 1
            elif wanted(name) and not os.path.exists(os.path.join(place, name)):
                others[BROKEN_LINK] += 1
            elif wanted(name):
                names.append(str(below / name))
            else:
                others[PurePosixPath(name).suffix.lower() or "no suffix"] += 1
    return sorted(names), others


def kinds_text(counts):
    """'3 .gif, 1 .txt', the commonest first.

    Parameters
    ----------
    counts : Counter
        Number of files by suffix.

    Returns
    -------
    str
    """
    order = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{number} {kind}" for kind, number in order[:10])


def _leads_back(place, name):
    """Whether a link leads to a folder above itself, which would be walked without end."""
    path = Path(place, name)
    return path.is_symlink() and Path(place).resolve().is_relative_to(path.resolve())
