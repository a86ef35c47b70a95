"""Lists and labels as they stand in their files: read to the end whatever is wrong, every fault noted."""

from dataclasses import dataclass, field

from dsrg.io.class_names import class_index
from dsrg.io.errors import UserError
from dsrg.io.image_ids import fault_of
from dsrg.io.regular_files import read_file
from dsrg.io.text_files import decode_text

MARK = "\ufeff".encode()


@dataclass
class ImageLabels:
    """Labels of photos.

    Attributes
    ----------
    classes : dict of str to list of int
        Id -> its classes, sorted; [] for a row without any.
    source : str
        The file or folder they come from.
    """

    classes: dict = field(default_factory=dict)
    source: str = ""


def text_lines(path, what, found):
    """The lines of a file of text as (number, stripped text), blank ones left out; its faults go to `found`.

    None where the file cannot be used.

    Parameters
    ----------
    path : Path
    what : str
        What the file is, for messages: "image list".
    found : Findings

    Returns
    -------
    list of (int, str), or None
        Line numbers count from 1.
    """
    try:
        data = read_file(path, what)
        text = decode_text(data, f"{what} {path}")
    except UserError as error:
        found.add("file-unusable", error)
        return None
    if data.startswith(MARK):
        found.add("list-byte-order-mark", path)
    if b"\r" in data:
        found.add("list-crlf", path)
    lines = [line.strip() for line in text.rstrip("\n").split("\n")]
    blank = [str(number) for number, line in enumerate(lines, 1) if not line]
    if len(blank) == len(lines):
        found.add("file-unusable", f"{what} {path} is empty")
        return None
    if blank:
        found.add("list-blank-lines", f"{path}: line {', '.join(blank[:5])}{', ..' if len(blank) > 5 else ''}")
    return [(number, line) for number, line in enumerate(lines, 1) if line]


def read_ids(path, found):
    """The ids of a list, each once, in its order; [] where the file cannot be used.

    Parameters
    ----------
    path : Path
    found : Findings

    Returns
    -------
    list of str
    """
    seen = {}
    for number, line in text_lines(path, "image list", found) or ():
        if len(line.split()) != 1:
            found.add("line-no-id", f"{path}:{number}: '{line}'")
        elif fault := fault_of(line):
            found.add("line-no-id", f"{path}:{number}: '{line}' {fault}")
        elif line in seen:
            found.add("id-twice", f"{path}:{number}: '{line}', also on line {seen[line]}", line)
        else:
            seen[line] = number
    return list(seen)


def read_labels(path, classes, found):
    """Labels of image_labels.txt, indices or names; rows that cannot be are noted and hold what is right of them.

    Parameters
    ----------
    path : Path
    classes : list of str
        With background; what the words of a line may be.
    found : Findings

    Returns
    -------
    ImageLabels
        Class indices of each id, sorted.
    """
    labels, numbers = {}, {}
    for number, line in text_lines(path, "image labels", found) or ():
        name, *words = line.split()
        where = f"{path}:{number}: '{name}'"
        if fault := fault_of(name):
            found.add("line-no-id", f"{where} {fault}")
            continue
        if name in labels:
            found.add("label-twice", f"{where}, also on line {numbers[name]}", name)
        numbers.setdefault(name, number)
        labels.setdefault(name, set())
        for word in words:
            try:
                labels[name].add(class_index(word, classes))
            except ValueError as error:
                found.add("label-unknown", f"{where} has label {word}: {error}", name)
    return ImageLabels({name: sorted(indices) for name, indices in labels.items()}, str(path))
