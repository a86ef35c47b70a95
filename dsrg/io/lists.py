"""Text files of lines: image ids, and photos with their numbers."""

from pathlib import Path, PurePosixPath

from dsrg.io.errors import UserError


def read_lines(path, what):
    """Lines of a text file as (number, stripped text), blank ones left out; `what` names it in errors."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{what} {path} cannot be read as UTF-8 text: {error}") from None
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise UserError(f"{what} {path} is empty")
    return lines


def read_ids(path):
    """Read a list of image ids, one a line.

    Returns
    -------
    list of str
        In file order, at least one, each once.

    Raises
    ------
    UserError
        Missing or empty file, more than one column, an id twice, or an id that leads out of its folder.
    """
    seen = {}
    for number, line in read_lines(path, "image list"):
        if len(line.split()) != 1:
            raise UserError(f"{path}:{number}: expected one image id a line, got '{line}'")
        parts = PurePosixPath(line).parts
        if line.startswith("/") or ".." in parts:
            raise UserError(f"{path}:{number}: id '{line}' leads out of the photo folder; give a plain name")
        if line in seen:
            raise UserError(f"{path}:{number}: id '{line}' is already on line {seen[line]}; keep one of them")
        seen[line] = number
    return list(seen)


def read_input_list(path):
    """Read ``input_list.txt``: photo and number, the key of the photo in the cue file, on each line.

    Returns
    -------
    dict of int to str
        Image number -> file name, in file order. UserError for a malformed line or a number given twice.
    """
    names = {}
    for line_number, line in read_lines(path, "list of photos"):
        words = line.split()
        if len(words) != 2 or not words[1].isdecimal():
            raise UserError(f"{path}:{line_number}: expected '<photo> <number>', got '{line}'")
        if int(words[1]) in names:
            raise UserError(f"{path}:{line_number}: number {words[1]} is given twice; each photo needs its own")
        names[int(words[1])] = words[0]
    return names
