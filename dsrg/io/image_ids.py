"""Ids of images: the path of a photo below its folder, without the suffix, and back to files of that id.

A photo `JPEGImages/sub/img1.jpg` has the id `sub/img1`; its mask is `SegmentationClass/sub/img1.png`, its saliency map
`maps/sub/img1.png`. So photos of one file name in two folders stay apart everywhere.
"""

from pathlib import Path, PurePosixPath

from dsrg.io.errors import UserError


def id_of(photo):
    """The id of a photo named by its path below the photo folder; the original's lists begin it with a slash.

    Parameters
    ----------
    photo : str

    Returns
    -------
    str

    Raises
    ------
    UserError
        A path that leads out of the folder, or holds no name.

    Examples
    --------
    >>> id_of("sub/img1.jpg"), id_of("/2007_000032.jpg"), id_of("scan.v2.png")
    ('sub/img1', '2007_000032', 'scan.v2')
    """
    path = PurePosixPath(str(photo).lstrip("/"))
    if fault := fault_of(str(path)):
        raise UserError(f"photo '{photo}' {fault}")
    return str(path.with_suffix(""))


def is_utf8(text):
    """Whether a text holds no byte of a file's name that Python could not decode, as results are written in UTF-8.

    Parameters
    ----------
    text : str

    Returns
    -------
    bool
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def fault_of(image_id):
    """What is wrong with an id, the end of a sentence about it; None for a good one.

    Parameters
    ----------
    image_id : str

    Returns
    -------
    str or None
    """
    if not image_id.isprintable():
        return "holds a control character; rename the photo"
    if image_id.startswith("/") or (".." in image_id and ".." in PurePosixPath(image_id).parts):
        return "leads out of the photo folder; give a plain name"
    if len(image_id) > 1000 or any(len(part.encode()) > 240 for part in image_id.split("/")):
        return "is longer than the name of a file can be"
    if image_id in ("", "."):
        return "is not a name"
    return None


def id_below(folder, path):
    """The id of a photo file in a folder, by its path from there.

    Parameters
    ----------
    folder, path : path
        The file lies in the folder or in one of its folders.

    Returns
    -------
    str

    Examples
    --------
    >>> id_below("data/JPEGImages", "data/JPEGImages/sub/img1.jpg")
    'sub/img1'
    """
    return id_of(Path(path).relative_to(folder).as_posix())


def file_of(folder, image_id, suffix=".png"):
    """The file of an id in a folder of masks, maps or label maps.

    Parameters
    ----------
    folder : path
    image_id : str
    suffix : str

    Returns
    -------
    Path

    Examples
    --------
    >>> file_of("SegmentationClass", "scan.v2").as_posix()
    'SegmentationClass/scan.v2.png'
    """
    return Path(folder) / f"{image_id}{suffix}"


def photo_file(folder, photo):
    """The file of a photo named as in input_list.txt, with or without the original's leading slash.

    Parameters
    ----------
    folder : path
    photo : str

    Returns
    -------
    Path
    """
    return Path(folder) / str(photo).lstrip("/")


def by_id(photos):
    """Photos by their ids.

    Parameters
    ----------
    photos : iterable of (str, value)
        Path below the photo folder, and what is kept of it.

    Returns
    -------
    dict of str to value
        In the order given.

    Raises
    ------
    UserError
        Two photos of one id (a.jpg and a.png): their masks and maps would be one file.
    """
    names, values = {}, {}
    for name, value in photos:
        image_id = id_of(name)
        if names.setdefault(image_id, name) != name:
            raise UserError(f"photos '{names[image_id]}' and '{name}' have the same id '{image_id}', so their masks "
                            "and maps would be one file; rename one")
        values[image_id] = value
    return values
