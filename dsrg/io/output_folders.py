"""Checks that a command never writes into a folder from which it reads photos or masks, nor over a file it reads."""

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


def refuse_read_files_as_output(output, *inputs, suffixes=(".json", ".txt")):
    """Refuse a file to write that is one of those that are read: their lists end in .txt, too.

    Parameters
    ----------
    output : path
        Given as --out; None is nothing.
    *inputs : path
        Files that are read.
    suffixes : sequence of str
        Of the files that are written beside each other, under the name of `output`.

    Raises
    ------
    UserError
        Also for a folder, beside which the files would come to lie.
    """
    if output is None:
        return
    if Path(output).is_dir():
        raise UserError(f"--out {output} is a folder; give a file, such as {Path(output, 'result' + suffixes[0])}")
    for written in (Path(output).with_suffix(suffix) for suffix in suffixes):
        for read in inputs:
            if _same(written.resolve(), Path(read).resolve()):
                raise UserError(f"--out {output} would write {written} over what is read; choose another name")


def _same(one, other):
    """Whether two resolved paths are one folder, by mounts and hard names too."""
    if one == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
