"""Image-level labels: which classes each photo shows."""

from dsrg.io.class_names import class_index
from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_ids import fault_of
from dsrg.io.lists import read_lines


def read_image_labels(path, num_classes=None, classes=None, without=()):
    """Read image_labels.txt: `<id> <class> <class> ...`, class indices from 1 up.

    Parameters
    ----------
    num_classes : int, optional
        Classes with background; a larger index is refused.
    classes : sequence of str, optional
        Names in index order, background first, instead of `num_classes`: labels may then be names as well.
    without : container of str
        Ids whose lines are passed over, whatever is wrong with them.

    Returns
    -------
    dict of str to list of int
        Sorted indices without repetition; an id alone on its line has an empty list.

    Raises
    ------
    UserError
        All faults of the file: an image listed twice, a label that is not a class, an id that cannot be.
    """
    labels, faults = {}, Faults(path)
    for number, line in read_lines(path, "image labels"):
        name, *fields = line.split()
        where = f"{path}:{number}: image '{name}'"
        if name in without:
            continue
        if name in labels:
            faults.add("images listed twice", f"{where} is listed twice; put its classes on one line")
            continue
        if fault := fault_of(name):
            faults.add("ids that cannot be", f"{where} {fault}")
        labels[name] = []
        try:
            labels[name] = sorted({_label(field, where, line, num_classes, classes) for field in fields})
        except UserError as error:
            faults.add("images with labels that are not classes", error)
    faults.refuse()
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
