"""Checks that a command never writes into a folder from which it reads photos or masks, nor over a stranger's file."""

import os
from pathlib import Path

from dsrg.io.errors import UserError
from dsrg.io.regular_files import open_regular


def refuse_other_content(path, begins, what):
    """Refuse to write over a file that is something else than what a command writes there.

    Parameters
    ----------
    path : Path
        May be missing or empty.
    begins : re.Pattern of bytes
        What a file of the command begins with.
    what : str
        What it is, with its article: "a log of losses".

    Raises
    ------
    UserError
    """
    if not path.is_file():      # what is no file is refused when it is opened
        return
    with open_regular(path, "file") as file:
        head = file.read(64)
    if head and not begins.match(head):
        raise UserError(f"{path} is there and is not {what}; choose another name, or remove it first")


def refuse_inputs_as_output(output, *inputs, what="--out"):
    """Refuse a place to write that is, or lies in, a folder whose photos or masks are read.

    Maps and masks are files of a photo's name, so they would replace it; and what is written below a folder of photos
    is taken for photos by the next command.

    Parameters
    ----------
    output : path
        A folder to write into, or a file to write (then its folder counts); it need not exist. None is nothing.
    *inputs : path
        Folders that are read; None is nothing.
    what : str
        The option that names the output.

    Raises
    ------
    UserError
        Links and other names of one folder are seen through.
    """
    if output is None:
        return
    place = Path(output).resolve()
    for folder in inputs:
        if folder is None or not Path(folder).is_dir():
            continue
        resolved = Path(folder).resolve()
        if any(_same(above, resolved) for above in (place, *place.parents)):
            raise UserError(f"{what} {output} would write into {folder}, whose photos or masks are read; choose a "
                            "folder elsewhere")


def _same(one, other):
    """Whether two resolved paths are one folder, by mounts and hard names too."""
    if one == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
