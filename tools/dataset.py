"""The text files of a data root: class names and image-level labels."""

from tools import voc
from tools.common import UserError, read_lines


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


def read_image_labels(path, num_classes=None):
    """Read image_labels.txt: `<id> <class> <class> ...`, class indices from 1 up.

    Parameters
    ----------
    num_classes : int, optional
        Classes with background; a larger index is refused.

    Returns
    -------
    dict of str to list of int
        Sorted indices without repetition; an id alone on its line has an empty list.
    """
    labels = {}
    for number, line in read_lines(path, "image labels"):
        name, *fields = line.split()
        if name in labels:
            raise UserError(f"{path}:{number}: image '{name}' is listed twice; put its classes on one line")
        try:
            classes = sorted({int(field) for field in fields})
        except ValueError:
            raise UserError(f"{path}:{number}: expected '<id> <class index> ...', got '{line}'") from None
        if classes and (classes[0] < 1 or (num_classes is not None and classes[-1] >= num_classes)):
            bad = classes[0] if classes[0] < 1 else classes[-1]
            upper = "" if num_classes is None else f" to {num_classes - 1}"
            raise UserError(f"{path}:{number}: image '{name}' has class {bad}; "
                            f"indices go from 1{upper} (0 is background)")
        labels[name] = classes
    return labels
