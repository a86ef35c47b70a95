"""The class names of a data root, in index order, and labels given by name or index."""

import difflib
import re

from dsrg.io import voc
from dsrg.io.errors import UserError
from dsrg.io.lists import read_lines

INDEX = re.compile(r"[+-]?\d+")
LONGEST_NAME = 200      # characters; names stand in messages, tables and legends


def fault_of_class_name(name):
    """Why a text cannot be the name of a class, or None.

    Parameters
    ----------
    name : str

    Returns
    -------
    str or None
        The end of a sentence about the name.
    """
    if not name.isprintable():
        return "holds a control character; take it out"
    if len(name) > LONGEST_NAME:
        return f"is of {len(name)} characters, expected at most {LONGEST_NAME}; shorten it"
    return None


def read_classes(path):
    """Read classes.txt: one name a line in index order, background first.

    Parameters
    ----------
    path : path

    Returns
    -------
    list of str
        Two or more names; the position is the class index.

    Raises
    ------
    UserError
        No such file, fewer than 2 names or more than 255, the first not background, or a name given twice.
    """
    names = [line for _, line in read_lines(path, "class list")]
    if names[0].lower() != "background":
        raise UserError(f"{path}:1: the first class must be 'background' (index 0), got '{names[0]}'")
    if not 2 <= len(names) <= voc.IGNORE_LABEL:
        limit = voc.IGNORE_LABEL - 1
        raise UserError(f"{path}: {len(names)} classes; expected background and 1 to {limit} more")
    for name in names:
        if fault := fault_of_class_name(name):
            raise UserError(f"{path}: class '{name[:LONGEST_NAME]}' {fault}")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: class '{twice[0]}' is listed more than once")
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
    if INDEX.fullmatch(text):
        if len(text) <= LONGEST_NAME and 1 <= int(text) < len(classes):     # Python reads no endless numbers
            return int(text)
        raise ValueError(f"indices go from 1 to {len(classes) - 1} (0 is background)")
    if text.strip().lower() == "background":
        raise ValueError("background is in every photo and is no label; take it out (a photo of nothing else has none)")
    near = difflib.get_close_matches(text, classes[1:], 1)
    hint = f"did you mean '{near[0]}'?" if near else "add it there or correct the label"
    raise ValueError(f"it is none of the {len(classes) - 1} object classes of classes.txt, {hint}")
