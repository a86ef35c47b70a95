"""The text files of a data root: class names and image-level labels."""

import difflib

from training import voc
from training.common import UserError, read_lines


def read_classes(path):
    """Read classes.txt: one name a line in index order, background first.

    Returns
    -------
    list of str
        Two or more names; the position is the class index.
    """
    names = [line for _, line in read_lines(path, "class list")]
    if names[0].lower() != "background":
        raise UserError(f"{path}:1: the first class must be 'background' (index 0), got '{names[0]}'")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: class '{twice[0]}' is listed more than once")
    if not 2 <= len(names) <= voc.IGNORE_LABEL:
        limit = voc.IGNORE_LABEL - 1
        raise UserError(f"{path}: {len(names)} classes; expected background and 1 to {limit} more")
    return names


def class_index(text, classes):
    """Index of a label that is a class index or a class name.

    Parameters
    ----------
    text : str
    classes : sequence of str
        Names in index order, background first.

    Returns
    -------
    int
        From 1 up.

    Raises
    ------
    ValueError
        The text is neither, or is background; its message is the end of a sentence about the label.

    Examples
    --------
    >>> class_index("cow", ["background", "horse", "cow"]), class_index("1", ["background", "horse", "cow"])
    (2, 1)
    """
    if text in classes[1:]:
        return classes.index(text, 1)
    if text.lstrip("+-").isdecimal():
        if 1 <= int(text) < len(classes):
            return int(text)
        raise ValueError(f"indices go from 1 to {len(classes) - 1} (0 is background)")
    near = difflib.get_close_matches(text, classes[1:], 1)
    hint = f"did you mean '{near[0]}'?" if near else "add it there or correct the label"
    raise ValueError(f"it is none of the {len(classes) - 1} object classes of classes.txt, {hint}")


def read_image_labels(path, num_classes=None, classes=None):
    """Read image_labels.txt: `<id> <class> <class> ...`, class indices from 1 up.

    Parameters
    ----------
    num_classes : int, optional
        Classes with background; a larger index is refused.
    classes : sequence of str, optional
        Names in index order, background first, instead of `num_classes`: labels may then be names as well.

    Returns
    -------
    dict of str to list of int
        Sorted indices without repetition; an id alone on its line has an empty list.
    """
    labels = {}
    for number, line in read_lines(path, "image labels"):
        name, *fields = line.split()
        where = f"{path}:{number}: image '{name}'"
        if name in labels:
            raise UserError(f"{where} is listed twice; put its classes on one line")
        labels[name] = sorted({_label(field, where, line, num_classes, classes) for field in fields})
    return labels


def _label(field, where, line, num_classes, classes):
    """Class index of one label of an image_labels.txt."""
    if classes is not None:
        try:
            return class_index(field, classes)
        except ValueError as error:
            raise UserError(f"{where} has class {field}; {error}") from None
    try:
        index = int(field)
    except ValueError:
        raise UserError(f"{where}: expected '<id> <class index> ...', got '{line}'") from None
    if index < 1 or (num_classes is not None and index >= num_classes):
        upper = "" if num_classes is None else f" to {num_classes - 1}"
        raise UserError(f"{where} has class {index}; indices go from 1{upper} (0 is background)")
    return index
