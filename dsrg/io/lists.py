"""Text files of lines: image ids, and photos with their numbers. All faults of a file are reported together."""

from dsrg.io.errors import UserError
from dsrg.io.faults import Faults
from dsrg.io.image_ids import fault_of, id_of
from dsrg.io.text_files import read_text


def read_lines(path, what, ends=None):
    """Yield the lines of a text file as (number, stripped text), blank ones left out; `what` names it in errors.

    Parameters
    ----------
    path : path
    what : str
    ends : str, optional
        Characters that are stripped (default: all white space).

    Yields
    ------
    (int, str)

    Raises
    ------
    UserError
        No such file, an empty one, or one that is not UTF-8.
    """
    text = read_text(path, what)
    if not text.strip():
        raise UserError(f"{what} {path} is empty")
    # not splitlines, which cuts at form feeds and Unicode's separators too
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.strip(ends):
            yield number, line


def read_ids(path, without=()):
    """Read a list of image ids, one a line.

    Parameters
    ----------
    without : container of str
        Ids that are passed over, whatever is wrong with their lines.

    Returns
    -------
    list of str
        In file order, at least one, each once.

    Raises
    ------
    UserError
        Missing or empty file, more than one column, an id twice, or an id that leads out of its folder.
    """
    seen, faults = {}, Faults(path)
    for number, line in read_lines(path, "image list"):
        if line in without:
            continue
        if len(line.split()) != 1:
            faults.add("lines with more than an id", f"{path}:{number}: expected one image id a line, got '{line}'")
        elif fault := fault_of(line):
            faults.add("ids that cannot be", f"{path}:{number}: id '{line}' {fault}")
        elif line in seen:
            faults.add("ids given twice",
                       f"{path}:{number}: id '{line}' is already on line {seen[line]}; keep one of them")
        else:
            seen[line] = number
    faults.refuse()
    return list(seen)


def read_input_list(path):
    """Read ``input_list.txt``: photo and number, the key of the photo in the cue file, on each line.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of int to str
        Image number -> file name, in file order.

    Raises
    ------
    UserError
        A malformed line, a number given twice, a photo that leads out of its folder, or two photos of one id.
    """
    names, ids, faults = {}, {}, Faults(path)
    for line_number, line in read_lines(path, "list of photos"):
        words, where = line.split(), f"{path}:{line_number}"
        if len(words) != 2 or not (words[1].isascii() and words[1].isdecimal()):
            faults.add("lines that are not a photo and its number",
                       f"{where}: expected '<photo> <number>', got '{line}'")
            continue
        number = int(words[1]) if len(words[1]) <= 18 else -1
        try:
            image_id = id_of(words[0])
        except UserError as error:
            faults.add("photos that cannot be", f"{where}: {error}")
            continue
        if number < 0:
            faults.add("numbers too large", f"{where}: number {words[1][:40]} is beyond what any net carries")
        elif number in names:
            faults.add("numbers given twice", f"{where}: number {number} is given twice; each photo needs its own")
        elif ids.setdefault(image_id, words[0]) != words[0]:
            faults.add("photos of one id", f"{where}: photos '{ids[image_id]}' and '{words[0]}' have the same id "
                       f"'{image_id}', so their masks and maps would be one file; rename one")
        else:
            names[number] = words[0]
    faults.refuse()
    return names
